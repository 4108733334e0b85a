/** `history:chat:sys <node>`: the conversation with a node, and what became of each message of ours. */
import { client, defineScript, packageOf, processIn, WrongUsage } from '../../lib/index.ts';
import { printable } from '../chat/printable.ts';
import { chat } from '../contract.ts';

/** Messages shown, the last ones. */
const SHOWN_MAX = 50;

export default defineScript({
  usage: 'history <node>',
  run: async ({ words }, process) => {
    const [target, more] = words;
    if (target === undefined || more !== undefined) throw new WrongUsage();
    const ours = {
      node: process.our.node,
      process: processIn('chat', packageOf(process.our.process)),
    };
    const messages = await client(process, chat, ours).History(target);
    const lines = messages.slice(-SHOWN_MAX).map(({ author, content, delivery }) => {
      const state = delivery.kind === 'Received' ? '' : ` (${delivery.kind.toLowerCase()})`;
      return `${author}: ${printable(content)}${state}`;
    });
    return lines.join('\n') || `no messages with ${target}`;
  },
});
