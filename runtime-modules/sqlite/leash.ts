/** A thread of a child: ends the process when its node has ended. The main thread cannot look, it may be inside a long statement. */
import { workerData } from 'node:worker_threads';
import { LEASH_MS } from './limits.ts';

/** As the node told it: asked here, it could be too late. */
const parent: unknown = workerData;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, LEASH_MS);
