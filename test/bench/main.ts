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
let failed = false;
for (const bench of chosen) {
  process.stderr.write(`${bench.name} …\n`);
  try {
    rows.push(...(await measure(bench)));
  } catch (error) {
    // The others still have something to say.
    failed = true;
    process.stderr.write(`${bench.name} failed: ${String(error)}\n`);
  }
}
if (values.json !== true) process.stdout.write(`${tableLines(rows).join('\n')}\n`);
const missed = rows.filter((row) => passes(row) === false);
if (missed.length > 0)
  process.stderr.write(`missed: ${missed.map(({ name }) => name).join(', ')}\n`);
process.exit(failed ? 1 : 0);

async function measure(bench: Bench): Promise<readonly Row[]> {
  const found = await bench.run(values.smoke === true ? SMOKE : FULL);
  if (values.json === true) for (const row of found) process.stdout.write(`${jsonLine(row)}\n`);
  return found;
}

function choose(prefixes: readonly string[]): Bench[] {
  if (prefixes.length === 0) return [...benches];
  return benches.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
}
