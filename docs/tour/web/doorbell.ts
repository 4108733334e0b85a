import { defineProcess } from 'hyperware';
import { HttpServer, type HttpReply, reply } from 'hyperware/http-server';

const http = new HttpServer();
const waiting = new Set<(answer: HttpReply) => void>();

http.get('/ring', ({ signal }) => {
  return new Promise<HttpReply>((resolve) => {
    waiting.add(resolve);
    signal.addEventListener('abort', () => waiting.delete(resolve));
  });
});

http.post('/ring', () => {
  for (const resolve of waiting) resolve(reply.text('ding dong'));
  waiting.clear();
  return reply.empty();
});

export default defineProcess({ http });
