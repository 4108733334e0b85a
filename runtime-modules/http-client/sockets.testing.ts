/** What tests of WebSockets ask http-client for, a server that accepts them, and events as the process gets them. */
import { createServer } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import type { KernelPort } from '../../kernel/module.ts';
import { listening } from '../shared/outbound/testing.ts';
import type { Reply } from '../shared/testing.ts';
import type { Client } from './testing.ts';

export const FROM = 'app:pkg:someone.os';
export const ACK = { Ok: 'WebSocketAck' };

interface Sockets extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Those accepted, in order. */
  readonly accepted: WebSocket[];
  readonly requests: {
    readonly headers: NodeJS.Dict<string | string[]>;
    readonly url: string | undefined;
  }[];
  readonly connections: () => number;
}

export async function socketServer(
  meet: (socket: WebSocket) => void = () => undefined,
): Promise<Sockets> {
  const server = createServer();
  const accepted: WebSocket[] = [];
  const requests: Sockets['requests'][number][] = [];
  new WebSocketServer({ server, maxPayload: 256 * 1024 * 1024 }).on(
    'connection',
    (socket, { headers, url }) => {
      accepted.push(socket);
      requests.push({ headers, url });
      socket.on('error', () => undefined);
      meet(socket);
    },
  );
  const open = await listening(server, 'ws');
  return Object.assign(open, { url: `${open.origin}/`, accepted, requests });
}

interface Asked {
  readonly from?: string;
  readonly blob?: Uint8Array | string;
  readonly id?: number;
  readonly timeoutS?: number;
}

export async function ask({ bench }: Client, body: unknown, asked: Asked = {}): Promise<unknown> {
  const reply: Reply | undefined = await bench.ask({ from: FROM, body, ...asked });
  return reply?.body;
}

export const open = (
  client: Client,
  url: string,
  channel = 1,
  asked: Asked = {},
): Promise<unknown> =>
  ask(client, { WebSocketOpen: { url, headers: {}, channel_id: channel } }, asked);
export const push = (
  client: Client,
  type: string,
  blob?: Uint8Array | string,
  channel = 1,
): Promise<unknown> =>
  ask(
    client,
    { WebSocketPush: { channel_id: channel, message_type: type } },
    blob === undefined ? {} : { blob },
  );
export const close = (client: Client, channel = 1): Promise<unknown> =>
  ask(client, { WebSocketClose: { channel_id: channel } });

export type Sent = Parameters<KernelPort['send']>[0];

/** An event as the process gets it: id, receiver, body, mime and payload. */
export function eventOf({ id, target, message, blob }: Sent): unknown {
  if (message.kind !== 'request') throw new Error('not a request');
  const payload = blob === undefined ? undefined : Buffer.from(blob.bytes).toString();
  return [
    id,
    target.process,
    JSON.parse(Buffer.from(message.request.body).toString()),
    blob?.mime,
    payload,
  ];
}

export const pushed = (type: string, channel = 1): unknown => ({
  WebSocketPush: { channel_id: channel, message_type: type },
});
export const closed = (channel = 1): unknown => ({ WebSocketClose: { channel_id: channel } });
export const reasonOf = (sent: Sent | undefined): string | undefined =>
  sent?.message.kind === 'request' ? sent.message.request.metadata : undefined;
