/**
 * Files of a run that another verifier is to run again: read for it here, fetched there. Inputs go to the market, which has the run made, and
 * outputs, where close is enough, to a folder of the oracle's own until they have been compared.
 */
import { contract } from '../../lib/contract.ts';
import { client } from '../../lib/client.ts';
import { computeMethods } from '../../lib/compute.ts';
import { RemoteError, Refusal } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer } from '../../lib/signer.ts';
import { drive, openDrive } from '../../lib/vfs.ts';
import { type Evidence, oracleContract } from '../shared/oracle-contract.ts';
import { COMPARED_BYTES_MAX } from './audits.ts';
import type { Docket, Run } from './docket.ts';
import { specOf } from './facts.ts';

const PART_BYTES = 1_024 * 1_024;
const DRIVE = 'shown';
/** Seconds for a part to come, or to be taken. */
const PART_S = 60;

interface File {
  readonly sha256: string;
  readonly size: number;
}

export interface ShownNeeds {
  readonly process: Process<unknown>;
  readonly docket: Docket;
  readonly signer: Signer;
}

export class Shown {
  readonly #needs: ShownNeeds;

  constructor(needs: ShownNeeds) {
    this.#needs = needs;
  }

  /** Where outputs of a run lie that another node shows, in vfs. */
  folderOf({ jobId, attempt }: Pick<Evidence, 'jobId' | 'attempt'>): string {
    return `/compute:sys/${DRIVE}/${jobId}-${attempt}`;
  }

  /** A part of a file of a run of ours that is judged now, for another verifier. @throws Refusal */
  async read(part: {
    readonly jobId: string;
    readonly attempt: number;
    readonly sha256: string;
    readonly offset: number | bigint;
    readonly bytes: number;
  }): Promise<Uint8Array> {
    const run = await this.#needs.docket.run(part.jobId, part.attempt);
    const judged = run?.state === 'auditing' || run?.state === 'disputed';
    if (run?.evidence === undefined || !judged)
      throw new Refusal('NotFound', `${part.jobId} is not being judged here`);
    const { artifacts, inputs, result } = run.evidence;
    const isIt = ({ sha256 }: File): boolean => sha256 === part.sha256;
    const folder = result.outputs.some(isIt)
      ? artifacts
      : filesOf(run.evidence).some(isIt)
        ? inputs
        : undefined;
    if (folder === undefined) throw new Refusal('NotFound', `the run has no file ${part.sha256}`);
    const [, pkg = '', name = '', ...rest] = folder.split('/');
    const files = openDrive(this.#needs.process, `/${pkg}/${name}`);
    const file = await files.open([...rest, part.sha256].join('/'));
    try {
      return await file.readAt(Number(part.offset), Math.min(PART_BYTES, part.bytes));
    } finally {
      await file.close();
    }
  }

  /** Fetches what it takes to run it again, and to compare; fine to call again. @throws RemoteError, NoResponse: not to be had now */
  async bring(run: Run): Promise<void> {
    const evidence = run.evidence!;
    for (const file of filesOf(evidence)) await this.#bringInput(run, file);
    const mode = specOf(evidence).verify?.mode ?? 'exact';
    if (mode === 'exact' || mode === 'none') return;
    for (const file of evidence.result.outputs) await this.#bringOutput(run, file);
  }

  /** Outputs are not wanted any more. */
  async drop(run: Run): Promise<void> {
    const files = await drive(this.#needs.process, DRIVE);
    await files.remove(`${run.jobId}-${run.attempt}`, { recursive: true });
  }

  /** The market checks the hash of the whole. */
  async #bringInput(run: Run, { sha256, size }: File): Promise<void> {
    const market = client(this.#needs.process, contract(computeMethods), 'market:compute:sys', {
      timeoutS: PART_S,
    });
    for (let offset = 0; ;) {
      const bytes = await this.#part(run, sha256, offset, Math.min(PART_BYTES, size - offset));
      try {
        const blob = { mime: undefined, bytes };
        if ((await market.Upload({ sha256, offset, size }, { blob })).complete) return;
      } catch (error) {
        // It has this part already: it was sent before a crash.
        if (!(error instanceof RemoteError) || error.kind !== 'Conflict') throw error;
      }
      offset += bytes.length;
      if (offset >= size) throw new Refusal('BadEvidence', `${sha256} does not become whole`);
    }
  }

  async #bringOutput(run: Run, { sha256, size }: File): Promise<void> {
    // What is longer is not compared.
    if (size > COMPARED_BYTES_MAX) return;
    const files = await drive(this.#needs.process, DRIVE);
    const path = `${run.jobId}-${run.attempt}/${sha256}`;
    if (await files.exists(path)) return;
    const whole = new Uint8Array(size);
    for (let offset = 0; offset < size;) {
      const bytes = await this.#part(run, sha256, offset, Math.min(PART_BYTES, size - offset));
      whole.set(bytes, offset);
      offset += bytes.length;
    }
    await files.write(`${path}.part`, whole, { mkdirs: true });
    const found = await this.#needs.signer.sha256(files.path(`${path}.part`));
    if (found.sha256 !== `0x${sha256}`)
      throw new Refusal('BadEvidence', `the output ${sha256} is not what its hash says`);
    await files.rename(`${path}.part`, path);
  }

  /** At least one byte, unless none is asked for, and no more than that. */
  async #part(run: Run, sha256: string, offset: number, bytes: number): Promise<Uint8Array> {
    const { jobId, attempt, peer } = run;
    if (bytes === 0) return new Uint8Array();
    const oracle = client(this.#needs.process, oracleContract, `${peer}@oracle:compute:sys`);
    const { blob } = await oracle.Shown.full(
      { jobId, attempt, sha256, offset, bytes },
      { timeoutS: PART_S },
    );
    const got = blob?.bytes ?? new Uint8Array();
    if (got.length === 0 || got.length > bytes)
      throw new Refusal('BadEvidence', `${peer} shows ${sha256} with other bytes than it says`);
    return got;
  }
}

function filesOf(evidence: Evidence): readonly File[] {
  const { inputs, module } = specOf(evidence);
  return module === undefined ? inputs : [...inputs, module];
}
