/** `stop-providing`: other nodes may not read any more. */
import { defineScript } from '../../lib/index.ts';
import { ask } from '../shared/ask.ts';

export default defineScript({
  usage: 'stop-providing',
  run: (_args, process) => ask(process, 'StopProviding'),
});
