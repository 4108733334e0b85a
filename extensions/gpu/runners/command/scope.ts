/**
 * Limits of a command by a cgroup of its own (compute-market.md §9.6): a transient scope of systemd's, of the machine for root, else of the user.
 * The kernel holds memory, processor time and processes then, whatever they do; what exists elsewhere is rlimits and a look now and then.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { JobLimits } from '../../../../wit/jobs/limits.ts';
import type { Launch } from './confinement.ts';

const MIB = 1024 * 1024;
const PROBE_MS = 5_000;
/** In the scope beside the command: the shell below, and what confines the command. */
const OWN_PROCESSES = 4;
const PATH = '/usr/local/bin:/usr/bin:/bin';
/** Where the user's systemd is asked; the command does not get them. */
const MANAGER_ENV = ['XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'];

export interface ScopeMaker {
  /** `systemd-run`, and whether it asks the user's own systemd. */
  readonly file: string;
  readonly ofUser: boolean;
  /** Where cgroups are. */
  readonly root: string;
}

/** What the kernel counted in a scope; undefined for what it does not. */
export interface ScopeReport {
  readonly oomKills: number;
  readonly forksRefused: number;
  readonly peakBytes: number | undefined;
  readonly cpuMs: number | undefined;
}

type Limited = Pick<JobLimits, 'memMiB' | 'cpuMilli' | 'pids'>;

/** Folder of the cgroup that this shell is in, below `$0`; nothing where version 2 is not what limits. */
const FOLDER = 'd=$0$(sed -n s/^0:://p /proc/self/cgroup)';
/** Version 2 with the two controllers that matter, and limits that are in effect. */
const WORKS = `${FOLDER}; test "$(cat "$d/memory.max")" = "$1" && test "$(cat "$d/pids.max")" = "$2"`;
/**
 * Stays beside the command, or the cgroup would be gone with what it counted. The kernel kills the largest, which this is never; TERM is for the
 * command, which gets the default back.
 */
const BESIDE = [
  'trap : TERM',
  '"$@" 3>&-',
  'code=$?',
  FOLDER,
  '{ cat "$d/memory.events" "$d/cpu.stat"; sed s/^/pids_/ "$d/pids.events"; echo peak $(cat "$d/memory.peak"); } 2>/dev/null >&3',
  'exit $code',
].join('\n');

/** How scopes are made here; undefined where they are not, or limit nothing. */
export async function probeScope(
  maker: ScopeMaker = {
    file: 'systemd-run',
    ofUser: process.getuid?.() !== 0,
    root: '/sys/fs/cgroup',
  },
): Promise<ScopeMaker | undefined> {
  const limits = { memMiB: 64, cpuMilli: 1000, pids: 60 };
  const wanted = [`${limits.memMiB * MIB}`, `${limits.pids + OWN_PROCESSES}`];
  const args = [...scopeArgs(maker, limits), '/bin/sh', '-c', WORKS, maker.root, ...wanted];
  const works = await new Promise<boolean>((resolve) => {
    execFile(maker.file, args, { timeout: PROBE_MS, cwd: '/', env: managerEnv(maker) }, (error) =>
      resolve(error === null),
    );
  });
  return works ? maker : undefined;
}

/** The same launch in a scope of its own; file descriptor 3 gets the report. `mark`: what every process is to have in its environment. */
export function inScope(
  maker: ScopeMaker,
  limits: Limited,
  { file, args, env, cwd }: Launch,
  mark: Readonly<Record<string, string>>,
): Launch {
  // Scratch, so that the command gets nothing of what systemd-run needs.
  const clean = ['/usr/bin/env', '-i', ...pairs({ PATH, ...env, ...mark }), file, ...args];
  return {
    file: maker.file,
    args: [...scopeArgs(maker, limits), '/bin/sh', '-c', BESIDE, maker.root, ...clean],
    env: { ...managerEnv(maker), ...mark },
    cwd,
  };
}

/** What came through file descriptor 3; nothing is believed that is no number. */
export function parseReport(text: string): ScopeReport {
  const figures = new Map(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+) (\d{1,15})$/.exec(line.trim()) ?? [];
      return name === undefined ? [] : [[name, Number(value)] as const];
    }),
  );
  const microseconds = figures.get('usage_usec');
  return {
    oomKills: figures.get('oom_kill') ?? 0,
    forksRefused: figures.get('pids_max') ?? 0,
    peakBytes: figures.get('peak'),
    cpuMs: microseconds === undefined ? undefined : microseconds / 1000,
  };
}

function scopeArgs({ ofUser }: ScopeMaker, { memMiB, cpuMilli, pids }: Limited): string[] {
  const properties = [
    `MemoryMax=${memMiB * MIB}`,
    'MemorySwapMax=0',
    `CPUQuota=${Math.max(1, Math.ceil(cpuMilli / 10))}%`,
    `TasksMax=${pids + OWN_PROCESSES}`,
  ];
  return [
    ...(ofUser ? ['--user'] : []),
    ...['--scope', '--quiet', '--collect', `--unit=hn-run-${randomBytes(8).toString('hex')}`],
    ...properties.flatMap((property) => ['-p', property]),
    '--',
  ];
}

function managerEnv({ ofUser }: ScopeMaker): Record<string, string> {
  const found = MANAGER_ENV.flatMap((name) => {
    const value = process.env[name];
    return ofUser && value !== undefined ? [[name, value] as const] : [];
  });
  return { PATH, ...Object.fromEntries(found) };
}

function pairs(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}
