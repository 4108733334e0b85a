import fc from 'fast-check';
import { expect, test } from 'vitest';
import { address } from '../wit/address.ts';
import { Contexts } from './contexts.ts';
import { Outstanding } from './registers.ts';
import { requestOf } from './testing.ts';

const A = address('fake.os@a:pkg:sys');

function outstanding(id: number): Outstanding {
  const message = {
    id,
    source: A,
    target: A,
    rsvp: A,
    message: { kind: 'request' as const, request: requestOf({}) },
    blob: undefined,
  };
  const asked = { target: A, context: undefined, bytes: 0 };
  return new Outstanding(message, asked, undefined, { expired: () => undefined });
}

test('K9 outstanding requests are kept like in a map: the last one under each id, each until it is taken out', () => {
  const id = fc.nat(4);
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), id }),
    fc.record({ do: fc.constant('delete' as const), id }),
    fc.record({ do: fc.constant('clear' as const), id }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const contexts = new Contexts();
      const map = new Map<number, Outstanding>();
      for (const one of steps) {
        if (one.do === 'add') {
          const entry = outstanding(one.id);
          contexts.add(entry);
          map.set(one.id, entry);
        } else if (one.do === 'delete') {
          contexts.delete(one.id);
          map.delete(one.id);
        } else {
          contexts.clear();
          map.clear();
        }
        for (let each = 0; each <= 4; each++) {
          expect(contexts.get(each)).toBe(map.get(each));
          expect(contexts.has(each)).toBe(map.has(each));
        }
        expect(new Set(contexts.values())).toEqual(new Set(map.values()));
        expect(contexts.values().length).toBe(map.size);
      }
    }),
  );
});
