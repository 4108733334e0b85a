/**
 * `oracle:compute:sys`: says what runs are worth (compute-market.md §8). It judges what the market's providers deliver, has some of it run
 * again, signs verdicts through `signer:distro:sys`, and signs with oracles of other nodes. The facilitator sends what it says.
 */
import { type Domain, escrowDomain } from '../../../contracts/compute.ts';
import { client } from '../../lib/client.ts';
import { Refusal } from '../../lib/errors.ts';
import { defineProcess, type Process } from '../../lib/process.ts';
import { signer } from '../../lib/signer.ts';
import { every } from '../../lib/timers.ts';
import { ChainView } from '../shared/chain-view.ts';
import { facilitatorContract } from '../shared/facilitator-contract.ts';
import { type Evidence, oracleContract } from '../shared/oracle-contract.ts';
import { takeOther } from '../shared/other-messages.ts';
import { readSettings } from '../shared/settings.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import { same } from '../shared/words.ts';
import { HOUR_MS } from './audit.ts';
import { Audits } from './audits.ts';
import { cosign, type CosignerNeeds } from './cosigner.ts';
import { Court, DISPUTE_RERUN } from './court.ts';
import { Docket } from './docket.ts';
import { domainOf, type FactNeeds, specOf } from './facts.ts';
import { Signing } from './signing.ts';

interface Parts {
  readonly docket: Docket;
  readonly audits: Audits;
  readonly court: Court;
  readonly facts: FactNeeds;
  readonly cosigner: CosignerNeeds | undefined;
  readonly peers: readonly string[];
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
  const keys = signer(process);
  const settings = await readSettings(process);
  const [verifier] = settings.ok ? await keys.listKeys() : [];
  const money =
    settings.ok && verifier !== undefined
      ? moneyOf(process, settings.value, { verifier, keys })
      : undefined;
  const facts: FactNeeds = {
    caller: process,
    signer: keys,
    docket,
    chain: money && { view: money.chain, domain: money.domain },
  };
  const court = new Court({ process, docket, audits, facts, paid: money });
  const cosigner = money && { signer: keys, docket, ...money, verifier: money.verifier };
  if (!settings.ok) process.print(`oracle: free jobs only: ${settings.error}`, 1);
  else if (money === undefined)
    process.print('oracle: free jobs only: the signer has no key for verdicts that it may use', 1);
  return { docket, audits, court, facts, cosigner, peers: settings.ok ? settings.value.peers : [] };
}

function moneyOf(
  process: Process<unknown>,
  settings: Extract<Awaited<ReturnType<typeof readSettings>>, { ok: true }>['value'],
  { verifier, keys }: { readonly verifier: string; readonly keys: ReturnType<typeof signer> },
): {
  settings: typeof settings;
  chain: ChainView;
  domain: Domain;
  signing: Signing;
  verifier: string;
} {
  const chain = new ChainView(process, settings);
  const domain = escrowDomain(settings.chain_id, settings.escrow);
  const signing = new Signing({ process, settings, signer: keys, chain, domain, verifier });
  return { settings, chain, domain, signing, verifier };
}

/** Puts a run on the docket. Two receipts for one attempt, both of its executor, cost the node its reservation (CM20). */
async function verify(run: Evidence, process: Process<unknown>): Promise<void> {
  const { docket, court, facts } = await partsOf(process);
  const { jobId, attempt, result } = run;
  specOf(run);
  const domain = domainOf(run, facts.chain);
  if (domain === undefined)
    throw new Refusal('NotConfigured', 'no chain is set: paid jobs cannot be judged');
  const receiptHash = await typedDigest(facts.signer, domain, 'JobReceipt', result.receipt);
  if (!same(receiptHash, result.receiptHash))
    throw new Refusal('BadEvidence', 'receiptHash is not of the receipt');
  const ofTerms = run.terms && (await typedDigest(facts.signer, domain, 'ComputeTerms', run.terms));
  if (ofTerms !== undefined && !same(ofTerms, jobId))
    throw new Refusal('BadEvidence', 'the terms are of another job');
  if (result.receipt.jobId !== jobId || result.receipt.attempt !== attempt)
    throw new Refusal('BadEvidence', 'the receipt is of another attempt');
  const known = await docket.run(jobId, attempt);
  if (known?.evidence?.result.receiptHash.toLowerCase() === receiptHash) return court.ring();
  // Somebody else's words change nothing (CM19).
  const executor =
    run.terms === undefined
      ? run.node.executor
      : await facts.chain?.view.executorFor(jobId, attempt, run.node.nodeId);
  const [by] = await facts.signer.recover([{ digest: receiptHash, signature: result.signature }]);
  if (by === undefined || executor === undefined || !same(by, executor))
    throw new Refusal(
      'BadReceipt',
      `the receipt is not signed by ${executor ?? 'whom this attempt is assigned to'}`,
    );
  if (!(await docket.addRun(run, receiptHash))) await equivocation(run, receiptHash, process);
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

export default defineProcess<(typeof oracleContract)['methods'], unknown>({
  contract: oracleContract,
  on: {
    Verify: (run, _context, process) => verify(run, process),
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
      const { cosigner, peers } = await partsOf(process);
      if (cosigner === undefined) throw new Refusal('NotConfigured', 'this node signs no verdicts');
      if (!peers.includes(context.source.node))
        throw new Refusal('Forbidden', `${context.source.node} is no peer of this oracle`);
      return cosign(request, context.blob()?.bytes ?? new Uint8Array(), cosigner);
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
      await docket.addRerun(jobId, run.attempt, DISPUTE_RERUN, Date.now() + 60_000);
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
