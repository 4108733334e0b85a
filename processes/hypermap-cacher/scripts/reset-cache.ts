/** `reset-cache [<node> ...]`: empties the cache and fills it again, from these nodes first. */
import { defineScript } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'reset-cache [<node> ...]',
  run: ({ words }, process) => ask(process, { Reset: words.length === 0 ? null : words }),
});
