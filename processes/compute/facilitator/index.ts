/**
 * `facilitator:compute:sys`: the market's money on the chain (compute-market.md §2). It makes and checks terms, takes payments, sends what is
 * to be done to the escrow in batches, and tells the market what the chain says. It holds no keys: `signer:distro:sys` signs.
 */
import { Refusal } from '../../lib/errors.ts';
import { defineProcess, type Handlers, type Process } from '../../lib/process.ts';
import { facilitatorContract } from '../shared/facilitator-contract.ts';
import { Desk } from './desk.ts';
import { takeOther } from '../shared/other-messages.ts';
import { readSettings } from '../shared/settings.ts';

type Methods = (typeof facilitatorContract)['methods'];

/** The desk of this process, once it is being opened. */
const desks = new WeakMap<Process<unknown>, Promise<Desk>>();

/** Opened as soon as there is a chain and a key. @throws Refusal `NotConfigured` */
function opened(process: Process<unknown>): Promise<Desk> {
  const known = desks.get(process);
  if (known !== undefined) return known;
  const opening = open(process);
  desks.set(process, opening);
  // Asked again when it is set perhaps.
  opening.catch(() => desks.delete(process));
  return opening;
}

async function open(process: Process<unknown>): Promise<Desk> {
  const settings = await readSettings(process);
  if (!settings.ok) throw new Refusal('NotConfigured', settings.error);
  return Desk.open(process, settings.value);
}

// Proof of the type: one function for every method, which hands it on to the desk's of the same name.
const on = Object.fromEntries(
  Object.keys(facilitatorContract.methods).map((name) => [
    name,
    async (args: unknown, context: unknown, process: Process<unknown>): Promise<unknown> => {
      const { handlers } = await opened(process);
      const handler = handlers[name as keyof Methods] as (...given: unknown[]) => unknown;
      return handler(args, context, process);
    },
  ]),
) as unknown as Handlers<Methods, unknown>;

export default defineProcess<Methods, unknown>({
  contract: facilitatorContract,
  on,
  setup: async (process) => {
    await opened(process).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      process.print(`facilitator: no paid jobs: ${error.message}`, 1);
    });
  },
  onMessage: (context) => takeOther(context, facilitatorContract),
});
