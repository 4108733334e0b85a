/** What the notebook understands. All of it is for processes of this package, such as its script. */
import { contract, method, t } from '../lib/index.ts';

export const noteId = t.u64;

export const summary = t.record({ id: noteId, title: t.text, tags: t.list(t.text) });

export const note = t.record({
  id: noteId,
  title: t.text,
  body: t.text,
  tags: t.list(t.text),
  attachments: t.list(t.record({ name: t.text, bytes: t.u64 })),
});

export const settings = t.record({
  /** Notes that a listing shows at most. */
  list_max: t.u32,
  /** Given to every new note. */
  default_tags: t.list(t.text),
});

/** Rights to read the notes and their attachments, as told to the process that is given them. */
export const shared = t.record({ database: t.text, drive: t.text });

export const notebook = contract(
  {
    Add: method(t.record({ title: t.text, body: t.text }), noteId),
    Show: method(noteId, note),
    /** All notes, or those with a tag; the newest first. */
    List: method(t.record({ tag: t.option(t.text) }), t.list(summary)),
    Find: method(t.text, t.list(summary)),
    Remove: method(noteId, t.unit),
    Tag: method(t.record({ id: noteId, tag: t.text }), t.unit),
    Tags: method(t.unit, t.list(t.record({ tag: t.text, notes: t.u32 }))),
    /** The content is the blob. Answered with the file's SHA-256, in hex. */
    Attach: method(t.record({ id: noteId, name: t.text }), t.text),
    /** The content comes as the blob. */
    Attachment: method(t.record({ id: noteId, name: t.text }), t.unit),
    Remind: method(t.record({ id: noteId, in_s: t.u32, text: t.text }), t.unit),
    /** Answered when the next reminder is due, with its text. */
    AwaitReminder: method(t.unit, t.text),
    Settings: method(t.unit, settings),
    Configure: method(settings, t.unit),
    /** Gives a process of this node the right to read everything; answered when that process has answered. */
    ShareWith: method(t.text, t.unit),
  },
  { access: 'package' },
);

/** What a process that is shared with must understand. */
export const sharing = contract({ Shared: method(shared, t.unit) });
