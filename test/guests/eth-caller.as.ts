// Asks eth:distro:sys as often as the request's four bytes say, one after another, each time something else: the balance of an address
// that counts up, by eth_call of a contract that is not there. Answers when done; with an empty body when a call failed.
import { address, body, bodyLength, receive, REQUEST, respond, sendAndAwait } from 'hyperware';

const BEFORE = '{"Request":{"chain_id":31337,"method":"eth_call","params":[{"to":"0x00000000000000000000000000000000000000aa","input":"0x';
const AFTER = '"},"latest"]}}';
const DIGITS = 16;
const text: usize = heap.alloc(256);
let next: u64 = 0;

export function main(our: string): void {
  const eth = address(our.substring(0, our.indexOf('@')), 'eth', 'distro', 'sys');
  const length = prepare();
  for (;;) {
    if (receive() != REQUEST || bodyLength() != 4) continue;
    let left = load<u32>(body());
    let good = true;
    for (; left > 0 && good; left--) {
      count();
      good = sendAndAwait(eth, text, length, 30) && load<u8>(body(), 2) == 0x52;
    }
    respond(text, good ? 1 : 0);
  }
}

function prepare(): usize {
  put(text, BEFORE);
  put(text + BEFORE.length + DIGITS, AFTER);
  return BEFORE.length + DIGITS + AFTER.length;
}

function put(at: usize, value: string): void {
  for (let i = 0; i < value.length; i++) store<u8>(at + i, <u8>value.charCodeAt(i));
}

/** The next number, in hex. */
function count(): void {
  next++;
  const at = text + BEFORE.length;
  for (let i = 0; i < DIGITS; i++) {
    const digit = <u8>((next >> ((DIGITS - 1 - i) * 4)) & 15);
    store<u8>(at + i, digit < 10 ? 48 + digit : 87 + digit);
  }
}
