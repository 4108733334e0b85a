/** Sends a blob of as many bytes as it is told to `sink@…` of another node, and answers with what came of it. */
import { defineProcess, MessageTooLarge, NoResponse } from 'hyperware';

export default defineProcess({
  onMessage: async (context, process) => {
    const bytes = new Uint8Array(Number(context.text)).fill(1);
    try {
      const options = { timeoutS: 60, blob: { mime: undefined, bytes } };
      await process.request('bob.os@sink:sink:sys', 'here', options);
      return 'sent';
    } catch (error) {
      if (error instanceof MessageTooLarge)
        return `${error.name} ${error.kind}: ${error.bytes} > ${error.bytesMax}: ${error.message}`;
      return error instanceof NoResponse ? `${error.name} ${error.kind}` : String(error);
    }
  },
});
