/** A program for crash tests: inserts 0, 1, 2 … and prints each number that was acknowledged; with `endless`, runs away. */
import { SqliteBench } from './testing.ts';

const [folder = '', mode] = process.argv.slice(2);
const db = new SqliteBench(folder);
await db.ask('Open');
await db.write('CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY)');
if (mode === 'endless') {
  const sql =
    'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c';
  const endless = db.query(sql);
  process.stdout.write('started\n');
  await endless;
}
const [row] = (await db.query('SELECT ifnull(max(a), -1) n FROM t')) as { n: number }[];
for (let next = row!.n + 1; ; next += 1) {
  if ((await db.write('INSERT INTO t VALUES(?)', `[${next}]`)) !== 'Ok') break;
  process.stdout.write(`${next}\n`);
}
