/**
 * A signer in the home at argv[2] that sends through the chain at argv[3] as fast as it can, ids from argv[4] on, and says on stdout what
 * was answered, until it is killed. Run by crash.test.ts only.
 */
import { writeSync } from 'node:fs';
import { SignerBench } from '../testing.ts';
import { EthBench, payee, sending, sent } from './testing.ts';

const [, , home = '', url, from = '0'] = process.argv;
const eth = await EthBench.make(url);
const bench = await SignerBench.make({ home });
eth.serve(bench);
let next = Number(from);

async function sendOn(): Promise<void> {
  for (;;) {
    const number = next;
    next += 1;
    const { nonce, hash } = await sentAtLast(number);
    // Synchronous: what is printed was answered, even if the next instruction never runs.
    writeSync(1, `${number} ${nonce} ${hash}\n`);
  }
}

/** A full queue is one to wait for. */
async function sentAtLast(number: number): ReturnType<typeof sent> {
  for (;;) {
    try {
      return await sent(bench, sending(`${number}`, { to: payee(number) }));
    } catch (error) {
      if (!String(error).includes('QueueFull')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

await Promise.all([sendOn(), sendOn(), sendOn()]);
