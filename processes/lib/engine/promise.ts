/**
 * Promise for guests: the same behaviour as ECMA-262's, its jobs in our own queue (see jobs.ts). Built-in methods are those of
 * ES2025. Not covered: subclassing through Symbol.species.
 */
import { enqueueJob, enqueueStep, reportUncaught } from './jobs.ts';

type Resolve<T> = (value: T | PromiseLike<T>) => void;
type Reject = (reason?: unknown) => void;
type Executor = (resolve: Resolve<unknown>, reject: Reject) => unknown;
type Fulfilled = ((value: unknown) => unknown) | null | undefined;
type Rejected = ((reason: unknown) => unknown) | null | undefined;

/**
 * What is to happen when a promise is settled: a handler runs, or the outcome is passed through, to the first item; or a generator, which
 * stands for an async function, goes on, whose promise the first item is. Lists, because they cost a third of what objects do.
 */
type Reaction =
  | readonly [derived: GuestPromise<unknown>, fulfilled: Fulfilled, rejected: Rejected]
  | readonly [result: GuestPromise<unknown>, generator: Generator];

/** In place of an executor: the promise is settled from inside. A closure costs more than all else here, so there are few. */
const INSIDE = (): void => {};

/** States; `HANDLED` is added to them. In one field and without private methods: each costs a fifth of a promise. */
const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;
const HANDLED = 4;

// Assigned where the fields can be seen, in the class's static block.
let react: (promise: GuestPromise<unknown>, reaction: Reaction) => void;
let settle: (
  promise: GuestPromise<unknown>,
  state: typeof FULFILLED | typeof REJECTED,
  outcome: unknown,
) => void;
/** Whether a rejection of it is somebody's business by now. */
let isHandled: (promise: GuestPromise<unknown>) => boolean;

export class GuestPromise<T> {
  #state = PENDING;
  /** The value or the reason; of a pending one whatever reacts, undefined for nothing. */
  #outcome: unknown = undefined;

  constructor(executor: (resolve: Resolve<T>, reject: Reject) => void) {
    if (executor === INSIDE) return;
    callWithResolvers(this, executor);
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
    // Proof of the type: `fulfilled` is called with the value alone.
    react(this, [derived, onFulfilled as Fulfilled, onRejected]);
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
    adopt(promise, value);
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
      resume(result, Reflect.apply(body, self, args ?? NO_ARGUMENTS), FULFILLED, undefined);
    } catch (error) {
      settle(result, REJECTED, error);
    }
    return result;
  }

  static {
    react = (promise, reaction) => {
      const state = promise.#state;
      promise.#state = state | HANDLED;
      if ((state & ~HANDLED) !== PENDING) enqueueStep(run, promise, reaction);
      else if (promise.#outcome === undefined) promise.#outcome = [reaction];
      else (promise.#outcome as Reaction[]).push(reaction);
    };
    settle = (promise, state, outcome) => {
      const reactions = promise.#outcome as Reaction[] | undefined;
      const handled = promise.#state & HANDLED;
      promise.#state = state | handled;
      promise.#outcome = outcome;
      if (reactions !== undefined) {
        for (let at = 0; at < reactions.length; at++) enqueueStep(run, promise, reactions[at]!);
      }
      // Behind every job queued by now, because a handler is often attached in the same turn.
      if (state === REJECTED && handled === 0) {
        enqueueJob(() => enqueueStep(reportIfLost, promise, outcome));
      }
    };
    isHandled = (promise) => (promise.#state & HANDLED) !== 0;
    const run = (promise: GuestPromise<unknown>, reaction: Reaction): void => {
      const fulfilled = (promise.#state & FULFILLED) !== 0;
      if (reaction.length === 2) {
        resume(reaction[0], reaction[1], fulfilled ? FULFILLED : REJECTED, promise.#outcome);
        return;
      }
      const derived = reaction[0];
      const handler = fulfilled ? reaction[1] : reaction[2];
      if (typeof handler !== 'function') {
        if (fulfilled) adopt(derived, promise.#outcome);
        else settle(derived, REJECTED, promise.#outcome);
        return;
      }
      let result: unknown;
      try {
        result = handler(promise.#outcome);
      } catch (error) {
        settle(derived, REJECTED, error);
        return;
      }
      adopt(derived, result);
    };
  }

  static reject<V = never>(reason?: unknown): GuestPromise<V> {
    const promise = new GuestPromise<unknown>(INSIDE);
    settle(promise, REJECTED, reason);
    return promise as GuestPromise<V>;
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
}

const NO_ARGUMENTS: readonly unknown[] = [];

/** Runs an async function up to its next `await`, or to its end. */
function resume(
  result: GuestPromise<unknown>,
  generator: Generator,
  state: number,
  outcome: unknown,
): void {
  let step: IteratorResult<unknown, unknown>;
  try {
    step = state === FULFILLED ? generator.next(outcome) : generator.throw(outcome);
  } catch (error) {
    settle(result, REJECTED, error);
    return;
  }
  const { value } = step;
  if (step.done === true) adopt(result, value);
  else if (typeof value !== 'object' || value === null) {
    // A promise of it would be settled at once, so what comes of it is done without one.
    if (typeof value === 'function') react(GuestPromise.resolve(value), [result, generator]);
    else enqueueStep(goOn, [result, generator], value);
  } else react(GuestPromise.resolve(value), [result, generator]);
}

function goOn(
  [result, generator]: readonly [GuestPromise<unknown>, Generator],
  value: unknown,
): void {
  resume(result, generator, FULFILLED, value);
}

function reportIfLost(promise: GuestPromise<unknown>, reason: unknown): void {
  if (!isHandled(promise)) reportUncaught(reason);
}

/** `promise` gets the fate of `value`, if that is a promise or like one, or else the value. */
function adopt(promise: GuestPromise<unknown>, value: unknown): void {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
    settle(promise, FULFILLED, value);
    return;
  }
  if (value === promise) {
    settle(promise, REJECTED, new TypeError('a promise cannot resolve to itself'));
    return;
  }
  let then: unknown;
  try {
    then = (value as { then?: unknown }).then;
  } catch (error) {
    settle(promise, REJECTED, error);
    return;
  }
  if (typeof then !== 'function') settle(promise, FULFILLED, value);
  else if (value instanceof GuestPromise && then === GuestPromise.prototype.then) {
    enqueueStep(react, value as GuestPromise<unknown>, [promise, undefined, undefined]);
  } else {
    enqueueJob(() => callWithResolvers(promise, (...args) => Reflect.apply(then, value, args)));
  }
}

/** Calls what settles `promise`, once, through the two functions that it gets. */
function callWithResolvers(promise: GuestPromise<unknown>, executor: Executor): void {
  let done = false;
  const reject = (reason: unknown): void => {
    if (done) return;
    done = true;
    settle(promise, REJECTED, reason);
  };
  try {
    executor((value) => {
      if (done) return;
      done = true;
      adopt(promise, value);
    }, reject);
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
