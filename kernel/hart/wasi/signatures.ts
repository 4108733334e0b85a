/**
 * The types of every WASI function. A component states the types of what it imports, and the canonical ABI goes by them; were they
 * not compared with ours, a guest could call `write` with a string, or hand a socket where a stream belongs.
 */
import type { FuncType, ValueType } from '../abi/types.ts';
import { unversioned } from './interface.ts';

/** Abbreviations for the tables below; each may use those above it. */
const words: Readonly<Record<string, string>> = {
  Pollable: 'own<wasi:io/poll#pollable>',
  IoError: 'wasi:io/error#error',
  StreamError: 'variant{last-operation-failed(own<IoError>),closed}',
  Input: 'wasi:io/streams#input-stream',
  Output: 'wasi:io/streams#output-stream',
  Datetime: 'record{seconds:u64,nanoseconds:u32}',
  FileType:
    'enum{unknown,block-device,character-device,directory,fifo,symbolic-link,regular-file,socket}',
  FileFlags:
    'flags{read,write,file-integrity-sync,data-integrity-sync,requested-write-sync,mutate-directory}',
  Stat: 'record{type:FileType,link-count:u64,size:u64,data-access-timestamp:option<Datetime>,data-modification-timestamp:option<Datetime>,status-change-timestamp:option<Datetime>}',
  PathFlags: 'flags{symlink-follow}',
  OpenFlags: 'flags{create,directory,exclusive,truncate}',
  NewTime: 'variant{no-change,now,timestamp(Datetime)}',
  DirectoryEntry: 'record{type:FileType,name:string}',
  FileError:
    'enum{access,would-block,already,bad-descriptor,busy,deadlock,quota,exist,file-too-large,illegal-byte-sequence,in-progress,interrupted,invalid,io,is-directory,loop,too-many-links,message-size,name-too-long,no-device,no-entry,no-lock,insufficient-memory,insufficient-space,not-directory,not-empty,not-recoverable,unsupported,no-tty,no-such-device,overflow,not-permitted,pipe,read-only,invalid-seek,text-file-busy,cross-device}',
  Advice: 'enum{normal,sequential,random,will-need,dont-need,no-reuse}',
  Hash: 'record{lower:u64,upper:u64}',
  File: 'wasi:filesystem/types#descriptor',
  Entries: 'wasi:filesystem/types#directory-entry-stream',
  Network: 'wasi:sockets/network#network',
  NetError:
    'enum{unknown,access-denied,not-supported,invalid-argument,out-of-memory,timeout,concurrency-conflict,not-in-progress,would-block,invalid-state,new-socket-limit,address-not-bindable,address-in-use,remote-unreachable,connection-refused,connection-reset,connection-aborted,datagram-too-large,name-unresolvable,temporary-resolver-failure,permanent-resolver-failure}',
  Family: 'enum{ipv4,ipv6}',
  Ip4: 'tuple<u8,u8,u8,u8>',
  Ip6: 'tuple<u16,u16,u16,u16,u16,u16,u16,u16>',
  Address: 'variant{ipv4(Ip4),ipv6(Ip6)}',
  SocketAddress:
    'variant{ipv4(record{port:u16,address:Ip4}),ipv6(record{port:u16,flow-info:u32,address:Ip6,scope-id:u32})}',
  Tcp: 'wasi:sockets/tcp#tcp-socket',
  Udp: 'wasi:sockets/udp#udp-socket',
  Incoming: 'wasi:sockets/udp#incoming-datagram-stream',
  Outgoing: 'wasi:sockets/udp#outgoing-datagram-stream',
  Resolving: 'wasi:sockets/ip-name-lookup#resolve-address-stream',
  Shutdown: 'enum{receive,send,both}',
};

/** By interface: one function a line, its parameters, and its result after an arrow. */
const tables: Readonly<Record<string, string>> = {
  'wasi:io/error': '[method]error.to-debug-string (borrow<IoError>) -> string',
  'wasi:io/poll': `
    [method]pollable.ready (borrow<wasi:io/poll#pollable>) -> bool
    [method]pollable.block (borrow<wasi:io/poll#pollable>)
    poll (list<borrow<wasi:io/poll#pollable>>) -> list<u32>`,
  'wasi:io/streams': `
    [method]input-stream.read (borrow<Input>,u64) -> result<list<u8>,StreamError>
    [method]input-stream.blocking-read (borrow<Input>,u64) -> result<list<u8>,StreamError>
    [method]input-stream.skip (borrow<Input>,u64) -> result<u64,StreamError>
    [method]input-stream.blocking-skip (borrow<Input>,u64) -> result<u64,StreamError>
    [method]input-stream.subscribe (borrow<Input>) -> Pollable
    [method]output-stream.check-write (borrow<Output>) -> result<u64,StreamError>
    [method]output-stream.write (borrow<Output>,list<u8>) -> result<_,StreamError>
    [method]output-stream.blocking-write-and-flush (borrow<Output>,list<u8>) -> result<_,StreamError>
    [method]output-stream.flush (borrow<Output>) -> result<_,StreamError>
    [method]output-stream.blocking-flush (borrow<Output>) -> result<_,StreamError>
    [method]output-stream.subscribe (borrow<Output>) -> Pollable
    [method]output-stream.write-zeroes (borrow<Output>,u64) -> result<_,StreamError>
    [method]output-stream.blocking-write-zeroes-and-flush (borrow<Output>,u64) -> result<_,StreamError>
    [method]output-stream.splice (borrow<Output>,borrow<Input>,u64) -> result<u64,StreamError>
    [method]output-stream.blocking-splice (borrow<Output>,borrow<Input>,u64) -> result<u64,StreamError>`,
  'wasi:clocks/monotonic-clock': `
    now () -> u64
    resolution () -> u64
    subscribe-instant (u64) -> Pollable
    subscribe-duration (u64) -> Pollable`,
  'wasi:clocks/wall-clock': `
    now () -> Datetime
    resolution () -> Datetime`,
  'wasi:clocks/timezone': `
    display (Datetime) -> record{utc-offset:s32,name:string,in-daylight-saving-time:bool}
    utc-offset (Datetime) -> s32`,
  'wasi:random/random': `
    get-random-bytes (u64) -> list<u8>
    get-random-u64 () -> u64`,
  'wasi:random/insecure': `
    get-insecure-random-bytes (u64) -> list<u8>
    get-insecure-random-u64 () -> u64`,
  'wasi:random/insecure-seed': 'insecure-seed () -> tuple<u64,u64>',
  'wasi:cli/environment': `
    get-environment () -> list<tuple<string,string>>
    get-arguments () -> list<string>
    initial-cwd () -> option<string>`,
  'wasi:cli/exit': `
    exit (result<_,_>)
    exit-with-code (u8)`,
  'wasi:cli/stdin': 'get-stdin () -> own<Input>',
  'wasi:cli/stdout': 'get-stdout () -> own<Output>',
  'wasi:cli/stderr': 'get-stderr () -> own<Output>',
  'wasi:cli/terminal-stdin':
    'get-terminal-stdin () -> option<own<wasi:cli/terminal-input#terminal-input>>',
  'wasi:cli/terminal-stdout':
    'get-terminal-stdout () -> option<own<wasi:cli/terminal-output#terminal-output>>',
  'wasi:cli/terminal-stderr':
    'get-terminal-stderr () -> option<own<wasi:cli/terminal-output#terminal-output>>',
  'wasi:filesystem/preopens': 'get-directories () -> list<tuple<own<File>,string>>',
  'wasi:filesystem/types': `
    [method]descriptor.read-via-stream (borrow<File>,u64) -> result<own<Input>,FileError>
    [method]descriptor.write-via-stream (borrow<File>,u64) -> result<own<Output>,FileError>
    [method]descriptor.append-via-stream (borrow<File>) -> result<own<Output>,FileError>
    [method]descriptor.advise (borrow<File>,u64,u64,Advice) -> result<_,FileError>
    [method]descriptor.sync-data (borrow<File>) -> result<_,FileError>
    [method]descriptor.get-flags (borrow<File>) -> result<FileFlags,FileError>
    [method]descriptor.get-type (borrow<File>) -> result<FileType,FileError>
    [method]descriptor.set-size (borrow<File>,u64) -> result<_,FileError>
    [method]descriptor.set-times (borrow<File>,NewTime,NewTime) -> result<_,FileError>
    [method]descriptor.read (borrow<File>,u64,u64) -> result<tuple<list<u8>,bool>,FileError>
    [method]descriptor.write (borrow<File>,list<u8>,u64) -> result<u64,FileError>
    [method]descriptor.read-directory (borrow<File>) -> result<own<Entries>,FileError>
    [method]descriptor.sync (borrow<File>) -> result<_,FileError>
    [method]descriptor.create-directory-at (borrow<File>,string) -> result<_,FileError>
    [method]descriptor.stat (borrow<File>) -> result<Stat,FileError>
    [method]descriptor.stat-at (borrow<File>,PathFlags,string) -> result<Stat,FileError>
    [method]descriptor.set-times-at (borrow<File>,PathFlags,string,NewTime,NewTime) -> result<_,FileError>
    [method]descriptor.link-at (borrow<File>,PathFlags,string,borrow<File>,string) -> result<_,FileError>
    [method]descriptor.open-at (borrow<File>,PathFlags,string,OpenFlags,FileFlags) -> result<own<File>,FileError>
    [method]descriptor.readlink-at (borrow<File>,string) -> result<string,FileError>
    [method]descriptor.remove-directory-at (borrow<File>,string) -> result<_,FileError>
    [method]descriptor.rename-at (borrow<File>,string,borrow<File>,string) -> result<_,FileError>
    [method]descriptor.symlink-at (borrow<File>,string,string) -> result<_,FileError>
    [method]descriptor.unlink-file-at (borrow<File>,string) -> result<_,FileError>
    [method]descriptor.is-same-object (borrow<File>,borrow<File>) -> bool
    [method]descriptor.metadata-hash (borrow<File>) -> result<Hash,FileError>
    [method]descriptor.metadata-hash-at (borrow<File>,PathFlags,string) -> result<Hash,FileError>
    [method]directory-entry-stream.read-directory-entry (borrow<Entries>) -> result<option<DirectoryEntry>,FileError>
    filesystem-error-code (borrow<IoError>) -> option<FileError>`,
  'wasi:sockets/network': 'network-error-code (borrow<IoError>) -> option<NetError>',
  'wasi:sockets/instance-network': 'instance-network () -> own<Network>',
  'wasi:sockets/ip-name-lookup': `
    resolve-addresses (borrow<Network>,string) -> result<own<Resolving>,NetError>
    [method]resolve-address-stream.resolve-next-address (borrow<Resolving>) -> result<option<Address>,NetError>
    [method]resolve-address-stream.subscribe (borrow<Resolving>) -> Pollable`,
  'wasi:sockets/tcp-create-socket': 'create-tcp-socket (Family) -> result<own<Tcp>,NetError>',
  'wasi:sockets/udp-create-socket': 'create-udp-socket (Family) -> result<own<Udp>,NetError>',
  'wasi:sockets/tcp': `
    [method]tcp-socket.start-bind (borrow<Tcp>,borrow<Network>,SocketAddress) -> result<_,NetError>
    [method]tcp-socket.finish-bind (borrow<Tcp>) -> result<_,NetError>
    [method]tcp-socket.start-connect (borrow<Tcp>,borrow<Network>,SocketAddress) -> result<_,NetError>
    [method]tcp-socket.finish-connect (borrow<Tcp>) -> result<tuple<own<Input>,own<Output>>,NetError>
    [method]tcp-socket.start-listen (borrow<Tcp>) -> result<_,NetError>
    [method]tcp-socket.finish-listen (borrow<Tcp>) -> result<_,NetError>
    [method]tcp-socket.accept (borrow<Tcp>) -> result<tuple<own<Tcp>,own<Input>,own<Output>>,NetError>
    [method]tcp-socket.local-address (borrow<Tcp>) -> result<SocketAddress,NetError>
    [method]tcp-socket.remote-address (borrow<Tcp>) -> result<SocketAddress,NetError>
    [method]tcp-socket.is-listening (borrow<Tcp>) -> bool
    [method]tcp-socket.address-family (borrow<Tcp>) -> Family
    [method]tcp-socket.set-listen-backlog-size (borrow<Tcp>,u64) -> result<_,NetError>
    [method]tcp-socket.keep-alive-enabled (borrow<Tcp>) -> result<bool,NetError>
    [method]tcp-socket.set-keep-alive-enabled (borrow<Tcp>,bool) -> result<_,NetError>
    [method]tcp-socket.keep-alive-idle-time (borrow<Tcp>) -> result<u64,NetError>
    [method]tcp-socket.set-keep-alive-idle-time (borrow<Tcp>,u64) -> result<_,NetError>
    [method]tcp-socket.keep-alive-interval (borrow<Tcp>) -> result<u64,NetError>
    [method]tcp-socket.set-keep-alive-interval (borrow<Tcp>,u64) -> result<_,NetError>
    [method]tcp-socket.keep-alive-count (borrow<Tcp>) -> result<u32,NetError>
    [method]tcp-socket.set-keep-alive-count (borrow<Tcp>,u32) -> result<_,NetError>
    [method]tcp-socket.hop-limit (borrow<Tcp>) -> result<u8,NetError>
    [method]tcp-socket.set-hop-limit (borrow<Tcp>,u8) -> result<_,NetError>
    [method]tcp-socket.receive-buffer-size (borrow<Tcp>) -> result<u64,NetError>
    [method]tcp-socket.set-receive-buffer-size (borrow<Tcp>,u64) -> result<_,NetError>
    [method]tcp-socket.send-buffer-size (borrow<Tcp>) -> result<u64,NetError>
    [method]tcp-socket.set-send-buffer-size (borrow<Tcp>,u64) -> result<_,NetError>
    [method]tcp-socket.subscribe (borrow<Tcp>) -> Pollable
    [method]tcp-socket.shutdown (borrow<Tcp>,Shutdown) -> result<_,NetError>`,
  'wasi:sockets/udp': `
    [method]udp-socket.start-bind (borrow<Udp>,borrow<Network>,SocketAddress) -> result<_,NetError>
    [method]udp-socket.finish-bind (borrow<Udp>) -> result<_,NetError>
    [method]udp-socket.stream (borrow<Udp>,option<SocketAddress>) -> result<tuple<own<Incoming>,own<Outgoing>>,NetError>
    [method]udp-socket.local-address (borrow<Udp>) -> result<SocketAddress,NetError>
    [method]udp-socket.remote-address (borrow<Udp>) -> result<SocketAddress,NetError>
    [method]udp-socket.address-family (borrow<Udp>) -> Family
    [method]udp-socket.unicast-hop-limit (borrow<Udp>) -> result<u8,NetError>
    [method]udp-socket.set-unicast-hop-limit (borrow<Udp>,u8) -> result<_,NetError>
    [method]udp-socket.receive-buffer-size (borrow<Udp>) -> result<u64,NetError>
    [method]udp-socket.set-receive-buffer-size (borrow<Udp>,u64) -> result<_,NetError>
    [method]udp-socket.send-buffer-size (borrow<Udp>) -> result<u64,NetError>
    [method]udp-socket.set-send-buffer-size (borrow<Udp>,u64) -> result<_,NetError>
    [method]udp-socket.subscribe (borrow<Udp>) -> Pollable
    [method]incoming-datagram-stream.receive (borrow<Incoming>,u64) -> result<list<record{data:list<u8>,remote-address:SocketAddress}>,NetError>
    [method]incoming-datagram-stream.subscribe (borrow<Incoming>) -> Pollable
    [method]outgoing-datagram-stream.check-send (borrow<Outgoing>) -> result<u64,NetError>
    [method]outgoing-datagram-stream.send (borrow<Outgoing>,list<record{data:list<u8>,remote-address:option<SocketAddress>}>) -> result<u64,NetError>
    [method]outgoing-datagram-stream.subscribe (borrow<Outgoing>) -> Pollable`,
};

/**
 * What is wrong with a component's import of a WASI function; undefined if nothing is.
 *
 * Resource types must be named `<import name>#<resource>`, such as `wasi:io/poll@0.2.0#pollable`, one identity for each.
 */
export function wasiMismatch(
  importName: string,
  functionName: string,
  type: FuncType,
): string | undefined {
  const name = unversioned(importName);
  const expected = name === undefined ? undefined : signatures().get(`${name} ${functionName}`);
  if (expected === undefined) return `"${importName}" has no function "${functionName}"`;
  if (describeFunction(type) === expected) return undefined;
  return `"${importName}" has "${functionName}" as ${expected}, the component imports it otherwise`;
}

let known: ReadonlyMap<string, string> | undefined;

function signatures(): ReadonlyMap<string, string> {
  if (known !== undefined) return known;
  const meanings = new Map<string, string>();
  const expand = (text: string) =>
    text.replaceAll(/\b[A-Z][A-Za-z0-9]*\b/g, (word) => meanings.get(word) ?? word);
  for (const [word, text] of Object.entries(words)) meanings.set(word, expand(text));
  const made = new Map<string, string>();
  for (const [name, table] of Object.entries(tables)) {
    for (const line of table.trim().split('\n')) {
      const space = line.trim().indexOf(' ');
      made.set(`${name} ${line.trim().slice(0, space)}`, expand(line.trim().slice(space + 1)));
    }
  }
  known = made;
  return made;
}

/** A function type as text, without the names of its parameters; resources are named without versions. */
export function describeFunction(type: FuncType): string {
  const params = type.params.map((param) => describeValue(param.type)).join(',');
  return `(${params})${type.result === undefined ? '' : ` -> ${describeValue(type.result)}`}`;
}

function describeValue(type: ValueType | undefined): string {
  if (type === undefined) return '_';
  switch (type.kind) {
    case 'list':
      return `list<${describeValue(type.element)}>`;
    case 'option':
      return `option<${describeValue(type.type)}>`;
    case 'result':
      return `result<${describeValue(type.ok)},${describeValue(type.err)}>`;
    case 'tuple':
      return `tuple<${type.types.map(describeValue).join(',')}>`;
    case 'record':
      return `record{${type.fields.map((one) => `${one.name}:${describeValue(one.type)}`).join(',')}}`;
    case 'variant':
      return `variant{${type.cases.map((one) => (one.type === undefined ? one.name : `${one.name}(${describeValue(one.type)})`)).join(',')}}`;
    case 'enum':
    case 'flags':
      return `${type.kind}{${type.names.join(',')}}`;
    case 'own':
    case 'borrow':
      return `${type.kind}<${resourceName(type.resource.name)}>`;
    default:
      return type.kind;
  }
}

/** Without the version; a name of another form equals none of ours. */
function resourceName(name: string): string {
  const hash = name.indexOf('#');
  return `${unversioned(name.slice(0, hash)) ?? '?'}${name.slice(hash)}`;
}
