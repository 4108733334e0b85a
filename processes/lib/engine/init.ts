/** The one export of a component, around whatever a guest module offers. */
import { describe } from './console.ts';
import { drainJobs, onUncaught } from './jobs.ts';

type Init = (our: string) => unknown;

/** A guest exports `init`, or a default with an `init` method (what `defineProcess` and `defineScript` return). */
export interface GuestModule {
  readonly init?: unknown;
  readonly default?: unknown;
}

/**
 * Runs the guest's `init`, then its promise jobs; the process ends when both are done. An error it lets escape traps the process,
 * with its stack in the report.
 */
export function initFunction(
  guest: GuestModule,
  print: (verbosity: number, text: string) => void,
): Init & ((our: string) => void) {
  const init = findInit(guest);
  return (our) => {
    onUncaught((reason) => print(0, `uncaught: ${describe(reason)}`));
    let failure: { readonly reason: unknown } | undefined;
    const result = init(our);
    if (isThenable(result)) {
      result.then(undefined, (reason: unknown) => {
        failure = { reason };
      });
    }
    drainJobs();
    if (failure !== undefined) throw failure.reason;
  };
}

function findInit(guest: GuestModule): Init {
  if (typeof guest.init === 'function') return guest.init as Init;
  const main = guest.default;
  if (typeof main === 'object' && main !== null && 'init' in main) {
    const { init } = main;
    if (typeof init === 'function') return init.bind(main) as Init;
  }
  throw new TypeError('the module exports neither init nor a default process or script');
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
