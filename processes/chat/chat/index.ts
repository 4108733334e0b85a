/**
 * Chat: messages from node to node; the history of each conversation is kept at both ends, over restarts. What is shown as delivered is in the
 * other side's store, once (findings F28).
 */
import {
  type Address,
  type Context,
  defineProcess,
  formatAddress,
  from,
  packageOf,
  type Process,
  Refusal,
  stateOf,
} from '../../lib/index.ts';
import { chat } from '../contract.ts';
import {
  conversations,
  type Conversations,
  firstVersion,
  fromFirstVersion,
  isKept,
  remember,
  revived,
  waiting,
} from './conversations.ts';
import { Outgoing } from './outgoing.ts';
import { printable } from './printable.ts';

/** Longest message, in UTF-16 units. */
const MESSAGE_MAX = 8_192;
/** Longest id that another side may give to a message, in UTF-16 units. */
const ID_MAX = 64;
/** Whose requests count as the user's own, beside those of this package. */
const USER_PACKAGES: readonly string[] = ['terminal:sys', 'distro:sys'];

/** Of each process; a test runs several. */
const outgoing = new WeakMap<Process<Conversations>, Outgoing>();

export default defineProcess({
  contract: chat,
  state: stateOf(conversations, (): Conversations => new Map(), {
    version: 2,
    migrate: { 1: from(firstVersion, fromFirstVersion) },
  }),
  setup: (process) => {
    const made = new Outgoing(process, (name) => parseTarget(name, process));
    outgoing.set(process, made);
    made.start();
  },
  on: {
    Send: async ({ target, message, id }, context, process) => {
      if (message.length > MESSAGE_MAX) {
        throw new Refusal('TooLong', `a message has at most ${MESSAGE_MAX} characters`);
      }
      const to = parseTarget(target, process);
      if (isUs(to, process)) return receive({ message, id }, context, process);
      requireUser(context);
      await outgoing.get(process)?.post(nameOf(to, process), message);
    },
    History: (name, context, process) => {
      requireUser(context);
      return process.state.get(nameOf(parseTarget(name, process), process)) ?? [];
    },
    Retry: (target, context, process) => {
      requireUser(context);
      const name = nameOf(parseTarget(target, process), process);
      const before = waiting(process.state, name).length;
      process.state = revived(process.state, name, Date.now());
      outgoing.get(process)?.wake(name);
      return waiting(process.state, name).length - before;
    },
  },
});

/** A message for us. It is answered when it is stored: also a second time, when the first answer was lost. */
function receive(
  { message, id }: { readonly message: string; readonly id: string | undefined },
  context: Context,
  process: Process<Conversations>,
): void {
  if (id !== undefined && id.length > ID_MAX) {
    throw new Refusal('TooLong', `an id has at most ${ID_MAX} characters`);
  }
  const author = nameOf(context.source, process);
  if (!isKept(process.state, author, { author, id })) {
    process.state = remember(process.state, author, {
      id,
      author,
      content: message,
      delivery: { kind: 'Received' },
      sentMs: 0,
    });
    process.print(`${author}: ${printable(message)}`);
  }
  outgoing.get(process)?.wake(author);
}

/** A node stands for the chat process of the same id there. */
function parseTarget(target: string, process: Process<Conversations>): Address {
  try {
    return process.resolve(target.includes('@') ? target : `${target}@${process.our.process}`);
  } catch {
    throw new Refusal('BadTarget', `${printable(target)} is neither a node nor an address`);
  }
}

function isUs(to: Address, process: Process<Conversations>): boolean {
  return to.node === process.our.node && to.process === process.our.process;
}

/** What a conversation is called: the node, or the address when both ends are on this one. */
function nameOf(other: Address, process: Process<Conversations>): string {
  return other.node === process.our.node ? formatAddress(other) : other.node;
}

function requireUser(context: Context): void {
  const own = context.isLocal && USER_PACKAGES.includes(packageOf(context.source.process));
  if (!context.isOurPackage && !own) {
    throw new Refusal('Forbidden', "only the user's own processes may do this");
  }
}
