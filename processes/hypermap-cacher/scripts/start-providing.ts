/** `start-providing`: other nodes may read what is cached. */
import { defineScript } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'start-providing',
  run: (_args, process) => ask(process, 'StartProviding'),
});
