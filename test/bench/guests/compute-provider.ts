/**
 * A provider's `gpu:compute:sys` without an extension, for the figures of the market alone: it accepts what it is offered, and each job is
 * over as it starts, with a receipt that the node's signer signs.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import {
  client,
  defineProcess,
  NoResponse,
  type Process,
  Refusal,
  sleep,
} from '../../../processes/lib/index.ts';
import { signer } from '../../../processes/lib/signer.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import {
  digestOf,
  escrowDomain,
  type JobReceipt,
  typedDataOf,
} from '../../../contracts/compute.ts';
import { merkleRoot, outputLeaf } from '../../../contracts/merkle-tree.ts';
import { taggedHash } from '../../../wit/jobs/digest.ts';
import { runEnd } from '../../../contracts/compute-result.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import type { JobSpec } from '../../../wit/jobs/spec-shape.ts';
import {
  gpuContract,
  type Offer,
  type OfferAnswer,
} from '../../../processes/compute/shared/gpu-contract.ts';
import { marketContract } from '../../../processes/compute/shared/market-contract.ts';

const DOMAIN = escrowDomain(0, `0x${'0'.repeat(40)}`);
const ZERO = `0x${'0'.repeat(64)}`;
/** The root over no files. */
const NO_FILES = toHex(taggedHash('hn/empty/v1'));
const SLOTS = 8;
/** For the market to hear how a job ended, in seconds, and until it is told again. */
const TELL_S = 10;
const TELL_AGAIN_MS = 200;
const USAGE = {
  wallMs: 0,
  cpuMs: 0,
  gpuMs: 0,
  peakMemMiB: 0,
  peakVramMiB: 0,
  bytesIn: 0,
  bytesOut: 0,
  tokensIn: 0,
  tokensOut: 0,
};
const RUNTIME = {
  arch: 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: '1',
};
const usageHash = documentHash(USAGE);
const runtimeHash = documentHash(RUNTIME);

const offers = new Map<string, Offer>();
let executor = '';
let nodeId = '';
let running = 0;

/** The run: nothing. */
async function run(process: Process<unknown>, jobId: string, lease: string): Promise<void> {
  const market = client(process, marketContract, 'market:compute:sys', { timeoutS: TELL_S });
  const offer = offers.get(lease);
  if (offer === undefined) return;
  offers.delete(lease);
  const now = BigInt(Math.floor(Date.now() / 1_000));
  const receipt: JobReceipt = {
    jobId,
    nodeId,
    attempt: offer.attempt,
    specHash: offer.specHash,
    inputsRoot: inputsRoot(offer.spec),
    outputsRoot: NO_FILES,
    logsRoot: ZERO,
    stdoutHash: ZERO,
    runtimeHash,
    usageHash,
    exitCode: 0,
    status: 0,
    startedAt: now,
    finishedAt: now,
    claimed: 0n,
  };
  // Proof of the type: plain values, as wallets take them.
  const data = typedDataOf(DOMAIN, 'JobReceipt', receipt) as never;
  const end = runEnd.stringify({
    receipt,
    signature: await signer(process).signTypedData('executor', data),
    receiptHash: digestOf(DOMAIN, 'JobReceipt', receipt),
    logs: { count: 0, truncated: false },
    usage: USAGE,
    runtime: RUNTIME,
  });
  const news = {
    jobId,
    lease,
    accepted: { attempt: offer.attempt, executor },
    state: undefined,
    progress: undefined,
    log: undefined,
    result: { end, outputs: '[]' },
    lost: undefined,
  };
  // A market that is killed meanwhile hears it when it is back.
  for (let told = false; !told;) {
    told = await market.Told({ news: [news] }).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof NoResponse)) throw error;
        return false;
      },
    );
    if (!told) await sleep(process, TELL_AGAIN_MS);
  }
  running -= 1;
}

/** Most jobs of the figures read nothing. */
function inputsRoot(spec: string): string {
  if (spec.includes('"inputs":[],')) return NO_FILES;
  // Proof of the type: the market has checked it.
  const { inputs } = JSON.parse(spec) as JobSpec;
  const leaves = inputs.map(({ path, size, sha256: hash }) =>
    outputLeaf(hashed, { path, bytes: size, sha256: fromHex(`0x${hash}`)! }),
  );
  return toHex(merkleRoot(hashed, leaves));
}

function hashed(...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(concatBytes(...parts));
}

function noModels(): never {
  throw new Refusal('NoModels', 'there is none here');
}

export default defineProcess({
  contract: gpuContract,
  setup: async (process) => {
    executor = await signer(process).createKey('executor');
    nodeId = namehash(process.our.node);
  },
  on: {
    Provider: () => ({
      paired: true,
      nodeId,
      executor,
      payTo: undefined,
      device: {
        v: 1,
        host: {
          os: 'linux',
          arch: 'x86_64',
          cpuModel: 'bench',
          cpuCores: 8,
          cpuThreads: 8,
          memMiB: 16_384,
          diskFreeMiB: 100_000,
        },
        gpus: [],
        runners: { builtin: true },
        isolation: ['process', 'wasm'],
        backends: [],
        detectedAt: 0,
        fingerprint: '0'.repeat(64),
        warnings: [],
      },
      slots: SLOTS,
      free: Math.max(0, SLOTS - running),
      queue: 0,
      prices: [],
      cachedImages: [],
      at: Date.now(),
    }),
    Offers: (asked, _context, process) => ({
      answers: asked.offers.map((offer): OfferAnswer => {
        if (running >= SLOTS) return { kind: 'Rejected', value: { code: 'busy', message: 'full' } };
        running += 1;
        const lease = offer.jobId.slice(2, 34);
        offers.set(lease, offer);
        void run(process, offer.jobId, lease).catch((error: unknown) =>
          process.print(String(error)),
        );
        return { kind: 'Accepted', value: { lease, acceptance: undefined, executor } };
      }),
    }),
    Start: () => undefined,
    Cancel: () => undefined,
    Models: () => ({ paired: true, backends: [] }),
    ModelCall: noModels,
    ModelTaken: noModels,
    ModelCancel: noModels,
    Artifact: () => ({ end: true }),
    Drop: () => undefined,
  },
});
