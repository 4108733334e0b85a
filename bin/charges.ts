/** What requests of the databases count for in their packages' quotas, and the answer when there is no room (node.ts joins them). */
import type { Answer } from '../kernel/module.ts';
import type { KvWork } from '../runtime-modules/kv/index.ts';
import type { Charge } from '../runtime-modules/shared/metered.ts';
import type { SqliteWork } from '../runtime-modules/sqlite/index.ts';

/** What a request of kv will write. */
export function kvCharge(work: KvWork): Charge | undefined {
  if (work.kind !== 'action') return undefined;
  const { package: of, action, value } = work;
  return action.kind === 'Set' ? { package: of, bytes: value.length } : undefined;
}

/** A statement may write more or less than this; what it did is counted afterwards. What makes room is always let through. */
export function sqliteCharge(work: SqliteWork): Charge | undefined {
  if (work.kind !== 'action') return undefined;
  const { package: of, action, parameters } = work;
  if (
    action.kind !== 'Write' ||
    /^\s*(DELETE|DROP|VACUUM|ROLLBACK|END)\b/i.test(action.value.statement)
  )
    return undefined;
  return { package: of, bytes: action.value.statement.length + (parameters?.length ?? 0) };
}

/** As kv and sqlite report what the host refuses. */
export function noRoom(text: string): Answer {
  return {
    body: new TextEncoder().encode(JSON.stringify({ Err: { IOError: text } })),
    send: 'always',
  };
}
