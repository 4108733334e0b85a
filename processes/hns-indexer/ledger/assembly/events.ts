// Events of the namespace and what they do to the index (hypermap.md §4, §13; findings.md F34). Not TypeScript: compiled by asc.
import { keccak256 } from '../../../lib/assembly/keccak';
import { isText, same, valueOfDigit } from './bytes';
import * as journal from './journal';
import * as names from './names';
import * as nodes from './nodes';
import * as pending from './pending';
import * as scanner from './scanner';

const MINT: u32 = 0;
const KEY: u32 = 1;
const ROUTERS: u32 = 2;
const ADDRESS: u32 = 3;
const WS_PORT: u32 = 4;
const TCP_PORT: u32 = 5;

/** A note holds no more than a transaction does. */
const PAYLOAD_BYTES_MAX: usize = 131_072;
const HASH_BYTES: usize = 32;

// Topics of Mint and Note, digits without `0x`.
const TOPIC_MINT = 'b59dae5eda69178326b6517bb1aa33e208bf2ac347e30d3a5daf0ecb6249f7b1';
const TOPIC_NOTE = 'e40d9f1ec78dfc3c5a94c3edae28058ba092a8f65ce8a199731840a3d20f82f4';

/** 20 bytes: who may speak. */
export const contract = memory.data(20, 8);

const parent = memory.data(32, 8);
const own = memory.data(32, 8);
const first = memory.data(32, 8);
const address = memory.data(20, 8);
const mintTopic = memory.data(32, 8);
const noteTopic = memory.data(32, 8);
const expected = memory.data(32, 8);
const label = memory.data(64, 8);
const payload: usize = heap.alloc(PAYLOAD_BYTES_MAX);
let labelLength: usize = 0;

const event = new pending.Event();

export let applied: u32 = 0;
export let ignored: u32 = 0;

export function prepare(): void {
  topicOf(TOPIC_MINT, mintTopic);
  topicOf(TOPIC_NOTE, noteTopic);
}

function topicOf(digits: string, into: usize): void {
  for (let i = 0; i < 32; i++) {
    const high = valueOfDigit(digits.charCodeAt(2 * i));
    store<u8>(into + i, <u8>((high << 4) | valueOfDigit(digits.charCodeAt(2 * i + 1))));
  }
}

/** Applies the logs in a provider's text. False: the text is malformed, and some of them may have been applied. */
export function applyAll(text: usize, length: usize, hinted: bool): bool {
  applied = 0;
  ignored = 0;
  scanner.open(text, length);
  while (scanner.next()) {
    event.hinted = hinted;
    if (decode()) {
      apply(event);
      applied++;
    } else ignored++;
  }
  return !scanner.failed;
}

/** Puts the log that was read last into `event`. False: it is none of ours, or not as the contract makes them. */
function decode(): bool {
  if (scanner.removed || scanner.topicCount != 4) return false;
  if (!bytes(scanner.address, scanner.addressLength, address, 20)) return false;
  if (!same(address, contract, 20) || !topic(0, first)) return false;
  if (!topic(1, parent) || !topic(2, own)) return false;
  event.block = block();
  event.parent = parent;
  event.own = own;
  if (same(first, mintTopic, 32)) {
    event.kind = MINT;
    if (!labelAt(0) || !names.isLabel(label, labelLength)) return false;
    event.payload = label;
    event.payloadLength = labelLength;
    return true;
  }
  if (!same(first, noteTopic, 32) || !labelAt(0)) return false;
  event.kind = kindOfNote();
  return event.kind != MINT && payloadAt(1);
}

/** MINT: a note that says nothing about nodes. */
function kindOfNote(): u32 {
  if (isText(label, labelLength, '~net-key')) return KEY;
  if (isText(label, labelLength, '~routers')) return ROUTERS;
  if (isText(label, labelLength, '~ip')) return ADDRESS;
  if (isText(label, labelLength, '~ws-port')) return WS_PORT;
  return isText(label, labelLength, '~tcp-port') ? TCP_PORT : MINT;
}

export function isNote(kind: u32): bool {
  return kind != MINT;
}

/** Does what the event says, and then what has been waiting for it. */
function apply(event: pending.Event): void {
  const before = names.count();
  perform(event);
  while (names.count() != before && pending.waiting.length > 0 && pending.takeKnown(event)) {
    perform(event);
  }
}

function perform(event: pending.Event): void {
  const above = names.find(event.parent);
  if (above == names.NOBODY) {
    pending.add(event, event.parent);
    return;
  }
  if (event.kind == MINT) mint(above, event);
  else note(above, event);
}

function mint(above: u32, event: pending.Event): void {
  // Seen before: what is known of it stays (F34).
  if (names.find(event.own) != names.NOBODY) return;
  names.leaf(above, event.payload, event.payloadLength, expected);
  if (!same(expected, event.own, HASH_BYTES)) return;
  if (names.add(event.own, above, event.payload, event.payloadLength) != names.NOBODY) {
    journal.nameAdded();
  }
}

function note(entry: u32, event: pending.Event): void {
  const data = event.payload;
  const length = event.payloadLength;
  if (event.kind == ROUTERS) {
    const missing = unknownRouter(data, length);
    if (missing != 0) {
      pending.add(event, missing);
      return;
    }
  } else if (!isWellFormed(event.kind, length)) return;
  const node = touch(entry, event.hinted);
  set(node, event.kind, data, length);
  if (event.kind == ROUTERS) nodes.clearDirect(node);
  else if (event.kind != KEY) nodes.clearRouters(node);
  nodes.changed(node);
}

function isWellFormed(kind: u32, length: usize): bool {
  if (kind == KEY) return length == nodes.KEY_BYTES;
  if (kind == ADDRESS) return length == 4 || length == 16;
  return length == 2;
}

/** The first hash of a list of routers that is nobody's; zero: none. */
function unknownRouter(data: usize, length: usize): usize {
  for (let i: usize = 0; i < routersIn(length) * HASH_BYTES; i += HASH_BYTES) {
    if (names.find(data + i) == names.NOBODY) return data + i;
  }
  return 0;
}

/** A length that is no multiple of 32 gives none, as in the reference. */
function routersIn(length: usize): usize {
  const routers = length / HASH_BYTES;
  return length % HASH_BYTES != 0 || routers > nodes.ROUTERS_MAX ? 0 : routers;
}

function set(node: u32, kind: u32, data: usize, length: usize): void {
  if (kind == KEY) nodes.setKey(node, data);
  else if (kind == ADDRESS) nodes.setAddress(node, data, length);
  else if (kind == ROUTERS) {
    let known: u32 = 0;
    for (let i: usize = 0; i < routersIn(length); i++) {
      const router = names.find(data + i * HASH_BYTES);
      if (router == names.NOBODY) continue;
      nodes.routers.u32(router);
      known++;
    }
    nodes.setRouters(node, known);
  } else {
    const port = ((<u16>load<u8>(data)) << 8) | load<u8>(data, 1);
    if (kind == WS_PORT) nodes.setWsPort(node, port);
    else nodes.setTcpPort(node, port);
  }
}

/** The node of a name, about to change. */
function touch(entry: u32, hinted: bool): u32 {
  const known = names.nodeOf(entry);
  let node = known - 1;
  if (known == 0) {
    node = nodes.add(entry);
    names.setNode(entry, node + 1);
    journal.nodeAdded();
  } else journal.nodeChanges(node);
  // What somebody untrusted has had a hand in stays doubtful until it was read from the chain as a whole.
  if (hinted) nodes.setHinted(node, true);
  return node;
}

/**
 * What was read from the chain about one name, as five notes (their lengths, then their bytes): the name is added with its parents, for a
 * name hashes to itself whoever tells it. Of a hinted node it is the values that are replaced: whether it is direct stays.
 */
export function put(name: usize, nameLength: usize, notes: usize): bool {
  const entry = entryOf(name, nameLength);
  if (entry == names.NOBODY) return false;
  const known = names.nodeOf(entry);
  const hinted = known != 0 && nodes.isHinted(known - 1);
  const routed = hinted && nodes.hasRouters(known - 1);
  const node = touch(entry, false);
  memory.fill(nodes.at(node) + 4, 0, nodes.NODE_BYTES - 4 - 3);
  let at = notes + 20;
  for (let kind: u32 = KEY; kind <= TCP_PORT; kind++) {
    const length = <usize>load<u32>(notes + (kind - KEY) * 4);
    const wanted = kind == KEY || !hinted || (kind == ROUTERS) == routed;
    if (wanted && (kind == ROUTERS || isWellFormed(kind, length))) set(node, kind, at, length);
    at += length;
  }
  nodes.setHinted(node, false);
  nodes.changed(node);
  return true;
}

function entryOf(name: usize, length: usize): u32 {
  let entry = names.ROOT;
  let end = length;
  while (true) {
    let from = end;
    while (from > 0 && load<u8>(name + from - 1) != 0x2e) from--;
    if (!names.isLabel(name + from, end - from)) return names.NOBODY;
    names.leaf(entry, name + from, end - from, expected);
    let child = names.find(expected);
    if (child == names.NOBODY) {
      child = names.add(expected, entry, name + from, end - from);
      if (child == names.NOBODY) return child;
      journal.nameAdded();
    }
    entry = child;
    if (from == 0) return entry;
    end = from - 1;
  }
}

/** The hash of a full name. False: it is no name. */
export function hashOf(name: usize, length: usize, into: usize): bool {
  memory.fill(first, 0, 32);
  let end = length;
  while (true) {
    let from = end;
    while (from > 0 && load<u8>(name + from - 1) != 0x2e) from--;
    if (!names.isLabel(name + from, end - from)) return false;
    keccak256(name + from, end - from, pair + 32);
    memory.copy(pair, first, 32);
    keccak256(pair, 64, first);
    if (from == 0) break;
    end = from - 1;
  }
  memory.copy(into, first, 32);
  return true;
}
const pair = memory.data(64, 8);

// ---- hex of logs

/** `0x` and twice as many digits as `length`, as bytes. */
function bytes(text: usize, characters: usize, into: usize, length: usize): bool {
  if (characters != 2 + 2 * length || load<u16>(text) != 0x7830) return false;
  return digits(text + 2, into, length);
}

function digits(text: usize, into: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) {
    const high = valueOfDigit(load<u8>(text + 2 * i));
    const low = valueOfDigit(load<u8>(text + 2 * i, 1));
    if ((high | low) > 15) return false;
    store<u8>(into + i, <u8>((high << 4) | low));
  }
  return true;
}

function topic(index: u32, into: usize): bool {
  return bytes(scanner.topic(index), scanner.topicLength(index), into, HASH_BYTES);
}

function block(): u64 {
  let value: u64 = 0;
  for (let i: usize = 2; i < scanner.blockNumberLength; i++) {
    value = (value << 4) | valueOfDigit(load<u8>(scanner.blockNumber + i));
  }
  return value;
}

/** Number in a word of the data; -1 where there is none, or one over 32 bits. */
function word(at: usize): i64 {
  // Before anything is multiplied: a provider may say four billion.
  if (at > scanner.dataLength || (at + HASH_BYTES) * 2 + 2 > scanner.dataLength) return -1;
  const text = scanner.data + 2 + at * 2;
  for (let i: usize = 0; i < 56; i += 8) if (load<u64>(text + i) != ZEROS) return -1;
  let value: i64 = 0;
  for (let i: usize = 56; i < 64; i++) {
    const digit = valueOfDigit(load<u8>(text + i));
    if (digit > 15) return -1;
    value = (value << 4) | digit;
  }
  return value;
}
const ZEROS: u64 = 0x3030303030303030;

/** The bytes that an argument points to; their length, or -1 where they are not wholly there or more than fit. */
function argument(index: usize, into: usize, most: usize): i64 {
  const offset = word(index * HASH_BYTES);
  if (offset < 0) return -1;
  const length = word(<usize>offset);
  if (length < 0 || <usize>length > most) return -1;
  const from = <usize>offset + HASH_BYTES;
  if ((from + <usize>length) * 2 + 2 > scanner.dataLength) return -1;
  return digits(scanner.data + 2 + from * 2, into, <usize>length) ? length : -1;
}

function labelAt(index: usize): bool {
  const length = argument(index, label, names.LABEL_BYTES_MAX);
  labelLength = <usize>length;
  return length > 0;
}

function payloadAt(index: usize): bool {
  const length = argument(index, payload, PAYLOAD_BYTES_MAX);
  event.payload = payload;
  event.payloadLength = <usize>length;
  return length >= 0;
}
