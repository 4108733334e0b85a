/**
 * `npm run bench -- [NAME...] [--json] [--smoke]`: every figure that was promised, beside its floor of the same run.
 * NAME: a prefix of a bench's name; none means all. `--smoke`: hardly any work, figures without meaning.
 */
import { parseArgs } from 'node:util';
import { benches } from './benches.ts';
import { FULL, SMOKE, passes, type Bench, type Row } from './row.ts';
import { jsonLine, tableLines } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, smoke: { type: 'boolean' } },
});

const chosen = choose(positionals);
if (chosen.length === 0) {
  process.stderr.write(`no bench is called ${positionals.join(' or ')}; there are:\n`);
  process.stderr.write(benches.map(({ name }) => `  ${name}\n`).join(''));
  process.exit(2);
}
const rows: Row[] = [];
for (const bench of chosen) {
  process.stderr.write(`${bench.name} …\n`);
  for (const row of await bench.run(values.smoke === true ? SMOKE : FULL)) {
    rows.push(row);
    if (values.json === true) process.stdout.write(`${jsonLine(row)}\n`);
  }
}
if (values.json !== true) process.stdout.write(`${tableLines(rows).join('\n')}\n`);
const missed = rows.filter((row) => passes(row) === false);
if (missed.length > 0)
  process.stderr.write(`missed: ${missed.map(({ name }) => name).join(', ')}\n`);
process.exit(0);

function choose(prefixes: readonly string[]): Bench[] {
  if (prefixes.length === 0) return [...benches];
  return benches.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
}
