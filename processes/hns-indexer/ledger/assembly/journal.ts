// How to take back what was done since the oldest block that a reorganisation may still replace (not TypeScript: compiled by asc).
// Records are read from the end: their bytes, how many there are, their kind.
import { Bytes } from './bytes';
import * as names from './names';
import * as nodes from './nodes';
import * as pending from './pending';

const NAME_ADDED: u32 = 0;
const NODE_ADDED: u32 = 1;
const NODE_CHANGED: u32 = 2;
const PENDING_ADDED: u32 = 3;
const PENDING_TAKEN: u32 = 4;

export const records = new Bytes();

/** Blocks that were complete: number 0, hash 8, length of the journal then 40. The oldest first. */
const ANCHOR_BYTES: usize = 44;
export const anchors = new Bytes();
/** Older ones go: no chain we know takes back as many blocks. */
export const ANCHORS_MAX: u32 = 64;

export function anchorCount(): u32 {
  return <u32>(anchors.length / ANCHOR_BYTES);
}
/** Number and hash of a complete block, zero being the newest. */
export function anchor(newest: u32): usize {
  return anchors.at + <usize>(anchorCount() - 1 - newest) * ANCHOR_BYTES;
}

export function clear(): void {
  records.length = 0;
  anchors.length = 0;
}

/** Everything up to that block is here. `final`: it will not be taken back, and nothing before it. */
export function seal(block: u64, hash: usize, final: bool): void {
  if (final) clear();
  else if (anchorCount() >= ANCHORS_MAX) {
    const second = load<u32>(anchors.at + ANCHOR_BYTES, 40);
    records.cut(0, second);
    anchors.cut(0, ANCHOR_BYTES);
    for (let at: usize = 0; at < anchors.length; at += ANCHOR_BYTES) {
      store<u32>(anchors.at + at, load<u32>(anchors.at + at, 40) - second, 40);
    }
  }
  const to = anchors.extend(ANCHOR_BYTES);
  store<u64>(to, block);
  memory.copy(to + 8, hash, 32);
  store<u32>(to, <u32>records.length, 40);
}

/** Takes back what came after the complete block; zero being the newest. */
export function rollBack(newest: u32): void {
  const to = <usize>load<u32>(anchor(newest), 40);
  while (records.length > to) undo();
  anchors.length -= <usize>newest * ANCHOR_BYTES;
}

function undo(): void {
  const end = records.at + records.length;
  const length = <usize>load<u32>(end - 5);
  const record = end - 5 - length;
  const kind = <u32>load<u8>(end - 1);
  records.length -= length + 5;
  if (kind == NAME_ADDED) names.removeLast();
  else if (kind == NODE_ADDED) {
    names.setNode(nodes.entryOf(nodes.count() - 1), 0);
    nodes.nodes.length -= nodes.NODE_BYTES;
  } else if (kind == NODE_CHANGED) {
    const node = load<u32>(record);
    memory.copy(nodes.at(node), record + 4, nodes.NODE_BYTES);
    nodes.forgotten(node);
    nodes.changed(node);
  } else if (kind == PENDING_ADDED) pending.remove(load<u32>(record));
  else pending.restore(record, length);
}

function close(length: usize, kind: u32): void {
  records.u32(<u32>length);
  records.u8(kind);
}

export function nameAdded(): void {
  close(0, NAME_ADDED);
}
export function nodeAdded(): void {
  close(0, NODE_ADDED);
}
/** To be called before it changes. */
export function nodeChanges(node: u32): void {
  records.u32(node);
  records.copy(nodes.at(node), nodes.NODE_BYTES);
  close(4 + nodes.NODE_BYTES, NODE_CHANGED);
}
export function pendingAdded(id: u32): void {
  records.u32(id);
  close(4, PENDING_ADDED);
}
export function pendingTaken(record: usize, length: usize): void {
  records.copy(record, length);
  close(length, PENDING_TAKEN);
}

/** Checks what was restored. */
export function isSound(): bool {
  if (anchors.length % ANCHOR_BYTES != 0 || anchorCount() > ANCHORS_MAX) return false;
  let before: u32 = 0;
  for (let at: usize = 0; at < anchors.length; at += ANCHOR_BYTES) {
    const length = load<u32>(anchors.at + at, 40);
    if (length < before || length > <u32>records.length) return false;
    before = length;
  }
  return true;
}
