/** Starts the page. The name that is looked at is in the address, after #, so that it can be kept and sent. */
import { render } from 'preact';
import { App } from './parts/app.ts';
import { html } from './parts/html.ts';
import { Live } from './parts/live.ts';

const url = new URL('live', document.baseURI);
url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

const live = new Live({
  connect: ({ opened, received, closed }) => {
    const socket = new WebSocket(url);
    socket.addEventListener('open', opened);
    socket.addEventListener('message', ({ data }) => received(data));
    socket.addEventListener('close', closed);
    return socket;
  },
  after: (ms, work) => void setTimeout(work, ms),
});

/** As it stands there: names need no escaping, and what does is no name. */
function follow(): void {
  live.watch(location.hash.slice(1));
}

addEventListener('hashchange', follow);
follow();
live.start();
render(html`<${App} live=${live} />`, document.body);
