/** `get-block <chain id>`: the number of the newest block. */
import { defineScript, WrongUsage } from '../../lib/index.ts';
import { Eth } from '../../lib/eth.ts';

export default defineScript({
  usage: 'get-block <chain id>',
  run: async ({ words: [chain = '', ...more] }, process) => {
    if (!/^\d+$/.test(chain) || more.length > 0) throw new WrongUsage();
    return `block ${await new Eth(process, { chainId: Number(chain), timeoutS: 10 }).blockNumber()}`;
  },
});
