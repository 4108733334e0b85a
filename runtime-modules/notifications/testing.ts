/** notifications on a test bench, a browser that reads its messages, and a push service that keeps what it gets. */
import { createDecipheriv, createECDH, hkdfSync, type ECDH } from 'node:crypto';
import { expect } from 'vitest';
import { MemoryStore } from '../../kernel/store.ts';
import type { NotificationsRequest } from '../../wit/notifications-api.ts';
import {
  connectorOf,
  selfSigned,
  serveTls,
  type WorldOptions,
} from '../shared/outbound/testing.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import { notifications } from './index.ts';

export const FROM = 'homepage:homepage:sys';
export const WALL_MS = 1_800_000_000_000;

interface Scene extends AsyncDisposable {
  readonly bench: Bench<NotificationsRequest>;
  readonly clock: TestClock;
  readonly port: TestPort;
  readonly ask: (body: unknown) => Promise<unknown>;
}

export type Store = Pick<MemoryStore, 'readState' | 'commit'>;

export function scene(
  options: WorldOptions & { readonly store?: Store; readonly wallMs?: () => number } = {},
): Scene {
  const clock = new TestClock();
  const port = new TestPort('notifications');
  const module = notifications()({
    port,
    clock,
    wallMs: options.wallMs ?? (() => WALL_MS),
    store: options.store ?? new MemoryStore(),
    connector: connectorOf(options, clock),
  });
  const bench = new Bench(module, port);
  return {
    bench,
    clock,
    port,
    // A word alone is a variant's name; other text is sent as it is.
    ask: async (body) => {
      const isName = typeof body === 'string' && /^\w{2,}$/.test(body);
      return (await bench.ask({ from: FROM, body: isName ? JSON.stringify(body) : body }))?.body;
    },
    [Symbol.asyncDispose]: () => module[Symbol.asyncDispose](),
  };
}

/** A browser: its keys, and what it makes of a push message. Written from RFC 8291, apart from the module. */
export class Browser {
  readonly #key: ECDH = createECDH('prime256v1');
  readonly #auth = Buffer.from('0123456789abcdef');
  readonly endpoint: string;

  constructor(endpoint: string) {
    this.#key.generateKeys();
    this.endpoint = endpoint;
  }

  subscription(created_at = 0): unknown {
    const keys = {
      p256dh: this.#key.getPublicKey('base64url'),
      auth: this.#auth.toString('base64url'),
    };
    return { endpoint: this.endpoint, keys, created_at };
  }

  read(message: Buffer): string {
    const salt = message.subarray(0, 16);
    const idLength = message[20] ?? 0;
    const serverKey = message.subarray(21, 21 + idLength);
    const record = message.subarray(21 + idLength);
    expect([message.readUInt32BE(16), idLength]).toEqual([4096, 65]);
    const info = Buffer.concat([
      Buffer.from('WebPush: info\0'),
      this.#key.getPublicKey(),
      serverKey,
    ]);
    const ikm = Buffer.from(
      hkdfSync('sha256', this.#key.computeSecret(serverKey), this.#auth, info, 32),
    );
    const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16));
    const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12));
    const decipher = createDecipheriv('aes-128-gcm', key, nonce);
    decipher.setAuthTag(record.subarray(-16));
    const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
    const end = padded.lastIndexOf(2);
    expect(padded.subarray(end + 1).every((byte) => byte === 0)).toBe(true);
    return padded.subarray(0, end).toString();
  }
}

interface Received {
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly message: Buffer;
}

const certificate = selfSigned();
/** What trusts `pushService`. */
export const world: WorldOptions = { ca: certificate.cert };

/** Answers with a status, or with nothing where that is 0. */
export async function pushService(status: (path: string) => number = () => 201) {
  const received: Received[] = [];
  const server = await serveTls((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const path = request.url ?? '';
      received.push({ path, headers: request.headers, message: Buffer.concat(pieces) });
      const answer = status(path);
      if (answer === 0) return;
      response.statusCode = answer;
      response.end();
    });
  }, certificate);
  return Object.assign(server, { received });
}

/** Requests of the module. */
export const send = (title: string, more: object = {}): unknown => ({
  SendNotification: { title, body: 'b', icon: null, data: null, ...more },
});
export const add = (browser: Browser, created_at = 0): unknown => ({
  AddSubscription: { subscription: browser.subscription(created_at) },
});
