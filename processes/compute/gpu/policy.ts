/**
 * Whom this provider works for (compute-market.md §9.1): read from `policy.json` in its drive, which the operator writes. Without one: for
 * this node, and for others who pay and whose money is there.
 */
import { packageOf } from '../../../wit/address.ts';
import { addressText, wideNumber } from '../../../contracts/compute-json.ts';
import {
  bool,
  list,
  option,
  record,
  text,
  u32,
  union,
  unit,
  type Decoded,
} from '../../../wit/codec.ts';
import type { Address } from '../../../wit/types.ts';
import type { Drive } from '../../lib/vfs.ts';
import type { Offer } from '../shared/gpu-contract.ts';

export const policy = record({
  /** Free jobs: of this node's market, of those in `allow` too, of everybody. */
  free: union({ Own: unit, Allowed: unit, Everybody: unit }),
  /** Paid jobs of other nodes. */
  paid: bool,
  /** Millionths of HYPER that a paid job must be worth. */
  minPrice: wideNumber,
  /** Nodes, or packages of this node (`package:publisher`), beside this node's own market. */
  allow: list(text),
  deny: list(text),
  /** Jobs at a time; as many as the extension offers, if left out. */
  slots: option(u32),
  /** Where earnings go; where the registry says, if left out. */
  payTo: option(addressText),
  prices: list(record({ class: text, price: wideNumber })),
  takesJobs: bool,
});
export type Policy = Decoded<typeof policy>;

const POLICY_PATH = 'policy.json';
/** What is done without a file, and what is written into a new one. */
export const DEFAULT_POLICY: Policy = {
  free: { kind: 'Own' },
  paid: true,
  minPrice: 0n,
  allow: [],
  deny: [],
  slots: undefined,
  payTo: undefined,
  prices: [],
  takesJobs: true,
};

/** How long what was read counts. */
const FRESH_MS = 2_000;

export interface PolicyNeeds {
  readonly drive: Drive;
  readonly print: (text: string) => void;
  readonly nowMs: () => number;
}

/** The operator's file, read again when it may have changed. */
export class PolicyFile {
  readonly #needs: PolicyNeeds;
  #read: Policy = DEFAULT_POLICY;
  #readMs = -Infinity;
  #problem = '';

  private constructor(needs: PolicyNeeds) {
    this.#needs = needs;
  }

  /** Writes the default where there is none. */
  static async open(needs: PolicyNeeds): Promise<PolicyFile> {
    if (!(await needs.drive.exists(POLICY_PATH)))
      await needs.drive.write(POLICY_PATH, `${policy.stringify(DEFAULT_POLICY)}\n`);
    return new PolicyFile(needs);
  }

  /** A file that is none is nobody's consent: nothing is taken until it is mended. */
  async read(): Promise<Policy> {
    const { drive, print, nowMs } = this.#needs;
    const now = nowMs();
    if (now - this.#readMs < FRESH_MS) return this.#read;
    const text = await drive.readText(POLICY_PATH).catch(() => '');
    const decoded = policy.decode(text);
    this.#readMs = now;
    this.#read = decoded.ok ? decoded.value : { ...DEFAULT_POLICY, takesJobs: false };
    const problem = decoded.ok
      ? ''
      : `${decoded.error.path || 'the document'} is no ${decoded.error.expected}`;
    if (problem !== '' && problem !== this.#problem)
      print(`${POLICY_PATH}: ${problem}; no jobs are taken until it is mended`);
    this.#problem = problem;
    return this.#read;
  }
}

export interface Asker {
  readonly source: Address;
  /** Whether it is of this package on this node: the own market. */
  readonly own: boolean;
  readonly our: string;
}

/** Why an offer is refused; else whether its money is still to be looked for, and whether it is of somebody whom the operator does not know. */
export function judge(
  { free, paid, minPrice, allow, deny, payTo, takesJobs }: Policy,
  { source, own, our }: Asker,
  { price, money }: Pick<Offer, 'price' | 'money'>,
):
  | { readonly refused: { code: string; message: string } }
  | { readonly checkFunds: boolean; readonly stranger: boolean } {
  const refuse = (
    code: string,
    message: string,
  ): { refused: { code: string; message: string } } => ({
    refused: { code, message },
  });
  const local = source.node === our;
  const name = local ? packageOf(source.process) : source.node;
  const stranger = !own && !allow.includes(name);
  if (!takesJobs) return refuse('policy', 'this provider takes no jobs now');
  if (deny.includes(name)) return refuse('policy', 'this provider does not work for you');
  // On this node anybody can call itself anything: only those that the operator named, and our own market.
  if (local && !own && !allow.includes(name))
    return refuse('policy', `${name} is not among those that this provider works for`);
  if (!local && source.process !== 'market:compute:sys')
    return refuse('policy', 'offers come from markets');
  if (money === undefined) {
    if (price !== 0n) return refuse('price', 'a price needs a place where the money is');
    if (own || free.kind === 'Everybody') return { checkFunds: false, stranger };
    if (free.kind === 'Allowed' || local) {
      if (allow.includes(name)) return { checkFunds: false, stranger };
    }
    return refuse('policy', 'this provider works for pay');
  }
  if (payTo === undefined)
    return refuse('policy', 'this provider is not registered, and has not said where pay goes');
  if (!own && !paid) return refuse('policy', 'this provider takes no paid jobs of others');
  if (price < minPrice) return refuse('price', `less than ${minPrice} is too little`);
  return { checkFunds: !own, stranger };
}
