// The index in the state of this process: written as a whole, read as a whole at its next start (not TypeScript: compiled by asc).
import { fetchState, setState, state, stateLength } from 'hyperware';
import { keccak256 } from '../../../lib/assembly/keccak';
import { Bytes, same } from './bytes';
import * as events from './events';
import * as journal from './journal';
import * as names from './names';
import * as nodes from './nodes';
import * as pending from './pending';

/** "ledger" and a version; state of another one is left where it is and read anew from the chain. */
const MAGIC: u64 = 0x01_726567_64656c;
/** Magic 0, checksum 8, chain 40, contract 48, last id of what waits 68, lengths of the sections 72. */
const SECTIONS: usize = 7;
const HEAD_BYTES: usize = 72 + SECTIONS * 4;

export let chain: u64 = 0;
const checksum = memory.data(32, 8);

function section(index: usize): Bytes {
  if (index == 0) return names.entries;
  if (index == 1) return names.labels;
  if (index == 2) return nodes.nodes;
  if (index == 3) return nodes.routers;
  if (index == 4) return pending.waiting;
  return index == 5 ? journal.records : journal.anchors;
}

/** An empty index of that chain and contract (20 bytes). */
export function begin(chainId: u64, contract: usize): void {
  chain = chainId;
  memory.copy(events.contract, contract, 20);
  names.clear();
  nodes.clear();
  pending.clear();
  journal.clear();
}

export function save(): void {
  let length = HEAD_BYTES;
  for (let i: usize = 0; i < SECTIONS; i++) length += section(i).length;
  const to = heap.alloc(length);
  store<u64>(to, MAGIC);
  store<u64>(to, chain, 40);
  memory.copy(to + 48, events.contract, 20);
  store<u32>(to, pending.lastId, 68);
  let at = to + HEAD_BYTES;
  for (let i: usize = 0; i < SECTIONS; i++) {
    const one = section(i);
    store<u32>(to + 72 + i * 4, <u32>one.length);
    memory.copy(at, one.at, one.length);
    at += one.length;
  }
  keccak256(to + 40, length - 40, to + 8);
  setState(to, length);
  heap.free(to);
}

/** Takes over what was saved. False: there is nothing, or it is damaged; the index is then to be begun. */
export function restore(): bool {
  if (!fetchState()) return false;
  const from = state();
  const length = stateLength();
  if (length < HEAD_BYTES || load<u64>(from) != MAGIC) return false;
  keccak256(from + 40, length - 40, checksum);
  if (!same(checksum, from + 8, 32)) return false;
  let whole = HEAD_BYTES;
  for (let i: usize = 0; i < SECTIONS; i++) {
    const bytes = <usize>load<u32>(from + 72 + i * 4);
    if (bytes > length) return false;
    whole += bytes;
  }
  if (whole != length) return false;
  chain = load<u64>(from, 40);
  memory.copy(events.contract, from + 48, 20);
  pending.setLastId(load<u32>(from, 68));
  let at = from + HEAD_BYTES;
  for (let i: usize = 0; i < SECTIONS; i++) {
    const bytes = <usize>load<u32>(from + 72 + i * 4);
    section(i).length = 0;
    section(i).copy(at, bytes);
    at += bytes;
  }
  nodes.changes.length = 0;
  if (!names.isSound(nodes.count()) || !nodes.isSound(names.count())) return false;
  if (!pending.isSound() || !journal.isSound()) return false;
  for (let node: u32 = 0; node < nodes.count(); node++) nodes.forgotten(node);
  names.index();
  return true;
}
