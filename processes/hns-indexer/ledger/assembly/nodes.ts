// What the notes of names say about nodes (hypermap.md §11, §13), and the two texts it is told in: JSON to who asks, MessagePack to net
// (not TypeScript: compiled by asc).
import { Bytes, digit } from './bytes';
import { hashOf, nameLength, NOBODY, writeName } from './names';

export const KEY_BYTES: usize = 32;
/** Routers of one node; a note with more is as malformed as one of another length. */
export const ROUTERS_MAX: u32 = 256;

/**
 * Entry 0, has a key 4, bytes of its address 5, has a ws port 6, a tcp port 7, ws port 8, tcp port 10, first of its routers 12, how many
 * 16, key 20, address 52, hinted 68 (it rests on what nobody who is trusted has said), changed 69 (net has yet to be told).
 */
export const NODE_BYTES: usize = 72;
export const nodes = new Bytes();
/** Entries, in the order of each note. What is replaced stays behind until the index is written down. */
export const routers = new Bytes();
/** Nodes that net has yet to be told of. */
export const changes = new Bytes();

export function count(): u32 {
  return <u32>(nodes.length / NODE_BYTES);
}

export function clear(): void {
  nodes.length = 0;
  routers.length = 0;
  changes.length = 0;
}

export function at(node: u32): usize {
  return nodes.at + <usize>node * NODE_BYTES;
}

/** A node about which nothing is known yet. */
export function add(entry: u32): u32 {
  const to = nodes.extend(NODE_BYTES);
  memory.fill(to, 0, NODE_BYTES);
  store<u32>(to, entry);
  return count() - 1;
}

export function entryOf(node: u32): u32 {
  return load<u32>(at(node));
}
export function isHinted(node: u32): bool {
  return load<u8>(at(node), 68) != 0;
}
export function setHinted(node: u32, hinted: bool): void {
  store<u8>(at(node), hinted ? 1 : 0, 68);
}

export function changed(node: u32): void {
  if (load<u8>(at(node), 69) != 0) return;
  store<u8>(at(node), 1, 69);
  changes.u32(node);
}

/** It is not among the changes, whatever an older copy of it says. */
export function forgotten(node: u32): void {
  store<u8>(at(node), 0, 69);
}

export function hasRouters(node: u32): bool {
  return load<u32>(at(node), 16) != 0;
}

/** A key, and somewhere to connect to: what net can use (HM22). */
export function isComplete(node: u32): bool {
  const record = at(node);
  if (load<u8>(record, 4) == 0) return false;
  if (hasRouters(node)) return true;
  return load<u8>(record, 5) != 0 && (load<u8>(record, 6) != 0 || load<u8>(record, 7) != 0);
}

// ---- what notes change

export function setKey(node: u32, key: usize): void {
  store<u8>(at(node), 1, 4);
  memory.copy(at(node) + 20, key, KEY_BYTES);
}

/** 4 or 16 bytes. */
export function setAddress(node: u32, address: usize, bytes: usize): void {
  store<u8>(at(node), <u8>bytes, 5);
  memory.copy(at(node) + 52, address, bytes);
}

export function setWsPort(node: u32, port: u16): void {
  store<u8>(at(node), 1, 6);
  store<u16>(at(node), port, 8);
}

export function setTcpPort(node: u32, port: u16): void {
  store<u8>(at(node), 1, 7);
  store<u16>(at(node), port, 10);
}

/** They are the last `count` of `routers`. */
export function setRouters(node: u32, count: u32): void {
  store<u32>(at(node), <u32>(routers.length / 4) - count, 12);
  store<u32>(at(node), count, 16);
}

export function clearRouters(node: u32): void {
  store<u32>(at(node), 0, 16);
}

export function clearDirect(node: u32): void {
  store<u8>(at(node), 0, 5);
  store<u16>(at(node), 0, 6);
}

// ---- texts

/** `{"name":…,"public_key":…,"ips":[…],"ports":[["ws",9000]],"routers":[…]}`; a name without notes has nothing in it. */
export function writeJson(entry: u32, node: u32, out: Bytes): void {
  out.text('{"name":"');
  writeName(entry, out);
  out.text('","public_key":"');
  const record: usize = node == NOBODY ? <usize>0 : at(node);
  if (record != 0 && load<u8>(record, 4) != 0) out.hex(record + 20, KEY_BYTES);
  out.text('","ips":[');
  if (record != 0 && load<u8>(record, 5) != 0) {
    out.u8(0x22);
    writeAddress(record, out);
    out.u8(0x22);
  }
  out.text('],"ports":[');
  const tcp = record != 0 && load<u8>(record, 7) != 0;
  if (tcp) {
    out.text('["tcp",');
    out.decimal(load<u16>(record, 10));
    out.u8(0x5d);
  }
  if (record != 0 && load<u8>(record, 6) != 0) {
    out.text(tcp ? ',["ws",' : '["ws",');
    out.decimal(load<u16>(record, 8));
    out.u8(0x5d);
  }
  out.text('],"routers":[');
  const routed: u32 = record == 0 ? <u32>0 : load<u32>(record, 16);
  for (let i: u32 = 0; i < routed; i++) {
    out.text(i == 0 ? '"' : ',"');
    writeName(routerAt(record, i), out);
    out.u8(0x22);
  }
  out.text(']}');
}

/** The five fields of an HnsUpdate, as rmp-serde writes a struct (networking.md §1, §5). */
export function writeUpdate(node: u32, out: Bytes): void {
  const record = at(node);
  out.u8(0x95);
  writePackedName(entryOf(node), out);
  if (load<u8>(record, 4) != 0) {
    writeLength(KEY_BYTES * 2, out);
    out.hex(record + 20, KEY_BYTES);
  } else out.u8(0xa0);
  if (load<u8>(record, 5) != 0) {
    out.u8(0x91);
    const length = out.length;
    out.u8(0);
    writeAddress(record, out);
    // At most 39 characters, so it may need the longer form of a length.
    const bytes = out.length - length - 1;
    if (bytes < 32) store<u8>(out.at + length, <u8>(0xa0 | bytes));
    else {
      out.u8(0);
      memory.copy(out.at + length + 2, out.at + length + 1, bytes);
      store<u8>(out.at + length, 0xd9);
      store<u8>(out.at + length + 1, <u8>bytes);
    }
  } else out.u8(0x90);
  out.u8(0x80 + load<u8>(record, 6) + load<u8>(record, 7));
  if (load<u8>(record, 7) != 0) writePort('tcp', load<u16>(record, 10), out);
  if (load<u8>(record, 6) != 0) writePort('ws', load<u16>(record, 8), out);
  const routed = load<u32>(record, 16);
  writeArray(routed, out);
  for (let i: u32 = 0; i < routed; i++) writePackedName(routerAt(record, i), out);
}

/** The head of an array. */
export function writeArray(items: u32, out: Bytes): void {
  if (items < 16) {
    out.u8(0x90 | items);
    return;
  }
  out.u8(items < 0x10000 ? 0xdc : 0xdd);
  if (items >= 0x10000) (out.u8(items >> 24), out.u8((items >> 16) & 255));
  out.u8((items >> 8) & 255);
  out.u8(items & 255);
}

function writePackedName(entry: u32, out: Bytes): void {
  writeLength(nameLength(entry), out);
  writeName(entry, out);
}

/** The head of a text; names have at most 2,048 bytes. */
function writeLength(bytes: usize, out: Bytes): void {
  if (bytes < 32) {
    out.u8(0xa0 | <u32>bytes);
    return;
  }
  out.u8(bytes < 256 ? 0xd9 : 0xda);
  if (bytes >= 256) out.u8(<u32>(bytes >> 8));
  out.u8(<u32>(bytes & 255));
}

function writePort(protocol: string, port: u32, out: Bytes): void {
  out.u8(0xa0 | protocol.length);
  out.text(protocol);
  if (port >= 256) {
    out.u8(0xcd);
    out.u8(port >> 8);
  } else if (port >= 128) out.u8(0xcc);
  out.u8(port & 255);
}

function routerAt(record: usize, index: u32): u32 {
  return load<u32>(routers.at + (<usize>load<u32>(record, 12) + index) * 4);
}

/** Dotted, or the shortest form of RFC 5952. */
function writeAddress(record: usize, out: Bytes): void {
  const address = record + 52;
  if (load<u8>(record, 5) == 4) {
    for (let i: usize = 0; i < 4; i++) {
      if (i > 0) out.u8(0x2e);
      out.decimal(load<u8>(address + i));
    }
    return;
  }
  // The longest run of zero groups, the first of equal ones, at least two.
  let best: u32 = 0;
  let bestLength: u32 = 1;
  for (let from: u32 = 0; from < 8; from++) {
    let length: u32 = 0;
    while (from + length < 8 && load<u16>(address + (from + length) * 2) == 0) length++;
    if (length > bestLength) ((best = from), (bestLength = length));
  }
  for (let group: u32 = 0; group < 8; group++) {
    if (bestLength > 1 && group == best) {
      out.text('::');
      group += bestLength - 1;
      continue;
    }
    if (group > 0 && !(bestLength > 1 && group == best + bestLength)) out.u8(0x3a);
    const value = ((<u32>load<u8>(address + group * 2)) << 8) | load<u8>(address + group * 2 + 1);
    for (let shift = 12; shift >= 0; shift -= 4) {
      if (value >> shift != 0 || shift == 0) out.u8(digit((value >> shift) & 15));
    }
  }
}

/** Checks what was restored, so that nothing above has to. */
export function isSound(names: u32): bool {
  if (nodes.length % NODE_BYTES != 0 || routers.length % 4 != 0) return false;
  for (let node: u32 = 0; node < count(); node++) {
    const record = at(node);
    if (load<u32>(record) >= names) return false;
    const address = load<u8>(record, 5);
    if (address != 0 && address != 4 && address != 16) return false;
    if ((<usize>load<u32>(record, 12) + load<u32>(record, 16)) * 4 > routers.length) return false;
    if (load<u8>(record, 4) > 1 || load<u8>(record, 6) > 1 || load<u8>(record, 7) > 1) return false;
  }
  for (let i: usize = 0; i < routers.length; i += 4) {
    if (load<u32>(routers.at + i) >= names) return false;
  }
  return true;
}

/** `["0x…","name"]` of an entry. */
export function writeNamePair(entry: u32, out: Bytes): void {
  out.text('["0x');
  out.hex(hashOf(entry), 32);
  out.text('","');
  writeName(entry, out);
  out.text('"]');
}
