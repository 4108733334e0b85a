// A process made with the library that uses all storage in a real component; each method checks itself and answers with what it saw.
import {
  client,
  contract,
  defineProcess,
  keepCapabilities,
  method,
  sleep,
  stateOf,
  t,
} from 'hyperware';
import { type Kv, openKv, rawBytes, rawText } from 'hyperware/kv';
import { blobBytes, openSqlite, type Sqlite } from 'hyperware/sqlite';
import { type Drive, drive, openDrive } from 'hyperware/vfs';

const probes = contract({
  Files: method(t.unit, t.text),
  /** Streams that many chunks of 256 KiB to a file and back; the sum of all bytes, twice. */
  Stream: method(t.u32, t.text),
  Keys: method(t.unit, t.text),
  Rows: method(t.unit, t.text),
  Times: method(t.unit, t.text),
  Defer: method(t.u32, t.text),
  Gone: method(t.unit, t.text),
  /** Hands the right to read everything to another process of this kind, which answers with what it read. */
  Share: method(t.text, t.text),
  Given: method(t.text, t.text),
  /** One call of a client, as often as wanted: what one costs. */
  Cost: method(t.record({ what: t.text, times: t.u32 }), t.unit),
});

let files: Drive;
let keys: Kv<string, string>;
let rows: Sqlite;

const code = (error: unknown): string => String((error as { code?: string }).code);

export default defineProcess({
  contract: probes,
  state: stateOf(t.u32, () => 0, { version: 2 }),
  setup: async (process) => {
    files = await drive(process, 'files');
    keys = await openKv(process, 'keys', { key: rawText, value: rawText });
    rows = await openSqlite(process, 'rows', {
      migrations: ['create table rows (id integer primary key, value)'],
    });
  },
  on: {
    Files: async () => {
      await files.write('a/b/c.txt', 'grüße', { mkdirs: true });
      await files.append('a/b/c.txt', '!');
      await files.append('log', 'x');
      const file = await files.open('a/b/c.txt');
      await Promise.all([
        file.writeAt(8, new TextEncoder().encode('?')),
        file.writeAt(0, new TextEncoder().encode('G')),
      ]);
      const part = new TextDecoder().decode(await file.readAt(7, 100));
      const length = await file.length();
      await file.close();
      const names: string[] = [];
      for await (const { path, kind } of files.list('', { recursive: true })) {
        names.push(`${path}:${kind}`);
      }
      await files.copy('log', 'log2');
      await files.rename('log2', 'log3');
      const hash = await files.hash('log3');
      const removed = [await files.remove('log3'), await files.remove('log3')];
      const missing = await files.read('nothing').catch((error: { errno?: number }) => error.errno);
      const folder = await files.remove('a').catch((error: { errno?: number }) => error.errno);
      await files.remove('a', { recursive: true });
      const left = await files.exists('a/b');
      const content = [part, length, ...names, hash.length, hash[0], ...removed];
      return [...content, missing, folder, left].join(' ');
    },
    Stream: async (chunks) => {
      const source = async function* (): AsyncGenerator<Uint8Array> {
        for (let n = 0; n < chunks; n++) {
          await null;
          yield new Uint8Array(262_144).fill(n + 1);
        }
      };
      const written = await files.writeChunks('big', source());
      let read = 0;
      let sum = 0;
      for await (const chunk of files.chunks('big')) {
        read += chunk.length;
        sum += chunk[0] ?? 0;
      }
      return [written, read, sum].join(' ');
    },
    Keys: async (_args, _context, process) => {
      for (let n = 0; n < 600; n++) void (await keys.set(`k/${1_000 + n}`, String(n)));
      const seen: string[] = [];
      for await (const [key] of keys.scan({ prefix: 'k/' })) seen.push(key);
      await keys.tx(async (tx) => {
        await tx.set('one', '1');
        await tx.delete('k/1000');
      });
      await keys
        .tx(async (tx) => {
          await tx.set('two', '2');
          throw new Error('no');
        })
        .catch(() => undefined);
      const raw = await openKv(process, 'raw', { key: rawBytes, value: rawBytes });
      await raw.set(new Uint8Array([0, 255]), new Uint8Array());
      const empty = await raw.get(new Uint8Array([0, 255]));
      return [
        seen.length,
        seen[0],
        seen.at(-1),
        await keys.get('one'),
        await keys.has('k/1000'),
        await keys.has('two'),
        empty?.length,
      ].join(' ');
    },
    Rows: async () => {
      const big = 2n ** 62n + 1n;
      const values = ['test', 'Alice', '', 1.5, -3, big, true, null, new Uint8Array([0, 255])];
      await rows.run`delete from rows`;
      await rows.tx(async (tx) => {
        for (const value of values) await tx.run`insert into rows (value) values (${value})`;
      });
      const clash = await rows
        .tx(async (tx) => {
          await tx.run`insert into rows values (100, 1)`;
          await tx.run`insert into rows values (100, 2)`;
        })
        .catch(code);
      const all = await rows.all`select value, typeof(value) as kind from rows order by id`;
      const shown = all.map(({ value, kind }) => `${String(kind)}:${String(value)}`);
      const found = await rows.all`select id from rows where value = ${'test'} or value = 'test'`;
      const bytes = blobBytes(all.at(-1)?.['value']);
      const refused = await rows.all`attach 'x' as y`.catch(code);
      return [...shown, found.length, bytes.length, clash, refused].join(' ');
    },
    Times: async (_args, _context, process) => {
      const order: string[] = [];
      const cancelled = setTimeout(() => order.push('never'), 5);
      clearTimeout(cancelled);
      const late = Promise.withResolvers<void>();
      setTimeout(
        (word: string) => {
          order.push(word);
          late.resolve();
        },
        30,
        'late',
      );
      const giveUp = new AbortController();
      const given = sleep(process, 60_000, { signal: giveUp.signal }).catch((error: Error) =>
        order.push(error.name),
      );
      const ticked = Promise.withResolvers<void>();
      const ticks = setInterval(() => {
        order.push('tick');
        if (order.length <= 2) return;
        clearInterval(ticks);
        ticked.resolve();
      }, 10);
      await Promise.all([late.promise, ticked.promise]);
      giveUp.abort();
      await given;
      const timed = AbortSignal.timeout(5);
      await sleep(process, 30);
      return [...order, timed.aborted].join(' ');
    },
    Defer: (ms, context) => {
      const reply = context.deferReply();
      setTimeout(() => reply.resolve(`after ${ms}`), ms);
      return 'not this';
    },
    Gone: (_args, context, process) => {
      context.signal.addEventListener('abort', () => {
        process.state = 1;
        process.flush();
        process.print('the requester has gone');
      });
      context.deferReply();
      return '';
    },
    Share: async (target, _context, process) => {
      await files.write('shared.txt', 'for you');
      await keys.set('shared', 'key');
      await rows.run`insert or replace into rows values (7, 'row')`;
      const capabilities = [
        ...files.capabilities('read'),
        ...keys.capabilities('read'),
        ...rows.capabilities('read'),
      ];
      const owner = process.our.process.slice(process.our.process.indexOf(':') + 1);
      return client(process, probes, target).Given(owner, { capabilities });
    },
    Given: async (owner, context, process) => {
      const theirs = openDrive(process, `/${owner}/files`);
      const before = await theirs.read('shared.txt').catch(code);
      keepCapabilities(process.host, context);
      const text = await theirs.readText('shared.txt');
      const written = await theirs.write('shared.txt', 'mine').catch(code);
      const options = { key: rawText, value: rawText, of: owner };
      const kv = await openKv(process, 'keys', options);
      const key = await kv.get('shared');
      const set = await kv.set('shared', 'mine').catch(code);
      const db = await openSqlite(process, 'rows', { of: owner });
      const row = await db.get`select value from rows where id = 7`;
      const run = await db.run`delete from rows`.catch(code);
      return [before, text, written, key, set, row?.['value'], run].join(' ');
    },
    Cost: async ({ what, times }, _context, process) => {
      for (let n = 0; n < times; n++) {
        if (what === 'request') await process.request('timer:distro:sys', '{"SetTimer":0}');
        if (what === 'vfs.write') await files.write('cost', 'x'.repeat(100));
        if (what === 'vfs.read') await files.read('cost');
        if (what === 'vfs.readAt') await files.open('cost').then((file) => file.readAt(0, 50));
        if (what === 'kv.set') await keys.set('cost', 'x'.repeat(100));
        if (what === 'kv.get') await keys.get('cost');
        if (what === 'sqlite.run') await rows.run`insert into rows (value) values (${n})`;
        if (what === 'sqlite.get') await rows.get`select value from rows where id = ${1}`;
        if (what === 'sleep') await sleep(process, 0);
      }
    },
  },
});
