/** Starts a chain whose temporary files are in the folder that is its argument, prints its process id, and waits to be killed. */
import { startChain } from './chain.ts';

process.env['TMPDIR'] = process.argv[2];
const chain = await startChain();
process.stdout.write(`${chain.pid}\n`);
setInterval(() => undefined, 60_000);
