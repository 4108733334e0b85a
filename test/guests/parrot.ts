/** Answers with whatever the last request that began with `say ` told it to. */
import { defineProcess } from 'hyperware';

let text = '';

export default defineProcess({
  onMessage: (context) => {
    if (!context.text.startsWith('say ')) return text;
    text = context.text.slice(4);
    return '';
  },
});
