/** What the module asks of a database, as the pool sends it to a child. */
import type { Statement } from './fields.ts';
import type { Request } from './handles.ts';
import { isReadOnly } from './keywords.ts';
import { COMMIT_MS_MAX, STATEMENT_MS_MAX } from './limits.ts';
import { FrameWriter, Kind } from './protocol.ts';
import type { StatementLog } from './statement-log.ts';

/** One statement. `signal`: its requester is gone. */
export function statementRequest(
  kind: typeof Kind.read | typeof Kind.write,
  statement: Statement,
  { limitMs, signal }: { readonly limitMs: number; readonly signal: AbortSignal },
): Request {
  return {
    kind,
    frame: (number) => new FrameWriter().u32(number).statement(statement),
    sql: statement.sql,
    readOnly: kind === Kind.read && isReadOnly(statement.sql),
    limitMs,
    signal,
  };
}

/** A transaction, as a whole. */
export function commitRequest(log: StatementLog): Request {
  return {
    kind: Kind.commit,
    frame: (number) => {
      // Sent when everything before it is answered, the checks of its own Writes among that.
      const frame = new FrameWriter().u32(number);
      log.writeTo(frame);
      return frame;
    },
    sql: undefined,
    readOnly: false,
    limitMs: COMMIT_MS_MAX,
    signal: undefined,
  };
}

/** Looks at parameters. */
export function checkRequest(json: Uint8Array | undefined, limitMs: number): Request {
  return {
    kind: Kind.check,
    frame: (number) => new FrameWriter().u32(number).bytes(json),
    sql: undefined,
    readOnly: true,
    limitMs,
    signal: undefined,
  };
}

/** Opens, and checks nothing but that. */
export function openRequest(): Request {
  return { ...checkRequest(undefined, STATEMENT_MS_MAX), readOnly: false };
}
