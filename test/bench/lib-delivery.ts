/**
 * `lib.delivery.*`: what a message costs a process of the library, in instructions of its guest (fuel), which are the same on every
 * machine. The floor is the same message to a guest of the same engine without the library.
 */
import { encodeUtf8 } from '../../processes/lib/engine/text.ts';
import { id, testNode } from '../support/node.ts';
import { echoGuest, guest } from './guests.ts';
import { count, type Bench, type Row } from './row.ts';

const ECHO_RATIO_MAX = 2.5;
const FLOOR = 'raw:bench:sys';
const BODY = encodeUtf8('about as long as most of what is said');

interface Kind {
  readonly name: string;
  readonly file: string;
  readonly body: Uint8Array;
  readonly note: string;
  readonly ratioMax?: number;
}

const KINDS: readonly Kind[] = [
  {
    name: 'echo',
    file: 'delivery-echo.ts',
    body: BODY,
    note: 'onMessage that returns the body',
    ratioMax: ECHO_RATIO_MAX,
  },
  { name: 'await', file: 'delivery-async.ts', body: Uint8Array.of(0), note: 'with one await' },
  {
    name: 'contract',
    file: 'delivery.ts',
    body: encodeUtf8('{"Add":{"n":1}}'),
    note: 'a method of a contract, and state that is saved',
  },
  {
    name: 'request',
    file: 'delivery-async.ts',
    body: BODY,
    note: 'two deliveries: it asks another process and answers with the answer',
  },
];

export const libDeliveries: readonly Bench[] = [
  {
    name: 'lib.delivery',
    async run(scale) {
      const times = count(200, scale, 2);
      await using node = await testNode();
      await node.start('peer:bench:sys', await echoGuest());
      await node.start(FLOOR, await guest('echo.ts'));
      const fuelOf = async (process: string, body: Uint8Array): Promise<number> => {
        // What is made with the first message is not what each costs.
        await node.ask(process, body);
        const fuel = (): number => node.kernel.usage().get(id(process))?.fuel ?? 0;
        const before = fuel();
        for (let time = 0; time < times; time++) await node.ask(process, body);
        return (fuel() - before) / times / 1_000;
      };
      const floor = await fuelOf(FLOOR, BODY);
      const rows: Row[] = [];
      for (const { name, file, body, note, ratioMax } of KINDS) {
        const process = `${name}:bench:sys`;
        await node.start(process, await guest(file));
        rows.push({
          name: `lib.delivery.${name}`,
          value: await fuelOf(process, body),
          unit: 'kfuel',
          floor,
          target: ratioMax === undefined ? undefined : { of: 'ratio', max: ratioMax },
          runs: times,
          note: `${note}; floor: an echo without the library`,
        });
      }
      return rows;
    },
  },
];
