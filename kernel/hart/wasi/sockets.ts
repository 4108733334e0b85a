/** `wasi:sockets`: sockets can be made and configured, and reach nobody: every address and every name is denied (K118). */
import { hostResource } from '../abi/types.ts';
import { err, ok } from './interface.ts';
import type { WasiFunction, WasiInterface, WasiResult } from './interface.ts';
import { Pollable } from './poll.ts';

type ErrorCode = 'access-denied' | 'invalid-argument' | 'invalid-state' | 'not-in-progress';
type Family = 'ipv4' | 'ipv6';
type Setting = boolean | number | bigint;

const network = hostResource('network');
// There never is one of these.
const resolveAddressStream = hostResource('resolve-address-stream');
const incomingDatagramStream = hostResource('incoming-datagram-stream');
const outgoingDatagramStream = hostResource('outgoing-datagram-stream');

/** A socket's settings; kept because programs read back what they set, though nothing is ever sent. */
class Socket {
  readonly family: Family;
  readonly #settings = new Map<string, Setting>();

  constructor(family: Family) {
    this.family = family;
  }

  get(name: string, initial: Setting): WasiResult<Setting, ErrorCode> {
    return ok(this.#settings.get(name) ?? initial);
  }

  /** Zero is no valid size, time or count. */
  set(name: string, value: Setting): WasiResult<undefined, ErrorCode> {
    if (value === 0 || value === 0n) return err('invalid-argument');
    this.#settings.set(name, value);
    return ok();
  }
}

/** The resources `tcp-socket` and `udp-socket`. */
export class TcpSocket extends Socket {}
export class UdpSocket extends Socket {}

const always = (code: ErrorCode): WasiFunction => {
  const refusal = err(code);
  return () => refusal;
};
const subscribe = () => new Pollable();

/** Initial values are those of a Linux host: seconds in nanoseconds, sizes in bytes. */
const tcpSettings: Record<string, Setting> = {
  'keep-alive-enabled': false,
  'keep-alive-idle-time': 7_200_000_000_000n,
  'keep-alive-interval': 75_000_000_000n,
  'keep-alive-count': 9,
  'hop-limit': 64,
  'receive-buffer-size': 131_072n,
  'send-buffer-size': 16_384n,
};
const udpSettings: Record<string, Setting> = {
  'unicast-hop-limit': 64,
  'receive-buffer-size': 212_992n,
  'send-buffer-size': 212_992n,
};

/** What both kinds of socket have. */
function socketFunctions(
  resource: string,
  settings: Record<string, Setting>,
): Record<string, WasiFunction> {
  const functions: Record<string, WasiFunction> = {
    [`[method]${resource}.start-bind`]: always('access-denied'),
    [`[method]${resource}.finish-bind`]: always('not-in-progress'),
    [`[method]${resource}.local-address`]: always('invalid-state'),
    [`[method]${resource}.remote-address`]: always('invalid-state'),
    [`[method]${resource}.address-family`]: (socket: Socket) => socket.family,
    [`[method]${resource}.subscribe`]: subscribe,
  };
  for (const [name, initial] of Object.entries(settings)) {
    functions[`[method]${resource}.${name}`] = (socket: Socket) => socket.get(name, initial);
    functions[`[method]${resource}.set-${name}`] = (socket: Socket, value: Setting) =>
      socket.set(name, value);
  }
  return functions;
}

const tcp: WasiInterface = {
  resources: { 'tcp-socket': TcpSocket },
  functions: {
    ...socketFunctions('tcp-socket', tcpSettings),
    '[method]tcp-socket.start-connect': always('access-denied'),
    '[method]tcp-socket.finish-connect': always('not-in-progress'),
    // It is not bound and cannot be.
    '[method]tcp-socket.start-listen': always('invalid-state'),
    '[method]tcp-socket.finish-listen': always('not-in-progress'),
    '[method]tcp-socket.accept': always('invalid-state'),
    '[method]tcp-socket.is-listening': () => false,
    '[method]tcp-socket.set-listen-backlog-size': (socket: TcpSocket, value: bigint) =>
      socket.set('listen-backlog-size', value),
    '[method]tcp-socket.shutdown': always('invalid-state'),
  },
};

const udp: WasiInterface = {
  resources: {
    'udp-socket': UdpSocket,
    'incoming-datagram-stream': incomingDatagramStream,
    'outgoing-datagram-stream': outgoingDatagramStream,
  },
  functions: {
    ...socketFunctions('udp-socket', udpSettings),
    // A peer's address is refused as such; without one the socket is merely not bound.
    '[method]udp-socket.stream': (_socket: UdpSocket, remote: unknown) =>
      err(remote === undefined ? 'invalid-state' : 'access-denied'),
    '[method]incoming-datagram-stream.receive': always('access-denied'),
    '[method]incoming-datagram-stream.subscribe': subscribe,
    '[method]outgoing-datagram-stream.check-send': always('access-denied'),
    '[method]outgoing-datagram-stream.send': always('access-denied'),
    '[method]outgoing-datagram-stream.subscribe': subscribe,
  },
};

export const socketsInterfaces: Readonly<Record<string, WasiInterface>> = {
  'wasi:sockets/network': {
    resources: { network },
    functions: { 'network-error-code': () => undefined },
  },
  'wasi:sockets/instance-network': {
    resources: {},
    functions: { 'instance-network': () => ({}) },
  },
  'wasi:sockets/ip-name-lookup': {
    resources: { 'resolve-address-stream': resolveAddressStream },
    functions: {
      'resolve-addresses': always('access-denied'),
      '[method]resolve-address-stream.resolve-next-address': always('access-denied'),
      '[method]resolve-address-stream.subscribe': subscribe,
    },
  },
  'wasi:sockets/tcp': tcp,
  'wasi:sockets/tcp-create-socket': {
    resources: {},
    functions: { 'create-tcp-socket': (family: Family) => ok(new TcpSocket(family)) },
  },
  'wasi:sockets/udp': udp,
  'wasi:sockets/udp-create-socket': {
    resources: {},
    functions: { 'create-udp-socket': (family: Family) => ok(new UdpSocket(family)) },
  },
};
