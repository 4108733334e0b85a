/**
 * Promise for guests: the same behaviour as ECMA-262's, its jobs in our own queue (see jobs.ts). Built-in methods are those of
 * ES2025. Not covered: subclassing through Symbol.species.
 */
import { enqueueJob, reportUncaught } from './jobs.ts';

type Resolve<T> = (value: T | PromiseLike<T>) => void;
type Reject = (reason?: unknown) => void;

interface Reaction {
  readonly fulfilled: (value: unknown) => void;
  readonly rejected: Reject;
}

export class GuestPromise<T> {
  #state: 'pending' | 'fulfilled' | 'rejected' = 'pending';
  #value: unknown = undefined;
  #reactions: Reaction[] = [];
  #handled = false;

  constructor(executor: (resolve: Resolve<T>, reject: Reject) => void) {
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
    this.#handled = true;
    return new GuestPromise<A | B>((resolve, reject) => {
      this.#react({
        fulfilled: (value) =>
          settleWith(onFulfilled, value as T, resolve, reject, resolve as Resolve<unknown>),
        rejected: (reason) => settleWith(onRejected, reason, resolve, reject, reject),
      });
    });
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
    return value instanceof GuestPromise ? value : new GuestPromise((resolve) => resolve(value));
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
    this.#reactions = [];
    for (const reaction of reactions) this.#schedule(reaction);
    if (state === 'rejected' && !this.#handled) {
      // Behind every job queued by now, because a handler is often attached in the same turn.
      enqueueJob(() =>
        enqueueJob(() => {
          if (!this.#handled) reportUncaught(value);
        }),
      );
    }
  }

  #react(reaction: Reaction): void {
    if (this.#state === 'pending') this.#reactions.push(reaction);
    else this.#schedule(reaction);
  }

  #schedule(reaction: Reaction): void {
    const value = this.#value;
    enqueueJob(
      this.#state === 'fulfilled'
        ? () => reaction.fulfilled(value)
        : () => reaction.rejected(value),
    );
  }
}

function settleWith<I, O>(
  handler: ((input: I) => O | PromiseLike<O>) | null | undefined,
  input: I,
  resolve: Resolve<O>,
  reject: Reject,
  passThrough: (input: unknown) => void,
): void {
  if (typeof handler !== 'function') {
    passThrough(input);
    return;
  }
  try {
    resolve(handler(input));
  } catch (error) {
    reject(error);
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
