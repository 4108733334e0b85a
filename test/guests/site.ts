// The site of a package, for tests of whole nodes: `/`, `/api` and the socket `/live` on its secure subdomain, `/plain` where all packages
// are, `/open` for everybody. It prints what reached it. `/slow` takes a second, `/fetch?url=` asks another server.
import { defineProcess, type Process, sleep } from 'hyperware';
import { fetch, HttpClientError } from 'hyperware/http-client';
import { HttpServer, type HttpRequest, type HttpReply, reply } from 'hyperware/http-server';

const http = new HttpServer();

function served(request: HttpRequest, process: Process<unknown>): HttpReply {
  const path = request.path === '' ? '/' : request.path;
  const cookie = request.headers.get('cookie') ?? 'none';
  process.print(`served ${request.method} ${path} cookie=${cookie}`);
  return reply.html(`<!doctype html><title>${process.our.process} ${path}</title>`);
}

http.all('/', served, { secure: true });
http.all('/api', served, { secure: true });
http.all('/plain', served);
http.all('/open', served, { authenticated: false });
http.sockets(
  '/live',
  {
    onOpen: (_channel, process) => process.print('served SOCKET /live'),
    onMessage: (channel, message) => void channel.send(message),
  },
  { secure: true },
);
http.sockets(
  '/echo',
  { onMessage: (channel, message) => void channel.send(message) },
  { authenticated: false },
);
http.get(
  '/slow',
  async (_request, process) => {
    process.print('slow began');
    await sleep(process, 1_000);
    return reply.text('done');
  },
  { authenticated: false },
);
http.get(
  '/fetch',
  async ({ query }, process) => {
    try {
      const answer = await fetch(process, query.get('url') ?? '', { timeoutS: 10 });
      return reply.text(`${answer.status} ${answer.text()}`);
    } catch (error) {
      if (!(error instanceof HttpClientError)) throw error;
      return reply.text(`${error.code} ${error.message}`);
    }
  },
  { authenticated: false },
);

export default defineProcess({ http, setup: (process) => process.print('site is up') });
