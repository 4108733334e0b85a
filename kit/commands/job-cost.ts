/** `kit job cost`: what a job would cost, or what anything costs here. */
import { defineCommand } from 'citty';
import { asCommand } from '../job/command.ts';
import { LOGIN_ARGS } from '../job/login.ts';
import { quoteOf, quoteText } from '../job/quote.ts';
import { hyper } from '../job/show.ts';
import { SPEC_ARGS, wantedJob } from '../job/spec.ts';

const ARGS = {
  what: {
    type: 'positional',
    description: 'a spec file or a folder with one, or input files beside --fn, --wasm or --image',
    required: false,
  },
  ...SPEC_ARGS,
  ...LOGIN_ARGS,
} as const;

interface Pricing {
  readonly perHour: Readonly<Record<string, { readonly rate: string; readonly demandBps: number }>>;
}

export const cost = defineCommand({
  meta: { name: 'cost', description: 'What a job would cost; without one, prices of an hour.' },
  args: ARGS,
  run: ({ args, rawArgs }) =>
    asCommand(ARGS, { args, rawArgs }, async ({ api, wallet, words, command, say }) => {
      const named = args.fn ?? args.wasm ?? args.image;
      if (words.length > 0 || named !== undefined) {
        const { spec } = await wantedJob(args, words, command);
        const quote = await quoteOf(api, spec);
        say(quoteText(quote, wallet === undefined), quote);
        if (quote.node === null) process.exitCode = 1;
        return;
      }
      const pricing = await api.json<Pricing>('/api/pricing');
      const lines = Object.entries(pricing.perHour).map(
        ([name, { rate, demandBps }]) =>
          `${name.padEnd(12)} ${hyper(rate).padStart(12)} an hour${name === 'cpu' ? ' and core' : ''}, now x ${(demandBps / 10_000).toFixed(2)}`,
      );
      say(lines.join('\n'), pricing);
    }),
});
