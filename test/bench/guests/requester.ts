// Asked with a body of 4 bytes, a count, it makes that many awaited requests of 64 bytes to echo-ts:bench:sys, one after another,
// then answers with the count. The counterpart of requester.wat, without the library.
import { receive, sendAndAwaitResponse, sendResponse } from 'hyperware:process/standard@1.0.0';

const BODY_BYTES = 64;
const TARGET = {
  node: 'our',
  process: { processName: 'echo-ts', packageName: 'bench', publisherNode: 'sys' },
};

export function init(_our: string): void {
  const request = {
    inherit: false,
    expectsResponse: 30,
    body: new Uint8Array(BODY_BYTES),
    metadata: null,
    capabilities: [],
  };
  for (;;) {
    let message;
    try {
      message = receive()[1];
    } catch {
      continue; // A send error of an earlier batch.
    }
    if (message.tag !== 'request') continue;
    const { body } = message.val;
    const count = new DataView(body.buffer, body.byteOffset).getUint32(0, true);
    for (let made = 0; made < count; made++) sendAndAwaitResponse(TARGET, request, null);
    sendResponse({ inherit: false, body, metadata: null, capabilities: [] }, null);
  }
}
