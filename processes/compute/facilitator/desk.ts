/** The facilitator's parts, put together for the chain that is set, and what each request of its contract does with them. */
import {
  encodeAssign,
  encodeCancel,
  encodeConvict,
  encodeDispute,
  encodePropose,
  encodeRecoverVault,
  encodeRefundExpired,
  encodeReject,
  encodeResolve,
  encodeSlashEquivocation,
  encodeWithdrawFor,
  inOrder,
} from '../../../contracts/compute-calls.ts';
import {
  type Acceptance,
  bondOf,
  type ComputeTerms,
  type Domain,
  escrowDomain,
  vaultOf,
} from '../../../contracts/compute.ts';
import { Refusal } from '../../lib/errors.ts';
import type { Process, Handlers } from '../../lib/process.ts';
import { signer, type Signer } from '../../lib/signer.ts';
import { every } from '../../lib/timers.ts';
import {
  ACCEPTANCE_LEFT_S_MIN,
  type facilitatorContract,
  type JobMoney,
  type MoneySettings,
  type OfferedTerms,
  type Provider,
} from '../shared/facilitator-contract.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import { Book } from './book.ts';
import { ChainView, type Head } from '../shared/chain-view.ts';
import { Follower } from './follow.ts';
import { checkPayment, wishesOf } from './funding.ts';
import { moneyOf } from './money.ts';
import { nameOf } from './names.ts';
import type { WishKind } from './batches.ts';
import { Outbox } from './outbox.ts';
import { Post } from './post.ts';
import type { Settings } from '../shared/settings.ts';
import { Sweeper } from './sweeper.ts';
import { Teller } from './teller.ts';
import { sameWish, type TermsRules, termsFor, termsProblem } from './terms.ts';
import { same } from '../shared/words.ts';

/** Between two looks at the chain when nothing rings, in milliseconds. */
const LOOK_MS = 3_000;
const SWEEP_MS = 5_000;
/** The chain's clock is asked again after this long, in milliseconds. */
const CLOCK_AGE_MS = 200;
/** Providers, or jobs, of one answer. */
const PAGE_MAX = 200;

type Methods = (typeof facilitatorContract)['methods'];
type Desked = Handlers<Methods, unknown>;

export class Desk {
  readonly #process: Process<unknown>;
  readonly #settings: Settings;
  readonly #domain: Domain;
  readonly #book: Book;
  readonly #chain: ChainView;
  readonly #signer: Signer;
  readonly #platform: string;
  readonly #follower: Follower;
  readonly #outbox: Outbox;
  readonly #rules: TermsRules;
  /** The newest block as it was asked for last. */
  #clock: { readonly askedMs: number; readonly head: Promise<Head> } | undefined;

  private constructor(
    process: Process<unknown>,
    settings: Settings,
    parts: { readonly book: Book; readonly platform: string },
  ) {
    const { book, platform } = parts;
    this.#process = process;
    this.#settings = settings;
    this.#domain = escrowDomain(settings.chain_id, settings.escrow);
    this.#book = book;
    this.#platform = platform;
    this.#chain = new ChainView(process, settings);
    this.#signer = signer(process);
    this.#rules = {
      token: settings.token,
      platform,
      amountMax: settings.amount_max,
      fundWindowS: settings.fund_window_s,
      challengeWindowS: settings.challenge_window_s,
    };
    const teller = new Teller(process, book);
    const post = new Post({
      settings,
      chain: this.#chain,
      book,
      signer: this.#signer,
      ahead: () => this.#follower.ring(),
    });
    this.#outbox = new Outbox({
      caller: process,
      settings,
      book,
      post,
      mined: () => {
        this.#follower.ring();
        teller.ring();
      },
    });
    this.#follower = new Follower({
      caller: process,
      settings,
      chain: this.#chain,
      book,
      reached: () => teller.ring(),
      entered: (providers) => {
        // Of more the market hears when it looks by itself.
        Promise.all(providers.slice(0, PAGE_MAX).map((each) => this.#named(each))).then(
          (named) => teller.providers(named),
          (error: unknown) => process.print(`facilitator: naming providers: ${String(error)}`),
        );
      },
      tookBack: () => this.#outbox.ring(),
    });
  }

  /** @throws Refusal `NotConfigured` without a key */
  static async open(process: Process<unknown>, settings: Settings): Promise<Desk> {
    const [platform] = await signer(process).listKeys();
    if (platform === undefined)
      throw new Refusal(
        'NotConfigured',
        `the signer has no key ${settings.key} that the facilitator may use: see docs/compute.md`,
      );
    const desk = new Desk(process, settings, { book: await Book.open(process), platform });
    desk.#start();
    return desk;
  }

  #start(): void {
    const { nowS } = this;
    const sweeper = new Sweeper({
      settings: this.#settings,
      chain: this.#chain,
      book: this.#book,
      outbox: this.#outbox,
      nowS,
    });
    const print = (what: string) => (error: unknown) =>
      this.#process.print(`facilitator: ${what} has stopped: ${String(error)}`);
    this.#follower.ring();
    this.#outbox.ring();
    void this.#chain.bell(() => this.#follower.ring()).catch(print('hearing of the chain'));
    void every(this.#process, LOOK_MS, () => this.#follower.ring()).catch(print('looking'));
    void every(this.#process, SWEEP_MS, () =>
      sweeper
        .sweep()
        .catch((error: unknown) =>
          this.#process.print(`facilitator: sweeping: ${String(error)}`, 1),
        ),
    ).catch(print('sweeping'));
  }

  readonly nowS = (): number => this.#follower.nowS();

  readonly handlers: Desked = {
    Settings: () => this.#describe(),
    Terms: (wish) => this.#terms(wish),
    Adopt: ({ terms }) => this.#adopt(terms),
    TermsOf: ({ jobId }) => this.#book.termsOf(jobId),
    VerifyPayment: async ({ jobId, payment }) => {
      const offered = await this.#offered(jobId);
      await checkPayment(this.#funding(), offered, payment);
      return { payer: offered.terms.client };
    },
    Fund: async ({ jobId, payment }) => {
      const offered = await this.#offered(jobId);
      const money = await this.#book.money(jobId);
      // Paid already, or on its way: asked again nothing more happens.
      if (money !== undefined && money.state !== 'none') return;
      await checkPayment(this.#funding(), offered, payment);
      for (const wish of wishesOf(this.#settings, offered, payment)) await this.#outbox.add(wish);
    },
    Money: ({ jobId }) => this.#money(jobId),
    Open: ({ after, limit }) => this.#book.open(after ?? '', Math.min(limit, PAGE_MAX)),
    Assign: async ({ acceptance, signature }) => {
      const { jobId } = acceptance;
      const data = encodeAssign(acceptance, signature);
      // Asked again, as after a crash: it is on its way, or there, however little time the acceptance has left by now.
      if (await this.#outbox.has({ jobId, kind: 'assign', data })) return;
      await this.#checkAcceptance(acceptance, signature);
      await this.#wish(jobId, 'assign', data);
    },
    Propose: ({ receipt, signature, verdict, signatures }) =>
      this.#wish(
        receipt.jobId,
        'propose',
        encodePropose(receipt, signature, verdict, inOrder(signatures)),
      ),
    Reject: ({ verdict, signatures }) =>
      this.#wish(verdict.jobId, 'reject', encodeReject(verdict, inOrder(signatures))),
    Convict: ({ receipt, signature, resolution, signatures }) =>
      this.#wish(
        receipt.jobId,
        'convict',
        encodeConvict(receipt, signature, resolution, inOrder(signatures)),
      ),
    Resolve: ({ resolution, signatures }) =>
      this.#wish(resolution.jobId, 'resolve', encodeResolve(resolution, inOrder(signatures))),
    Equivocation: async ({ one, other }) => {
      const data = encodeSlashEquivocation(this.#settings.escrow, one, other);
      const to = this.#settings.registry;
      await this.#outbox.add({ jobId: one.receipt.jobId, kind: 'equivocation', to, data });
    },
    CancelCall: async ({ jobId, release }) => {
      const { terms } = await this.#offered(jobId);
      return {
        to: this.#settings.escrow,
        data: encodeCancel(jobId, release),
        from: terms.client,
      };
    },
    DisputeCall: async ({ jobId, evidenceHash }) => {
      const { terms } = await this.#offered(jobId);
      const [money, { minBond }] = await Promise.all([this.#money(jobId), this.#chain.rules()]);
      if (money.state !== 'proposed')
        throw new Refusal(
          'BadState',
          `only a proposal can be disputed, and the job is ${money.state}`,
        );
      const data = encodeDispute(jobId, evidenceHash);
      const call = { to: this.#settings.escrow, data, from: terms.client };
      return { call, bond: bondOf(money.payout, minBond) };
    },
    RefundExpired: async ({ jobId }) => {
      await this.#offered(jobId);
      await this.#wish(jobId, 'refundExpired', encodeRefundExpired(jobId));
    },
    RecoverVault: async ({ jobId, token }) => {
      const { terms } = await this.#offered(jobId);
      const data = encodeRecoverVault(terms, token ?? terms.token);
      await this.#wish(jobId, 'recoverVault', data);
    },
    Credit: ({ account }) => this.#chain.credit(account),
    Withdraw: async ({ account }) => {
      if ((await this.#chain.credit(account)) === 0n)
        throw new Refusal('NothingToWithdraw', `${account} has no credit`);
      const data = encodeWithdrawFor(account, this.#settings.token);
      // Not of a job: each withdrawal is a wish of its own.
      await this.#wish(`${account} ${this.nowS()}`, 'withdraw', data);
    },
    Providers: async ({ after, limit }) => {
      const found = await this.#book.providers(after ?? '', Math.min(limit, PAGE_MAX));
      return Promise.all(found.map((each) => this.#named(each)));
    },
    Provider: async ({ nodeId }) => {
      const found = await this.#book.provider(nodeId);
      return found && this.#named(found);
    },
  };

  async #describe(): Promise<MoneySettings> {
    const { protocolBps, platformBps } = await this.#chain.rules();
    const settings = this.#settings;
    return {
      chainId: settings.chain_id,
      escrow: settings.escrow,
      registry: settings.registry,
      verifiers: settings.verifiers,
      token: settings.token,
      tokenName: settings.token_name,
      tokenVersion: settings.token_version,
      vaultInitHash: settings.vault_init_hash,
      platform: this.#platform,
      confirmations: settings.confirmations,
      fundWindowS: settings.fund_window_s,
      challengeWindowS: settings.challenge_window_s,
      nowS: await this.#recentNowS(),
      protocolBps,
      platformBps,
    };
  }

  async #terms(wish: Parameters<Desked['Terms']>[0]): Promise<OfferedTerms> {
    const made = termsFor(wish, this.#rules, await this.#recentNowS());
    if (!made.ok) throw new Refusal('BadTerms', made.error);
    const known = await this.#book.termsOfIntent(wish.client, made.value.salt);
    if (known === undefined) return this.#follow(made.value);
    if (sameWish(known.terms, made.value)) return known;
    throw new Refusal(
      'IntentTaken',
      `${wish.client} has used ${wish.intentId} for something else: take another id`,
    );
  }

  async #adopt(terms: ComputeTerms): Promise<OfferedTerms> {
    const problem = termsProblem(terms, this.#rules, {
      nowS: await this.#freshNowS(),
      signed: true,
    });
    if (problem !== undefined) throw new Refusal('BadTerms', problem);
    const offered = await this.#follow(terms);
    // It may have been paid before.
    await this.#follower.readJob(offered.jobId);
    return offered;
  }

  async #follow(terms: ComputeTerms): Promise<OfferedTerms> {
    const jobId = await typedDigest(this.#signer, this.#domain, 'ComputeTerms', terms);
    const vault = vaultOf(this.#settings.escrow, jobId, this.#settings.vault_init_hash);
    const offered = { terms, jobId, vault };
    if (await this.#book.follow(offered)) return offered;
    throw new Refusal('IntentTaken', 'the client has used this salt for something else');
  }

  async #offered(jobId: string): Promise<OfferedTerms> {
    const offered = await this.#book.termsOf(jobId);
    if (offered === undefined) throw new Refusal('NoSuchJob', `${jobId} is no job of this node`);
    return offered;
  }

  #funding(): Parameters<typeof checkPayment>[0] {
    return {
      settings: this.#settings,
      chain: this.#chain,
      signer: this.#signer,
      from: this.#platform,
      nowS: () => this.#recentNowS(),
    };
  }

  async #freshNowS(): Promise<number> {
    const { timestamp } = await this.#chain.head();
    return Math.max(timestamp, this.nowS());
  }

  /** For what is only begun, and looked at again when it is paid: of what several ask within a moment the chain hears once. */
  async #recentNowS(): Promise<number> {
    const nowMs = Date.now();
    if (this.#clock === undefined || nowMs - this.#clock.askedMs >= CLOCK_AGE_MS)
      this.#clock = { askedMs: nowMs, head: this.#chain.head() };
    const { head } = this.#clock;
    try {
      return Math.max((await head).timestamp, this.nowS());
    } catch (error) {
      if (this.#clock?.head === head) this.#clock = undefined;
      throw error;
    }
  }

  async #money(jobId: string): Promise<JobMoney> {
    const known = await this.#book.money(jobId);
    if (known !== undefined) return known;
    const job = await this.#chain.job(jobId);
    return { ...moneyOf(jobId, job, []), rev: 0, trouble: undefined };
  }

  /** Everything but capacity, which changes until the escrow decides. */
  async #checkAcceptance(acceptance: Acceptance, signature: string): Promise<void> {
    const { jobId, nodeId, attempt, payTo, price, expiresAt } = acceptance;
    const bad = (message: string): never => {
      throw new Refusal('BadAcceptance', message);
    };
    const { terms } = await this.#offered(jobId);
    const money = await this.#money(jobId);
    if (money.state !== 'funded') bad(`the job is ${money.state}, not funded`);
    if (attempt !== money.attempt) bad(`the attempt is ${money.attempt}, not ${attempt}`);
    if (price > terms.amount) bad(`the price is above the amount, ${terms.amount}`);
    if (Number(expiresAt) < this.nowS() + ACCEPTANCE_LEFT_S_MIN) bad('it expires too soon');
    const node = await this.#book.provider(nodeId);
    if (node === undefined || !node.on || node.slots === 0)
      return bad(`${nodeId} is no provider that takes jobs`);
    if (!same(node.payTo, payTo)) bad(`payTo is not ${node.payTo}, as the registry has it`);
    const digest = await typedDigest(this.#signer, this.#domain, 'Acceptance', acceptance);
    const [by] = await this.#signer.recover([{ digest, signature }]);
    if (by === undefined || !same(by, node.executor))
      bad(`it is not signed by the executor of the node, ${node.executor}`);
  }

  async #named(provider: Omit<Provider, 'name'> & Partial<Provider>): Promise<Provider> {
    const { name: known } = provider;
    if (known !== undefined) return { ...provider, name: known };
    const name = await nameOf(this.#process, provider.nodeId);
    if (name !== undefined) await this.#book.setName(provider.nodeId, name);
    return { ...provider, name };
  }

  #wish(jobId: string, kind: WishKind, data: string): Promise<void> {
    return this.#outbox.add({ jobId, kind, to: this.#settings.escrow, data });
  }
}
