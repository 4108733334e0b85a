/** What a chat process understands. */
import { contract, method, t } from '../lib/index.ts';

export const entry = t.record({ author: t.text, content: t.text });

export const chat = contract({
  /**
   * From a user: delivers `message` to `target`, a node or the address of a chat process, and is answered when it is stored there.
   * From another chat process, with ourselves as the target: a message for us.
   */
  Send: method(t.record({ target: t.text, message: t.text }), t.unit),
  /** The conversation with a node (or with a chat process, by its address), oldest first. */
  History: method(t.text, t.list(entry)),
});
