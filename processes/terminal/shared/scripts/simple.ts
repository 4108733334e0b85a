/** The shipped scripts that are a few lines each (runtime-modules.md §10.4). Arguments in, result text out. */
import type { Address, ProcessId } from '../../../../wit/types.ts';
import { isProcessId, splitCommand, tokens } from '../command-line.ts';
import { type Guest, isObject, jsonOf, shown, textOf } from '../guest.ts';
import { usage } from './usage.ts';

const KILL_TIMEOUT_S = 60;
const MODULE_TIMEOUT_S = 5;

export function echo(_guest: Guest, args: string): string {
  return args;
}

/** `<name> [<process id>]`; without a process the alias goes. */
export function alias(guest: Guest, args: string): string {
  const [name, process, ...rest] = tokens(args);
  if (name === undefined || rest.length > 0) return usage('alias');
  if (process !== undefined && !isProcessId(process)) return 'Invalid process ID.';
  const body = { EditAlias: { alias: name, process: process ?? null } };
  guest.send(at(guest, 'terminal:terminal:sys'), JSON.stringify(body));
  return 'alias set';
}

/** `<vfs path>`. */
export function cat(guest: Guest, args: string): string {
  const path = args.trim();
  if (path === '') return usage('cat');
  const reply = guest.ask(at(guest, 'vfs:distro:sys'), JSON.stringify({ path, action: 'Read' }), {
    timeoutS: MODULE_TIMEOUT_S,
  });
  const bytes =
    reply.kind === 'response' && jsonOf(reply.body) === 'Read' ? guest.blob()?.bytes : undefined;
  if (bytes !== undefined) return shown(bytes);
  const error = reply.kind === 'response' ? jsonOf(reply.body) : undefined;
  const reason = isObject(error) ? ` (${JSON.stringify(error['Err'])})` : '';
  return `failed to read file ${path} from VFS.${reason}\n${usage('cat')}`;
}

/** `<process id>`. */
export function clearState(guest: Guest, args: string): string {
  const [process, ...rest] = tokens(args);
  if (process === undefined || rest.length > 0) return usage('clear-state');
  if (!isProcessId(process)) return 'Invalid process ID.';
  const reply = guest.ask(at(guest, 'state:distro:sys'), JSON.stringify({ DeleteState: process }), {
    timeoutS: MODULE_TIMEOUT_S,
  });
  if (reply.kind !== 'response') return 'the state module did not answer';
  const error = jsonOf(reply.body);
  return isObject(error) && 'Err' in error
    ? `the state of ${process} was not deleted: ${JSON.stringify(error['Err'])}`
    : `Deleted state of process ${process}`;
}

/** `<process id>`. */
export function kill(guest: Guest, args: string): string {
  const [process, ...rest] = tokens(args);
  if (process === undefined || rest.length > 0) return usage('kill');
  if (!isProcessId(process)) return 'Invalid process ID.';
  // The kernel never answers about a process it does not know, so look first instead of waiting a minute.
  const kernel = at(guest, 'kernel:distro:sys');
  const known = guest.ask(kernel, JSON.stringify({ Debug: { Process: process } }), {
    timeoutS: MODULE_TIMEOUT_S,
  });
  const answer = known.kind === 'response' ? jsonOf(known.body) : undefined;
  const debug = isObject(answer) ? answer['Debug'] : undefined;
  if (isObject(debug) && debug['Process'] === null) return `process ${process} not running`;
  const reply = guest.ask(kernel, JSON.stringify({ KillProcess: process }), {
    timeoutS: KILL_TIMEOUT_S,
  });
  return reply.kind === 'response'
    ? `killed process ${process}`
    : `could not kill process ${process}`;
}

/** `<address> <body> [-a|--await <seconds>]`. */
export function m(guest: Guest, args: string): string {
  const words = tokens(args);
  const flag = words.findIndex((word) => word === '-a' || word === '--await');
  const [, given] = flag === -1 ? [] : words.splice(flag, 2);
  const seconds = flag === -1 ? undefined : Number(given ?? 'x');
  const [address, body, ...rest] = words;
  const target = parseAddress(guest, address ?? '');
  if (target === undefined || body === undefined || rest.length > 0) return usage('m');
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0)) return usage('m');
  const capabilities = guest
    .capabilities()
    .filter(({ issuer }) => issuer.node === target.node && issuer.process === target.process);
  if (seconds !== undefined) guest.print(0, `Awaiting response for ${seconds}s`);
  const reply = guest.ask(target, body, { timeoutS: seconds ?? MODULE_TIMEOUT_S, capabilities });
  if (seconds === undefined) return '';
  if (reply.kind === 'response') return shown(reply.body);
  return reply.kind === 'timeout'
    ? `no answer from ${address} within ${seconds}s: it may not run, not accept messages from the terminal, or need longer (-a)`
    : `${target.node} is offline or does not exist`;
}

/** `<node> <text>`. */
export function hi(guest: Guest, args: string): string {
  const command = splitCommand(args);
  if (command === undefined || command.rest === '') return usage('hi');
  const node = command.head === 'our' ? guest.our.node : command.head;
  const target: Address = { node, process: 'net:distro:sys' as ProcessId };
  const reply = guest.ask(target, command.rest, { timeoutS: 10 });
  if (reply.kind === 'response') return `response from ${command.head}: ${textOf(reply.body)}`;
  return reply.kind === 'timeout'
    ? `message to ${command.head} timed out`
    : `${command.head} is offline or does not exist`;
}

/** `[command]`. */
export function help(_guest: Guest, args: string): string {
  const [command] = tokens(args);
  return usage(command);
}

function parseAddress(guest: Guest, text: string): Address | undefined {
  const [node, process, ...rest] = text.split('@');
  if (!node || process === undefined || rest.length > 0 || process.split(':').length !== 3)
    return undefined;
  return { node: node === 'our' ? guest.our.node : node, process: process as ProcessId };
}

function at(guest: Guest, process: string): Address {
  return { node: guest.our.node, process: process as ProcessId };
}
