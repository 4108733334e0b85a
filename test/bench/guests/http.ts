// Answers every HTTP request with 1 KiB, having read the request as a program would. No library.
import { receive, sendResponse } from 'hyperware:process/standard@1.0.0';

const CONTENT = new Uint8Array(1024).fill(0x61);
const HEAD = new TextEncoder().encode(
  '{"status":200,"headers":{"Content-Type":"application/json"}}',
);

export function init(_our: string): void {
  const utf8 = new TextDecoder();
  for (;;) {
    let message;
    try {
      message = receive()[1];
    } catch {
      continue;
    }
    if (message.tag !== 'request') continue;
    const { Http: request } = JSON.parse(utf8.decode(message.val.body)) as {
      Http: { method: string };
    };
    if (request.method !== 'GET') continue;
    sendResponse(
      { inherit: false, body: HEAD, metadata: null, capabilities: [] },
      { mime: null, bytes: CONTENT },
    );
  }
}
