/**
 * docs/limits.md out of the code: every constant of a `limits.ts`, and those named below, with its docstring. Run it to write the page
 * (`node test/limits-page.ts`); a test compares the page with the code.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
export const LIMITS_PAGE = join(ROOT, 'docs', 'limits.md');

/** Files by section; of those that are no `limits.ts`, the constants named. */
const SECTIONS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'Messages and processes': {
    'kernel/limits.ts': [],
    'kernel/backoff.ts': ['BACKOFF_S_MAX', 'HEALTHY_UPTIME_S_MAX'],
  },
  Components: {
    'kernel/image/limits.ts': [],
    'kernel/image/preparer.ts': ['PREPARE_MS_MAX', 'HEAP_MIB_MAX'],
    'kernel/image/prepare.ts': ['PREPARED_BYTES_MAX'],
  },
  'Running code': {
    'kernel/hart/guest.ts': ['QUANTUM_FUEL', 'CLOSED_FUEL_MAX'],
    'kernel/hart/run-queue.ts': ['TURN_MS', 'SLICE_MS'],
    'kernel/hart/engine.ts': ['MAPS_PER_GUEST', 'MAPS_RESERVED', 'GUESTS_MAX'],
    'kernel/hart/worker-hart.ts': ['HEARTBEAT_LIMIT_MS'],
    'kernel/hart/hart-pool.ts': ['HOG_SHARE', 'HOG_S'],
    'kernel/hart/trap-report.ts': ['FRAMES_MAX'],
  },
  'Runners of jobs': {
    'kernel/image/program.ts': ['PAGES_MAX'],
    'extensions/gpu/runners/wasm/files.ts': ['OPEN_FILES_MAX', 'TRANSFER_BYTES_MAX'],
    'extensions/gpu/runners/wasm/system.ts': ['LOG_WRITE_BYTES_MAX', 'RANDOM_BYTES_MAX'],
    'extensions/gpu/runners/wasm/protocol.ts': ['LOG_WINDOW_BYTES'],
    'extensions/gpu/runners/wasm/hart.ts': ['HEAP_MIB_MAX', 'KILL_MS', 'PREPARE_MS_MAX'],
    'extensions/gpu/runners/wasm/pool.ts': ['KEPT_BYTES_MAX'],
    'extensions/gpu/runners/wasm/runner.ts': ['PROGRAMS_MAX', 'OUTPUT_ENTRIES_MAX'],
    'extensions/gpu/runners/container/engine.ts': ['CALL_MS'],
    'extensions/gpu/runners/container/image.ts': ['PULL_MS_MAX', 'PULL_BYTES_MAX'],
    'extensions/gpu/runners/container/image-cache.ts': ['IMAGE_BYTES_MAX'],
    'extensions/gpu/runners/container/create-options.ts': ['STOP_S'],
    'extensions/gpu/runners/container/usage.ts': ['PIDS_LOOKS_MAX'],
    'extensions/gpu/runners/watchdog.ts': ['LOOK_MS', 'FREE_BYTES_FLOOR', 'ENTRIES_MAX'],
  },
  'Embedded chain': {
    'contracts/chain/chain.ts': ['SAVE_EVERY_MS'],
    'contracts/chain/anvil-process.ts': ['START_TIMEOUT_MS', 'END_TIMEOUT_MS'],
    'contracts/chain/rpc.ts': ['RPC_TIMEOUT_MS'],
    'contracts/chain/genesis.ts': ['COMMIT_AGE_S_MIN', 'COMMIT_AGE_S_MAX'],
    'contracts/hypermap.ts': ['LABEL_BYTES_MAX'],
  },
  vfs: { 'runtime-modules/vfs/limits.ts': [] },
  'kv and sqlite': {
    'runtime-modules/kv/limits.ts': [],
    'runtime-modules/sqlite/limits.ts': [],
  },
  'Web server': {
    'runtime-modules/http-server/limits.ts': [],
    'runtime-modules/http-server/channels/limits.ts': [],
  },
  'http-client': {
    'runtime-modules/http-client/limits.ts': [],
    'runtime-modules/shared/outbound/limits.ts': [],
  },
  net: { 'runtime-modules/net/limits.ts': [] },
  signer: {
    'runtime-modules/signer/limits.ts': [],
    'contracts/typed-data.ts': ['STRUCTS_MAX', 'TYPES_CHARS_MAX', 'TYPE_CHARS_MAX', 'VALUES_MAX'],
  },
  notifications: { 'runtime-modules/notifications/limits.ts': [] },
  'Quotas of packages': {
    'runtime-modules/shared/quotas.ts': [
      'QUOTA_BYTES_DEFAULT',
      'QUOTA_HANDLES_DEFAULT',
      'QUOTA_OPERATIONS_DEFAULT',
    ],
    'runtime-modules/shared/accounts.ts': ['RECOUNT_MS'],
  },
  Backup: { 'runtime-modules/backup/limits.ts': [] },
  'timer, state, fd-manager': {
    'runtime-modules/timer/index.ts': [
      'TIMERS_PER_PROCESS_MAX',
      'TIMERS_MAX',
      'DELAY_MS_MAX',
      'BODY_BYTES_MAX',
    ],
    'runtime-modules/state/index.ts': ['BODY_BYTES_MAX'],
    'runtime-modules/fd-manager/index.ts': [
      'BODY_BYTES_MAX',
      'BUDGET_DEFAULT',
      'PERCENT_DEFAULT',
      'REFRESH_S_DEFAULT',
      'REFRESH_S_MIN',
      'REFRESH_S_MAX',
    ],
    'runtime-modules/fd-manager/budget.ts': ['ULIMIT_MIN'],
  },
  'Login and sessions': {
    'runtime-modules/http-server/login/login-attempts.ts': [],
    'runtime-modules/http-server/login/login-request.ts': ['LOGIN_BYTES_MAX'],
    'runtime-modules/http-server/login/session.ts': [
      'SESSION_S',
      'SESSIONS_CACHED_MAX',
      'TOKENS_TRIED_MAX',
      'COOKIES_DELETED_MAX',
    ],
    'runtime-modules/http-server/bindings/host-label.ts': ['LABEL_CHARS_MAX'],
    'runtime-modules/identity/jwt.ts': ['TOKEN_CHARS_MAX'],
    'runtime-modules/identity/keyfile-format.ts': ['KEYFILE_BYTES_MAX'],
    'runtime-modules/identity/password.ts': ['DISK_KEY_MS_MAX'],
  },
  'Setting up a node': {
    'runtime-modules/identity/registration/limits.ts': [],
    'runtime-modules/identity/registration/name-state.ts': [
      'COMMIT_LABEL_BYTES_MIN',
      'COMMIT_MARGIN_S',
      'COMMIT_END_MARGIN_S',
    ],
    'runtime-modules/identity/registration/reach.ts': ['PUBLIC_IP_MS_MAX', 'PORTS_TRIED_MAX'],
    'runtime-modules/http-server/setup/server.ts': ['CLOSE_MS_MAX'],
    'bin/chain-reads.ts': ['CHAIN_CALL_MS_MAX'],
  },
  'Console, home and command line': {
    'runtime-modules/terminal/limits.ts': [],
    'runtime-modules/identity/development.ts': ['NAME_LENGTH_MAX'],
    'bin/main.ts': ['SAME_SIGNAL_MS', 'SHUTDOWN_MS_MAX'],
  },
  'Message bodies': { 'wit/json-reader.ts': ['JSON_DEPTH_MAX'] },
};

/** For constants whose own comment is another's. */
const NOTES: Readonly<Record<string, string>> = {
  'runtime-modules/identity/development.ts NAME_LENGTH_MAX':
    "Characters of a development node's name.",
};

const CONSTANT =
  /((?:\/\*\*(?:[^*]|\*(?!\/))*\*\/\n)?)^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: \w+)? = ([^;\n]+);/gm;

/** The page as it should be, and the names asked for that no file has. */
export async function limitsPage(): Promise<{ text: string; missing: string[] }> {
  const missing: string[] = [];
  const parts = [
    '# Limits\n\nEvery limit has a name; crossing it fails the operation of whoever crossed it, never the node. Written by ' +
      '`node test/limits-page.ts`\nfrom the constants themselves. Units stand in the names: bytes, `S` seconds, `MS` milliseconds, ' +
      '`FUEL` instructions, `PAGES` of 64 KiB.\n',
  ];
  for (const [title, files] of Object.entries(SECTIONS)) {
    const rows: string[] = [];
    for (const [file, names] of Object.entries(files)) {
      const found = await constantsOf(file, names);
      missing.push(...names.filter((name) => !found.has(name)).map((name) => `${file}: ${name}`));
      rows.push(...found.values());
    }
    parts.push(
      `## ${title}\n\n| where | limit | value | what it bounds, and what happens past it |\n|---|---|---|---|\n${rows.join('\n')}\n`,
    );
  }
  return { text: parts.join('\n'), missing };
}

/** Rows by name; an empty list of names takes all. */
async function constantsOf(file: string, names: readonly string[]): Promise<Map<string, string>> {
  const source = await readFile(join(ROOT, file), 'utf8');
  const rows = new Map<string, string>();
  let above = '';
  for (const [, comment = '', name = '', value = ''] of source.matchAll(CONSTANT)) {
    // A constant without a docstring belongs to the one above it.
    const text = NOTES[`${file} ${name}`] ?? (docstring(comment) || above);
    above = text;
    if (names.length > 0 && !names.includes(name)) continue;
    rows.set(name, `| \`${file}\` | \`${name}\` | \`${value}\` | ${text.replaceAll('|', '/')} |`);
  }
  return rows;
}

function docstring(comment: string): string {
  return comment
    .replace(/^\/\*\*|\*\/\n$/g, '')
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

if (import.meta.main) await writeFile(LIMITS_PAGE, (await limitsPage()).text);
