import { Interface, type EventFragment } from 'ethers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { computeEscrowAbi } from './abi/compute-escrow.ts';
import { nodeRegistryAbi } from './abi/node-registry.ts';
import {
  ESCROW_EVENTS,
  REGISTRY_EVENTS,
  decodeEscrowEvent,
  decodeRegistryEvent,
} from './compute-events.ts';
import type { RawLog } from './events.ts';

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);

const VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  address: hex(20),
  bytes32: hex(32),
  bool: fc.boolean(),
  uint8: fc.nat(2 ** 8 - 1),
  uint16: fc.nat(2 ** 16 - 1),
  uint32: fc.nat(2 ** 32 - 1),
  uint64: fc.bigInt(0n, 2n ** 64n - 1n),
  uint128: fc.bigInt(0n, 2n ** 128n - 1n),
  uint256: fc.bigInt(0n, 2n ** 256n - 1n),
};

/** Owners change seldom, and what a batch says is for people. */
const UNREAD = ['OwnershipTransferred', 'OwnershipTransferStarted', 'BatchCallFailed'];

const cases = [
  { of: 'the escrow', abi: computeEscrowAbi, table: ESCROW_EVENTS, decode: decodeEscrowEvent },
  { of: 'the registry', abi: nodeRegistryAbi, table: REGISTRY_EVENTS, decode: decodeRegistryEvent },
] as const;

for (const { of, abi, table, decode } of cases) {
  describe(`events of ${of}`, () => {
    const contract = new Interface(abi);
    const fragments: EventFragment[] = [];
    contract.forEachEvent((event) => void fragments.push(event));

    test('CM48 every event of our ABI is read', () => {
      expect(Object.keys(table).toSorted()).toEqual(
        fragments
          .map(({ name }) => name)
          .filter((name) => !UNREAD.includes(name))
          .toSorted(),
      );
    });

    test.each(fragments.filter(({ name }) => !UNREAD.includes(name)))(
      'CM48 $name is read as ethers writes it',
      (event) => {
        const record = fc.tuple(...event.inputs.map(({ type }) => VALUES[type]!));
        fc.assert(
          fc.property(record, (values) => {
            const written = contract.encodeEventLog(event, values);
            const log: RawLog = { topics: written.topics.map(String), data: written.data };
            expect(decode(log)).toEqual({
              kind: event.name,
              ...Object.fromEntries(event.inputs.map(({ name }, index) => [name, values[index]])),
            });
            // What is cut short is none.
            expect(decode({ ...log, topics: log.topics.slice(0, -1) })).toBeUndefined();
            expect(decode({ ...log, data: `${log.data}00` })).toBeUndefined();
          }),
          { numRuns: 20 },
        );
      },
    );

    test('F35 no log makes the decoder throw', () => {
      const topic = fc.oneof(
        fc.constantFrom(...Object.values(table).map((shape) => shape.topic)),
        fc.string(),
        fc.stringMatching(/^0x[0-9a-fz]{64}$/),
      );
      fc.assert(
        fc.property(
          fc.array(topic, { maxLength: 5 }),
          fc.oneof(fc.string(), fc.stringMatching(/^0x[0-9a-fz]{0,200}$/)),
          (topics, data) => {
            expect(() => decode({ topics, data })).not.toThrow();
          },
        ),
      );
    });
  });
}
