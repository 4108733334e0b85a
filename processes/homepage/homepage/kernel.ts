/** Questions and commands for the kernel, as the processes and logs pages put them; its answers go on as they are. */
import { processId, type Process, type ProcessId, t } from '../../lib/index.ts';
import { json, jsonText, type WebAnswer } from './web.ts';

const KERNEL = 'kernel:distro:sys';
/** Log lines of one answer. */
export const LOG_LINES_MAX = 1_000;
/** Runtime modules and the kernel are part of the node: nothing here ends them. */
const NODE_PACKAGE = 'distro:sys';

const target = t.record({ id: t.text });

export function usage(process: Process<unknown>): Promise<WebAnswer> {
  return ask(process, { Debug: 'Usage' });
}

export function describe(process: Process<unknown>, text: string | undefined): Promise<WebAnswer> {
  const id = idOf(text);
  if (id === undefined) return Promise.resolve(BAD_ID);
  return ask(process, { Debug: { Process: id } });
}

/** @param query `after` and `limit`, whole numbers; by default the newest lines */
export async function logs(
  process: Process<unknown>,
  query: ReadonlyMap<string, string>,
): Promise<WebAnswer> {
  const after = Number(query.get('after') ?? 0);
  const limit = Number(query.get('limit') ?? LOG_LINES_MAX);
  if (![after, limit].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    return json(400, { error: 'after and limit are whole numbers' });
  }
  return ask(process, { Debug: { Logs: { after, limit: Math.min(limit, LOG_LINES_MAX) } } });
}

/** Ends a process for good. The kernel is silent about one that it does not know, so that is asked first. */
export async function kill(process: Process<unknown>, body: Uint8Array): Promise<WebAnswer> {
  const id = idIn(body);
  if (id === undefined) return BAD_ID;
  if (id.endsWith(`:${NODE_PACKAGE}`)) return json(409, { error: `${id} is part of the node` });
  if (id === process.our.process) {
    return json(409, { error: 'the homepage does not end itself; use the terminal' });
  }
  const known = await say(process, { Debug: { Process: id } });
  if (/"Process"\s*:\s*null/.test(known)) return json(404, { error: `${id} does not run` });
  await say(process, { KillProcess: id });
  return json(200, { killed: id });
}

/** Replaces a process by a fresh instance. One that restarts itself must answer before. */
export async function restart(
  process: Process<unknown>,
  body: Uint8Array,
  answerFirst: (answer: WebAnswer) => void,
): Promise<WebAnswer | undefined> {
  const id = idIn(body);
  if (id === undefined) return BAD_ID;
  if (id === process.our.process) {
    answerFirst(json(202, { restarted: id }));
    process.send(KERNEL, JSON.stringify({ RestartProcess: id }));
    return undefined;
  }
  const said = await say(process, { RestartProcess: id });
  const { RestartProcessError: refusal } = JSON.parse(said) as { RestartProcessError?: string };
  if (refusal !== undefined) return json(409, { error: refusal });
  return json(200, { restarted: id });
}

const BAD_ID = json(400, { error: 'id: expected process:package:publisher' });

async function ask(process: Process<unknown>, command: unknown): Promise<WebAnswer> {
  return jsonText(200, await say(process, command));
}

async function say(process: Process<unknown>, command: unknown): Promise<string> {
  const { body } = await process.request(KERNEL, JSON.stringify(command));
  return new TextDecoder().decode(body);
}

function idIn(body: Uint8Array): ProcessId | undefined {
  const decoded = target.decode(body);
  return decoded.ok ? idOf(decoded.value.id) : undefined;
}

function idOf(text: string | undefined): ProcessId | undefined {
  try {
    return text === undefined ? undefined : processId(text);
  } catch {
    return undefined;
  }
}
