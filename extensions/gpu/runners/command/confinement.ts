/** How a command is kept from its host: what this machine has for it, and the command line that does it (compute-market.md §9.6). Pure but for `probe`. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../runner.ts';

const MIB = 1024 * 1024;
const PROBE_MS = 5_000;
const OPEN_FILES_MAX = 4096;

/** Strongest first: bubblewrap; a network namespace around a plain child; nothing. */
export type Confinement = 'bubblewrap' | 'no-network' | 'none';

export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** Folders of the system that programs need, and what of /etc says where libraries are. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64'];
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/fonts'];

/** The command line of a run. `env`: on top of what every command gets. */
export function launch(
  confinement: Confinement,
  run: Run,
  env: Readonly<Record<string, string>>,
  id: number | undefined,
): Launch {
  const inside = confinement === 'bubblewrap';
  const folders = inside
    ? { in: '/job/in', out: '/job/out', home: '/tmp' }
    : { in: run.inputs, out: run.outputs, home: run.outputs };
  const environment = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: folders.home,
    ...run.spec.entry.env,
    JOB_ID: run.jobId,
    HN_ATTEMPT: `${run.attempt}`,
    HN_IN: folders.in,
    HN_OUT: folders.out,
    // Other GPUs than the leased ones are not there.
    CUDA_VISIBLE_DEVICES: run.gpus.join(),
    ...env,
  };
  const limited = ['/bin/sh', '-c', limitsScript(run), 'sh', ...(run.spec.entry.cmd ?? [])];
  const command = [...becoming(id), ...limited];
  if (inside) {
    const args = [...bubblewrap(run, environment, id), ...command];
    return { file: 'bwrap', args, env: {}, cwd: '/' };
  }
  const [file, ...args] = confinement === 'none' ? command : [...withoutNetwork(id), ...command];
  return { file: file!, args, env: environment, cwd: run.outputs };
}

/**
 * Folders of a run lie below one that only we may enter, so they are mounted as root, and the command becomes nobody behind that: without any
 * capability, and with no way to get one.
 */
function becoming(id: number | undefined): string[] {
  if (id === undefined) return [];
  const ids = ['--reuid', `${id}`, '--regid', `${id}`, '--clear-groups'];
  return ['setpriv', ...ids, '--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all'];
}

function withoutNetwork(id: number | undefined): string[] {
  return ['unshare', ...(id === undefined ? ['--map-current-user'] : []), '--net'];
}

/** A user namespace is what lets somebody else than root have the other ones. */
function namespaces(id: number | undefined): string[] {
  const common = ['--die-with-parent', '--new-session', '--clearenv'];
  if (id === undefined) return ['--unshare-all', ...common];
  const apart = [
    '--unshare-ipc',
    '--unshare-pid',
    '--unshare-net',
    '--unshare-uts',
    '--unshare-cgroup-try',
  ];
  const needed = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((one) => ['--cap-add', one]);
  return [...apart, ...common, '--cap-drop', 'ALL', ...needed];
}

function bubblewrap(
  run: Run,
  env: Readonly<Record<string, string>>,
  id: number | undefined,
): string[] {
  return [
    ...namespaces(id),
    // Folders that a mount needs would be made for root alone.
    ...['/etc', '/job'].flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...SYSTEM.flatMap(systemFolder),
    ...SYSTEM_FILES.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...(run.gpus.length === 0 ? [] : gpuDevices()),
    ...temporary(run.spec.limits.tmpMiB),
    ...['--ro-bind', run.inputs, '/job/in', '--bind', run.outputs, '/job/out'],
    // The root is a tmpfs too, and would take what no limit counts.
    ...['--remount-ro', '/', '--chdir', '/job/out'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    '--',
  ];
}

function systemFolder(path: string): string[] {
  if (!existsSync(path)) return [];
  try {
    // Merged systems have /bin as a link into /usr.
    return ['--symlink', readlinkSync(path), path];
  } catch {
    return ['--ro-bind', path, path];
  }
}

function gpuDevices(): string[] {
  return readdirSync('/dev')
    .filter((name) => name.startsWith('nvidia'))
    .flatMap((name) => ['--dev-bind-try', join('/dev', name), join('/dev', name)]);
}

/**
 * Limits that the shell sets before it becomes the command. Address space has none: CUDA and Wasm engines reserve far more than they use; memory is
 * watched instead.
 */
function limitsScript({ spec, timeoutS }: Run): string {
  const { outMiB, tmpMiB, pids, cpuMilli } = spec.limits;
  // In blocks of 512 bytes. One file of either folder; both together are watched, or a tmpfs of their size.
  const blocks = Math.max(outMiB, tmpMiB) * 2048;
  const cpuS = Math.ceil(timeoutS * Math.max(1, cpuMilli / 1000)) + 1;
  return [
    'ulimit -c 0',
    `ulimit -f ${blocks}`,
    `ulimit -n ${OPEN_FILES_MAX}`,
    `ulimit -t ${cpuS}`,
    // The option's name differs between shells.
    `{ ulimit -u ${pids} || ulimit -p ${pids}; } 2>/dev/null`,
    'exec "$@"',
  ].join('; ');
}

/** The strongest confinement that works here. `id`: the user that commands become, where this is root. */
export async function probe(id: number | undefined): Promise<Confinement> {
  const works = async (command: readonly string[]): Promise<boolean> =>
    new Promise((resolve) => {
      const [file, ...args] = [...command, ...becoming(id), '/bin/sh', '-c', 'true'];
      const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
      execFile(file, args, { timeout: PROBE_MS, cwd: '/', env }, (error) =>
        resolve(error === null),
      );
    });
  const mounts = ['--proc', '/proc', '--dev', '/dev', ...temporary(1), '--remount-ro', '/', '--'];
  if (await works(['bwrap', ...namespaces(id), ...SYSTEM.flatMap(systemFolder), ...mounts]))
    return 'bubblewrap';
  return (await works(withoutNetwork(id))) ? 'no-network' : 'none';
}

function temporary(mib: number): string[] {
  return ['--size', `${mib * MIB}`, '--perms', '1777', '--tmpfs', '/tmp'];
}
