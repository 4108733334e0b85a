/** `send:chat:sys <node> <message>`: sends a message through this package's chat process. */
import { client, defineScript, packageOf, processIn, WrongUsage } from '../../lib/index.ts';
import { chat } from '../contract.ts';

const TIMEOUT_S = 15;

export default defineScript({
  usage: 'send <node> <message>',
  run: async ({ text }, process) => {
    const [, target, message] = /^\s*(\S+)\s+(.*\S)\s*$/s.exec(text) ?? [];
    if (target === undefined || message === undefined) throw new WrongUsage();
    const ours = {
      node: process.our.node,
      process: processIn('chat', packageOf(process.our.process)),
    };
    await client(process, chat, ours, { timeoutS: TIMEOUT_S }).Send({
      target,
      message,
      id: undefined,
    });
    return `sent to ${target}`;
  },
});
