/**
 * What the oracle keeps of its dealings with other verifiers, in the docket's database: verdicts of theirs that it signed, runs of theirs that
 * it was asked about and what it came to, and what the quorum for disputes is to sign of ours, with the signatures as they come.
 */
import type { Struct } from '../../../contracts/compute.ts';
import { structCodec } from '../../../contracts/compute-json.ts';
import type { Sqlite } from '../../lib/sqlite.ts';
import { type Evidence, evidence } from '../shared/oracle-contract.ts';
import { type Opinion, read } from './docket.ts';
import type { SignedBy } from './signing.ts';

interface Attempt {
  readonly jobId: string;
  readonly attempt: number;
}

export interface KeptResolution {
  readonly resolution: Struct<'Resolution'>;
  /** JSON text, of which `evidenceHash` is the hash. */
  readonly reruns: string;
}

export class Colleagues {
  readonly #db: Sqlite;

  constructor(db: Sqlite) {
    this.#db = db;
  }

  /** What was signed for an attempt; one verdict for each. */
  async cosigned(
    jobId: string,
    attempt: number,
  ): Promise<{ digest: string; signature: string } | undefined> {
    const row = await this.#db
      .get`select digest, signature from cosigned where job_id = ${jobId} and attempt = ${attempt}`;
    return row && { digest: String(row['digest']), signature: String(row['signature']) };
  }

  /** The first one stays. @returns whether it is this one */
  async cosign(
    jobId: string,
    attempt: number,
    digest: string,
    signature: string,
  ): Promise<boolean> {
    await this.#db
      .run`insert or ignore into cosigned values (${jobId}, ${attempt}, ${digest}, ${signature})`;
    return (await this.cosigned(jobId, attempt))?.digest === digest;
  }

  /** A run of another node's market, about which its oracle asks. */
  async addAsked(run: Evidence, peer: string): Promise<void> {
    const { jobId, attempt, result } = run;
    await this.#db
      .run`insert or ignore into runs (job_id, attempt, lost, receipt_hash, doc, created_ms, state, peer)
      values (${jobId}, ${attempt}, 0, ${result.receiptHash}, ${evidence.stringify(run)}, ${Date.now()}, 'asked', ${peer})`;
  }

  /** How many runs that a node asks about are not weighed yet. */
  async askedBy(peer: string): Promise<number> {
    const row = await this.#db
      .get`select count(*) as n from runs where state = 'asked' and peer = ${peer}`;
    return Number(row?.['n']);
  }

  /** What we came to; the first time counts. */
  async setOpinion({ jobId, attempt }: Attempt, opinion: Opinion): Promise<void> {
    await this.#db.run`update runs set state = 'resolved', opinion = ${opinion}
      where job_id = ${jobId} and attempt = ${attempt} and state = 'asked'`;
  }

  /** What the quorum is to sign of an attempt, with the reruns that it rests on; undefined: nothing yet. */
  async resolution({ jobId, attempt }: Attempt): Promise<KeptResolution | undefined> {
    const row = await this.#db
      .get`select doc, reruns from resolutions where job_id = ${jobId} and attempt = ${attempt}`;
    return (
      row && {
        resolution: read(structCodec('Resolution'), row['doc']),
        reruns: String(row['reruns']),
      }
    );
  }

  /** The first one stays. */
  async addResolution(
    { jobId, attempt }: Attempt,
    { resolution, reruns }: KeptResolution,
  ): Promise<void> {
    const doc = structCodec('Resolution').stringify(resolution);
    await this.#db
      .run`insert or ignore into resolutions values (${jobId}, ${attempt}, ${doc}, ${reruns})`;
  }

  /** What others have signed of it. */
  async signatures({ jobId, attempt }: Attempt): Promise<SignedBy[]> {
    const rows = await this.#db.all`select signer, signature from resolution_signatures
      where job_id = ${jobId} and attempt = ${attempt}`;
    return rows.map((row) => ({
      signer: String(row['signer']),
      signature: String(row['signature']),
    }));
  }

  async addSignature({ jobId, attempt }: Attempt, { signer, signature }: SignedBy): Promise<void> {
    await this.#db
      .run`insert or ignore into resolution_signatures values (${jobId}, ${attempt}, ${signer.toLowerCase()}, ${signature})`;
  }
}
