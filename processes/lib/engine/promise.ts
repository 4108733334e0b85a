/**
 * Promise for guests: the same behaviour as ECMA-262's, its jobs in our own queue (see jobs.ts). Built-in methods are those of
 * ES2025. Not covered: subclassing through Symbol.species.
 */
import { enqueueJob, reportUncaught } from './jobs.ts';

type Resolve<T> = (value: T | PromiseLike<T>) => void;
type Reject = (reason?: unknown) => void;

/** What is to happen when a promise is settled: its handler runs, or the outcome is passed through, to `derived`. */
interface Reaction {
  readonly derived: GuestPromise<unknown>;
  readonly fulfilled: ((value: unknown) => unknown) | null | undefined;
  readonly rejected: ((reason: unknown) => unknown) | null | undefined;
}

/** A generator that stands for an async function, and the promise it returned (see `GuestPromise.async`). */
interface Suspended {
  readonly generator: Generator;
  readonly result: GuestPromise<unknown>;
}

/** In place of an executor: the promise is settled from inside. A closure costs more than all else here, so there are few. */
const INSIDE = (): void => {};

/** Runs an async function up to its next `await`, or to its end. */
let resume: (suspended: Suspended, how: 'next' | 'throw', value: unknown) => void;

export class GuestPromise<T> {
  #state: 'pending' | 'fulfilled' | 'rejected' = 'pending';
  #value: unknown = undefined;
  #reactions: (Reaction | Suspended)[] | undefined = undefined;
  #handled = false;

  constructor(executor: (resolve: Resolve<T>, reject: Reject) => void) {
    if (executor === INSIDE) return;
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  get [Symbol.toStringTag](): string {
    return 'Promise';
  }

  // oxlint-disable-next-line unicorn/no-thenable -- this is the promise.
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): GuestPromise<A | B> {
    const derived = new GuestPromise<unknown>(INSIDE);
    this.#handled = true;
    // Proof of the type: `fulfilled` is called with the value alone.
    const fulfilled = onFulfilled as Reaction['fulfilled'];
    this.#react({ derived, fulfilled, rejected: onRejected });
    return derived as GuestPromise<A | B>;
  }

  catch<B = never>(
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): GuestPromise<T | B> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => unknown) | null): GuestPromise<T> {
    if (typeof onFinally !== 'function') return this.then(undefined);
    return this.then(
      (value) => GuestPromise.resolve(onFinally()).then(() => value),
      (reason) =>
        GuestPromise.resolve(onFinally()).then((): T => {
          throw reason;
        }),
    );
  }

  static resolve(): GuestPromise<void>;
  static resolve<V>(value: V): GuestPromise<Awaited<V>>;
  static resolve(value?: unknown): unknown {
    if (value instanceof GuestPromise) return value;
    const promise = new GuestPromise<unknown>(INSIDE);
    promise.#adopt(value);
    return promise;
  }

  /**
   * Runs a lowered async function: kit puts this in the place of the bundler's helper, which makes six closures and three promises for
   * a function and its first `await`. As `await` does, it continues behind the jobs that wait.
   */
  static async(
    self: unknown,
    args: ArrayLike<unknown>,
    body: (...args: unknown[]) => Generator,
  ): GuestPromise<unknown> {
    const result = new GuestPromise<unknown>(INSIDE);
    try {
      const generator = Reflect.apply(body, self, args ?? []);
      resume({ generator, result }, 'next', undefined);
    } catch (error) {
      result.#settle('rejected', error);
    }
    return result;
  }

  static {
    resume = ({ generator, result }, how, value) => {
      let step: IteratorResult<unknown, unknown>;
      try {
        step = generator[how](value);
      } catch (error) {
        result.#settle('rejected', error);
        return;
      }
      if (step.done === true) {
        result.#adopt(step.value);
        return;
      }
      const awaited: GuestPromise<unknown> = GuestPromise.resolve(step.value);
      awaited.#handled = true;
      awaited.#react({ generator, result });
    };
  }

  static reject<V = never>(reason?: unknown): GuestPromise<V> {
    return new GuestPromise<V>((_, reject) => reject(reason));
  }

  static withResolvers<V>(): { promise: GuestPromise<V>; resolve: Resolve<V>; reject: Reject } {
    let resolve: Resolve<V> = () => {};
    let reject: Reject = () => {};
    const promise = new GuestPromise<V>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    return { promise, resolve, reject };
  }

  static try<V>(body: (...args: unknown[]) => V, ...args: unknown[]): GuestPromise<Awaited<V>> {
    return new GuestPromise((resolve) => resolve(body(...args) as Awaited<V>));
  }

  static all<V>(values: Iterable<V | PromiseLike<V>>): GuestPromise<V[]> {
    return collect<V, V>(values, (promise, settle, _, reject) => promise.then(settle, reject));
  }

  static allSettled<V>(
    values: Iterable<V | PromiseLike<V>>,
  ): GuestPromise<PromiseSettledResult<V>[]> {
    return collect<V, PromiseSettledResult<V>>(values, (promise, settle) =>
      promise.then(
        (value) => settle({ status: 'fulfilled', value }),
        (reason) => settle({ status: 'rejected', reason }),
      ),
    );
  }

  static any<V>(values: Iterable<V | PromiseLike<V>>): GuestPromise<V> {
    return new GuestPromise<V>((resolve, reject) => {
      collect<V, unknown>(values, (promise, settle) => promise.then(resolve, settle)).then(
        (errors) => reject(new AggregateError(errors, 'every promise was rejected')),
      );
    });
  }

  static race<V>(values: Iterable<V | PromiseLike<V>>): GuestPromise<V> {
    return new GuestPromise<V>((resolve, reject) => {
      for (const value of values) {
        (GuestPromise.resolve(value) as GuestPromise<V>).then(resolve, reject);
      }
    });
  }

  #resolvers(): { resolve: Resolve<T>; reject: Reject } {
    let done = false;
    const once = (settle: () => void): void => {
      if (done) return;
      done = true;
      settle();
    };
    return {
      resolve: (value) => once(() => this.#adopt(value)),
      reject: (reason) => once(() => this.#settle('rejected', reason)),
    };
  }

  #adopt(value: unknown): void {
    if (value === this) {
      this.#settle('rejected', new TypeError('a promise cannot resolve to itself'));
      return;
    }
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
      this.#settle('fulfilled', value);
      return;
    }
    let then: unknown;
    try {
      then = (value as { then?: unknown }).then;
    } catch (error) {
      this.#settle('rejected', error);
      return;
    }
    if (typeof then !== 'function') {
      this.#settle('fulfilled', value);
      return;
    }
    if (value instanceof GuestPromise && then === GuestPromise.prototype.then) {
      enqueueJob(() => {
        value.#handled = true;
        value.#react({
          derived: this as GuestPromise<unknown>,
          fulfilled: undefined,
          rejected: undefined,
        });
      });
      return;
    }
    enqueueJob(() => {
      const { resolve, reject } = this.#resolvers();
      try {
        Reflect.apply(then, value, [resolve, reject]);
      } catch (error) {
        reject(error);
      }
    });
  }

  #settle(state: 'fulfilled' | 'rejected', value: unknown): void {
    this.#state = state;
    this.#value = value;
    const reactions = this.#reactions;
    if (reactions !== undefined) {
      this.#reactions = undefined;
      for (const reaction of reactions) this.#schedule(reaction);
    }
    if (state === 'rejected' && !this.#handled) {
      // Behind every job queued by now, because a handler is often attached in the same turn.
      enqueueJob(() =>
        enqueueJob(() => {
          if (!this.#handled) reportUncaught(value);
        }),
      );
    }
  }

  #react(reaction: Reaction | Suspended): void {
    if (this.#state !== 'pending') this.#schedule(reaction);
    else if (this.#reactions === undefined) this.#reactions = [reaction];
    else this.#reactions.push(reaction);
  }

  #schedule(reaction: Reaction | Suspended): void {
    enqueueJob(() => {
      if ('generator' in reaction) {
        resume(reaction, this.#state === 'fulfilled' ? 'next' : 'throw', this.#value);
      } else this.#run(reaction);
    });
  }

  #run({ derived, fulfilled, rejected }: Reaction): void {
    const kept = this.#state === 'fulfilled';
    const handler = kept ? fulfilled : rejected;
    if (typeof handler !== 'function') {
      if (kept) derived.#adopt(this.#value);
      else derived.#settle('rejected', this.#value);
      return;
    }
    let result: unknown;
    try {
      result = handler(this.#value);
    } catch (error) {
      derived.#settle('rejected', error);
      return;
    }
    derived.#adopt(result);
  }
}

function collect<V, O>(
  values: Iterable<V | PromiseLike<V>>,
  each: (
    promise: GuestPromise<V>,
    settle: (value: O) => void,
    index: number,
    reject: Reject,
  ) => void,
): GuestPromise<O[]> {
  return new GuestPromise<O[]>((resolve, reject) => {
    const results: O[] = [];
    let missing = 1;
    const arrived = (): void => {
      missing -= 1;
      if (missing === 0) resolve(results);
    };
    let index = 0;
    for (const value of values) {
      const at = index++;
      missing += 1;
      const settle = (result: O): void => {
        results[at] = result;
        arrived();
      };
      each(GuestPromise.resolve(value) as GuestPromise<V>, settle, at, reject);
    }
    arrived();
  });
}
