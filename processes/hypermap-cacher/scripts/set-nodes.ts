/** `set-nodes <node> ...`: whom a cache that is empty is filled from. */
import { defineScript } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'set-nodes <node> ...',
  run: ({ words }, process) => ask(process, { SetNodes: words }),
});
