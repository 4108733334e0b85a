/**
 * The Solidity tests, run by forge on its EVM and reported one by one. They deploy the generated code, which is what nodes deploy. The
 * seed of the fuzzing is printed; HYPERLOOM_FUZZ_SEED repeats a run.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { writeCodeFiles } from './code-files.ts';

/** Of forge's JSON, what is looked at. */
interface Suite {
  readonly test_results: Readonly<
    Record<
      string,
      {
        readonly status: string;
        readonly reason: string | null;
        readonly kind: { readonly Invariant?: Fuzzed };
      }
    >
  >;
}

/** How much was tried. */
interface Fuzzed {
  readonly runs: number;
  readonly calls: number;
}

/** Runs of each invariant, and calls of each run: what foundry.toml says, and what forge then says it did. */
const RUNS_MIN = 256;
const DEPTH_MIN = 64;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TARGET = join(ROOT, 'contracts/target');
const SEED = process.env['HYPERLOOM_FUZZ_SEED'] ?? `0x${randomBytes(32).toString('hex')}`;

/** What the rules of the namespace ask for and only the EVM can show: that a test of it is removed, or renamed, is noticed. */
const REQUIRED = [
  'HM4 only accounts of entries mint and write',
  'HM7 a name is minted once',
  'HM9 facts are written once',
  'HM10 a gene is set once and inherited for ever',
  'HM11 control of the account goes with the token',
  'HM12 operations but call and delegatecall are refused',
  'HM14 labels of 63 bytes are the longest',
  'HM15 anybody mints any free label for anybody',
  'HM16 a reveal is neither too early nor too late',
  'HM16 who copies a commitment helps its owner only',
  'HM16 who sees the reveal comes too late',
  'HM17 an allowance is set used up and taken back',
  'HM17 only the owner of the zone says who may',
  'CM34 downtime costs only after two days and a day to answer',
  'F39 challengers get a tenth up to 100 and the rest burns',
];

/** Checklist items, findings and threats of the compute market that are the contracts' to keep: each begins the name of a test. */
const COMPUTE_IDS = [
  ...['CM3', 'CM4', 'CM6', 'CM8', 'CM19', 'CM20', 'CM24', 'CM26', 'CM27', 'CM28', 'CM29', 'CM30'],
  ...['CM31', 'CM32', 'CM33', 'CM34', 'CM43', 'F37', 'F38', 'F39', 'F42', 'F43'],
  ...['I14', 'T10', 'T11', 'T12', 'T13', 'T14', 'T15', 'T16'],
];

/** How often a run of the invariants must reach a state, so that none of them holds only because nothing happened. */
const REACHED_MIN: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  namespace: {
    minted: 1_000,
    'mints refused': 200,
    'genes inherited': 200,
    'notes written': 200,
    'facts written': 200,
    'facts refused': 20,
    'genes set': 200,
    'names transferred': 200,
    'trespasses refused': 200,
  },
  token: {
    locked: 200,
    extended: 20,
    bound: 100,
    'moved on': 5,
    'by delegates': 20,
    withdrawn: 20,
    waited: 200,
    'withdrawals refused': 200,
  },
  compute: {
    Settled: 1_000,
    Disputed: 200,
    Refunded: 200,
    resolved: 200,
    convicted: 40,
    requeued: 40,
    'vouchers claimed': 100,
    'paid from vaults': 200,
    'paid by signature': 200,
    withdrawn: 100,
    'replays refused': 200,
    'trespasses refused': 200,
    'windows held': 1_000,
    'refused for the token or the node': 40,
    'refused while paused': 100,
    equivocations: 20,
    'verdicts that cost their signers': 100,
  },
};

/** Which checklist items and findings the invariants are for, and what their runs must have been. */
const REACHED_TITLES: Readonly<Record<string, string>> = {
  namespace: 'HM11 invariants of the namespace were tried on states worth trying',
  token: 'HM30 invariants of the token were tried on states worth trying',
  compute: 'CM29 F44 invariants of the compute market were tried on states worth trying',
};

await writeCodeFiles();
for (const about of Object.keys(REACHED_MIN)) rmSync(reachedFile(about), { force: true });
const suites = await runForge();

describe(`on the EVM, with seed ${SEED}`, () => {
  for (const [file, suite] of Object.entries(suites)) {
    describe(file, () => {
      for (const [signature, result] of Object.entries(suite.test_results)) {
        test(titleOf(signature), () => {
          expect(result.status, `${result.reason ?? ''} (HYPERLOOM_FUZZ_SEED=${SEED})`).toBe(
            'Success',
          );
        });
      }
    });
  }

  const titles = Object.values(suites).flatMap(({ test_results: results }) =>
    Object.keys(results).map(titleOf),
  );
  test.each(REQUIRED)('%s: there is a test of it', (title) => expect(titles).toContain(title));
  test.each(COMPUTE_IDS)('%s: there is a test whose name begins so', (id) =>
    expect(titles.some((title) => title.startsWith(`${id} `))).toBe(true),
  );

  test('HM11 HM30 F44 every invariant was fuzzed for 256 runs of depth 64', ({ annotate }) => {
    const invariants = Object.values(suites).flatMap(({ test_results: results }) =>
      Object.entries(results).filter(([signature]) => signature.startsWith('invariant_')),
    );
    expect(invariants).toHaveLength(Object.keys(REACHED_MIN).length);
    for (const [signature, { kind }] of invariants) {
      const { runs = 0, calls = 0 } = kind.Invariant ?? {};
      const line = `${titleOf(signature)}: ${runs} runs, ${calls} calls`;
      void annotate(line);
      process.stdout.write(`${line}\n`);
      expect(runs, line).toBeGreaterThanOrEqual(RUNS_MIN);
      expect(calls, line).toBeGreaterThanOrEqual(runs * DEPTH_MIN);
    }
  });

  for (const [about, least] of Object.entries(REACHED_MIN)) {
    test(REACHED_TITLES[about] ?? about, ({ annotate }) => {
      const reached = readReached(about);
      void annotate(JSON.stringify(reached));
      process.stdout.write(`${about}: ${JSON.stringify(reached)} (seed ${SEED})\n`);
      for (const [state, count] of Object.entries(least))
        expect(reached[state], state).toBeGreaterThanOrEqual(count);
    });
  }
});

/** `test_HM4_only_accounts_mint()` to `HM4 only accounts mint`. */
function titleOf(signature: string): string {
  return signature
    .replace(/\(.*$/, '')
    .replace(/^(test|testFuzz|invariant)_/, '')
    .replaceAll('_', ' ');
}

function reachedFile(about: string): string {
  return join(TARGET, `reached-${about}`);
}

function readReached(about: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of readFileSync(reachedFile(about), 'utf8').trim().split('\n')) {
    const [state = '', count] = line.split('=');
    counts[state] = (counts[state] ?? 0) + Number(count);
  }
  return counts;
}

test('the Solidity is formatted', async () => {
  const folders = ['contracts/src', 'contracts/test'];
  expect(await forge('fmt', '--check', ...folders), 'run forge fmt').toBe('');
});

async function runForge(): Promise<Readonly<Record<string, Suite>>> {
  const output = await forge('test', '--json', '--fuzz-seed', SEED);
  if (!output.startsWith('{')) throw new Error(output);
  return JSON.parse(output) as Readonly<Record<string, Suite>>;
}

/** What it prints, or what it complains about where it prints nothing. A test that fails makes forge fail too, with the same output. */
async function forge(command: string, ...args: string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile(
    forgeBinary(),
    [command, '--root', ROOT, ...args],
    {
      cwd: ROOT,
      env: { ...process.env, FOUNDRY_CONFIG: join(ROOT, 'contracts/foundry.toml') },
      maxBuffer: 256 * 1024 * 1024,
    },
    (error, stdout, stderr) => resolve(stdout || stderr || (error?.message ?? '')),
  );
  return promise;
}

/** The binary itself, as for anvil: npm's wrapper would be one process more. */
function forgeBinary(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const manifest = createRequire(import.meta.url).resolve(
    `@foundry-rs/forge-${process.platform}-${arch}/package.json`,
  );
  const binary = join(dirname(manifest), 'bin/forge');
  if (!existsSync(binary)) throw new Error(`${binary} is missing; run npm ci`);
  return binary;
}
