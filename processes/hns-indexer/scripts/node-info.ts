/** `node-info <name>`: how a node is reached, as the index knows it. */
import { defineScript, WrongUsage } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'node-info <name>',
  run: async ({ words: [name, ...more] }, process) => {
    if (name === undefined || more.length > 0) throw new WrongUsage();
    const answer = await ask(process, { NodeInfo: { name, block: 0 } });
    return answer['NodeInfo'] === null ? `${name} is no node` : JSON.stringify(answer['NodeInfo']);
  },
});
