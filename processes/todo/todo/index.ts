/**
 * To do: a list that all browsers of the owner share. The page is in ../ui, and knows the list by one WebSocket; each change is stored
 * before anybody is told of it.
 */
import { defineProcess, stateOf } from '../../lib/index.ts';
import { showOnHomepage, svgIcon } from '../../lib/homepage.ts';
import { folder } from '../../lib/http-folder.ts';
import { type Channel, HttpServer, reply, strictHeaders } from '../../lib/http-server.ts';
import { heard, type Heard, PAGE_CHARS_MAX, said } from '../shared/wire.ts';
import { type Board, board, catchUp, decide, emptyBoard } from './board.ts';
import { ICON } from './icon.ts';

const http = new HttpServer<Board>({ headers: strictHeaders });
http.files(folder('ui', { headers: strictHeaders }));

/** The list as plain text, for whoever wants to take it elsewhere. */
http.get('/export.txt', (_request, process) => {
  const lines = process.state.items.map(({ text, done }) => `- [${done ? 'x' : ' '}] ${text}\n`);
  const headers = { 'content-disposition': 'attachment; filename="todo.txt"' };
  return reply.text(lines.join(''), { headers });
});

/** What each page is called, once it has said hello; nobody is told anything before. */
const pages = new Map<Channel<Heard>, string>();

const live = http.sockets('/live', {
  receives: said,
  sends: heard,
  onMessage: async (channel, message, process) => {
    switch (message.kind) {
      case 'Ping':
        await channel.send({ kind: 'Pong' });
        return;
      case 'Hello': {
        const { page, ...seen } = message.value;
        if (page === '' || page.length > PAGE_CHARS_MAX) {
          await channel.close();
          return;
        }
        pages.set(channel, page);
        await channel.send(catchUp(process.state, page, seen));
        return;
      }
      case 'Change': {
        const page = pages.get(channel);
        if (page === undefined) {
          await channel.close();
          return;
        }
        const decision = decide(process.state, { page, ...message.value });
        process.state = decision.board;
        process.flush();
        if (decision.kind === 'made') await tell({ kind: 'Made', value: [decision.made] });
        else {
          const { number } = message.value;
          await channel.send({ kind: 'Refused', value: { number, ...decision.why } });
        }
      }
    }
  },
  onClose: (channel) => void pages.delete(channel),
});

/** A page that cannot be told now is closed: it comes back and asks for what it missed. */
async function tell(news: Heard): Promise<void> {
  const late = await live.broadcast(news);
  for (const channel of late) await channel.close();
}

export default defineProcess({
  state: stateOf(board, emptyBoard),
  setup: (process) => {
    pages.clear();
    showOnHomepage(process, {
      label: 'To do',
      path: '/',
      icon: svgIcon(ICON),
      widget: '/widget.html',
    });
  },
  http,
});
