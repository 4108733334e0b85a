/** `chain.decode`: events of the namespace out of raw logs, by hand beside an ABI library (F30). */
import { Interface, hexlify, toUtf8Bytes } from 'ethers';
import { hypermapAbi } from '../../contracts/abi/hypermap.ts';
import { decodeEvent, type RawLog } from '../../contracts/events.ts';
import { leaf, namehash } from '../../contracts/hypermap.ts';
import { alternate, timed } from './measure.ts';
import { count, type Bench } from './row.ts';

/** Ten times as fast at least. */
const RATIO_MAX = 0.1;
const EVENTS = 100_000;
/** The library takes half a minute for all of them. */
const EVENTS_OF_LIBRARY = 4_000;

export const decoding: readonly Bench[] = [
  {
    name: 'chain.decode',
    async run(scale) {
      const logs = makeLogs(count(EVENTS, scale));
      const some = logs.slice(0, count(EVENTS_OF_LIBRARY, scale));
      const library = new Interface(hypermapAbi);
      const each = async (
        of: readonly RawLog[],
        decode: (log: RawLog) => unknown,
      ): Promise<number> => {
        const took = await timed(() => {
          for (const log of of)
            if (decode(log) == null) throw new Error(`${log.topics[0]} was not decoded`);
        });
        return (took * 1000) / of.length;
      };
      const { ours, floor } = await alternate(
        scale.runs,
        () => each(logs, decodeEvent),
        () => each(some, (log) => library.parseLog(log)),
      );
      return [
        {
          name: 'chain.decode',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'ratio', max: RATIO_MAX },
          runs: scale.runs,
          note: `an event; floor: ethers. ${Math.round(1e6 / ours)} events/s`,
        },
      ];
    },
  },
];

/** Mints and notes in turn, as a namespace has them. */
function makeLogs(length: number): RawLog[] {
  const library = new Interface(hypermapAbi);
  const parent = namehash('os');
  return Array.from({ length }, (_, index) => {
    const label = index % 2 === 0 ? `node-number-${index}` : '~net-key';
    const text = hexlify(toUtf8Bytes(label));
    const common = [parent, leaf(parent, label), text, text];
    const { topics, data } =
      index % 2 === 0
        ? library.encodeEventLog('Mint', common)
        : library.encodeEventLog('Note', [...common, `0x${'ab'.repeat(32)}`]);
    return { topics: topics.map(String), data };
  });
}
