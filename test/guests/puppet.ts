// Does what the bodies of its requests say, so that a test can drive every host function from outside. A command is
//   {"steps":[["sendRequest",[target,request,context,blob]], …], "answer":false?}
// with the names and shapes of the JavaScript binding. Bytes are {"$utf8":"…"} or {"$hex":"…"}, in results always {"$hex":"…"}.
// The answer is the list of the steps' results: {"ok":value} or {"err":payload}; unless "answer" is false.
// Steps of its own: ["log",[]] what arrived that was no command, and forgets it; ["trap",[]], ["exit",[]], ["spin",[]], ["grow",[bytes]].
import * as standard from 'hyperware:process/standard@1.0.0';

type Step = [name: string, args: unknown[]];
interface Command {
  steps: Step[];
  answer?: boolean;
}

const log: unknown[] = [];
const kept: Uint8Array[] = [];

class Exit extends Error {}

const own: Record<string, (...args: never[]) => unknown> = {
  log: () => log.splice(0),
  trap: () => {
    throw new Error('told to trap');
  },
  exit: () => {
    throw new Exit();
  },
  spin: () => {
    for (;;);
  },
  grow: (bytes: number) => kept.push(new Uint8Array(bytes).fill(1)),
};

export function init(_our: string): void {
  for (;;) {
    const delivery = attempt(() => standard.receive());
    const command = commandIn(delivery);
    if (command === undefined) {
      log.push(shown(delivery));
      continue;
    }
    try {
      const results = command.steps.map(run);
      if (command.answer !== false) respond(results);
    } catch (error) {
      if (error instanceof Exit) return;
      throw error;
    }
  }
}

function run([name, args]: Step): unknown {
  const mine = own[name];
  if (mine !== undefined) return { ok: mine(...(args as never[])) ?? null };
  const host = (standard as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
  if (host === undefined) return { err: `no step ${name}` };
  return shown(attempt(() => host(...args.map(withBytes))));
}

/** A `result`'s error is thrown as an Error with a payload; anything else is a fault and ends the process. */
function attempt(call: () => unknown): { ok: unknown } | { err: unknown } {
  try {
    return { ok: call() ?? null };
  } catch (error) {
    if (error instanceof Error && 'payload' in error) return { err: error.payload };
    throw error;
  }
}

function commandIn(delivery: { ok: unknown } | { err: unknown }): Command | undefined {
  if (!('ok' in delivery)) return undefined;
  const [, message] = delivery.ok as [unknown, standard.WireMessage];
  if (message.tag !== 'request') return undefined;
  try {
    const body = JSON.parse(new TextDecoder().decode(message.val.body)) as Command;
    return Array.isArray(body.steps) ? body : undefined;
  } catch {
    return undefined;
  }
}

function respond(results: unknown): void {
  const body = new TextEncoder().encode(JSON.stringify(results));
  standard.sendResponse({ inherit: false, body, metadata: null, capabilities: [] }, null);
}

function withBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBytes);
  if (typeof value !== 'object' || value === null) return value;
  const { $utf8, $hex } = value as { $utf8?: string; $hex?: string };
  if ($utf8 !== undefined) return new TextEncoder().encode($utf8);
  if ($hex !== undefined) {
    return Uint8Array.from($hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withBytes(inner)]));
}

function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return { $hex: Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('') };
  }
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]));
}
