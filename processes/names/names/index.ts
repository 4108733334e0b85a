/**
 * Names: looks a name up in the namespace, and shows what is written under it while it is written. An example of the clients of
 * chains and names (`hyperware/eth`, `hyperware/hypermap`), and of use on a development node, where names come and go.
 */
import { defineProcess } from '../../lib/index.ts';
import { readChainSettings } from '../../lib/chain-settings.ts';
import { Eth, takeEthUpdate } from '../../lib/eth.ts';
import { showOnHomepage, svgIcon } from '../../lib/homepage.ts';
import { folder } from '../../lib/http-folder.ts';
import { type Channel, HttpServer, strictHeaders } from '../../lib/http-server.ts';
import { Hypermap, isFullName, labelKind } from '../../lib/hypermap.ts';
import { heard, type Heard, NAME_CHARS_MAX, said } from '../shared/wire.ts';
import { ICON } from './icon.ts';
import { Watched, type WatchedNeeds } from './watched.ts';

/** Names that are followed at a time, by all pages together. */
export const WATCHED_MAX = 64;

const http = new HttpServer({ headers: strictHeaders });
http.files(folder('ui', { headers: strictHeaders }));

/** Pages that look at one name share what follows it. */
const watched = new Map<string, { readonly one: Watched; readonly pages: Set<Channel<Heard>> }>();
let needs: Omit<WatchedNeeds, 'tell'>;

http.sockets('/live', {
  receives: said,
  sends: heard,
  onMessage: async (channel, { value: name }) => {
    leave(channel);
    const why = refusal(name);
    if (why !== undefined) {
      await channel.send({ kind: 'Trouble', value: { name, message: why } });
      return;
    }
    const { one, pages } = watched.get(name) ?? open(name);
    pages.add(channel);
    if (one.last !== undefined) await channel.send(one.last);
  },
  onClose: leave,
});

function refusal(name: string): string | undefined {
  const [label = ''] = name.split('.', 1);
  if (name.length > NAME_CHARS_MAX || !isFullName(name) || labelKind(label) !== 'name')
    return 'this is no name: labels of a-z, 0-9 and -, with dots between them';
  return watched.size >= WATCHED_MAX && !watched.has(name)
    ? 'too many names are being looked at; close a page'
    : undefined;
}

function open(name: string): { one: Watched; pages: Set<Channel<Heard>> } {
  const pages = new Set<Channel<Heard>>();
  const tell = async (news: Heard): Promise<void> => {
    // A page that cannot be told is closed: it comes back and is told everything.
    for (const page of pages) await page.send(news).catch(() => page.close());
  };
  const opened = { one: new Watched(name, { ...needs, tell }), pages };
  watched.set(name, opened);
  opened.one.start();
  return opened;
}

function leave(channel: Channel<Heard>): void {
  for (const [name, { one, pages }] of watched) {
    if (!pages.delete(channel) || pages.size > 0) continue;
    watched.delete(name);
    one.end();
  }
}

export default defineProcess({
  setup: async (process) => {
    watched.clear();
    const settings = await readChainSettings(process);
    const eth = new Eth(process, { chainId: settings.chain_id });
    const names = new Hypermap(process, eth, settings.hypermap);
    needs = { process, eth, names, firstBlock: settings.first_block };
    showOnHomepage(process, { label: 'Names', path: '/', icon: svgIcon(ICON) });
  },
  onMessage: async (context) => {
    await takeEthUpdate(context);
  },
  http,
});
