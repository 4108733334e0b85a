/**
 * A process's state: one value, stored as JSON through the kernel, saved when a handler is done and before its answer leaves
 * (kit.md §10.11). Stored is the codec's text itself, or, once there is a version or something to keep, that text behind a head:
 * `{"state-version":2,"state":…}`. State without a head has version 1.
 */
import type { Codec } from '../../wit/codec.ts';
import type { Host } from './host.ts';
import { packageOf } from '../../wit/address.ts';
import type { Caller } from './modules.ts';
import { bytesOf, textOf } from './utf8.ts';

export interface StateOptions {
  /** Of the codec; raise it with every change that the codec cannot read, and add a migration. Default 1. */
  readonly version?: number;
  /** By the version they start from: each makes the value of the next version. See `from`. */
  readonly migrate?: Readonly<Record<number, Migration>>;
}

/** What `stateOf` returns. It brings the code along, so that processes without state do not carry it. */
export interface StateSpec<S> {
  /** Reads what is stored; once for each run of a process. */
  readonly open: (host: Host) => StateCell<S>;
}

interface Shape<S> extends StateOptions {
  readonly codec: Codec<S>;
  readonly initial: () => S;
}

/** One version's codec, and how its values become those of the next. */
export interface Migration {
  readonly codec: Codec<unknown>;
  readonly upgrade: (value: unknown) => unknown;
}

/** State of the given shape; `initial` makes the first one. */
export function stateOf<S>(
  codec: Codec<S>,
  initial: () => S,
  options: StateOptions = {},
): StateSpec<S> {
  const shape = { ...options, codec, initial };
  return { open: (host) => new StateCell(host, shape) };
}

/** A migration: `codec` reads what was stored, `upgrade` makes the next version's value of it. */
export function from<A>(codec: Codec<A>, upgrade: (value: A) => unknown): Migration {
  // Proof of the type: `upgrade` is given what `codec` decoded, or what the migration before made for it.
  return { codec, upgrade: upgrade as Migration['upgrade'] };
}

/** Where state that could not be read is kept: this drive of the package. */
export const BACKUP_DRIVE = 'state-backup';

const HEAD = /^\{"state-version":(\d+)(?:,"unreadable":"([A-Za-z0-9+/=]*)")?,"state":/;

/** The engine's native base64 (see engine/text.ts). */
interface Base64Bytes extends Uint8Array {
  toBase64(): string;
}
// Proof of the type: ES2026, present in both guest engines and in Node.
const Bytes = Uint8Array as unknown as { fromBase64(text: string): Uint8Array };

export class StateCell<S> {
  value: S;
  readonly #host: Host;
  readonly #spec: Shape<S>;
  readonly #version: number;
  #saved: string | undefined;
  /** Base64 of stored bytes that could not be read and are not in the drive yet; it stays part of the state until they are. */
  #unreadable: string | undefined;

  constructor(host: Host, spec: Shape<S>) {
    this.#host = host;
    this.#spec = spec;
    this.#version = spec.version ?? 1;
    this.value = this.#load();
  }

  /** Whether `keepCopy` has something to do. */
  get damaged(): boolean {
    return this.#unreadable !== undefined;
  }

  /** Stores the value if it differs from what is stored. */
  save(): void {
    const text = this.#text();
    if (text === this.#saved) return;
    this.#host.setState(bytesOf(text));
    this.#saved = text;
  }

  /** Puts what could not be read into the drive. When that fails it stays in the state, and the next start tries again. */
  async keepCopy(caller: Caller): Promise<void> {
    if (this.#unreadable === undefined) return;
    const [name = ''] = caller.our.process.split(':');
    const path = `${name}-${new Date().toISOString().replaceAll(':', '-')}`;
    try {
      const folder = `/${packageOf(caller.our.process)}/${BACKUP_DRIVE}`;
      await act(caller, folder, 'CreateDrive');
      await act(caller, `${folder}/${path}`, 'Write', Bytes.fromBase64(this.#unreadable));
      this.#unreadable = undefined;
      this.save();
      this.#host.print(0, `the state that cannot be read is kept as ${folder}/${path}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#host.print(
        0,
        `the state that cannot be read stays in the process's state: ${reason}. ` +
          'The next start tries again to put it into a drive.',
      );
    }
  }

  #text(): string {
    const text = this.#spec.codec.stringify(this.value);
    if (this.#version === 1 && this.#unreadable === undefined) return text;
    const kept = this.#unreadable === undefined ? '' : `,"unreadable":"${this.#unreadable}"`;
    return `{"state-version":${this.#version}${kept},"state":${text}}`;
  }

  #load(): S {
    const bytes = this.#host.getState();
    if (bytes === undefined) return this.#spec.initial();
    const stored = textOf(bytes);
    const head = HEAD.exec(stored);
    this.#unreadable = head?.[2];
    const text = head === null ? stored : stored.slice(head[0].length, -1);
    try {
      const value = this.#read(text, Number(head?.[1] ?? 1));
      this.#saved = stored;
      return value;
    } catch (error) {
      // Not a crash: with on-exit restart that would be a loop that nobody can leave.
      const reason = error instanceof Error ? error.message : String(error);
      this.#host.print(0, `stored state cannot be read (${reason}); starting afresh`);
      this.#unreadable = (bytes as Base64Bytes).toBase64();
      return this.#spec.initial();
    }
  }

  #read(text: string, version: number): S {
    const { codec, migrate = {} } = this.#spec;
    if (version > this.#version) {
      throw new Error(`it has version ${version}, this program knows ${this.#version}`);
    }
    if (version === this.#version) return decode(codec, text);
    let value: unknown;
    for (let at = version; at < this.#version; at++) {
      const step = migrate[at];
      if (step === undefined) throw new Error(`there is no migration from version ${at}`);
      value = step.upgrade(at === version ? decode(step.codec, text) : value);
    }
    // Proof of the type: what the last migration made is read back by the codec, which refuses anything else.
    return decode(codec, codec.stringify(value as S));
  }
}

/** Not by vfs.ts: every process would carry it along for a thing that hardly ever happens. */
async function act(
  caller: Caller,
  path: string,
  action: 'CreateDrive' | 'Write',
  bytes?: Uint8Array,
): Promise<void> {
  const reply = await caller.request('vfs:distro:sys', JSON.stringify({ path, action }), {
    blob: bytes && { mime: undefined, bytes },
  });
  const answer = textOf(reply.body);
  if (answer !== '"Ok"') throw new Error(answer);
}

function decode<T>(codec: Codec<T>, text: string): T {
  const decoded = codec.decode(text);
  if (decoded.ok) return decoded.value;
  const { path, expected } = decoded.error;
  throw new Error(`${path === '' ? 'as a whole' : path}: expected ${expected}`);
}
