/**
 * The job queue of a guest. A blocking `receive` never returns to the JavaScript engine's own event loop, so its promise jobs would
 * wait for ever: measured with QuickJS, where not one `then` ran before `init` returned. kit therefore lowers async functions to
 * generators and installs the Promise of this folder, whose jobs run when the process loop says so.
 */

type Job = () => void;

let queue: Job[] = [];
let uncaught: (reason: unknown) => void = () => {};

/** Adds a job behind those already waiting. */
export function enqueueJob(job: Job): void {
  queue.push(job);
}

/** Runs jobs, and the jobs they add, until none waits. A job that throws is reported and does not stop the others. */
export function drainJobs(): void {
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

/** Who hears of errors that nobody caught: a throwing job, or a rejected promise without a handler. */
export function onUncaught(listener: (reason: unknown) => void): void {
  uncaught = listener;
}

/** Reports an error that nobody caught. */
export function reportUncaught(reason: unknown): void {
  uncaught(reason);
}
