// A body of 0 is answered after an `await`, any other after a request to peer:bench:sys has been answered.
import { defineProcess } from 'hyperware';

export default defineProcess({
  onMessage: async (context, process) => {
    if (context.body[0] !== 0) return (await process.request('peer:bench:sys', context.body)).body;
    await Promise.resolve();
    return context.body;
  },
});
