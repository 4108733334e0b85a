/** What a chat keeps: pure functions of its conversations, by the name of the other side, the one silent for longest first. */
import { t } from '../../lib/index.ts';
import { delivery } from '../contract.ts';

/** Messages kept for each conversation, those still to be delivered in any case: the state is stored as a whole with each message. */
export const HISTORY_MAX = 500;
/** Conversations kept; a stranger can open one. */
export const CONVERSATIONS_MAX = 1_000;

const message = t.record({
  /** Its author's name for it; none of those that came without. */
  id: t.option(t.text),
  author: t.text,
  content: t.text,
  delivery,
  /** When it was first to be sent, in ms of the epoch; 0 for what was not sent from here. */
  sentMs: t.f64,
});

export const conversations = t.dictionary(t.list(message));

export type Message = t.Decoded<typeof message>;
export type Conversations = t.Decoded<typeof conversations>;
export type Delivery = Message['delivery']['kind'];

/** Version 1: only what had arrived was kept. */
export const firstVersion = t.dictionary(t.list(t.record({ author: t.text, content: t.text })));

export function fromFirstVersion(old: t.Decoded<typeof firstVersion>): Conversations {
  return new Map(
    [...old].map(([name, entries]) => [
      name,
      entries.map(({ author, content }) => {
        const kind = author === name ? 'Received' : 'Delivered';
        return { id: undefined, author, content, delivery: { kind }, sentMs: 0 };
      }),
    ]),
  );
}

/** With one more message. What is to be delivered is never dropped for it. */
export function remember(state: Conversations, name: string, added: Message): Conversations {
  const next = new Map(state);
  const messages = [...(state.get(name) ?? []), added];
  let over = messages.length - HISTORY_MAX;
  // Renewed at the end of the map's order, so that the conversation silent for longest is the one that goes.
  next.delete(name);
  next.set(
    name,
    messages.filter((each) => isWaiting(each) || over-- <= 0),
  );
  if (next.size > CONVERSATIONS_MAX) {
    const idle = [...next].find(([other, kept]) => other !== name && !kept.some(isWaiting));
    if (idle !== undefined) next.delete(idle[0]);
  }
  return next;
}

/** Whether that message of that author is kept: it came before. */
export function isKept(
  state: Conversations,
  name: string,
  { author, id }: { readonly author: string; readonly id: string | undefined },
): boolean {
  if (id === undefined) return false;
  return state.get(name)?.some((each) => each.id === id && each.author === author) === true;
}

/** With what became of a message of ours. */
export function settled(
  state: Conversations,
  name: string,
  { id, kind }: { readonly id: string | undefined; readonly kind: Delivery },
): Conversations {
  return changed(state, name, (each) =>
    each.id === id && isWaiting(each) ? { ...each, delivery: { kind } } : each,
  );
}

/** With everything that failed to be delivered again, as if sent now. */
export function revived(state: Conversations, name: string, nowMs: number): Conversations {
  return changed(state, name, (each) =>
    each.delivery.kind === 'Failed' ? { ...each, delivery: { kind: 'Sent' }, sentMs: nowMs } : each,
  );
}

/** What is to be delivered, oldest first. */
export function waiting(state: Conversations, name: string): readonly Message[] {
  return state.get(name)?.filter(isWaiting) ?? [];
}

function isWaiting(each: Message): boolean {
  return each.delivery.kind === 'Sent';
}

function changed(
  state: Conversations,
  name: string,
  change: (message: Message) => Message,
): Conversations {
  return new Map(state).set(name, (state.get(name) ?? []).map(change));
}
