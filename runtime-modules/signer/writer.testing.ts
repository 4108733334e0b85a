/**
 * A signer in the home at argv[2] that signs as fast as it can and says on stdout what left it, one voucher of 1 each, until it is killed.
 * Run by crash.test.ts only.
 */
import { writeSync } from 'node:fs';
import { SignerBench, voucher, vouchers } from './testing.ts';

const [, , home = ''] = process.argv;
const bench = await SignerBench.make({ home });
const capabilities = [vouchers('1000000')];

async function signOn(): Promise<void> {
  for (;;) {
    const body = await bench.do(voucher('1'), { capabilities });
    // Synchronous: what is printed has left, even if the next instruction never runs.
    if (JSON.stringify(body).startsWith('{"Signature"')) writeSync(1, '.');
  }
}

await Promise.all([signOn(), signOn(), signOn(), signOn()]);
