/** `reset`: the index forgets everything and reads the chain anew. */
import { capability, defineScript } from '../../lib/index.ts';
import { ask, INDEXER } from '../shared/ask.ts';

export default defineScript({
  usage: 'reset',
  run: async (_args, process) => {
    const root = capability(process.resolve(INDEXER), { root: true });
    const { Reset: reset } = await ask(process, 'Reset', [root]);
    return reset === 'Success'
      ? 'the index is being read anew'
      : `refused: ${JSON.stringify(reset)}`;
  },
});
