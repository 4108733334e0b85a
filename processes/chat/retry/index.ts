/** `retry:chat:sys <node>`: sends what has failed to reach a node, again. */
import { client, defineScript, packageOf, processIn, WrongUsage } from '../../lib/index.ts';
import { chat } from '../contract.ts';

export default defineScript({
  usage: 'retry <node>',
  run: async ({ words }, process) => {
    const [target, more] = words;
    if (target === undefined || more !== undefined) throw new WrongUsage();
    const ours = {
      node: process.our.node,
      process: processIn('chat', packageOf(process.our.process)),
    };
    const count = await client(process, chat, ours).Retry(target);
    return `${count} messages to ${target} are tried again`;
  },
});
