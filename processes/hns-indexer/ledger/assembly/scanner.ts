// Reads the logs of an `eth_getLogs` answer out of its JSON text, in place: nothing is allocated (not TypeScript: compiled by asc).
// Text of a provider is not trusted: what is no JSON ends the scan with `failed`.

export const TOPICS_MAX: u32 = 4;

/** Where the scan is, and where the text ends. */
let at: usize = 0;
let end: usize = 0;
export let failed: bool = false;

// Of the log read last: where the characters between the quotes are, zero for what is not there.
export let address: usize = 0;
export let addressLength: usize = 0;
export let data: usize = 0;
export let dataLength: usize = 0;
export let blockNumber: usize = 0;
export let blockNumberLength: usize = 0;
export let topicCount: u32 = 0;
export let removed: bool = false;
/** Pointer and length of each topic. */
const TOPICS = memory.data(32, 8);

export function topic(index: u32): usize {
  return load<u32>(TOPICS + index * 8);
}
export function topicLength(index: u32): usize {
  return load<u32>(TOPICS + index * 8, 4);
}

/** Starts at the array in `{"Response":[…]}`, or at an array alone. */
export function open(from: usize, length: usize): void {
  at = from;
  end = from + length;
  failed = false;
  if (peek() == OBJECT) {
    at++;
    stringHere();
    if (!take(COLON)) return;
  }
  take(ARRAY);
}

/** Reads the next log; false when there is none, or the text has failed. */
export function next(): bool {
  if (failed) return false;
  if (peek() == COMMA) at++;
  if (peek() == ARRAY_END) {
    at++;
    return false;
  }
  if (!take(OBJECT)) return false;
  address = data = blockNumber = 0;
  addressLength = dataLength = blockNumberLength = 0;
  topicCount = 0;
  removed = false;
  if (peek() == OBJECT_END) {
    at++;
    return true;
  }
  while (true) {
    if (!stringHere()) return false;
    const key = textAt;
    const length = textLength;
    if (!take(COLON)) return false;
    if (!member(key, length)) return false;
    const after = peek();
    at++;
    if (after == OBJECT_END) return true;
    if (after != COMMA) return fail();
  }
}

// The string that `stringHere` found, without its quotes.
let textAt: usize = 0;
let textLength: usize = 0;

function member(key: usize, length: usize): bool {
  if (length == 6 && load<u32>(key) == 0x69706f74 /* topi */) return topics();
  if (length == 7 && load<u32>(key) == 0x6f6d6572 /* remo */) {
    removed = peek() == 0x74;
    return skip();
  }
  if (length == 4 && load<u32>(key) == 0x61746164 /* data */) {
    if (!stringHere()) return false;
    data = textAt;
    dataLength = textLength;
    return true;
  }
  if (length == 7 && load<u32>(key) == 0x72646461 /* addr */) {
    if (!stringHere()) return false;
    address = textAt;
    addressLength = textLength;
    return true;
  }
  // Not blockNumber alone begins so.
  if (length == 11 && load<u32>(key, 4) == 0x6d754e6b /* kNum */ && peek() == QUOTE) {
    if (!stringHere()) return false;
    blockNumber = textAt;
    blockNumberLength = textLength;
    return true;
  }
  return skip();
}

function topics(): bool {
  if (!take(ARRAY)) return false;
  while (peek() == QUOTE) {
    if (!stringHere()) return false;
    if (topicCount >= TOPICS_MAX) return fail();
    store<u32>(TOPICS + topicCount * 8, <u32>textAt);
    store<u32>(TOPICS + topicCount * 8, <u32>textLength, 4);
    topicCount++;
    if (peek() == COMMA) at++;
  }
  return take(ARRAY_END);
}

/** Any value. Only brackets and strings matter for where it ends. */
function skip(): bool {
  let depth = 0;
  while (true) {
    const character = peek();
    if (failed) return false;
    if (character == QUOTE) {
      if (!stringHere()) return false;
    } else if (character == OBJECT || character == ARRAY) {
      depth++;
      at++;
    } else if (character == OBJECT_END || character == ARRAY_END) {
      if (depth == 0) return fail();
      depth--;
      at++;
    } else if (depth > 0 && (character == COMMA || character == COLON)) {
      at++;
      continue;
    } else {
      while (at < end && isScalar(load<u8>(at))) at++;
      if (at == end) return fail();
    }
    if (depth == 0) return true;
  }
}

function isScalar(character: u32): bool {
  return (
    character > 32 &&
    character != COMMA &&
    character != COLON &&
    character != QUOTE &&
    character != OBJECT &&
    character != OBJECT_END &&
    character != ARRAY &&
    character != ARRAY_END
  );
}

/** A string; what is escaped in it stays so, for nothing that we read needs an escape. */
function stringHere(): bool {
  if (!take(QUOTE)) return false;
  const from = at;
  while (at < end) {
    const character = load<u8>(at++);
    if (character == BACKSLASH) at++;
    else if (character == QUOTE) {
      textAt = from;
      textLength = at - 1 - from;
      return true;
    }
  }
  return fail();
}

const QUOTE: u32 = 0x22;
const COMMA: u32 = 0x2c;
const COLON: u32 = 0x3a;
const ARRAY: u32 = 0x5b;
const BACKSLASH: u32 = 0x5c;
const ARRAY_END: u32 = 0x5d;
const OBJECT: u32 = 0x7b;
const OBJECT_END: u32 = 0x7d;

/** The next character that is no space; zero, and a failure, at the end of the text. */
function peek(): u32 {
  while (at < end && load<u8>(at) <= 32) at++;
  if (at < end) return load<u8>(at);
  failed = true;
  return 0;
}

function take(character: u32): bool {
  if (peek() != character) return fail();
  at++;
  return true;
}

function fail(): bool {
  failed = true;
  return false;
}
