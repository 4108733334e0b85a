/** A thread of a child: ends the process when its node has ended. The main thread cannot look, it may be inside a long statement. */
import { LEASH_MS } from './limits.ts';

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, LEASH_MS);
