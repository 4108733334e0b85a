// Names by hash (not TypeScript: compiled by asc). A name is its label and its parent, so that a hundred thousand cost some megabytes, and
// it is here only if its hash is that of its label under its parent (F34).
import { keccak256 } from '../../../lib/assembly/keccak';
import { Bytes, same } from './bytes';

export const HASH_BYTES: usize = 32;
export const LABEL_BYTES_MAX: usize = 63;
/** Labels of the longest name: far more than anybody has, and a bound for what reads them. */
const LABELS_MAX: u32 = 32;

/** Hash 0, parent 32, label 36, length of the label 40, record + 1 of its node or zero 44. The first entry is the root. */
const ENTRY_BYTES: usize = 48;
export const entries = new Bytes();
export const labels = new Bytes();
export const ROOT: u32 = 0;
export const NOBODY: u32 = 0xffff_ffff;

/** Open addressing: entry + 1, zero for free. A power of two, at most half full. */
let slots: usize = 0;
let slotMask: u32 = 0;

const scratch = memory.data(64, 8);

export function count(): u32 {
  return <u32>(entries.length / ENTRY_BYTES);
}

/** Forgets everything but the root. */
export function clear(): void {
  entries.length = 0;
  labels.length = 0;
  memory.fill(entries.extend(ENTRY_BYTES), 0, ENTRY_BYTES);
  index();
}

/** Makes the slots anew, from the entries. */
export function index(): void {
  let size: u32 = 1024;
  while (size < count() * 2 + 2) size *= 2;
  if (slots != 0) heap.free(slots);
  slots = heap.alloc(<usize>size * 4);
  slotMask = size - 1;
  memory.fill(slots, 0, <usize>size * 4);
  for (let entry: u32 = 0; entry < count(); entry++) store<u32>(slotOf(hashOf(entry)), entry + 1);
}

/** Where the hash is, or where it would be put. Hashes are as good as random already. */
function slotOf(hash: usize): usize {
  let slot = load<u32>(hash) & slotMask;
  while (true) {
    const at = slots + <usize>slot * 4;
    const found = load<u32>(at);
    if (found == 0 || same(hashOf(found - 1), hash, HASH_BYTES)) return at;
    slot = (slot + 1) & slotMask;
  }
}

/** The entry of 32 bytes, or NOBODY. */
export function find(hash: usize): u32 {
  return load<u32>(slotOf(hash)) - 1;
}

/** Writes the hash of a label under a parent. */
export function leaf(parent: u32, label: usize, length: usize, into: usize): void {
  keccak256(label, length, scratch + 32);
  memory.copy(scratch, hashOf(parent), HASH_BYTES);
  keccak256(scratch, 64, into);
}

/** Adds a name whose hash has been checked, and is not there. NOBODY: it has too many labels. */
export function add(hash: usize, parent: u32, label: usize, length: usize): u32 {
  if (depth(parent) >= LABELS_MAX) return NOBODY;
  const entry = count();
  const at = entries.extend(ENTRY_BYTES);
  memory.copy(at, hash, HASH_BYTES);
  store<u32>(at, parent, 32);
  store<u32>(at, <u32>labels.length, 36);
  store<u32>(at, <u32>length, 40);
  store<u32>(at, 0, 44);
  labels.copy(label, length);
  if (count() * 2 > slotMask) index();
  else store<u32>(slotOf(hashOf(entry)), entry + 1);
  return entry;
}

/** Takes back the last one that was added: nothing can lie behind it in the slots. */
export function removeLast(): void {
  const entry = count() - 1;
  store<u32>(slotOf(hashOf(entry)), 0);
  labels.length = load<u32>(entryAt(entry), 36);
  entries.length -= ENTRY_BYTES;
}

function entryAt(entry: u32): usize {
  return entries.at + <usize>entry * ENTRY_BYTES;
}
export function hashOf(entry: u32): usize {
  return entryAt(entry);
}
function parentOf(entry: u32): u32 {
  return load<u32>(entryAt(entry), 32);
}
/** Record + 1 of its node; zero: none. */
export function nodeOf(entry: u32): u32 {
  return load<u32>(entryAt(entry), 44);
}
export function setNode(entry: u32, node: u32): void {
  store<u32>(entryAt(entry), node, 44);
}

function depth(entry: u32): u32 {
  let labels: u32 = 0;
  for (; entry != ROOT; entry = parentOf(entry)) labels++;
  return labels;
}

/** Bytes of the full name, dots included. */
export function nameLength(entry: u32): usize {
  let length: usize = 0;
  for (; entry != ROOT; entry = parentOf(entry)) length += load<u32>(entryAt(entry), 40) + 1;
  return length == 0 ? 0 : length - 1;
}

/** Appends the full name, child first. */
export function writeName(entry: u32, out: Bytes): void {
  let first = true;
  for (; entry != ROOT; entry = parentOf(entry)) {
    if (!first) out.u8(0x2e);
    out.copy(labels.at + load<u32>(entryAt(entry), 36), load<u32>(entryAt(entry), 40));
    first = false;
  }
}

/** Whether it is a label of names: 1 to 63 of 0-9, a-z and hyphens. */
export function isLabel(label: usize, length: usize): bool {
  if (length == 0 || length > LABEL_BYTES_MAX) return false;
  for (let i: usize = 0; i < length; i++) {
    const character = <u32>load<u8>(label + i);
    if (character - 48 >= 10 && character - 97 >= 26 && character != 45) return false;
  }
  return true;
}

/** Checks what was restored, so that nothing below has to: entries point to earlier ones, and to labels that are there. */
export function isSound(nodes: u32): bool {
  if (entries.length % ENTRY_BYTES != 0 || count() == 0) return false;
  for (let entry: u32 = 0; entry < count(); entry++) {
    const at = entryAt(entry);
    if (entry != ROOT && load<u32>(at, 32) >= entry) return false;
    if (<usize>load<u32>(at, 36) + load<u32>(at, 40) > labels.length) return false;
    if (load<u32>(at, 44) > nodes) return false;
  }
  return true;
}
