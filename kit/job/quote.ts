/** What a job would cost, as the market says and people read it. */
import type { JobSpec } from '../../wit/jobs/spec.ts';
import { printable } from '../report.ts';
import { JobError } from './job-error.ts';
import type { MarketApi } from './market-api.ts';
import { hyper } from './show.ts';

export interface Quote {
  readonly node: string | null;
  readonly class: string;
  /** Of all runs together. */
  readonly price: string;
  /** How many nodes run it, each of another operator. */
  readonly replicas: number;
  readonly suited: number;
  readonly free: number;
  readonly unsuited: readonly { readonly node: string; readonly why: string }[];
  readonly expiresAt: number;
}

export async function quoteOf(api: MarketApi, spec: JobSpec): Promise<Quote> {
  const quote = await api.json<Quote>('/api/quote', { method: 'POST', body: { spec } });
  if (!/^\d{1,38}$/.test(quote.price))
    throw new JobError('unreachable', 'the market names no price that could be read');
  return quote;
}

/** @param isFree  the owner's own jobs at the owner's node */
export function quoteText(quote: Quote, isFree: boolean): string {
  const { node, class: kind, price, suited, free, unsuited } = quote;
  if (node === null) {
    const why = unsuited.map((one) => `\n  ${printable(one.node)}: ${printable(one.why)}`).join('');
    return `nobody can run this now${why === '' ? ': no provider is connected' : `:${why}`}`;
  }
  const now = free === 0 ? 'none of them now: it would wait' : `${free} at once`;
  const others = `${suited} provider${suited === 1 ? '' : 's'} can run it, ${now}`;
  const runs = quote.replicas > 1 ? ` for ${quote.replicas} runs, each by another operator` : '';
  return isFree
    ? `estimated cost ${hyper(price)}${runs} (${printable(kind)}); nothing to pay: the node is yours. ${others}`
    : `estimated cost ${hyper(price)} at most${runs} (${printable(kind)}, ${printable(node)}). ${others}`;
}
