/**
 * `gpu:compute:sys`: offers the machine of the paired extension to markets, this node's and others' (compute-market.md §2, §10). Pairing
 * decides who is the extension, the session carries frames, the desk keeps the leases.
 */
import { namehash } from '../../../contracts/hypermap.ts';
import { defineProcess } from '../../lib/index.ts';
import type { Context } from '../../lib/context.ts';
import { HttpServer, reply } from '../../lib/http-server.ts';
import type { Process } from '../../lib/process.ts';
import { signer } from '../../lib/signer.ts';
import { every } from '../../lib/timers.ts';
import { drive as openOwnDrive } from '../../lib/vfs.ts';
import { contract } from '../../lib/contract.ts';
import { gpuContract, type ProviderState } from '../shared/gpu-contract.ts';
import { modelEventMethods } from '../shared/model-contract.ts';
import { providerEventMethods } from '../shared/provider-events-contract.ts';
import { Desk } from './desk.ts';
import { Files } from './files.ts';
import { facilitatorFunding } from './funding.ts';
import { Leases } from './leases.ts';
import { ModelDesk } from './model-desk.ts';
import { LeaseStore } from './lease-store.ts';
import { type Machine, Offers } from './offers.ts';
import { Pairing, readToken } from './pairing.ts';
import { type PayTo, payToOf } from './pay-to.ts';
import { type Asker, PolicyFile } from './policy.ts';
import { Session } from './session.ts';
import { readSettings } from './settings.ts';
import { Watchers } from './watchers.ts';

const TICK_MS = 5_000;

const modelEvents = contract(modelEventMethods);
const providerEvents = contract(providerEventMethods);
const MARKET = 'market:compute:sys';

interface Parts {
  readonly desk: Desk;
  readonly offers: Offers;
  readonly leases: Leases;
  readonly files: Files;
  readonly models: ModelDesk;
  readonly pairing: Pairing;
  readonly session: Session;
  readonly policy: PolicyFile;
  readonly payTo: PayTo;
  readonly nodeId: string;
  readonly watchers: Watchers;
}
let parts: Parts;

const http = new HttpServer();
http.extension('/ext', {
  onOpen: (channel) => parts.pairing.opened(channel),
  onMessage: (channel, frame) => {
    const bytes = typeof frame === 'string' ? new TextEncoder().encode(frame) : frame;
    if (!parts.pairing.received(channel, bytes)) parts.session.received(channel, bytes);
  },
  onClose: (channel) => {
    parts.pairing.closed(channel);
    parts.session.closed(channel);
  },
});

/** An output, for the operator: what the provider keeps of the jobs of others is not a secret from the one whose machine it is. */
http.get('/artifacts/:lease/:sha256', async ({ params: { lease, sha256 } }) => {
  const path = await parts.files.place(parts.leases.named(lease), sha256);
  return reply.file(path, { etag: `"${sha256}"` });
});

async function open(process: Process<unknown>): Promise<void> {
  const print = (text: string): void => process.print(text);
  const nowMs = (): number => Date.now();
  const drive = await openOwnDrive(process, 'gpu');
  const token = await readToken(drive);
  const policy = await PolicyFile.open({ drive, print, nowMs });
  const { orphanMs } = await readSettings(drive, print);
  const nodeId = namehash(process.our.node);
  const machine = (): Machine | undefined => parts.desk.machine;
  const watchers = new Watchers(nowMs);
  // One that is not there asks when it is.
  const changed = (): void => {
    const body = providerEvents.requests.encode({ kind: 'ProviderChanged' });
    for (const node of [process.our.node, ...watchers.all()])
      process.send(`${node}@${MARKET}`, body);
  };
  const session = new Session(
    { nowMs, print },
    {
      frame: (frame) => {
        if (!models.frame(frame)) parts.desk.frame(frame);
      },
      down: () => {
        models.down();
        parts.desk.down();
        changed();
      },
    },
  );
  const models = new ModelDesk({
    session,
    machine,
    nowMs,
    tell: (caller, value, bytes) => {
      const blob = bytes === undefined ? {} : { blob: { mime: undefined, bytes } };
      process.send(caller, modelEvents.requests.encode({ kind: 'ModelPiece', value }), blob);
    },
  });
  const files = new Files({ process, drive, signer: signer(process), session });
  const leases = new Leases(await LeaseStore.open(process), nowMs);
  await leases.open();
  await files.open();
  const funding = facilitatorFunding(process, nowMs);
  const payTo = payToOf(process, nodeId, nowMs);
  const offers = new Offers({
    process,
    nodeId,
    policy,
    payTo,
    funding,
    leases,
    session,
    machine,
    nowMs,
  });
  const desk = new Desk({
    process,
    nodeId,
    leases,
    offers,
    signer: signer(process),
    files,
    session,
    nowMs,
    orphanMs,
  });
  const pairing = new Pairing({
    token,
    nowMs,
    print,
    paired: (paired) => void desk.paired(paired).then(changed),
  });
  parts = {
    desk,
    offers,
    leases,
    files,
    models,
    pairing,
    session,
    policy,
    payTo,
    nodeId,
    watchers,
  };
  desk.open();
  void every(process, TICK_MS, () => tick().catch((error: unknown) => print(String(error))));
}

/** What fails once is tried again the next time. */
async function tick(): Promise<void> {
  const { pairing, session, models, desk, files, leases } = parts;
  pairing.tick();
  session.tick();
  models.tick();
  await desk.tick();
  await files.tick(leases.all);
}

function askerOf(context: Context, process: Process<unknown>): Asker {
  return { source: context.source, own: context.isOurPackage, our: process.our.node };
}

async function providerState({
  desk: { machine },
  offers,
  policy: file,
  payTo,
  nodeId,
}: Parts): Promise<ProviderState> {
  const policy = await file.read();
  const slots = offers.slots(policy);
  return {
    paired: machine !== undefined,
    nodeId,
    executor: machine?.executor,
    payTo: await payTo(policy),
    device: machine?.device,
    slots,
    free: policy.takesJobs ? Math.max(0, slots - offers.taken) : 0,
    queue: 0,
    prices: policy.prices,
    cachedImages: [],
    at: Date.now(),
  };
}

export default defineProcess({
  contract: gpuContract,
  http,
  setup: open,
  on: {
    Provider: (_none, { source, isLocal }) => {
      if (!isLocal && source.process === MARKET) parts.watchers.asked(source.node);
      return providerState(parts);
    },
    Offers: async ({ offers }, context, process) => ({
      answers: await parts.offers.offers(offers, askerOf(context, process)),
    }),
    Start: ({ jobId, lease }, { source }) =>
      parts.desk.start(parts.leases.of(jobId, lease, source)),
    Cancel: ({ jobId, lease, reason, graceMs }, { source }) =>
      parts.desk.cancel(parts.leases.of(jobId, lease, source), reason.slice(0, 200), graceMs),
    Artifact: async ({ jobId, lease, sha256, offset, bytes }, context) => {
      const known = parts.leases.of(jobId, lease, context.source);
      const part = await parts.files.part(known, { sha256, offset: Number(offset), bytes });
      const blob = { mime: undefined, bytes: part.bytes };
      const end = { end: part.end };
      context.reply(gpuContract.responses.encode({ kind: 'Artifact', value: end }), { blob });
      return end;
    },
    Drop: ({ jobId, lease }, { source }) => parts.desk.drop(parts.leases.of(jobId, lease, source)),
    Models: () => parts.models.models(),
    ModelCall: (asked, context) =>
      parts.models.call(asked, context.blob()?.bytes ?? new Uint8Array(), context.source),
    ModelTaken: ({ rid, bytes }) => parts.models.taken(rid, bytes),
    ModelCancel: ({ rid }) => parts.models.cancel(rid),
  },
});
