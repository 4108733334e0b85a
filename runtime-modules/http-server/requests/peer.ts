/** The other end of one connection, and the requests of it that are under way (findings F21, F22). */
import { BlockList, isIP, type Socket } from 'node:net';
import type { Reply } from './reply.ts';

/** Names of owners' proxies as addresses or `address/bits`. @throws RangeError for anything else */
export function proxyList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits, ...rest] = entry.split('/');
    const family = isIP(address);
    const max = family === 6 ? 128 : 32;
    if (family === 0 || rest.length > 0 || (bits !== undefined && !isPrefix(bits, max)))
      throw new RangeError(`"${entry}" is no address and no network such as 10.0.0.0/8`);
    const type = family === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, type);
    else list.addSubnet(address, Number(bits), type);
  }
  return list;
}

function isPrefix(bits: string, max: number): boolean {
  return /^\d{1,3}$/.test(bits) && Number(bits) <= max;
}

export class Peer {
  readonly address: string;
  /** `address:port`, as processes see it; undefined when the connection was gone before it could be asked. */
  readonly text: string | undefined;
  readonly loopback: boolean;
  /** A proxy whose word on the client counts: on this machine, or named by the owner (F22). */
  readonly trustedProxy: boolean;
  readonly encrypted: boolean;
  readonly socket: Socket;
  /** It ends with the answer that was given; what it still sends is not looked at. */
  ended = false;
  /** Of the request that came last, if it has a body: that may still be on its way, and be none. */
  latest: Reply | undefined = undefined;
  /** Answers of this connection that somebody works on. */
  readonly held = new Set<Reply>();

  constructor(socket: Socket, trusted: BlockList) {
    this.socket = socket;
    const given = socket.remoteAddress ?? '';
    const address = given.startsWith('::ffff:') && given.includes('.') ? given.slice(7) : given;
    const six = address.includes(':');
    this.address = address;
    this.text = given === '' ? undefined : `${six ? `[${address}]` : address}:${socket.remotePort}`;
    this.loopback = address.startsWith('127.') || address === '::1';
    this.trustedProxy =
      this.loopback || (given !== '' && trusted.check(address, six ? 'ipv6' : 'ipv4'));
    this.encrypted = 'encrypted' in socket && socket.encrypted === true;
  }

  /**
   * Looked at every few seconds: a client that takes nothing of what is there for it is let go after `stalledMs`. A timer for each
   * answer would cost more than most answers do.
   */
  watch(stalledMs: number): void {
    const { socket } = this;
    if (socket.writableLength > 0) {
      if (!socket.timeout) socket.setTimeout(stalledMs);
    } else if (socket.timeout === stalledMs && this.held.size > 0) {
      // It takes what it gets, and waits for something else now.
      socket.setTimeout(0);
    }
  }

  /** The connection is gone: nobody needs what is under way. Node tells only the first of several waiting answers. */
  gone(): void {
    for (const reply of this.held) reply.release();
  }
}
