/** One child as the pool sees it: what it was asked and has not answered, and which databases are open in it. */
import type { ChildProcess } from './child-process.ts';
import type { FrameWriter, Kind } from './protocol.ts';

/** How a request to a child ended. */
export type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'rows'; readonly bytes: Uint8Array }
  | { readonly kind: 'parameters' }
  /** SQL's refusals, and ours: text for the guest. */
  | { readonly kind: 'sql'; readonly text: string }
  | { readonly kind: 'damaged'; readonly text: string }
  /** The system's code. */
  | { readonly kind: 'io'; readonly text: string };

/** A request for a child. */
export interface Job {
  readonly kind: Kind;
  readonly handle: Handle;
  /** Made anew each time it is sent. */
  readonly frame: (number: number) => FrameWriter;
  /** Its SQL, when it is one statement. */
  readonly sql: string | undefined;
  /** It cannot change the database, so that it can run beside writes, and again. */
  readonly readOnly: boolean;
  readonly limitMs: number;
  /** The requester is gone when it aborts. */
  readonly signal: AbortSignal | undefined;
  readonly settle: (outcome: Outcome) => void;
}

/** A database that is in use. */
export interface Handle {
  readonly number: number;
  readonly path: string;
  /** Whose database it is. */
  readonly owner: string;
  /** Where its requests go; undefined until the next one. */
  slot: Slot | undefined;
  opening: boolean;
  readonly queue: Job[];
  /** Children that have it open: more than one while a slow query goes on elsewhere. */
  readonly openIn: Set<Slot>;
  /** Statements that have been quick so far; others are sent alone. */
  readonly quick: Set<string>;
  /** Pragmas of the connection, by name. */
  readonly settings: Map<string, string>;
  /** It is about to be deleted: slow queries on it are ended. */
  doomed: boolean;
  /** A statement of its was killed: it shares no child any more. */
  quarantined: boolean;
}

export interface Slot {
  readonly child: ChildProcess;
  /** Sent and unanswered, oldest first: the first is what runs. */
  readonly running: Job[];
  /** When the first of them became the first, in the clock's milliseconds. */
  sinceMs: number;
  /** Databases with requests that wait for their turn here. */
  readonly turns: Set<Handle>;
  /** Sent of `turns`' current one since another began to wait. */
  sent: number;
  current: Handle | undefined;
  /** For this database alone. */
  only: Handle | undefined;
  /** Its first job is slow: nothing new is sent here, and other databases leave. */
  slow: boolean;
  /** The slow job's database has left, too. */
  detachedFor: string | undefined;
  /** Why it is being killed. */
  killing: 'limit' | 'gone' | 'closed' | undefined;
}
