/** The JavaScript side of a trampoline: what every host function has around it, whatever it does. */
import type { CoreValue } from './abi/types.ts';
import { SUSPENDED, type RunningGuest } from './guest.ts';
import { GO_ON, WAIT, type TrampolineSignature } from './trampoline.ts';

/** A symbol: the guest is to wait (guest.ts). */
export type AnyFunction = (
  ...args: CoreValue[]
) => CoreValue | symbol | undefined | Promise<unknown>;

/**
 * The JavaScript behind one trampoline. The function it stands for is made at its first call: its memory may be exported by an
 * instance that does not exist yet. Whatever it throws becomes the guest's end (F2); then it returns
 * `nothing`, which the guest never sees but which must be of the result's type.
 */
export function deferred(
  { params, results, suspending }: TrampolineSignature,
  make: () => AnyFunction,
  guest: RunningGuest,
): AnyFunction {
  const says = suspending && results.length === 0;
  const nothing: CoreValue = results[0] === 'i64' ? 0n : 0;
  let call: AnyFunction = (...args) => {
    call = make();
    return call(...args);
  };
  const now = (result: ReturnType<AnyFunction>): ReturnType<AnyFunction> => {
    if (result !== SUSPENDED) return says ? GO_ON : result;
    if (says) return WAIT;
    // What a waiting function returns now is dropped; it must only be of the right type.
    guest.wait.value = 1;
    return nothing;
  };
  const failed = (fault: unknown): CoreValue => {
    guest.fail(fault);
    return nothing;
  };
  // Fixed arities spare the hot functions an array per call: receive, the awaited request, the response.
  if (params.length === 1)
    return (a) => {
      try {
        guest.mayLeave();
        return now(call(a));
      } catch (fault) {
        return failed(fault);
      }
    };
  if (params.length === 2)
    return (a, b) => {
      try {
        guest.mayLeave();
        return now(call(a, b));
      } catch (fault) {
        return failed(fault);
      }
    };
  if (params.length === 14)
    return (a, b, c, d, e, f, g, h, i, j, k, l, m, n) => {
      try {
        guest.mayLeave();
        return now(call(a, b, c, d, e, f, g, h, i, j, k, l, m, n));
      } catch (fault) {
        return failed(fault);
      }
    };
  return (...args) => {
    try {
      guest.mayLeave();
      return now(call(...args));
    } catch (fault) {
      return failed(fault);
    }
  };
}
