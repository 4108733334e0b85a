import { expect, test } from 'vitest';
import { RunQueue, type Runnable } from './run-queue.ts';

/** Does its steps, one a slice; `left` is told after each, unless it forgets. */
class Steps implements Runnable {
  readonly #queue: RunQueue;
  readonly #log: string[];
  readonly #name: string;
  readonly #forgets: boolean;
  slices = 0;

  constructor(queue: RunQueue, log: string[], name: string, forgets = false) {
    this.#queue = queue;
    this.#log = log;
    this.#name = name;
    this.#forgets = forgets;
  }

  run(): void {
    void Promise.resolve().then(() => {
      this.#log.push(this.#name);
      if (!this.#forgets) this.#queue.left(this);
    });
  }

  ranFor(): void {
    this.slices += 1;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('F5 guests run one after another, and what wakes one never runs it', async () => {
  const queue = new RunQueue();
  const log: string[] = [];
  const [a, b] = [new Steps(queue, log, 'a'), new Steps(queue, log, 'b')];
  queue.ready(a);
  queue.ready(b);
  queue.ready(a);
  expect(log).toEqual([]);
  await turn();
  expect(log).toEqual(['a', 'b', 'a']);
  expect([a.slices, b.slices]).toEqual([2, 1]);
});

test('F5 only the guest that runs can end its slice', async () => {
  const queue = new RunQueue();
  const log: string[] = [];
  const [a, b] = [new Steps(queue, log, 'a'), new Steps(queue, log, 'b')];
  queue.ready(a);
  queue.left(b);
  await turn();
  expect(log).toEqual(['a']);
  expect([a.slices, b.slices]).toEqual([1, 0]);
});

test('F5 a guest that stops without a word holds up the others for one turn at most', async () => {
  const queue = new RunQueue();
  const log: string[] = [];
  const silent = new Steps(queue, log, 'silent', true);
  queue.ready(silent);
  queue.ready(new Steps(queue, log, 'next'));
  await turn();
  await turn();
  expect(log).toEqual(['silent', 'next']);
  expect(silent.slices).toBe(1);
});

test('F5 one preempted guest runs after each round of ready ones', async () => {
  const queue = new RunQueue();
  const log: string[] = [];
  const [hog, a, b] = ['hog', 'a', 'b'].map((name) => new Steps(queue, log, name));
  queue.preempt(hog!);
  queue.preempt(hog!);
  queue.ready(a!);
  queue.ready(b!);
  await turn();
  expect(log).toEqual(['hog', 'a', 'b', 'hog']);
});
