// Answers every request with its own body, and its own blob.
import { body, bodyLength, expectsResponse, receive, REQUEST, respond } from 'hyperware';

export function main(our: string): void {
  for (;;) {
    if (receive() == REQUEST && expectsResponse()) respond(body(), bodyLength(), true);
  }
}
