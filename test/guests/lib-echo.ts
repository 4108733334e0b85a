// A process made with the library, for tests that need to see it in a real component: asynchronous handlers, timers, state, errors.
import { contract, defineProcess, method, Refusal, sleep, stateOf, t } from 'hyperware';

const probes = contract({
  Echo: method(t.text, t.text),
  /** Sleeps that many milliseconds through the timer, then answers with the order of its start and end. */
  Slow: method(t.u32, t.text),
  Count: method(t.unit, t.u32),
  Random: method(t.unit, t.list(t.f64)),
  Now: method(t.unit, t.f64),
  Text: method(t.text, t.text),
  Refuse: method(t.unit, t.unit),
  Throw: method(t.unit, t.unit),
  Big: method(t.u64, t.u64),
});

let turn = 0;

export default defineProcess({
  contract: probes,
  state: stateOf(t.record({ count: t.u32 }), () => ({ count: 0 })),
  on: {
    Echo: (text) => text,
    Slow: async (ms, _context, process) => {
      const begin = ++turn;
      await sleep(process, ms);
      return `${begin} ${++turn}`;
    },
    Count: (_args, _context, process) => {
      process.state = { count: process.state.count + 1 };
      return process.state.count;
    },
    Random: () => [
      Math.random(),
      Math.random(),
      crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    ],
    Now: () => Date.now(),
    Text: (text) => new TextDecoder().decode(new TextEncoder().encode(text)),
    Refuse: () => {
      throw new Refusal('Never', 'not today');
    },
    Throw: async () => {
      await null;
      throw new TypeError('deliberate');
    },
    Big: (n) => n,
  },
});
