/**
 * How a command on the same machine reaches a running node: a socket in the home, for the home's owner only. It can do one thing,
 * hand out parts for a backup; neither password nor backup file ever pass through it. Lines of JSON:
 *
 *   client  {"command":"backup"}          node  {"folders":["kernel",...]}
 *   client  {"next":true}                 node  {"part":{"prefix":...,"folder":...}}   again and again
 *                                         node  {"done":true}, or {"error":"..."} at any time
 */
import { constants } from 'node:fs';
import { chmod, open, rm, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BackupError } from './backup-error.ts';
import { CONNECTIONS_MAX, LINE_CHARS_MAX, PART_MS_MAX, SOCKET_PATH_BYTES_MAX } from './limits.ts';
import type { Part, Staging } from './staging.ts';

/** Within the home. */
export const CONTROL = '.control';

/** Serves until disposed of. Resolves with undefined where the host has no sockets in folders, or the path is too long for one. */
export async function serveControl(
  home: string,
  staging: Staging,
): Promise<AsyncDisposable | undefined> {
  if (process.platform === 'win32') return undefined;
  const path = join(home, CONTROL);
  await staging.clear();
  // The home is locked for this process: what is there is a dead node's.
  await rm(path, { force: true });
  const control = new Control(staging);
  const address = await socketAddress(home, path);
  if (address === undefined) return undefined;
  try {
    await control.listen(address.path, path);
  } finally {
    await address.folder?.close();
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await control.close();
      await rm(path, { force: true });
    },
  };
}

class Control {
  readonly #staging: Staging;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #open = false;

  constructor(staging: Staging) {
    this.#staging = staging;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
    // A socket that fails later is no reason to end the node.
    this.#server.on('error', () => undefined);
  }

  async listen(address: string, path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(address, resolve);
    await promise;
    this.#server.off('error', reject);
    this.#server.unref();
    await chmod(path, 0o600);
    this.#open = true;
  }

  async close(): Promise<void> {
    this.#stop.abort(new DOMException('the node shuts down', 'AbortError'));
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    await this.#running;
  }

  #accept(socket: Socket): void {
    // Before the mode is set, anybody on the machine could have come.
    if (!this.#open) return void socket.destroy();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    void this.#converse(new Lines(socket)).finally(() => socket.end());
  }

  async #converse(lines: Lines): Promise<void> {
    const first = await lines.next();
    if (first?.['command'] !== 'backup') return lines.send({ error: 'unknown command' });
    if (this.#running !== undefined)
      return lines.send({ error: 'another backup of this home is being made' });
    this.#running = this.#backup(lines).catch((error: unknown) =>
      lines.send({ error: error instanceof Error ? error.message : String(error) }),
    );
    await this.#running;
    this.#running = undefined;
  }

  async #backup(lines: Lines): Promise<void> {
    lines.send({ folders: this.#staging.folders });
    const signal = AbortSignal.any([this.#stop.signal, lines.gone]);
    // Asked for first: nothing is copied for somebody who has gone away.
    if ((await lines.next())?.['next'] !== true) return;
    for await (const part of this.#staging.parts(signal)) {
      lines.send({ part });
      if ((await lines.next())?.['next'] !== true) return;
    }
    lines.send({ done: true });
  }
}

/** What the command sees of a running node. */
export interface RunningHome extends AsyncDisposable {
  /** Top-level folders that the parts stand for. */
  readonly folders: readonly string[];
  /** Each part is there until the next is asked for. @throws BackupError 'node' for what the node reports */
  parts(): AsyncGenerator<Part>;
}

/** @throws BackupError 'unreachable' */
export async function connectControl(home: string): Promise<RunningHome> {
  const path = join(home, CONTROL);
  const address = await socketAddress(home, path);
  const unreachable = (cause?: unknown): BackupError =>
    new BackupError(
      'unreachable',
      `a node runs on ${home}, but it cannot be asked for a backup. Stop it, then back its home up.`,
      { cause },
    );
  if (address === undefined) throw unreachable();
  const socket = connect(address.path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    throw unreachable(error);
  } finally {
    await address.folder?.close();
  }
  socket.on('error', () => undefined);
  const lines = new Lines(socket);
  lines.send({ command: 'backup' });
  const hello = await lines.next();
  const folders = hello?.['folders'];
  if (!Array.isArray(folders)) {
    socket.destroy();
    throw nodeError(hello);
  }
  return {
    folders: folders.map(String),
    parts: () => partsOf(lines),
    [Symbol.asyncDispose]: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

async function* partsOf(lines: Lines): AsyncGenerator<Part> {
  for (;;) {
    lines.send({ next: true });
    const line = await lines.next();
    if (line?.['done'] === true) return;
    const part = line?.['part'] as Partial<Part> | undefined;
    if (typeof part?.prefix !== 'string' || typeof part.folder !== 'string') throw nodeError(line);
    yield { prefix: part.prefix, folder: part.folder };
  }
}

function nodeError(line: Record<string, unknown> | undefined): BackupError {
  const said = line?.['error'];
  return new BackupError(
    'node',
    typeof said === 'string' ? `the node says: ${said}` : 'the node ended while it was backed up',
  );
}

/** JSON values over a socket, one a line. */
class Lines {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  readonly #gone = new AbortController();

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
    socket.setTimeout(PART_MS_MAX, () => socket.destroy());
    let unread = 0;
    // A line without an end must not fill the memory.
    socket.on('data', (bytes: Buffer) => {
      unread = bytes.includes(10) ? 0 : unread + bytes.length;
      if (unread > LINE_CHARS_MAX) socket.destroy();
    });
    socket.once('close', () => this.#gone.abort(new DOMException('nobody reads it', 'AbortError')));
  }

  /** Aborts when the other side is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  send(value: object): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  /** Undefined when the other side is gone or talks nonsense. */
  async next(): Promise<Record<string, unknown> | undefined> {
    try {
      const line = await this.#lines.next();
      if (line.done === true) return undefined;
      const value = JSON.parse(line.value) as unknown;
      return typeof value === 'object' && value !== null
        ? (value as Record<string, unknown>)
        : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Paths of sockets are short; Linux reaches a longer one through the open folder. */
async function socketAddress(
  home: string,
  path: string,
): Promise<{ path: string; folder: FileHandle | undefined } | undefined> {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, folder: undefined };
  if (process.platform !== 'linux') return undefined;
  const folder = await open(home, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${folder.fd}/${CONTROL}`, folder };
}
