/** A module whose writes count against the quotas of packages, without the module knowing. */
import type { Answer, RuntimeModule } from '../../kernel/module.ts';
import type { PackageId } from '../../wit/types.ts';
import { type Book, OverQuota } from './accounts.ts';

/** What a request will write, and for whom. */
export interface Charge {
  readonly package: PackageId;
  readonly bytes: number;
}

/**
 * @param chargeOf  undefined: the request takes no room, and is never refused
 * @param refusal  the answer when a package has none left
 */
export function metered<Work>(
  module: RuntimeModule<Work>,
  book: Book,
  chargeOf: (work: Work) => Charge | undefined,
  refusal: (text: string) => Answer,
): RuntimeModule<Work> {
  return {
    name: module.name,
    public: module.public,
    decode: (request) => module.decode(request),
    ...(module.orderKey === undefined ? {} : { orderKey: (work) => module.orderKey?.(work) }),
    // Called in the order of the requests, and nothing is awaited before the module is.
    handle: (work, signal) => {
      const charge = chargeOf(work);
      try {
        if (charge !== undefined) book.charge(charge.package, charge.bytes);
      } catch (error) {
        if (error instanceof OverQuota) return Promise.resolve(refusal(error.message));
        throw error;
      }
      return module.handle(work, signal);
    },
    onResponse: (message) => module.onResponse?.(message),
    onSendError: (error, id, why) => module.onSendError?.(error, id, why),
    onProcessGone: (process, restarts) => module.onProcessGone?.(process, restarts),
    [Symbol.asyncDispose]: () => module[Symbol.asyncDispose](),
  };
}
