import { contract, defineProcess, method, stateOf, t } from 'hyperware';

/** Requests are `{"Echo":"text"}` or `"Count"`; responses have the same form. */
const echo = contract({
  Echo: method(t.text, t.text),
  Count: method(t.unit, t.u32),
});

export default defineProcess({
  contract: echo,
  state: stateOf(t.record({ count: t.u32 }), () => ({ count: 0 })),
  setup: (process) => process.print(`${process} is up`),
  on: {
    Echo: (text, context, process) => {
      process.state = { count: process.state.count + 1 };
      return text;
    },
    Count: (_nothing, context, process) => process.state.count,
  },
});
