var __defProp = Object.defineProperty;
var __export = (target, all) => {
  for (var name in all) __defProp(target, name, { get: all[name], enumerable: true });
};

// ../../processes/lib/engine/full.ts
import { printToTerminal } from 'hyperware:process/standard@1.0.0';

// ../../processes/lib/engine/console.ts
function guestConsole(print) {
  const at =
    (verbosity) =>
    (...values) =>
      print(verbosity, values.map(describe).join(' '));
  return { log: at(0), info: at(0), warn: at(0), error: at(0), debug: at(1), trace: at(2) };
}
function describe(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) {
    const stack = value.stack?.trimEnd() ?? '';
    const headline = `${value.name}: ${value.message}`;
    return stack === ''
      ? headline
      : stack.startsWith(headline)
        ? stack
        : `${headline}
${stack}`;
  }
  if (value === null || typeof value !== 'object') return String(value);
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
  } catch {
    return Object.prototype.toString.call(value);
  }
}

// ../../processes/lib/engine/jobs.ts
var queue = [];
var uncaught = () => {};
function enqueueJob(job) {
  queue.push(job);
}
function drainJobs() {
  while (queue.length > 0) {
    const batch = queue;
    queue = [];
    for (const job of batch) {
      try {
        job();
      } catch (error) {
        uncaught(error);
      }
    }
  }
}
function onUncaught(listener) {
  uncaught = listener;
}
function reportUncaught(reason) {
  uncaught(reason);
}

// ../../processes/lib/engine/init.ts
function initFunction(guest, print) {
  const init3 = findInit(guest);
  return (our) => {
    onUncaught((reason) => print(0, `uncaught: ${describe(reason)}`));
    let failure;
    const result = init3(our);
    if (isThenable(result)) {
      result.then(void 0, (reason) => {
        failure = { reason };
      });
    }
    drainJobs();
    if (failure !== void 0) throw failure.reason;
  };
}
function findInit(guest) {
  if (typeof guest.init === 'function') return guest.init;
  const main = guest.default;
  if (typeof main === 'object' && main !== null && 'init' in main) {
    const { init: init3 } = main;
    if (typeof init3 === 'function') return init3.bind(main);
  }
  throw new TypeError('the module exports neither init nor a default process or script');
}
function isThenable(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}

// ../../processes/lib/engine/promise.ts
var GuestPromise = class _GuestPromise {
  #state = 'pending';
  #value = void 0;
  #reactions = [];
  #handled = false;
  constructor(executor) {
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }
  get [Symbol.toStringTag]() {
    return 'Promise';
  }
  // oxlint-disable-next-line unicorn/no-thenable -- this is the promise.
  then(onFulfilled, onRejected) {
    this.#handled = true;
    return new _GuestPromise((resolve, reject) => {
      this.#react({
        fulfilled: (value) => settleWith(onFulfilled, value, resolve, reject, resolve),
        rejected: (reason) => settleWith(onRejected, reason, resolve, reject, reject),
      });
    });
  }
  catch(onRejected) {
    return this.then(void 0, onRejected);
  }
  finally(onFinally) {
    if (typeof onFinally !== 'function') return this.then(onFinally, void 0);
    return this.then(
      (value) => _GuestPromise.resolve(onFinally()).then(() => value),
      (reason) =>
        _GuestPromise.resolve(onFinally()).then(() => {
          throw reason;
        }),
    );
  }
  static resolve(value) {
    return value instanceof _GuestPromise ? value : new _GuestPromise((resolve) => resolve(value));
  }
  static reject(reason) {
    return new _GuestPromise((_, reject) => reject(reason));
  }
  static withResolvers() {
    let resolve = () => {};
    let reject = () => {};
    const promise = new _GuestPromise((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    return { promise, resolve, reject };
  }
  static try(body, ...args) {
    return new _GuestPromise((resolve) => resolve(body(...args)));
  }
  static all(values) {
    return collect(values, (promise, settle, _, reject) => promise.then(settle, reject));
  }
  static allSettled(values) {
    return collect(values, (promise, settle) =>
      promise.then(
        (value) => settle({ status: 'fulfilled', value }),
        (reason) => settle({ status: 'rejected', reason }),
      ),
    );
  }
  static any(values) {
    return new _GuestPromise((resolve, reject) => {
      collect(values, (promise, settle) => promise.then(resolve, settle)).then((errors) =>
        reject(new AggregateError(errors, 'every promise was rejected')),
      );
    });
  }
  static race(values) {
    return new _GuestPromise((resolve, reject) => {
      for (const value of values) {
        _GuestPromise.resolve(value).then(resolve, reject);
      }
    });
  }
  #resolvers() {
    let done = false;
    const once = (settle) => {
      if (done) return;
      done = true;
      settle();
    };
    return {
      resolve: (value) => once(() => this.#adopt(value)),
      reject: (reason) => once(() => this.#settle('rejected', reason)),
    };
  }
  #adopt(value) {
    if (value === this) {
      this.#settle('rejected', new TypeError('a promise cannot resolve to itself'));
      return;
    }
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
      this.#settle('fulfilled', value);
      return;
    }
    let then;
    try {
      then = value.then;
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
  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    const reactions = this.#reactions;
    this.#reactions = [];
    for (const reaction of reactions) this.#schedule(reaction);
    if (state === 'rejected' && !this.#handled) {
      enqueueJob(() =>
        enqueueJob(() => {
          if (!this.#handled) reportUncaught(value);
        }),
      );
    }
  }
  #react(reaction) {
    if (this.#state === 'pending') this.#reactions.push(reaction);
    else this.#schedule(reaction);
  }
  #schedule(reaction) {
    const value = this.#value;
    enqueueJob(
      this.#state === 'fulfilled'
        ? () => reaction.fulfilled(value)
        : () => reaction.rejected(value),
    );
  }
};
function settleWith(handler, input, resolve, reject, passThrough) {
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
function collect(values, each) {
  return new GuestPromise((resolve, reject) => {
    const results = [];
    let missing = 1;
    const arrived = () => {
      missing -= 1;
      if (missing === 0) resolve(results);
    };
    let index = 0;
    for (const value of values) {
      const at = index++;
      missing += 1;
      const settle = (result) => {
        results[at] = result;
        arrived();
      };
      each(GuestPromise.resolve(value), settle, at, reject);
    }
    arrived();
  });
}

// ../../processes/lib/engine/full.ts
Object.assign(globalThis, {
  Promise: GuestPromise,
  queueMicrotask: enqueueJob,
  console: guestConsole(printToTerminal),
});
function boot(guest) {
  return initFunction(guest, printToTerminal);
}

// echo.ts
var echo_exports = {};
__export(echo_exports, {
  init: () => init,
});
import { receive, sendResponse } from 'hyperware:process/standard@1.0.0';
function init(_our) {
  for (;;) {
    let message;
    try {
      message = receive()[1];
    } catch {
      continue;
    }
    if (message.tag === 'request' && message.val.expectsResponse != null) {
      sendResponse(
        { inherit: true, body: message.val.body, metadata: null, capabilities: [] },
        null,
      );
    }
  }
}

// entry.ts
var init2 = boot(echo_exports);
export { init2 as init };
