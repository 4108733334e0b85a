// Events that cannot be understood yet: of a parent nobody has minted, or naming routers that are unknown (F34, HM19, HM20). Not TypeScript:
// compiled by asc.
import { Bytes } from './bytes';
import * as journal from './journal';
import * as names from './names';

/** Bytes that may wait; an event past it is forgotten, for whoever sends so many means harm. */
export const PENDING_BYTES_MAX: usize = 1024 * 1024;
/** How often a note whose parent is unknown is looked at again, each time when blocks have come. */
const ATTEMPTS_MAX: u32 = 5;

/** Bytes 0, id 4, block 8, kind 16, attempts 17, hinted 18, missing hash 20, parent 52, own hash 84, and then a label or a note's data. */
const HEAD_BYTES: usize = 116;
export const waiting = new Bytes();
export let lastId: u32 = 0;

export function clear(): void {
  waiting.length = 0;
}
export function setLastId(id: u32): void {
  lastId = id;
}

const taken = new Bytes();

/** An event on its way through the index. */
export class Event {
  kind: u32 = 0;
  block: u64 = 0;
  hinted: bool = false;
  /** Hashes. */
  parent: usize = 0;
  own: usize = 0;
  /** A label, or what a note holds. */
  payload: usize = 0;
  payloadLength: usize = 0;
}

/** False when there is no room. */
export function add(event: Event, missing: usize): bool {
  const length = HEAD_BYTES + event.payloadLength;
  if (waiting.length + length > PENDING_BYTES_MAX) return false;
  const to = waiting.extend(length);
  lastId++;
  store<u32>(to, <u32>length);
  store<u32>(to, lastId, 4);
  store<u64>(to, event.block, 8);
  store<u8>(to, <u8>event.kind, 16);
  store<u8>(to, 0, 17);
  store<u16>(to, event.hinted ? 1 : 0, 18);
  memory.copy(to + 20, missing, 32);
  memory.copy(to + 52, event.parent, 32);
  memory.copy(to + 84, event.own, 32);
  memory.copy(to + HEAD_BYTES, event.payload, event.payloadLength);
  journal.pendingAdded(lastId);
  return true;
}

/** Takes out the first event whose missing name is known by now; `event` says what it is, until the next call. */
export function takeKnown(event: Event): bool {
  for (let at: usize = 0; at < waiting.length;) {
    const record = waiting.at + at;
    const length = <usize>load<u32>(record);
    if (names.find(record + 20) != names.NOBODY) {
      taken.length = 0;
      taken.copy(record, length);
      take(at);
      event.block = load<u64>(taken.at, 8);
      event.kind = load<u8>(taken.at, 16);
      event.hinted = load<u16>(taken.at, 18) != 0;
      event.parent = taken.at + 52;
      event.own = taken.at + 84;
      event.payload = taken.at + HEAD_BYTES;
      event.payloadLength = length - HEAD_BYTES;
      return true;
    }
    at += length;
  }
  return false;
}

/** Blocks have come: notes that have been waiting too long are forgotten. */
export function age(block: u64, isNote: (kind: u32) => bool): void {
  for (let at: usize = 0; at < waiting.length;) {
    const record = waiting.at + at;
    const length = <usize>load<u32>(record);
    const parentUnknown = memory.compare(record + 20, record + 52, 32) == 0;
    if (isNote(load<u8>(record, 16)) && parentUnknown && block > load<u64>(record, 8)) {
      const attempts = <u32>load<u8>(record, 17) + 1;
      store<u8>(record, <u8>attempts, 17);
      if (attempts >= ATTEMPTS_MAX) {
        take(at);
        continue;
      }
    }
    at += length;
  }
}

function take(at: usize): void {
  const length = <usize>load<u32>(waiting.at + at);
  journal.pendingTaken(waiting.at + at, length);
  waiting.cut(at, at + length);
}

/** For the journal: as if it had never waited. */
export function remove(id: u32): void {
  for (let at: usize = 0; at < waiting.length; at += load<u32>(waiting.at + at)) {
    if (load<u32>(waiting.at + at, 4) != id) continue;
    waiting.cut(at, at + load<u32>(waiting.at + at));
    return;
  }
}

/** For the journal: as if it had not been taken. */
export function restore(record: usize, length: usize): void {
  waiting.copy(record, length);
}

export function count(): u32 {
  let records: u32 = 0;
  for (let at: usize = 0; at < waiting.length; at += load<u32>(waiting.at + at)) records++;
  return records;
}

/** Checks what was restored. */
export function isSound(): bool {
  let at: usize = 0;
  while (at < waiting.length) {
    if (waiting.length - at < HEAD_BYTES) return false;
    const length = <usize>load<u32>(waiting.at + at);
    if (length < HEAD_BYTES || length > waiting.length - at) return false;
    at += length;
  }
  return true;
}
