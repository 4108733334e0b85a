/** Jobs on a node whose market is the test, with the extension as a program beside it: offering, starting, and what the market was told. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { decodeRecords, type LogRecord } from '../../wit/jobs/log-records.ts';
import { type ComputeEvent, ComputeNode, type offerOf } from './compute-node.ts';

export const PATIENCE = { timeout: 30_000, interval: 50 };
export const hashOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Starts a node before the tests of the file; each begins without an extension, and with a market that has heard nothing. */
export function computeJobs(): ComputeJobs {
  let compute: ComputeNode | undefined;
  beforeAll(async () => {
    compute = await ComputeNode.start();
  }, 180_000);
  afterAll(async () => {
    await compute?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    await compute!.stopExtensions();
    compute!.market.events.length = 0;
    compute!.market.answering = () => undefined;
  });
  return new ComputeJobs(() => compute!);
}

export class ComputeJobs {
  readonly #compute: () => ComputeNode;

  constructor(compute: () => ComputeNode) {
    this.#compute = compute;
  }

  get compute(): ComputeNode {
    return this.#compute();
  }

  async paired(): Promise<void> {
    await expect
      .poll(() => this.compute.market.ask('Provider'), PATIENCE)
      .toMatchObject({ paired: true });
  }

  /** Resolves when the market has heard that its program runs. */
  async hasStarted(jobId: string): Promise<void> {
    await expect.poll(() => this.statesOf(jobId), PATIENCE).toContain('Started');
  }

  /** What the market was told of how far it is, in order. */
  statesOf(jobId: string): string[] {
    return this.eventsOf('JobState', jobId).map(({ value }) => value.state);
  }

  /** Offers and starts a job. */
  async started(offer: ReturnType<typeof offerOf>): Promise<string> {
    const answer = await this.compute.market.ask('Offer', offer);
    expect(answer).toMatchObject({ Accepted: { acceptance: null } });
    const { lease } = answer.Accepted as { lease: string };
    expect(await this.compute.market.ask('Start', { jobId: offer.jobId, lease })).toBeUndefined();
    return lease;
  }

  eventsOf(kind: string, jobId: string): readonly ComputeEvent[] {
    return this.compute.market.of(kind).filter(({ value }) => value.jobId === jobId);
  }

  async resultOf(jobId: string): Promise<ComputeEvent['value']> {
    await expect.poll(() => this.eventsOf('JobResult', jobId).length, PATIENCE).toBe(1);
    return this.eventsOf('JobResult', jobId)[0]!.value.result;
  }

  /** Every record that the market was told, in order, none twice and none left out. */
  logOf(jobId: string): LogRecord[] {
    const records = this.eventsOf('Logs', jobId).flatMap(({ blob, value }) => {
      const read = decodeRecords(blob!.bytes)!;
      expect(read.rest).toBe(blob!.bytes.length);
      expect(read.records[0]!.seq).toBe(value.firstSeq);
      return read.records;
    });
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, at) => at));
    return records;
  }

  async artifact(jobId: string, lease: string, hash: string): Promise<Buffer> {
    const part = { jobId, lease, sha256: hash, offset: 0, bytes: 1_000_000 };
    const { value, blob } = await this.compute.market.full('Artifact', part);
    expect(value).toEqual({ end: true });
    return Buffer.from(blob!);
  }
}
