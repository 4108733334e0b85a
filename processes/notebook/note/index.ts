/** The script `note:notebook:demo`: the notebook from the terminal. */
import {
  client,
  defineScript,
  packageOf,
  processIn,
  type ScriptArguments,
  WrongUsage,
} from '../../lib/index.ts';
import { notebook } from '../contract.ts';

const TIMEOUT_S = 15;

export default defineScript({
  usage: `note add <title> [<text>] | list [<tag>] | find <text> | show <id> | tag <id> <tag> | tags
  | attach <id> <name> <text> | read <id> <name> | remind <id> <seconds> <text> | remove <id> | set list_max <n>`,
  run: async ({ words }: ScriptArguments, process) => {
    const ours = {
      node: process.our.node,
      process: processIn('notebook', packageOf(process.our.process)),
    };
    const notes = client(process, notebook, ours, { timeoutS: TIMEOUT_S });
    const [verb, first = '', second = '', ...rest] = words;
    const id = Number(first);
    switch (verb) {
      case 'add':
        if (first === '') throw new WrongUsage();
        return `note ${await notes.Add({ title: first, body: [second, ...rest].join(' ') })}`;
      case 'list':
        return lines(await notes.List({ tag: first === '' ? undefined : first }));
      case 'find':
        return lines(await notes.Find(words.slice(1).join(' ')));
      case 'tag':
        await notes.Tag({ id: number(first), tag: second });
        return `note ${id} is tagged ${second}`;
      case 'tags':
        return (await notes.Tags()).map((one) => `${one.tag} ${one.notes}`).join('\n');
      case 'show': {
        const { title, body, tags, attachments } = await notes.Show(number(first));
        const files = attachments.map(({ name, bytes }) => `  ${name} (${bytes} bytes)`);
        return [`${title}  [${tags.join(', ')}]`, body, ...files].join('\n');
      }
      case 'attach': {
        const bytes = new TextEncoder().encode(rest.join(' '));
        const hash = await notes.Attach(
          { id: number(first), name: second },
          { blob: { mime: 'text/plain', bytes } },
        );
        return `${second}: ${hash}`;
      }
      case 'read': {
        const { blob } = await notes.Attachment.full({ id: number(first), name: second });
        if (blob === undefined) return `note ${id} has no ${second}`;
        return new TextDecoder().decode(blob.bytes);
      }
      case 'remind':
        await notes.Remind({ id: number(first), in_s: number(second), text: rest.join(' ') });
        return `in ${second} s`;
      case 'remove':
        await notes.Remove(number(first));
        return `note ${id} is removed`;
      case 'set': {
        if (first !== 'list_max') throw new WrongUsage(`${first} is no setting`);
        const before = await notes.Settings();
        await notes.Configure({ ...before, list_max: number(second) });
        return `${first} is ${second}`;
      }
      default:
        throw new WrongUsage();
    }
  },
});

function lines(
  found: readonly { id: number | bigint; title: string; tags: readonly string[] }[],
): string {
  if (found.length === 0) return 'no notes';
  return found.map(({ id, title, tags }) => `${id} ${title}  [${tags.join(', ')}]`).join('\n');
}

function number(text: string): number {
  if (!/^\d+$/.test(text)) throw new WrongUsage(`${text} is not a number`);
  return Number(text);
}
