/**
 * The job queue of a guest. A blocking `receive` never returns to the JavaScript engine's own event loop, so its promise jobs would
 * wait for ever: measured with QuickJS, where not one `then` ran before `init` returned. kit therefore lowers async functions to
 * generators and installs the Promise of this folder, whose jobs run when the process loop says so.
 */

/** What a job runs, and what it is called with: a closure for every job would cost more than most jobs do. */
type Step = (a: never, b: never) => void;

/** Of each job three items: the step and its arguments. */
let queue: unknown[] = [];
let uncaught: (reason: unknown) => void = () => {};

/** Adds a job behind those already waiting. */
export function enqueueJob(job: () => void): void {
  queue.push(job, undefined, undefined);
}

/** As `enqueueJob`, for a function that is called with `a` and `b`. */
export function enqueueStep<A, B>(step: (a: A, b: B) => void, a: A, b: B): void {
  queue.push(step, a, b);
}

/** Runs jobs, and the jobs they add, until none waits. A job that throws is reported and does not stop the others. */
export function drainJobs(): void {
  while (queue.length > 0) {
    const batch = queue;
    queue = [];
    for (let at = 0; at < batch.length; at += 3) {
      // Proof of the type: what `enqueueJob` and `enqueueStep` put there.
      const step = batch[at] as Step;
      try {
        step(batch[at + 1] as never, batch[at + 2] as never);
      } catch (error) {
        uncaught(error);
      }
    }
  }
}

/** Who hears of errors that nobody caught: a throwing job, or a rejected promise without a handler. */
export function onUncaught(listener: (reason: unknown) => void): void {
  uncaught = listener;
}

/** Reports an error that nobody caught. */
export function reportUncaught(reason: unknown): void {
  uncaught(reason);
}
