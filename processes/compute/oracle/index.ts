/**
 * `oracle:compute:sys`: says what runs are worth (compute-market.md §8). It judges what the market's providers deliver, has some of it run
 * again, signs verdicts through `signer:distro:sys`, and signs with oracles of other nodes. The facilitator sends what it says.
 */
import { type Domain, escrowDomain } from '../../../contracts/compute.ts';
import { client } from '../../lib/client.ts';
import { Refusal } from '../../lib/errors.ts';
import type { Context } from '../../lib/context.ts';
import { defineProcess, type Process } from '../../lib/process.ts';
import { signer } from '../../lib/signer.ts';
import { every } from '../../lib/timers.ts';
import { ChainView } from '../shared/chain-view.ts';
import { facilitatorContract } from '../shared/facilitator-contract.ts';
import { type Evidence, type Others, oracleContract } from '../shared/oracle-contract.ts';
import { takeOther } from '../shared/other-messages.ts';
import { readSettings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';
import { HOUR_MS } from './audit.ts';
import { Audits, rerunMs } from './audits.ts';
import { Colleagues } from './colleagues.ts';
import { cosign, type CosignerNeeds } from './cosigner.ts';
import { Court } from './court.ts';
import { DISPUTE_RERUN, Docket, REPLICA_RERUN } from './docket.ts';
import { checkExecutor, type FactNeeds, receiptHashOf, specOf } from './facts.ts';
import { Opinions } from './opinions.ts';
import { Shown } from './shown.ts';
import { Signing } from './signing.ts';

interface Parts {
  readonly docket: Docket;
  readonly audits: Audits;
  readonly court: Court;
  readonly facts: FactNeeds;
  /** What is for other verifiers; undefined: this node is none. */
  readonly forOthers:
    | {
        readonly cosigner: CosignerNeeds;
        readonly opinions: Opinions;
        readonly shown: Shown;
        readonly peers: readonly string[];
      }
    | undefined;
}

const opened = new WeakMap<Process<unknown>, Promise<Parts>>();

function partsOf(process: Process<unknown>): Promise<Parts> {
  const known = opened.get(process);
  if (known !== undefined) return known;
  const opening = open(process);
  opened.set(process, opening);
  opening.catch(() => opened.delete(process));
  return opening;
}

async function open(process: Process<unknown>): Promise<Parts> {
  const docket = await Docket.open(process);
  const audits = new Audits(process, docket);
  const colleagues = new Colleagues(docket.db);
  const keys = signer(process);
  const settings = await readSettings(process);
  const [verifier] = settings.ok ? await keys.listKeys() : [];
  const money =
    settings.ok && verifier !== undefined
      ? moneyOf(process, settings.value, { verifier, keys, colleagues })
      : undefined;
  const facts: FactNeeds = {
    caller: process,
    signer: keys,
    docket,
    chain: money && { view: money.chain, domain: money.domain },
  };
  const shown = new Shown({ process, docket, signer: keys });
  const court = new Court({ process, docket, colleagues, audits, facts, shown, paid: money });
  if (!settings.ok) process.print(`oracle: free jobs only: ${settings.error}`, 1);
  else if (money === undefined)
    process.print('oracle: free jobs only: the signer has no key for verdicts that it may use', 1);
  const forOthers = money && {
    cosigner: { signer: keys, docket, colleagues, ...money },
    opinions: new Opinions({
      docket,
      colleagues,
      facts,
      shown,
      ...money,
      wanted: () => court.ring(),
    }),
    shown,
    peers: money.settings.peers,
  };
  return { docket, audits, court, facts, forOthers };
}

function moneyOf(
  process: Process<unknown>,
  settings: Extract<Awaited<ReturnType<typeof readSettings>>, { ok: true }>['value'],
  given: {
    readonly verifier: string;
    readonly keys: ReturnType<typeof signer>;
    readonly colleagues: Colleagues;
  },
): {
  settings: typeof settings;
  chain: ChainView;
  domain: Domain;
  signing: Signing;
  verifier: string;
} {
  const { verifier, keys, colleagues } = given;
  const chain = new ChainView(process, settings);
  const domain = escrowDomain(settings.chain_id, settings.escrow);
  const ours = { process, settings, signer: keys, chain, domain, colleagues, verifier };
  const signing = new Signing(ours);
  return { settings, chain, domain, signing, verifier };
}

/** Puts a run on the docket. Two receipts for one attempt, both of its executor, cost the node its reservation (CM20). */
async function verify(
  run: Evidence,
  process: Process<unknown>,
  others: Others = [],
): Promise<void> {
  const { docket, audits, court, facts } = await partsOf(process);
  const { jobId, attempt } = run;
  specOf(run);
  const receiptHash = await receiptHashOf(run, facts);
  const known = await docket.run(jobId, attempt);
  const ours = known?.peer === undefined ? known?.evidence : undefined;
  if (ours !== undefined && same(ours.result.receiptHash, receiptHash)) return court.ring();
  await checkExecutor(run, receiptHash, facts);
  const reruns = await Promise.all(
    others.map(async ({ node, result, artifacts }, index) => ({
      rerun: REPLICA_RERUN + index,
      operator: node.operator,
      outcome: await audits.compare(run, result, artifacts),
      outputsRoot: result.receipt.outputsRoot,
    })),
  );
  if (!(await docket.addRun(run, receiptHash, reruns)))
    await equivocation(run, receiptHash, process);
  court.ring();
}

async function equivocation(
  run: Evidence,
  receiptHash: string,
  process: Process<unknown>,
): Promise<void> {
  const { docket } = await partsOf(process);
  const other = await docket.otherReceipt(run.jobId, run.attempt, receiptHash);
  if (other === undefined || run.terms === undefined) return;
  const [one, two] = await docket.receipts(run.jobId, run.attempt);
  if (one === undefined || two === undefined) return;
  process.print(`oracle: ${run.jobId}: ${run.node.name} signed two receipts for one attempt`);
  const facilitator = client(process, facilitatorContract, 'facilitator:compute:sys');
  await facilitator.Equivocation({ one, other: two });
}

const COMPARED = { same: 'Same', different: 'Different', undecided: 'Undecided' } as const;

/** What is for a verifier of another node. @throws Refusal */
async function forPeer(
  process: Process<unknown>,
  { source }: Pick<Context, 'source'>,
): Promise<NonNullable<Parts['forOthers']>> {
  const { forOthers } = await partsOf(process);
  if (forOthers === undefined) throw new Refusal('NotConfigured', 'this node signs no verdicts');
  if (!forOthers.peers.includes(source.node))
    throw new Refusal('Forbidden', `${source.node} is no peer of this oracle`);
  return forOthers;
}

export default defineProcess<(typeof oracleContract)['methods'], unknown>({
  contract: oracleContract,
  on: {
    Verify: (run, _context, process) => verify(run, process),
    Outvoted: ({ run, others }, _context, process) => verify(run, process, others),
    Compare: async ({ spec, first, second, artifacts }, _context, process) => {
      const { audits } = await partsOf(process);
      const found = await audits.compare({ spec, result: first, artifacts }, second, artifacts);
      return { kind: COMPARED[found] };
    },
    Close: async (lost, _context, process) => {
      const { docket, court } = await partsOf(process);
      specOf(lost);
      await docket.addLost(lost);
      court.ring();
    },
    Verdict: async ({ jobId, attempt }, _context, process) => {
      const run = await (await partsOf(process)).docket.run(jobId, attempt);
      return run?.given;
    },
    RerunDone: async ({ jobId, attempt, rerun, node, result, artifacts }, _context, process) => {
      const { docket, audits, court } = await partsOf(process);
      const run = await docket.run(jobId, attempt);
      if (run?.evidence === undefined)
        throw new Refusal('NoSuchJob', `${jobId} is not on the docket`);
      const outcome =
        node === undefined || result === undefined
          ? 'undecided'
          : await audits.compare(run.evidence, result, artifacts);
      await docket.endRerun(
        { jobId, attempt, rerun },
        { operator: node?.operator, outcome, outputsRoot: result?.receipt.outputsRoot },
      );
      court.ring();
    },
    Cosign: async (request, context, process) => {
      const { cosigner } = await forPeer(process, context);
      return cosign(request, context.blob()?.bytes ?? new Uint8Array(), cosigner);
    },
    CosignResolution: async (request, context, process) => {
      const { opinions } = await forPeer(process, context);
      return opinions.cosign(request, context.source.node);
    },
    Shown: async (part, context, process) => {
      const { shown } = await forPeer(process, context);
      const bytes = await shown.read(part);
      const value = { bytes: bytes.length };
      const body = oracleContract.responses.encode({ kind: 'Shown', value });
      context.reply(body, { blob: { mime: undefined, bytes } });
      return value;
    },
    AuditHours: async ({ from, limit }, _context, process) =>
      (await partsOf(process)).audits.hours(Number(from), limit),
    Disputed: async ({ jobId }, _context, process) => {
      const { docket, court } = await partsOf(process);
      const run = await docket.newest(jobId);
      if (run?.evidence === undefined)
        throw new Refusal('NoSuchJob', `${jobId} is not on the docket`);
      if (run.state === 'disputed' || run.state === 'resolved') return;
      if (run.state !== 'told')
        throw new Refusal('BadState', 'the verdict on this run is not out yet');
      const until = Date.now() + rerunMs(specOf(run.evidence));
      await docket.addRerun(jobId, run.attempt, DISPUTE_RERUN, until);
      await docket.setState(run, 'disputed');
      court.ring();
    },
  },
  setup: async (process) => {
    const { court, audits, docket } = await partsOf(process);
    await audits.commit();
    court.ring();
    void every(process, HOUR_MS / 4, async () => {
      await audits.commit();
      await docket.prune();
    }).catch((error: unknown) => process.print(`oracle: audits have stopped: ${String(error)}`));
  },
  onMessage: (context) => takeOther(context, oracleContract),
});
