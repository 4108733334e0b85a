// Answers every request with its own body, and its own blob. The plainest TypeScript guest: no library.
import { receive, sendResponse } from 'hyperware:process/standard@1.0.0';

export function init(_our: string): void {
  for (;;) {
    let message;
    try {
      message = receive()[1];
    } catch {
      continue; // A send error; an echo sends no requests, so it is not ours.
    }
    if (message.tag === 'request' && message.val.expectsResponse != null) {
      sendResponse(
        { inherit: true, body: message.val.body, metadata: null, capabilities: [] },
        null,
      );
    }
  }
}
