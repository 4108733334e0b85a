/** Starts the page, or the widget: what the body says it is. What is looked at is in the address, after #. */
import { render } from 'preact';
import { App } from './parts/app.ts';
import { html } from './parts/html.ts';
import { Live } from './parts/live.ts';
import { MarketApi } from './parts/market-api.ts';
import { Market } from './parts/market.ts';
import { followTheme } from './parts/theme.ts';
import { Widget } from './parts/widget.ts';

const socket = new URL('ws', document.baseURI);
socket.protocol = socket.protocol === 'https:' ? 'wss:' : 'ws:';

const api = new MarketApi(new URL('.', document.baseURI));
const live = new Live({
  connect: ({ opened, received, closed }) => {
    const made = new WebSocket(socket);
    made.addEventListener('open', opened);
    made.addEventListener('message', ({ data }) => received(data));
    made.addEventListener('close', closed);
    return made;
  },
  token: () => api.token(),
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
});
const market = new Market(api, live, (ms, work) => void setTimeout(work, ms));

addEventListener('online', () => live.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') live.hurry();
});

followTheme();
market.start();
const view = document.body.dataset['view'] === 'widget' ? Widget : App;
render(html`<${view} market=${market} />`, document.body);
