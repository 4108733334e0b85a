/** `top`, `ps` and `kfetch`: the kernel's own view of its processes. */
import type { Address, ProcessId } from '../../../../wit/types.ts';
import { tokens } from '../command-line.ts';
import { type Guest, isObject, jsonOf } from '../guest.ts';
import { bytes, count, duration, milliseconds, table } from '../table.ts';
import { usage } from './usage.ts';

const KERNEL_TIMEOUT_S = 5;
const NO_ANSWER = 'the kernel did not answer';

/** `[<process id>] [-c|--show-caps]`. */
export function top(guest: Guest, args: string): string {
  const words = tokens(args);
  const showCapabilities = words.some((word) => word === '-c' || word === '--show-caps');
  const [process, ...rest] = words.filter((word) => word !== '-c' && word !== '--show-caps');
  if (rest.length > 0) return usage('top');
  if (process !== undefined) {
    const found = debug(guest, { Process: process }, 'Process');
    if (found === undefined) return NO_ANSWER;
    return isObject(found)
      ? describe(process, found, showCapabilities, packageUse(guest, process))
      : `process ${process} not running`;
  }
  const map = debug(guest, 'ProcessMap', 'ProcessMap');
  if (!isObject(map)) return NO_ANSWER;
  const ids = Object.keys(map).sort();
  if (showCapabilities) {
    return [...ids.map((id) => describe(id, map[id], true)), `${ids.length} processes`].join('\n');
  }
  const rows = ids.map((id) => summary(id, map[id]));
  return `${table([['PROCESS', 'WASM', 'WIT', 'ON EXIT', 'PUBLIC', 'CAPS'], ...rows], [5])}\n${ids.length} processes`;
}

function summary(id: string, value: unknown): string[] {
  const process = isObject(value) ? value : {};
  return [
    id,
    handleOf(process),
    witOf(process),
    onExitOf(process),
    process['public'] === true ? 'yes' : 'no',
    String(capabilitiesOf(process).length),
  ];
}

function describe(
  id: string,
  value: unknown,
  showCapabilities: boolean,
  more: readonly string[][] = [],
): string {
  const process = isObject(value) ? value : {};
  const held = capabilitiesOf(process);
  const rows = [
    ['  wasm', handleOf(process)],
    ['  wit', witOf(process)],
    ['  on exit', onExitOf(process)],
    ['  public', process['public'] === true ? 'yes' : 'no'],
    ['  capabilities', String(held.length)],
    ...more,
  ];
  const list = showCapabilities ? `\n${table(held.map((cap) => ['   ', ...cap]))}` : '';
  return `${id}\n${table(rows)}${held.length === 0 ? '' : list}`;
}

/** What its package takes of the node's storage; nothing when the kernel does not say. */
function packageUse(guest: Guest, id: string): string[][] {
  const all = debug(guest, 'Usage', 'Usage');
  const used = isObject(all) ? all[id] : undefined;
  const own = isObject(used) ? used['package'] : undefined;
  if (!isObject(used) || !isObject(own)) return [];
  const max = own['disk_bytes_max'];
  const quota = typeof max === 'number' ? ` of ${bytes(max)}` : '';
  return [
    ['  disk of its package', `${diskOf(own)}${quota}`],
    ['  open files and databases', String(own['open_handles'])],
    ['  queued operations', String(used['queued_operations'])],
  ];
}

function handleOf(process: Readonly<Record<string, unknown>>): string {
  const handle = process['wasm_bytes_handle'];
  return typeof handle === 'string' && handle !== '' ? handle : '(runtime)';
}

function witOf(process: Readonly<Record<string, unknown>>): string {
  const version = process['wit_version'];
  return typeof version === 'number' ? String(version) : '-';
}

function onExitOf(process: Readonly<Record<string, unknown>>): string {
  const onExit = process['on_exit'];
  if (typeof onExit === 'string') return onExit;
  const requests = isObject(onExit) ? onExit['Requests'] : undefined;
  return Array.isArray(requests) ? `Requests (${requests.length})` : '?';
}

function capabilitiesOf(
  process: Readonly<Record<string, unknown>>,
): [issuer: string, params: string][] {
  const list = process['capabilities'];
  if (!Array.isArray(list)) return [];
  return list
    .flatMap((cap: unknown): [string, string][] =>
      isObject(cap) ? [[String(cap['issuer']), String(cap['params'])]] : [],
    )
    .sort(([a, x], [b, y]) => (a + x < b + y ? -1 : 1));
}

/** Live figures from `{"Debug":"Usage"}`, our addition to the kernel's commands; runtime modules have none. */
export function ps(guest: Guest, args: string): string {
  if (args.trim() !== '') return usage('ps');
  const all = debug(guest, 'Usage', 'Usage');
  if (!isObject(all)) return NO_ANSWER;
  const ids = Object.keys(all).sort();
  const native = ids.filter((id) => isNative(all[id]));
  const processes = ids.filter((id) => !isNative(all[id]));
  const head = [
    'PROCESS',
    'STATE',
    'CPU',
    'FUEL',
    'MEMORY',
    'IN',
    'OUT',
    'QUEUE',
    'OPS',
    'DISK',
    'UP',
  ];
  const rows = processes.map((id) => usageRow(id, all[id]));
  const list = table([head, ...rows], [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  return `${list}\n${processes.length} processes; runtime modules: ${native.map(shortName).join(', ')}`;
}

/** The kernel and runtime modules, which are not metered. */
function isNative(value: unknown): boolean {
  const state = isObject(value) ? value['state'] : undefined;
  return state === 'kernel' || state === 'module';
}

function shortName(id: string): string {
  return id.slice(0, id.indexOf(':'));
}

function usageRow(id: string, value: unknown): string[] {
  const used = isObject(value) ? value : {};
  const number = (name: string): number => (typeof used[name] === 'number' ? used[name] : 0);
  return [
    id,
    typeof used['state'] === 'string' ? used['state'] : '-',
    milliseconds(number('cpu_ms')),
    count(number('fuel')),
    bytes(number('memory_bytes')),
    count(number('messages_received')),
    count(number('messages_sent')),
    count(number('mailbox')),
    count(number('queued_operations')),
    diskOf(used['package']),
    duration(number('uptime_ms') / 1000),
  ];
}

/** What the package's files and databases take, and what part of its quota that is from a tenth on. */
function diskOf(value: unknown): string {
  if (!isObject(value) || typeof value['disk_bytes'] !== 'number') return '-';
  const max = value['disk_bytes_max'];
  const share = typeof max === 'number' && max > 0 ? (100 * value['disk_bytes']) / max : 0;
  return share < 10
    ? bytes(value['disk_bytes'])
    : `${bytes(value['disk_bytes'])} ${Math.round(share)}%`;
}

/** The node at a glance. */
export function kfetch(guest: Guest): string {
  const map = debug(guest, 'ProcessMap', 'ProcessMap');
  if (!isObject(map)) return NO_ANSWER;
  const ids = Object.keys(map);
  const modules = ids.filter(
    (id) => handleOf(isObject(map[id]) ? map[id] : {}) === '(runtime)',
  ).length;
  const packages = new Set(ids.map((id) => id.slice(id.indexOf(':') + 1)));
  packages.delete('distro:sys');
  return table([
    ['node', guest.our.node],
    ['processes', String(ids.length - modules)],
    ['runtime modules', String(modules)],
    ['packages', [...packages].sort().join(', ')],
  ]);
}

/** The payload of `{"Debug":{<answer>:payload}}`; undefined when the kernel gave no such answer. */
function debug(guest: Guest, query: unknown, answer: string): unknown {
  const kernel: Address = { node: guest.our.node, process: 'kernel:distro:sys' as ProcessId };
  const reply = guest.ask(kernel, JSON.stringify({ Debug: query }), { timeoutS: KERNEL_TIMEOUT_S });
  const body = reply.kind === 'response' ? jsonOf(reply.body) : undefined;
  const found = isObject(body) ? body['Debug'] : undefined;
  return isObject(found) && answer in found ? found[answer] : undefined;
}
