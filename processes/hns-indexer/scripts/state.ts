/** `state`: what the index has, as JSON. */
import { defineScript } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'state',
  run: async (_args, process) => {
    const answer = await ask(process, { GetState: { block: 0 } });
    return JSON.stringify(answer['GetState']);
  },
});
