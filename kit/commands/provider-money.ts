/** `kit provider status`, `withdraw`, `stake` and `unstake`: what a provider has on the chain, and how its wallet gets at it. */
import { defineCommand } from 'citty';
import {
  amountText,
  type ByWallet,
  type Credit,
  dateText,
  type EarningsPlace,
  providerState,
  type ProviderState,
  requestUnstake,
  stakeMore,
  withdrawCredits,
  withdrawStake,
} from '../job/earnings.ts';
import { JobError } from '../job/job-error.ts';
import {
  addressIn,
  asProvider,
  CHAIN_ARGS,
  earningsPlaceOf,
  ESCROW_ARG,
  NODE_ARG,
  placeOf,
  WALLET_ARG,
  walletOf,
} from '../job/place.ts';
import { hyper, millionths } from '../job/show.ts';
import { say } from '../report.ts';

const AMOUNT_ARG = {
  amount: { type: 'positional', description: 'HYPER, such as 100', required: false },
} as const;

const STATUS = { ...NODE_ARG, ...ESCROW_ARG, ...CHAIN_ARGS } as const;
export const status = defineCommand({
  meta: {
    name: 'status',
    description: 'Stake, tier, jobs and earnings of a provider, as the chain has them.',
  },
  args: STATUS,
  run: ({ args }) =>
    asProvider(STATUS, args, async (node) => {
      const place = earningsPlaceOf(args);
      const state = await providerState(place, node);
      say(args.json === true, statusText(place, node, state), plain({ node, ...state }));
    }),
});

function statusText(
  place: EarningsPlace,
  node: string,
  { record, tier, slots, reservation, credits, nowS }: ProviderState,
): string {
  const { operator, executor, payTo, stake, reserved, active, unbonding, unbondAt, on } = record;
  const lines: (readonly [string, string])[] = [
    ['node', `${node}, ${on ? 'takes jobs' : 'takes no jobs'}`],
    ['operator', operator],
    ['executor', executor],
    ['pay goes to', payTo],
    ['stake', `${hyper(stake)}, of which jobs have reserved ${hyper(reserved)}`],
    ['tier', `${tier}: jobs at a time ${slots}, each of at most ${hyper(reservation)}`],
    ['active jobs', String(active)],
  ];
  if (unbonding > 0n) {
    const when =
      BigInt(nowS) < unbondAt
        ? `to be had from ${dateText(unbondAt)} on`
        : `to be had now: kit provider unstake ${node} --wallet FILE`;
    lines.push(['leaving', `${hyper(unbonding)}, ${when}`]);
  }
  for (const credit of credits)
    if (credit.held === 'escrow' || credit.amount > 0n) lines.push(creditLine(credit, place));
  return lines.map(([name, text]) => `${name.padEnd(12)} ${text}`).join('\n');
}

function creditLine(credit: Credit, place: EarningsPlace): readonly [string, string] {
  const { held, account, token, earned, withdrawn } = credit;
  const sum = (amount: bigint): string => amountText(place, { token, amount });
  const past =
    earned === undefined || withdrawn === undefined
      ? ''
      : ` (earned ${sum(earned)}, withdrawn ${sum(withdrawn)})`;
  return ['to withdraw', `${amountText(place, credit)} of ${account} in the ${held}${past}`];
}

const WITHDRAW = {
  ...NODE_ARG,
  ...WALLET_ARG,
  to: { type: 'string', description: 'where to (default: where the pay of the node goes)' },
  ...ESCROW_ARG,
  ...CHAIN_ARGS,
} as const;
export const withdraw = defineCommand({
  meta: { name: 'withdraw', description: 'Withdraw what a provider earned.' },
  args: WITHDRAW,
  run: ({ args }) =>
    asProvider(WITHDRAW, args, async (node) => {
      const place = earningsPlaceOf(args);
      const wish = { ...byWallet(args, node), to: addressIn(args, 'to') };
      for (const done of await withdrawCredits(place, wish))
        say(
          args.json === true,
          `${amountText(place, done)} went to ${done.to} in ${done.txHash}`,
          plain(done),
        );
    }),
});

const STAKE = { ...NODE_ARG, ...AMOUNT_ARG, ...WALLET_ARG, ...CHAIN_ARGS } as const;
export const stake = defineCommand({
  meta: { name: 'stake', description: 'Add HYPER to the stake of a provider.' },
  args: STAKE,
  run: ({ args }) =>
    asProvider(STAKE, args, async (node) => {
      const amount = amountIn(args.amount);
      if (amount === undefined) throw new JobError('bad-flags', 'how many HYPER?');
      const staked = await stakeMore(placeOf(args), { ...byWallet(args, node), amount });
      const value = { node, stake: String(staked) };
      say(args.json === true, `${node} has ${hyper(staked)} at stake`, value);
    }),
});

export const unstake = defineCommand({
  meta: {
    name: 'unstake',
    description: 'Ask for so much of the stake back, or, without an amount, take what is due.',
  },
  args: STAKE,
  run: ({ args }) =>
    asProvider(STAKE, args, async (node) => {
      const amount = amountIn(args.amount);
      const place = placeOf(args);
      const json = args.json === true;
      if (amount === undefined) {
        const taken = await withdrawStake(place, byWallet(args, node));
        say(json, `${hyper(taken)} are yours again`, { node, taken: String(taken) });
        return;
      }
      const wish = { ...byWallet(args, node), amount };
      const { unbonding, unbondAt } = await requestUnstake(place, wish);
      say(json, `${hyper(unbonding)} can be had from ${dateText(unbondAt)} on`, {
        node,
        unbonding: String(unbonding),
        unbondAt: Number(unbondAt),
      });
    }),
});

function amountIn(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const amount = millionths(text);
  if (amount === undefined || amount === 0n)
    throw new JobError('bad-flags', `${text} is no amount of HYPER, such as 100`);
  return amount;
}

function byWallet(args: Parameters<typeof walletOf>[0], node: string): ByWallet {
  const tell = (text: string): void =>
    void process.stderr.write(`${text}
`);
  return { node, walletFile: walletOf(args), tell };
}

/** Amounts as texts, which JSON keeps exactly. */
function plain(value: object): unknown {
  const text = JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'bigint' ? String(one) : one,
  );
  return JSON.parse(text) as unknown;
}
