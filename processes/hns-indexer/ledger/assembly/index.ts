// The ledger of names: everything that the indexer knows, and nothing about where it comes from (not TypeScript: compiled by asc, because a
// hundred thousand events mean as many hashes, of which an interpreter does some thousands in a second). Who may ask is
// the manifest's business: nobody but the indexer holds its messaging capability. `../../hns-indexer/ledger.ts` is its client and says what the operations mean.
import {
  blob,
  blobLength,
  body,
  bodyLength,
  expectsResponse,
  fetchBlob,
  receive,
  REQUEST,
  respond,
} from 'hyperware';
import { Bytes, same } from './bytes';
import * as events from './events';
import * as journal from './journal';
import * as names from './names';
import * as nodes from './nodes';
import * as pending from './pending';
import * as snapshot from './snapshot';

const OPEN: u32 = 1;
const APPLY: u32 = 2;
const SEAL: u32 = 3;
const ANCHOR: u32 = 4;
const ROLL_BACK: u32 = 5;
const RESET: u32 = 6;
const SAVE: u32 = 7;
const NAME: u32 = 8;
const NODE: u32 = 9;
const CHANGES: u32 = 10;
const ALL_CHANGED: u32 = 11;
const HINTED: u32 = 12;
const PUT: u32 = 13;
const NAMES: u32 = 14;
const NODES: u32 = 15;

const OK: u32 = 0;
const REFUSED: u32 = 1;

const out = new Bytes();
const hash = memory.data(32, 8);
const zero = memory.data(32, 8);

export function main(our: string): void {
  events.prepare();
  if (!snapshot.restore()) snapshot.begin(0, zero);
  while (true) {
    if (receive() != REQUEST || !expectsResponse()) continue;
    out.length = 0;
    out.u8(OK);
    if (bodyLength() == 0 || !perform(load<u8>(body()), body() + 1, bodyLength() - 1)) {
      out.length = 0;
      out.u8(REFUSED);
    }
    respond(out.at, out.length);
  }
}

/** False: the request makes no sense. */
function perform(operation: u32, at: usize, length: usize): bool {
  if (operation == OPEN) return length == 28 && open(at);
  if (operation == APPLY) return length == 1 && apply(load<u8>(at) != 0);
  if (operation == SEAL) return length == 41 && seal(at);
  if (operation == ANCHOR) return length == 4 && anchor(load<u32>(at));
  if (operation == ROLL_BACK) return length == 4 && rollBack(load<u32>(at));
  if (operation == RESET) {
    memory.copy(hash, events.contract, 20);
    snapshot.begin(snapshot.chain, hash);
    return true;
  }
  if (operation == SAVE) {
    snapshot.save();
    return true;
  }
  if (operation == NAME) return length == 32 && name(at);
  if (operation == NODE) return node(at, length);
  if (operation == CHANGES) return length == 4 && changes(load<u32>(at));
  if (operation == ALL_CHANGED) {
    for (let i: u32 = 0; i < nodes.count(); i++) nodes.changed(i);
    return true;
  }
  if (operation == HINTED) return length == 8 && hinted(load<u32>(at), load<u32>(at, 4));
  if (operation == PUT) return put(at, length);
  if (operation == NAMES) return length == 8 && dumpNames(load<u32>(at), load<u32>(at, 4));
  return operation == NODES && length == 8 && dumpNodes(load<u32>(at), load<u32>(at, 4));
}

/** Chain id, contract. What was known of another chain is forgotten. */
function open(at: usize): bool {
  const chain = load<u64>(at);
  if (chain != snapshot.chain || !same(events.contract, at + 8, 20)) snapshot.begin(chain, at + 8);
  out.u32(names.count() - 1);
  out.u32(nodes.count());
  out.u32(journal.anchorCount());
  return true;
}

/** The logs of the blob. */
function apply(hinted: bool): bool {
  if (!fetchBlob()) return false;
  out.u8(events.applyAll(blob(), blobLength(), hinted) ? 1 : 0);
  out.u32(events.applied);
  out.u32(events.ignored);
  out.u32(<u32>(nodes.changes.length / 4));
  return true;
}

function seal(at: usize): bool {
  const block = load<u64>(at);
  pending.age(block, events.isNote);
  journal.seal(block, at + 8, load<u8>(at, 40) != 0);
  out.u32(pending.count());
  return true;
}

function anchor(newest: u32): bool {
  if (newest < journal.anchorCount()) out.copy(journal.anchor(newest), 40);
  return true;
}

function rollBack(newest: u32): bool {
  if (newest >= journal.anchorCount()) return false;
  journal.rollBack(newest);
  return true;
}

function name(at: usize): bool {
  const entry = names.find(at);
  if (entry != names.NOBODY && entry != names.ROOT) names.writeName(entry, out);
  return true;
}

/** Whether it is hinted, and its text; nothing if it is unknown. */
function node(at: usize, length: usize): bool {
  if (!events.hashOf(at, length, hash)) return true;
  const entry = names.find(hash);
  if (entry == names.NOBODY) return true;
  const known = names.nodeOf(entry) - 1;
  out.u8(known != names.NOBODY && nodes.isHinted(known) ? 1 : 0);
  nodes.writeJson(entry, known, out);
  return true;
}

/** Up to so many nodes that have changed and are of use to net, as the body that it takes; nothing when there are none. */
function changes(most: u32): bool {
  let taken: usize = 0;
  let found: u32 = 0;
  const list = nodes.changes;
  // Which they are is known first, because their number comes first.
  picked.length = 0;
  while (taken < list.length && found < most) {
    const node = load<u32>(list.at + taken);
    taken += 4;
    // Taken back meanwhile.
    if (node >= nodes.count()) continue;
    nodes.forgotten(node);
    if (nodes.isHinted(node) || !nodes.isComplete(node)) continue;
    picked.u32(node);
    found++;
  }
  list.cut(0, taken);
  if (found == 0) return true;
  out.u8(0x81);
  out.u8(0xae);
  out.text('HnsBatchUpdate');
  nodes.writeArray(found, out);
  for (let i: usize = 0; i < picked.length; i += 4) {
    nodes.writeUpdate(load<u32>(picked.at + i), out);
  }
  return true;
}
const picked = new Bytes();

/** Names of nodes that rest on hints, from a record on: where to go on, then the names, each after its length. */
function hinted(from: u32, most: u32): bool {
  const head = out.length;
  out.u32(0);
  let node = from;
  for (let found: u32 = 0; node < nodes.count() && found < most; node++) {
    if (!nodes.isHinted(node) || !nodes.isComplete(node)) continue;
    const entry = nodes.entryOf(node);
    out.u32(<u32>names.nameLength(entry));
    names.writeName(entry, out);
    found++;
  }
  store<u32>(out.at + head, node < nodes.count() ? node : names.NOBODY);
  return true;
}

/** Length of a name, the name, five lengths, five notes. */
function put(at: usize, length: usize): bool {
  if (length < 24) return false;
  const nameLength = <usize>load<u32>(at);
  if (nameLength > length - 24) return false;
  const notes = at + 4 + nameLength;
  let whole = nameLength + 24;
  for (let i: usize = 0; i < 20; i += 4) {
    const bytes = <usize>load<u32>(notes + i);
    if (bytes > length) return false;
    whole += bytes;
  }
  return whole == length && events.put(at + 4, nameLength, notes);
}

/** `["0x…","alice.os"],…` from an entry on: where to go on, and the text. */
function dumpNames(from: u32, most: u32): bool {
  const head = out.length;
  out.u32(0);
  // Not the root.
  let entry = max(from, 1);
  for (let i: u32 = 0; entry < names.count() && i < most; i++, entry++) {
    if (i > 0) out.u8(0x2c);
    nodes.writeNamePair(entry, out);
  }
  store<u32>(out.at + head, entry < names.count() ? entry : names.NOBODY);
  return true;
}

/** `["alice.os",{…}],…` of every name that was minted: without notes it is there too, with nothing in it. */
function dumpNodes(from: u32, most: u32): bool {
  const head = out.length;
  out.u32(0);
  let entry = max(from, 1);
  for (let i: u32 = 0; entry < names.count() && i < most; i++, entry++) {
    out.text(i > 0 ? ',["' : '["');
    names.writeName(entry, out);
    out.text('",');
    nodes.writeJson(entry, names.nodeOf(entry) - 1, out);
    out.u8(0x5d);
  }
  store<u32>(out.at + head, entry < names.count() ? entry : names.NOBODY);
  return true;
}
