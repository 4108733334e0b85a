/** What a chat process understands. */
import { contract, method, t } from '../lib/index.ts';

/**
 * Of a message: `Received` here; `Sent`: kept here and not known to be there, tried again; `Delivered`: in the store of the other side, once;
 * `Failed`: given up or refused, to be tried again by `Retry`.
 */
export const delivery = t.union({
  Received: t.unit,
  Sent: t.unit,
  Delivered: t.unit,
  Failed: t.unit,
});

export const entry = t.record({ author: t.text, content: t.text, delivery });

export const chat = contract({
  /**
   * From a user: keeps `message`, delivers it to `target`, a node or the address of a chat process, and is answered when it is stored there.
   * Refused with `Undelivered` when it is not there yet, and will be tried again: over restarts, for a week.
   * From another chat process, with ourselves as the target: a message for us. A second one of the same `id` is the same message.
   */
  Send: method(t.record({ target: t.text, message: t.text, id: t.option(t.text) }), t.unit),
  /** The conversation with a node (or with a chat process, by its address), oldest first. */
  History: method(t.text, t.list(entry)),
  /** Sends to a node what has failed, again. How many messages that are. */
  Retry: method(t.text, t.u32),
});
