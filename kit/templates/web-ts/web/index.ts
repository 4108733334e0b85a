import { defineProcess, stateOf, t } from 'hyperware';
import { showOnHomepage } from 'hyperware/homepage';
import { folder } from 'hyperware/http-folder';
import { HttpServer, reply } from 'hyperware/http-server';

const visits = t.record({ count: t.u32 });
type Visits = t.Decoded<typeof visits>;

/** Everything is for the node's owner, logged in, unless it says `{ authenticated: false }`. */
const http = new HttpServer<Visits>();

/** The page: what kit makes of `ui/`. */
http.files(folder('ui'));

/** JSON: GET tells the number of visits, POST counts one more and tells everybody who is looking. */
http.get('/visits', (_request, process) => reply.coded(visits, process.state));
http.post('/visits', async (_request, process) => {
  process.state = { count: process.state.count + 1 };
  process.flush();
  await live.broadcast(process.state);
  return reply.coded(visits, process.state, { status: 201 });
});

/** A WebSocket, which carries every new number. */
const live = http.sockets('/live', { sends: visits });

export default defineProcess({
  state: stateOf(visits, (): Visits => ({ count: 0 })),
  setup: (process) => showOnHomepage(process, { label: '__PACKAGE__', path: '/' }),
  http,
});
