/** Chat: messages from node to node; the history of each conversation is kept at both ends, over restarts. */
import {
  type Address,
  client,
  type Context,
  defineProcess,
  formatAddress,
  NoResponse,
  packageOf,
  type Process,
  Refusal,
  stateOf,
  t,
} from '../../lib/index.ts';
import { chat, entry } from '../contract.ts';

/** Longest message, in UTF-16 units. */
const MESSAGE_MAX = 8_192;
/** Messages kept for each conversation: the state is stored as a whole with each message. */
const HISTORY_MAX = 500;
/** Conversations kept; a stranger can open one. */
const CONVERSATIONS_MAX = 1_000;
const DELIVERY_TIMEOUT_S = 10;
/** Whose requests count as the user's own, beside those of this package. */
const USER_PACKAGES: readonly string[] = ['terminal:sys', 'distro:sys'];

const conversations = t.dictionary(t.list(entry));
type State = t.Decoded<typeof conversations>;

export default defineProcess({
  contract: chat,
  state: stateOf(conversations, (): State => new Map()),
  on: {
    Send: async ({ target, message }, context, process) => {
      if (message.length > MESSAGE_MAX) {
        throw new Refusal('TooLong', `a message has at most ${MESSAGE_MAX} characters`);
      }
      const to = parseTarget(target, process);
      if (isUs(to, process)) {
        const from = nameOf(context.source, process);
        remember(process, from, { author: from, content: message });
        process.print(`${from}: ${printable(message)}`);
        return;
      }
      requireUser(context);
      // Archived when it has been: a message that is in the sender's history is in the receiver's store.
      await deliver(process, to, message);
      remember(process, nameOf(to, process), { author: process.our.node, content: message });
    },
    History: (name, context, process) => {
      requireUser(context);
      return process.state.get(nameOf(parseTarget(name, process), process)) ?? [];
    },
  },
});

/** Resolves when the other side has stored the message. */
async function deliver(process: Process<State>, to: Address, message: string): Promise<void> {
  const target = to.node === process.our.node ? formatAddress(to) : to.node;
  try {
    await client(process, chat, to, { timeoutS: DELIVERY_TIMEOUT_S }).Send({ target, message });
  } catch (error) {
    if (!(error instanceof NoResponse)) throw error;
    throw new Refusal('Undelivered', `${target} could not be reached (${error.kind})`);
  }
}

/** A node stands for the chat process of the same id there. */
function parseTarget(target: string, process: Process<State>): Address {
  try {
    return process.resolve(target.includes('@') ? target : `${target}@${process.our.process}`);
  } catch {
    throw new Refusal('BadTarget', `${printable(target)} is neither a node nor an address`);
  }
}

function isUs(to: Address, process: Process<State>): boolean {
  return to.node === process.our.node && to.process === process.our.process;
}

/** What a conversation is called: the node, or the address when both ends are on this one. */
function nameOf(other: Address, process: Process<State>): string {
  return other.node === process.our.node ? formatAddress(other) : other.node;
}

function requireUser(context: Context): void {
  const own = context.isLocal && USER_PACKAGES.includes(packageOf(context.source.process));
  if (!context.isOurPackage && !own) {
    throw new Refusal('Forbidden', "only the user's own processes may do this");
  }
}

function remember(
  process: Process<State>,
  name: string,
  message: { readonly author: string; readonly content: string },
): void {
  const state = new Map(process.state);
  const history = [...(state.get(name) ?? []), message].slice(-HISTORY_MAX);
  // Renewed at the end of the map's order, so that the conversation silent for longest is the one that goes.
  state.delete(name);
  state.set(name, history);
  const oldest = state.keys().next();
  if (state.size > CONVERSATIONS_MAX && oldest.done !== true) state.delete(oldest.value);
  process.state = state;
}

/** Without control characters: a message must not move the cursor of who reads it. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\u{FFFD}');
}
