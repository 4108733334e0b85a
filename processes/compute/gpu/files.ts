/**
 * Inputs and outputs (findings F46): their bytes go between the extension and vfs past this process, which says what may go where and hears
 * when it is there and has the hash that it must have. In this drive: `inputs/HASH`, shared by the attempts that want it, and
 * `artifacts/LEASE/HASH`.
 */
import { OUTPUT_TRANSFERS, TRANSFERS_MAX } from '../../../wit/hn-ext/bulk.ts';
import type { Body } from '../../../wit/hn-ext/schema.ts';
import type { OutputFile } from '../../../wit/jobs/result.ts';
import { client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { NoResponse, Refusal, RemoteError } from '../../lib/errors.ts';
import { callHttpServer } from '../../lib/http-server-calls.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer } from '../../lib/signer.ts';
import { sleep, timeout } from '../../lib/timers.ts';
import type { Drive } from '../../lib/vfs.ts';
import { jobEventMethods } from '../shared/job-events-contract.ts';
import type { Lease } from './lease.ts';
import type { Session } from './session.ts';
import { Turns } from './turns.ts';

export interface FilesNeeds {
  readonly process: Process<unknown>;
  readonly drive: Drive;
  readonly signer: Signer;
  readonly session: Session;
}

/** An input will not come, and why: a code of `FAULTS`. */
class InputFailed extends Error {
  override readonly name = 'InputFailed';
  readonly code: 'INPUT_UNAVAILABLE' | 'INPUT_HASH_MISMATCH' | 'INTERNAL';
  constructor(code: InputFailed['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const events = contract(jobEventMethods);
/** Bytes of an input that are asked of a market at a time. */
const PART_BYTES = 512 * 1024;
const PART_S = 20;
const PART_TRIES_MAX = 5;
/** Bytes of an output that are handed to a market at a time. */
const PART_BYTES_MAX = 1024 * 1024;
/** How long a market waits for an output that is on its way. */
const WAIT_MS_MAX = 20_000;
const WAIT_MS = 20;
/** A transfer that takes longer is given up. */
const TRANSFER_S_MAX = 6 * 3_600;
const RETRY_MS = 2_000;
/** A market that does not know yet that an attempt was accepted is asked again so soon, and so often. */
const EARLY_MS = 50;
const EARLY_MAX = 200;
const RETRIES_MAX = 10;
/** For a transfer of an attempt that is dropped to end. */
const DROP_MS_MAX = 5_000;
/** How long an input stays that no attempt wants. */
const UNUSED_MS = 60_000;
const INPUTS = 'inputs';

export class Files {
  readonly #needs: FilesNeeds;
  readonly #turnsIn = new Turns(TRANSFERS_MAX);
  readonly #turnsOut = new Turns(TRANSFERS_MAX);
  /** By hash: inputs that are being fetched. */
  readonly #fetching = new Map<string, Promise<void>>();
  /** By path: outputs that are on their way. */
  readonly #pulling = new Map<string, Promise<void>>();
  /** Leases that have been dropped while something of them was on its way. */
  readonly #dropped = new Set<string>();
  /** By hash: inputs that no attempt may want, and since when, in milliseconds since 1970. */
  readonly #unused = new Map<string, number>();
  #lastTransfer = 0;

  constructor(needs: FilesNeeds) {
    this.#needs = needs;
  }

  // --- outputs

  /** Brings the outputs of a result here. */
  pull(lease: Lease, outputs: readonly OutputFile[]): void {
    for (const file of new Map(outputs.map((one) => [one.sha256, one])).values())
      void this.#pull(lease, file);
  }

  /** There is a channel again: what has not come is asked for. */
  up(leases: readonly Lease[]): void {
    for (const lease of leases) this.pull(lease, outputsOf(lease));
  }

  /** A part of an output. @throws Refusal */
  async part(
    lease: Lease,
    { sha256, offset, bytes }: { sha256: string; offset: number; bytes: number },
  ): Promise<{ readonly bytes: Uint8Array; readonly end: boolean }> {
    const file = outputsOf(lease).find((one) => one.sha256 === sha256);
    if (file === undefined) throw new Refusal('NotFound', 'there is no such output');
    await this.#arrived(lease, file);
    if (offset > file.size) throw new Refusal('BadRange', `the output has ${file.size} bytes`);
    const opened = await this.#needs.drive.open(pathOf(lease, sha256));
    try {
      const part = await opened.readAt(offset, Math.min(bytes, PART_BYTES_MAX));
      return { bytes: part, end: offset + part.length >= file.size };
    } finally {
      await opened.close();
    }
  }

  /** Where an output is in vfs, for processes of this package. @throws Refusal */
  async place(lease: Lease, sha256: string): Promise<string> {
    const file = outputsOf(lease).find((one) => one.sha256 === sha256);
    if (file === undefined) throw new Refusal('NotFound', 'there is no such output');
    await this.#arrived(lease, file);
    return this.#needs.drive.path(pathOf(lease, sha256));
  }

  /** Everything of a lease goes; inputs that nobody else wants later. */
  async drop(lease: Lease): Promise<void> {
    for (const [hash] of inputsOf(lease)) this.#unused.set(hash, Date.now());
    const outputs = outputsOf(lease);
    if (outputs.length === 0) return;
    this.#dropped.add(lease.lease);
    try {
      // What is on its way ends first: the extension is told to let go of it, and nothing is written where a folder is being removed.
      const coming = outputs.map(
        ({ sha256 }) => this.#pulling.get(pathOf(lease, sha256)) ?? Promise.resolve(),
      );
      await timeout(this.#needs.process, Promise.all(coming), DROP_MS_MAX).catch(nothing);
      await this.#needs.drive.remove(`artifacts/${lease.lease}`, { recursive: true });
    } finally {
      this.#dropped.delete(lease.lease);
    }
  }

  /** Inputs of an earlier run of this process are kept for whoever wants them, as others are. */
  async open(): Promise<void> {
    const { drive } = this.#needs;
    if (!(await drive.exists(INPUTS))) return;
    for await (const { name } of drive.list(INPUTS)) this.#unused.set(name, Date.now());
  }

  /** Removes inputs that nobody has wanted for a while: the next job is often of the same program. */
  async tick(leases: readonly Lease[]): Promise<void> {
    if (this.#unused.size === 0) return;
    const wanted = new Set(
      leases
        .filter(({ active }) => active)
        .flatMap((lease) => inputsOf(lease).map(([hash]) => hash)),
    );
    for (const [hash, since] of this.#unused) {
      if (Date.now() - since < UNUSED_MS) continue;
      this.#unused.delete(hash);
      // Of an attempt that runs: it is told of here again when that is dropped.
      if (!wanted.has(hash) && !this.#fetching.has(hash))
        await this.#needs.drive.remove(`${INPUTS}/${hash}`);
    }
  }

  /**
   * Waits by requests of its own: an answer that depends on what another request brings about would be given up to a second later
   * (lib/conversation.ts).
   */
  async #arrived(lease: Lease, file: OutputFile): Promise<void> {
    let over = false;
    void this.#pull(lease, file).finally(() => (over = true));
    for (let waitedMs = 0; !over && waitedMs < WAIT_MS_MAX; waitedMs += WAIT_MS)
      await sleep(this.#needs.process, WAIT_MS);
    if (!over) throw new Refusal('NotYet', 'the output is on its way');
    if (!(await this.#there(lease, file)))
      throw new Refusal('NotYet', 'the extension has the output, and is away');
  }

  async #there(lease: Lease, { sha256, size }: OutputFile): Promise<boolean> {
    return (await this.#needs.drive.stat(pathOf(lease, sha256)))?.bytes === size;
  }

  /** Resolves when it is here, or cannot come now. */
  #pull(lease: Lease, file: OutputFile): Promise<void> {
    const path = pathOf(lease, file.sha256);
    const known = this.#pulling.get(path);
    if (known !== undefined) return known;
    const pulling = this.#turnsIn
      .run(() => this.#receive(lease, file, path))
      .catch((error: unknown) => this.#needs.process.print(`output ${path}: ${String(error)}`, 1))
      .finally(() => this.#pulling.delete(path));
    this.#pulling.set(path, pulling);
    return pulling;
  }

  async #receive(lease: Lease, file: OutputFile, path: string): Promise<void> {
    const { process, drive, session } = this.#needs;
    if (await this.#there(lease, file)) return;
    await drive.mkdirs(`artifacts/${lease.lease}`);
    for (let tries = 1; ; tries += 1) {
      const channel_id = session.channelId;
      if (channel_id === undefined || this.#dropped.has(lease.lease)) return;
      const transfer = this.#nextTransfer();
      const { sha256, size } = file;
      const grant = { channel_id, transfer, path: drive.path(path), size, sha256 };
      const received = callHttpServer(
        process,
        { ChannelReceive: grant },
        undefined,
        TRANSFER_S_MAX,
      );
      session.send('artifact.send', { ...lease.id, sha256, transfer });
      try {
        await received;
        return;
      } catch (error) {
        if (tries >= RETRIES_MAX) throw error;
        session.send('artifact.stop', { transfer });
        await sleep(process, RETRY_MS);
      }
    }
  }

  #nextTransfer(): number {
    this.#lastTransfer = (this.#lastTransfer + 1) % OUTPUT_TRANSFERS;
    return OUTPUT_TRANSFERS + this.#lastTransfer;
  }

  // --- inputs

  /** The extension wants an input. */
  async input(lease: Lease, { sha256, size, transfer }: Body<'input.get'>): Promise<void> {
    const { process, drive, session } = this.#needs;
    const channel_id = session.channelId;
    if (channel_id === undefined) return;
    try {
      if (!inputsOf(lease).some(([hash, bytes]) => hash === sha256 && bytes === size))
        throw new InputFailed('INTERNAL', 'the job has no such input');
      await this.#fetched(lease, sha256, size);
      const grant = { channel_id, transfer, path: drive.path(`inputs/${sha256}`), size };
      await this.#turnsOut.run(() =>
        callHttpServer(process, { ChannelSend: grant }, undefined, TRANSFER_S_MAX),
      );
    } catch (error) {
      // On a new channel it is asked for anew.
      if (session.channelId !== channel_id) return;
      const code = error instanceof InputFailed ? error.code : 'INTERNAL';
      const message = error instanceof Error ? error.message : String(error);
      session.send('input.fail', { ...lease.id, transfer, code, message: message.slice(0, 500) });
    }
  }

  /** Resolves when the input is in vfs, and the one that it must be. @throws InputFailed */
  #fetched(lease: Lease, sha256: string, size: number): Promise<void> {
    const known = this.#fetching.get(sha256);
    if (known !== undefined) return known;
    const fetching = this.#fetch(lease, sha256, size).finally(() => this.#fetching.delete(sha256));
    this.#fetching.set(sha256, fetching);
    return fetching;
  }

  async #fetch(lease: Lease, sha256: string, size: number): Promise<void> {
    const { drive, signer } = this.#needs;
    const path = `inputs/${sha256}`;
    if ((await drive.stat(path))?.bytes === size) return;
    const fresh = `${path}.new`;
    await drive.writeChunks(fresh, this.#parts(lease, sha256, size), { mkdirs: true });
    const found = await signer.sha256(drive.path(fresh));
    if (found.sha256 !== `0x${sha256}` || found.bytes !== size) {
      await drive.remove(fresh);
      throw new InputFailed('INPUT_HASH_MISMATCH', `what the market sent is not ${sha256}`);
    }
    await drive.rename(fresh, path);
  }

  async *#parts(lease: Lease, sha256: string, size: number): AsyncGenerator<Uint8Array> {
    const market = client(this.#needs.process, events, lease.market, { timeoutS: PART_S });
    for (let offset = 0; offset < size;) {
      const bytes = await this.#part(market, { ...lease.id, sha256, offset, bytes: PART_BYTES });
      if (bytes.length === 0 || offset + bytes.length > size)
        throw new InputFailed('INPUT_HASH_MISMATCH', `the input has not ${size} bytes`);
      yield bytes;
      offset += bytes.length;
    }
  }

  async #part(
    market: ReturnType<typeof client<typeof jobEventMethods>>,
    wanted: Parameters<typeof market.Input>[0],
  ): Promise<Uint8Array> {
    for (let tries = 1, early = 0; ; tries += 1) {
      try {
        const { blob } = await market.Input.full(wanted);
        return blob?.bytes ?? new Uint8Array();
      } catch (error) {
        if (error instanceof RemoteError && error.kind === 'NotYet' && early < EARLY_MAX) {
          // What starts with its offer may be quicker than the answer.
          early += 1;
          tries -= 1;
          await sleep(this.#needs.process, EARLY_MS);
          continue;
        }
        if (error instanceof RemoteError) throw new InputFailed('INPUT_UNAVAILABLE', error.message);
        if (!(error instanceof NoResponse) || tries >= PART_TRIES_MAX) throw error;
        await sleep(this.#needs.process, RETRY_MS);
      }
    }
  }
}

function pathOf(lease: Lease, sha256: string): string {
  return `artifacts/${lease.lease}/${sha256}`;
}

function outputsOf({ result }: Lease): readonly OutputFile[] {
  return result?.outputs ?? [];
}

/** Hash and size of everything that a job reads, the module included. */
function inputsOf({ spec }: Lease): readonly (readonly [string, number])[] {
  const { inputs, module } = spec;
  const all = module === undefined ? inputs : [...inputs, module];
  return all.map(({ sha256, size }) => [sha256, size] as const);
}

function nothing(): void {}
