/** Notebook: an example that uses every kind of storage, and timers. */
import { client, defineProcess, Refusal, stateOf, type t } from '../../lib/index.ts';
import { notebook, settings, sharing } from '../contract.ts';
import { Notes } from './notes.ts';
import { Reminders } from './reminders.ts';

type Settings = t.Decoded<typeof settings>;

/** Opened by `setup`, which runs before any handler. */
let notes: Notes;
let reminders: Reminders;

export default defineProcess({
  contract: notebook,
  state: stateOf(settings, (): Settings => ({ list_max: 20, default_tags: [] })),
  setup: async (process) => {
    notes = await Notes.open(process);
    reminders = new Reminders(process, notes.database);
    await reminders.arm();
  },
  on: {
    Add: async ({ title, body }, _context, process) => {
      const id = await notes.add(title, body);
      for (const tag of process.state.default_tags) await notes.tag(id, tag);
      return id;
    },
    Show: (id) => notes.show(id),
    List: ({ tag }, _context, { state: { list_max } }) =>
      tag === undefined ? notes.list(list_max) : notes.withTag(tag, list_max),
    Find: (text, _context, process) => notes.find(text, process.state.list_max),
    Remove: async (id) => {
      await notes.remove(id);
      await reminders.arm();
    },
    Tag: ({ id, tag }) => notes.tag(id, tag),
    Tags: () => notes.countTags(),
    Attach: ({ id, name }, context) => {
      const content = context.blob();
      if (content === undefined) throw new Refusal('NoBlob', 'the content must be the blob');
      return notes.attach(id, name, content.bytes);
    },
    Attachment: async ({ id, name }, context) => {
      const bytes = await notes.attachment(id, name);
      const answer = notebook.responses.encode({ kind: 'Attachment' });
      context.reply(answer, { blob: { mime: 'application/octet-stream', bytes } });
    },
    Remind: async ({ id, in_s, text }) => {
      await notes.show(id);
      await reminders.add(id, Date.now() + in_s * 1_000, text);
    },
    AwaitReminder: (_args, context) => {
      reminders.wait(context.deferReply(), context.signal);
      return '';
    },
    Settings: (_args, _context, process) => process.state,
    Configure: (wanted, _context, process) => {
      process.state = wanted;
    },
    ShareWith: async (target, _context, process) => {
      const capabilities = [
        ...notes.database.capabilities('read'),
        ...notes.files.capabilities('read'),
      ];
      const what = { database: notes.database.name, drive: notes.files.id };
      await client(process, sharing, target).Shared(what, { capabilities });
    },
  },
});
