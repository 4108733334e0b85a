/** Starts the page, or the widget: what the body says it is. */
import { render } from 'preact';
import { App } from './parts/app.ts';
import { html } from './parts/html.ts';
import { newId } from './parts/new-id.ts';
import { followTheme } from './parts/theme.ts';
import { Store } from './parts/store.ts';
import { Widget } from './parts/widget.ts';

const live = new URL('live', document.baseURI);
live.protocol = live.protocol === 'https:' ? 'wss:' : 'ws:';

const store = new Store({
  connect: ({ opened, received, closed }) => {
    const socket = new WebSocket(live);
    socket.addEventListener('open', opened);
    socket.addEventListener('message', ({ data }) => received(data));
    socket.addEventListener('close', closed);
    return socket;
  },
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
  page: newId(),
  random: Math.random,
});

addEventListener('online', () => store.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') store.hurry();
});
addEventListener('beforeunload', (event) => {
  if (store.snapshot.undecided > 0) event.preventDefault();
});

followTheme();
store.start();
const view = document.body.dataset['view'] === 'widget' ? Widget : App;
render(html`<${view} store=${store} />`, document.body);
