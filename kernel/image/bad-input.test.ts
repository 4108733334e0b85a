import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { COMPONENT_BYTES_MAX } from './limits.ts';
import { echoComponent, quickJsComponent, refusal } from './testing.ts';
import { validateComponent } from './validate.ts';

describe('bad input', () => {
  const real = new Map<string, Uint8Array>();
  beforeAll(async () => {
    real.set('echo', await echoComponent());
    real.set('QuickJS', await quickJsComponent(true));
  });
  const fileOf = (name: string): Uint8Array => real.get(name) ?? new Uint8Array();

  /** What a file comes to; anything that is not an `ImageError` is a failure. */
  function outcome(file: Uint8Array): string {
    try {
      validateComponent(file);
      return 'accepted';
    } catch (error) {
      if (error instanceof ImageError) {
        expect(error.message).toMatch(/^[ -~]+$/);
        return error.code;
      }
      throw error;
    }
  }

  test('real components: accepted; an init of another type is said to be that', () => {
    const { standard, imports } = validateComponent(fileOf('echo'));
    expect(standard?.generation).toBe('hyperware:process@1');
    expect(imports).toHaveLength(1);
    expect(() => validateComponent(fileOf('QuickJS'))).toThrow(
      refusal('unsupported-export', /init of another type/),
    );
  });

  test('files over the size limit are refused unread', () => {
    const file = new Uint8Array(COMPONENT_BYTES_MAX + 1);
    file.set(fileOf('echo'));
    expect(() => validateComponent(file)).toThrow(refusal('limit', /67108865 bytes/));
    // One byte less is read: what follows the component is no section.
    expect(outcome(file.subarray(0, COMPONENT_BYTES_MAX))).toBe('malformed');
  });

  test('truncated anywhere', () => {
    const file = fileOf('echo');
    const boundaries = new Set<string>();
    for (let length = 0; length < file.length; length++) {
      boundaries.add(outcome(file.subarray(0, length)));
    }
    // Cut between two sections a file is well formed: before the export of init it lacks that, after it only custom sections.
    expect(boundaries).toEqual(
      new Set(['not-a-component', 'malformed', 'unsupported-export', 'accepted']),
    );
  });

  test('random bytes behind a component head', () => {
    const head = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 11 }),
        (tail, id) => {
          outcome(Uint8Array.from([...head, ...tail]));
          const section = tail.subarray(0, 100);
          outcome(Uint8Array.from([...head, id, section.length, ...section]));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test.for([
    ['echo', 4_000],
    ['QuickJS', 250],
  ] as const)('bits flipped, ranges cut, copied and overwritten in %s', ([name, numRuns]) => {
    const file = fileOf(name);
    const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const change = fc.record({
      kind: fc.constantFrom('flip', 'flip', 'set', 'cut', 'copy'),
      at: place,
      from: place,
      length: fc.integer({ min: 1, max: 40 }),
      byte: fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xff, 0x40, 0x0b),
    });
    const codes = new Set<string>();
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        let mutated = Uint8Array.from(file);
        for (const { kind, at, from, length, byte } of changes) {
          const i = Math.floor(at * mutated.length);
          if (kind === 'flip') mutated[i] = (mutated[i] ?? 0) ^ (1 << (length % 8));
          else if (kind === 'set') mutated[i] = byte;
          else if (kind === 'copy') {
            mutated.copyWithin(
              i,
              Math.floor(from * mutated.length),
              Math.floor(from * mutated.length) + length,
            );
          } else {
            const cut = new Uint8Array(Math.max(0, mutated.length - length));
            cut.set(mutated.subarray(0, Math.min(i, cut.length)));
            cut.set(mutated.subarray(i + length, cut.length + length), Math.min(i, cut.length));
            mutated = cut;
          }
        }
        codes.add(outcome(mutated));
      }),
      { numRuns },
    );
    // The mutations reach past the first check.
    expect(codes.size).toBeGreaterThanOrEqual(3);
  });
});
