/** Starts a chain, prints its process id, and waits to be killed. */
import { startChain } from './chain.ts';

const chain = await startChain();
process.stdout.write(`${chain.pid}\n`);
setInterval(() => undefined, 60_000);
