// Asked in each of the ways that lib-delivery.ts counts: by a contract, with an `await`, and with a request of its own.
import { contract, defineProcess, method, stateOf, t } from 'hyperware';

const counting = contract({ Add: method(t.record({ n: t.u32 }), t.record({ total: t.u32 })) });

export default defineProcess({
  contract: counting,
  state: stateOf(t.record({ total: t.u32 }), () => ({ total: 0 })),
  on: {
    Add: ({ n }, _context, process) => {
      const total = process.state.total + n;
      process.state = { total };
      return { total };
    },
  },
});
