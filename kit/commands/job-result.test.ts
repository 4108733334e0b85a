/** `kit job result` at a market that lies, alone or together with a provider that forges: a program that says what a test wants. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import { encodeAssign, encodeFund } from '../../contracts/compute-calls.ts';
import { COMPUTE_ESCROW } from '../../contracts/abi/constants.ts';
import { runEnd } from '../../contracts/compute-result.ts';
import { digestOf, FREE_DOMAIN, type JobReceipt } from '../../contracts/compute.ts';
import { toHex } from '../../contracts/hex.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { outputsRoot } from '../../contracts/merkle.ts';
import {
  acceptanceOf,
  chainNow,
  client,
  domain,
  executor,
  platform,
  sign,
  signDigest,
  termsAt,
} from '../../contracts/test/compute-market.ts';
import { documentHash } from '../../wit/jobs/result.ts';
import { parseJobSpec, specHash } from '../../wit/jobs/spec.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const MS_MAX = 120_000;
const NODE = 'provider.os';
const forger = personas.frank;
const NOTHING = `0x${'0'.repeat(64)}`;
const SPEC_TEXT = '{"v":1,"type":"custom","kind":"builtin","entry":{"fn":"echo"},"inputs":[]}';
const parsed = parseJobSpec(SPEC_TEXT);
if (!parsed.ok) throw new Error(parsed.error.message);
const spec = parsed.value;
const hi = createHash('sha256').update('hi').digest();
const USAGE = {
  ...{ wallMs: 5, cpuMs: 5, gpuMs: 0, peakMemMiB: 1, peakVramMiB: 0 },
  ...{ bytesIn: 0, bytesOut: 2, tokensIn: 0, tokensOut: 0 },
};
const RUNTIME = {
  ...{ arch: 'x86_64', driver: '', gpu: '', image: '', module: '' },
  ...{ runner: 'builtin', runnerVersion: '1' },
};

let chain: Chain;
let folder: string;
let server: Server;
let node: string;
/** What the market says next. */
let said: { record: object; receipt: JobReceipt; signature: string; file: string };

beforeAll(async () => {
  chain = await startChain({ market: true });
  folder = await mkdtemp(join(tmpdir(), 'kit-result-'));
  await writeFile(join(folder, 'token'), 'a.b.c', { mode: 0o600 });
  server = createServer(({ url = '' }, response) => {
    const { record, receipt, signature, file } = said;
    const receiptHash = NOTHING;
    const logs = { count: 0, truncated: false };
    if (url.includes('/result')) response.end(file);
    else if (url.includes('/receipts/'))
      response.end(
        runEnd.stringify({ receipt, signature, receiptHash, logs, usage: USAGE, runtime: RUNTIME }),
      );
    else response.end(JSON.stringify(record));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  node = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, MS_MAX);
afterAll(async () => {
  server?.close();
  await chain?.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await rm(join(folder, 'out'), { recursive: true, force: true });
});

const ROOT = toHex(outputsRoot([{ path: 'a.txt', bytes: 2, sha256: hi }]));

function receiptOf(jobId: string): JobReceipt {
  return {
    ...{ jobId, nodeId: namehash(NODE), attempt: 0, specHash: specHash(spec) },
    ...{ inputsRoot: toHex(outputsRoot([])), outputsRoot: ROOT, logsRoot: NOTHING },
    ...{ stdoutHash: NOTHING, runtimeHash: documentHash(RUNTIME), usageHash: documentHash(USAGE) },
    ...{ exitCode: 0, status: 0, startedAt: 1n, finishedAt: 2n, claimed: 0n },
  };
}

/** A job that left a file, as the market tells of it. */
function recordOf(jobId: string, names: string, payment: string, root: string = ROOT): object {
  const file = { path: 'a.txt', size: 2, sha256: hi.toString('hex') };
  return {
    ...{ jobId, state: 'completed', attempt: 0, spec, payment: { state: payment } },
    node: { name: NODE, executor: names },
    result: { outputs: [file], outputsRoot: root, exitCode: 0 },
  };
}

/** A free job, signed by somebody, whose record names somebody. */
function free(by: Persona, names: Persona): string {
  const jobId = `0x${'1'.repeat(64)}`;
  const receipt = receiptOf(jobId);
  const signature = signDigest(by, digestOf(FREE_DOMAIN, 'JobReceipt', receipt));
  said = { record: recordOf(jobId, names.address, 'free'), receipt, signature, file: 'hi' };
  return jobId;
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function result(jobId: string, ...more: readonly string[]): Promise<Ran> {
  const at = ['--node', node, '--token-file', join(folder, 'token'), '-o', join(folder, 'out')];
  return new Promise((resolve) => {
    const all = [KIT, 'job', 'result', jobId, ...at, ...more];
    execFile(process.execPath, all, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const kept = (): Promise<string[]> => readdir(join(folder, 'out')).catch(() => []);
const refused = (why: RegExp): object => ({ code: 1, err: expect.stringMatching(why) });

test(
  'CM21 a market that lies about a file is not believed, and nothing is left of it',
  async () => {
    const jobId = free(executor, executor);
    said.file = 'HI';
    expect(await result(jobId)).toMatchObject(refused(/it was not kept/));
    expect(await kept()).toEqual([]);
    // The list says something else than what was signed.
    said.record = recordOf(jobId, executor.address, 'free', `0x${'11'.repeat(32)}`);
    expect(await result(jobId)).toMatchObject(refused(/list of files/));
    // The receipt is that of another run.
    free(executor, executor);
    said.receipt = { ...said.receipt, outputsRoot: `0x${'11'.repeat(32)}` };
    expect(await result(jobId)).toMatchObject(refused(/it is of other outputs/));
  },
  MS_MAX,
);

test(
  'CM21 a receipt that somebody else signed is forged, and both are named; nothing is fetched',
  async () => {
    const jobId = free(executor, executor);
    expect(await result(jobId)).toMatchObject({
      code: 0,
      err: expect.not.stringContaining('word'),
    });
    expect(await readFile(join(folder, 'out', 'a.txt'), 'utf8')).toBe('hi');
    await rm(join(folder, 'out'), { recursive: true });
    free(forger, executor);
    const { code, out } = await result(jobId, '--json');
    expect([code, JSON.parse(out)]).toEqual([
      1,
      {
        error: {
          code: 'bad-signature',
          message: `the receipt is forged: ${forger.address} signed it, and the record of the job names ${executor.address} as executor of ${NODE}`,
        },
      },
    ]);
    said.signature = `0x${'ff'.repeat(65)}`;
    expect(await result(jobId)).toMatchObject(refused(/nobody has signed it/));
    expect(await kept()).toEqual([]);
  },
  MS_MAX,
);

test(
  'CM21 of a paid job the chain says who may sign: a market that covers for a forger gives itself away',
  async () => {
    const terms = termsAt(await chainNow(chain.rpc), 'forged', { specHash: specHash(spec) });
    const acceptance = acceptanceOf(terms);
    const { jobId } = acceptance;
    const send = (from: string, data: string): Promise<void> =>
      chain.rpc.send({ from, to: COMPUTE_ESCROW, data });
    await send(client.address, encodeFund(terms));
    const accepted = sign(executor, 'Acceptance', acceptance);
    await send(platform.address, encodeAssign(acceptance, accepted));
    const receipt = receiptOf(jobId);
    const signed = (by: Persona): void => {
      const signature = signDigest(by, digestOf(domain, 'JobReceipt', receipt));
      said = { record: recordOf(jobId, by.address, 'released'), receipt, signature, file: 'hi' };
    };
    signed(forger);
    expect(await result(jobId, '--rpc', chain.url)).toMatchObject(
      refused(
        new RegExp(
          `${forger.address} signed it, and the registry 0x\\w{40} names ${executor.address} as`,
        ),
      ),
    );
    expect(await kept()).toEqual([]);
    signed(executor);
    expect(await result(jobId, '--rpc', chain.url)).toMatchObject({
      code: 0,
      err: expect.not.stringContaining('word'),
    });
    // As a free job it has another signature; for another escrow too.
    said.record = recordOf(jobId, executor.address, 'free');
    expect(await result(jobId, '-f')).toMatchObject(refused(/forged/));
    said.record = recordOf(jobId, executor.address, 'released');
    const other = ['--chain', '31337', '--escrow', forger.address, '--rpc', chain.url];
    expect(await result(jobId, '-f', ...other)).toMatchObject(refused(/there is no escrow at/));
    // Who cannot ask the chain is told whose word it is; who wants it asked gets nothing without.
    const alone = ['--chain', '31337', '--escrow', COMPUTE_ESCROW];
    expect(await result(jobId, '-f', ...alone)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/no chain was asked: .* the market's word; --rpc URL/),
    });
    const gone = ['--rpc', 'http://127.0.0.1:1'];
    expect(await result(jobId, '-f', ...gone)).toMatchObject(refused(/no chain answers at/));
  },
  MS_MAX,
);
