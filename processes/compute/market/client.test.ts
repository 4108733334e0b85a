/** `hyperware/compute`, from a program of the node to the market. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { address } from '../../../wit/address.ts';
import { STREAM } from '../../../wit/jobs/log-records.ts';
import { compute, type Compute } from '../../lib/compute.ts';
import { defineProcess } from '../../lib/index.ts';
import { fakeTimer } from '../../lib/testing/fake-timer.ts';
import type { Peer } from '../../lib/testing/memory-host.ts';
import { TestProcess } from '../../lib/testing/test-process.ts';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { NODE, World } from './testing/world.ts';

const PROGRAM = `${NODE}@app:app:me.os`;
let world: World;
let gpu: FakeGpu;
beforeEach(async () => {
  world = new World();
  gpu = world.gpu();
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

/** Runs `work` in a process whose requests to the market are put into the market's mailbox. */
async function program<T>(work: (jobs: Compute) => Promise<T>, our = PROGRAM): Promise<T> {
  let result: { readonly value: T } | { readonly error: unknown } | undefined;
  const market: Peer = (sent, host) => {
    const id = world.host.arrive({
      source: address(our),
      body: sent.request.body,
      blob: sent.blob,
      expectsResponse: 30,
    });
    void world.process.run().then(() => {
      const answered = world.host.responses.find((response) => response.id === id);
      if (answered === undefined) return;
      const { body, metadata } = answered.response;
      host.answer(sent, body, answered.blob, metadata);
    });
    return undefined;
  };
  const process = await TestProcess.start(
    defineProcess({
      onMessage: async (_context, self) => {
        try {
          result = { value: await work(compute(self)) };
        } catch (error) {
          result = { error };
        }
      },
    }),
    { our, peers: { 'market:compute:sys': market, 'timer:distro:sys': fakeTimer() } },
  );
  process.host.arrive({ body: new Uint8Array() });
  for (let turn = 0; turn < 200 && result === undefined; turn += 1) await process.run();
  if (result === undefined) throw new Error('the program does not end');
  if ('error' in result) throw result.error;
  return result.value;
}

it('a program has a job computed: input, log, output', async () => {
  const content = new TextEncoder().encode('six times seven');
  const jobId = await program(async (jobs) => {
    const input = await jobs.upload(content);
    expect((await jobs.quote(specOf())).free).toBe(1);
    return jobs.submit(specOf({ inputs: [{ path: 'task', ...input }], label: 'the answer' }));
  });
  await world.started(gpu, jobId);
  const bytes = new TextEncoder().encode('working\n');
  await world.log(gpu, jobId, [{ seq: 0, stream: STREAM.stdout, atMs: 1, bytes }]);
  await world.finished(gpu, jobId, {
    outputs: [{ path: 'answer', bytes: new TextEncoder().encode('42') }],
  });
  await program(async (jobs) => {
    expect(await jobs.wait(jobId)).toMatchObject({ state: 'completed', error: null });
    const lines: string[] = [];
    for await (const record of jobs.logs(jobId)) lines.push(new TextDecoder().decode(record.bytes));
    expect(lines).toEqual(['working\n']);
    const parts: Uint8Array[] = [];
    for await (const part of jobs.output(jobId, 'answer')) parts.push(part);
    expect(new TextDecoder().decode(parts[0])).toBe('42');
    expect((await jobs.jobs()).jobs).toMatchObject([
      { jobId, label: 'the answer', payment: 'free' },
    ]);
  });
});

it('the same intent is the same job, and what is wrong has its code', async () => {
  const [first, second] = await program(async (jobs) => [
    await jobs.submit(specOf(), { intentId: 'mine' }),
    await jobs.submit(specOf(), { intentId: 'mine' }),
  ]);
  expect(second).toBe(first);
  await expect(program((jobs) => jobs.submit(specOf({ odd: 1 })))).rejects.toMatchObject({
    kind: 'UNKNOWN_MEMBER',
  });
});

it('CM46 a program sees its own jobs only, and one of another node has none for free', async () => {
  const jobId = await program((jobs) => jobs.submit(specOf()));
  const other = `${NODE}@other:app:me.os`;
  await expect(program((jobs) => jobs.status(jobId), other)).rejects.toMatchObject({
    kind: 'NotFound',
  });
  await expect(program((jobs) => jobs.cancel(jobId), other)).rejects.toMatchObject({
    kind: 'NotFound',
  });
  expect((await program((jobs) => jobs.jobs(), other)).jobs).toEqual([]);
  await program((jobs) => jobs.cancel(jobId));
  expect(await program((jobs) => jobs.status(jobId))).toMatchObject({ state: 'cancelled' });
  const stranger = 'mallory.os@app:app:me.os';
  await expect(program((jobs) => jobs.submit(specOf()), stranger)).rejects.toMatchObject({
    kind: 'PaymentUnavailable',
  });
});
