/** A kernel with scripted guests around channels on real sockets, and clients of them. */
import { connect, type Socket } from 'node:net';
import { WebSocket, type ClientOptions } from 'ws';
import { bytesOf, settle, TestNode, textOf, type GuestApi } from '../../../kernel/testing.ts';
import { processId } from '../../../wit/address.ts';
import type { OnExit, Request } from '../../../wit/types.ts';
import type { ChannelsOptions } from '../channels/channels.ts';
import { WsModule } from './ws-module.ts';

export const SERVER = 'fake.os@http-server:distro:sys';
/** How long a test may wait for sockets of this machine, in milliseconds: only a failing one does. */
const PATIENCE_MS = 20_000;

/** Lets the event loop turn until it is so. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!isSo()) {
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`waited in vain until ${what}`);
    await settle();
  }
}

/** A process whose guest takes what comes while `reading`, as lines of text. */
export class Owner {
  readonly id: string;
  readonly log: string[] = [];
  readonly blobs: Uint8Array[] = [];
  guest!: GuestApi;
  #reading = true;
  #wake: () => void = () => undefined;

  constructor(id: string) {
    this.id = id;
  }

  readonly code = async (guest: GuestApi): Promise<void> => {
    this.guest = guest;
    for (;;) {
      while (!this.#reading) await new Promise<void>((resolve) => (this.#wake = resolve));
      const delivery = await guest.receive();
      const bytes = guest.host.hasBlob() ? guest.host.getBlob()?.bytes : undefined;
      if (bytes !== undefined) this.blobs.push(bytes);
      const blob = bytes === undefined ? '' : ` ${textOf(bytes)}`;
      if (delivery.kind === 'send-error') this.log.push(`error ${delivery.error.kind}`);
      else if (delivery.message.kind === 'request')
        this.log.push(`${textOf(delivery.message.request.body)}${blob}`);
      else {
        const { response, context } = delivery.message;
        const asked = context === undefined ? '' : ` to ${textOf(context)}`;
        this.log.push(`response${asked} ${textOf(response.body)}${blob}`);
      }
      if (this.log.at(-1) === '"exit"') return;
    }
  };

  read(reading: boolean): void {
    this.#reading = reading;
    this.#wake();
  }

  /** Waits for that many lines, and returns them; the log starts again. */
  async lines(count: number): Promise<string[]> {
    await until(`${this.id} has ${count} lines`, () => this.log.length >= count);
    await settle();
    return this.log.splice(0);
  }

  /** Sends an action; the answer comes as a line. */
  async act(
    action: unknown,
    blob?: string | Uint8Array,
    request: Partial<Request> & { readonly context?: string } = {},
  ): Promise<void> {
    const { context, ...rest } = request;
    await this.guest.send(
      SERVER,
      { body: bytesOf(JSON.stringify(action)), expectsResponse: 5, ...rest },
      {
        ...(blob === undefined ? {} : { blob: { mime: undefined, bytes: bytesOf(blob) } }),
        ...(context === undefined ? {} : { context: bytesOf(context) }),
      },
    );
  }

  /** Sends an action and returns the answer's body. */
  async ask(action: unknown, blob?: string | Uint8Array): Promise<string> {
    await this.act(action, blob);
    const [line = ''] = await this.lines(1);
    return line.replace('response ', '');
  }
}

export class Scene implements AsyncDisposable {
  readonly node = new TestNode();
  readonly module: WsModule;
  port = 0;
  readonly #clients: { terminate(): void }[] = [];
  readonly #connections: Socket[] = [];

  private constructor(options: ChannelsOptions) {
    const { kernel, clock } = this.node;
    this.module = new WsModule(options, { port: kernel.port('http-server'), clock });
    kernel.registerModule(this.module);
    this.module.server.on('connection', (socket) => this.#connections.push(socket));
  }

  static async open(options: ChannelsOptions = {}): Promise<Scene> {
    const scene = new Scene(options);
    scene.port = await scene.module.listen();
    return scene;
  }

  /** Starts a process that binds `path`. */
  async owner(
    id: string,
    options: {
      readonly extension?: boolean;
      readonly onExit?: OnExit;
      readonly path?: string;
    } = {},
  ): Promise<Owner> {
    const owner = new Owner(id);
    const { onExit, extension = false, path = '/' } = options;
    const more = onExit === undefined ? {} : { onExit };
    await this.node.start(id, owner.code, { public: true, ...more });
    const bind = { path, authenticated: false, extension };
    const answer = await owner.ask({ WebSocketBind: bind });
    if (answer !== '{"Ok":null}') throw new Error(answer);
    return owner;
  }

  /** Connects; resolves when the socket is open, rejects with the status when it is refused. */
  async client(
    path: string,
    options: ClientOptions = {},
    protocols: string[] = [],
  ): Promise<Client> {
    const url = `ws://127.0.0.1:${this.port}${path}`;
    const client = new Client(new WebSocket(url, protocols, options));
    this.#clients.push(client.ws);
    await client.opened;
    return client;
  }

  /** Connects and takes the `WebSocketOpen` out of the owner's log. */
  async channel(
    owner: Owner,
    options: ClientOptions = {},
  ): Promise<{ client: Client; id: number }> {
    const client = await this.client(`/${owner.id}`, options);
    const [open = ''] = await owner.lines(1);
    return { client, id: idIn(open) };
  }

  /** A connection of plain bytes that has been upgraded. */
  raw(path: string): Promise<Raw> {
    return this.rawWith(handshake(path));
  }

  /** The same with a request of one's own, which may have been refused. */
  async rawWith(request: string): Promise<Raw> {
    const raw = new Raw(connect(this.port, '127.0.0.1'));
    this.#clients.push({ terminate: () => raw.socket.destroy() });
    raw.socket.write(request);
    await until('the upgrade is answered', () => raw.text.includes('\r\n\r\n'));
    return raw;
  }

  /** `raw` to an owner's path, and its channel. */
  async rawChannel(owner: Owner): Promise<{ raw: Raw; id: number }> {
    const raw = await this.raw(`/${owner.id}`);
    const [open = ''] = await owner.lines(1);
    return { raw, id: idIn(open) };
  }

  /** Bytes that the server has read from its connections. */
  bytesRead(): number {
    return this.#connections.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  /** Lets a process end by itself, and start again if it is to. */
  async exit(owner: Owner): Promise<void> {
    const before = owner.guest;
    await before.send(`fake.os@${owner.id}`, { body: bytesOf('"exit"') });
    await until('it has ended', () => owner.log.splice(0).includes('"exit"'));
    await this.node.clock.advance(2_000);
    await until('it runs again', () => owner.guest !== before);
  }

  /** Kills a process. */
  async kill(owner: Owner): Promise<void> {
    await this.node.kernel.kill(processId(owner.id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.terminate();
    await this.node.kernel.shutdown();
  }
}

/** The channel of a `WebSocketOpen`. */
export function idIn(open: string): number {
  return Number(/"channel_id":(\d+)/.exec(open)?.[1]);
}

/** The request of an upgrade. */
export function handshake(path: string, more: readonly string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
    '\r\n',
  ].join('\r\n');
}

/** A client, and what came to it as text: `Text hello`, `Binary ...`, `Ping ...`, `closed 1000 reason`. */
export class Client {
  readonly ws: WebSocket;
  readonly log: string[] = [];
  readonly frames: Buffer[] = [];
  readonly opened: Promise<void>;

  constructor(ws: WebSocket) {
    this.ws = ws;
    this.opened = new Promise((resolve, reject) => {
      ws.on('open', resolve);
      ws.on('error', reject);
    });
    ws.on('message', (data: Buffer, binary) => this.#note(binary ? 'Binary' : 'Text', data));
    ws.on('ping', (data) => this.#note('Ping', data));
    ws.on('pong', (data) => this.#note('Pong', data));
    ws.on('close', (code, reason) => this.log.push(`closed ${code} ${String(reason)}`.trim()));
  }

  async lines(count: number): Promise<string[]> {
    await until(`the client has ${count} lines`, () => this.log.length >= count);
    return this.log.splice(0);
  }

  #note(type: string, data: Buffer): void {
    this.frames.push(data);
    this.log.push(`${type} ${data.length > 200 ? `${data.length} bytes` : String(data)}`.trim());
  }
}

/** A connection whose bytes a test writes itself. */
export class Raw {
  readonly socket: Socket;
  ended = false;
  #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    // Frames in two writes would wait for each other's acknowledgement.
    socket.setNoDelay();
    socket.on('data', (chunk: Buffer) => void this.#chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.ended = true));
  }

  /** All that came. */
  get bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  /** The end of what came last. */
  get tail(): Buffer {
    return this.#chunks.at(-1)?.subarray(-4) ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** What came after the answer to the upgrade. */
  get frames(): Buffer {
    return this.bytes.subarray(this.text.indexOf('\r\n\r\n') + 4);
  }

  /** Writes a frame of a client, masked with zeros. `length`: what the head says, if not the truth. */
  frame(
    opcode: number,
    payload: Uint8Array | string = '',
    { fin = true, length }: { readonly fin?: boolean; readonly length?: number } = {},
  ): void {
    const bytes = bytesOf(payload);
    this.socket.write(frameHead(opcode, length ?? bytes.length, fin));
    this.socket.write(bytes);
  }
}

/** Head of a client's frame, with a mask of zeros. */
export function frameHead(opcode: number, length: number, fin = true): Buffer {
  const first = (fin ? 0x80 : 0) | opcode;
  if (length < 126) return Buffer.from([first, 0x80 | length, 0, 0, 0, 0]);
  if (length < 65_536) return Buffer.from([first, 0xfe, length >> 8, length & 255, 0, 0, 0, 0]);
  const head = Buffer.alloc(14);
  head[0] = first;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}
