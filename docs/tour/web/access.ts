import { defineProcess } from 'hyperware';
import { escapeHtml, HttpServer, reply, strictHeaders } from 'hyperware/http-server';

const http = new HttpServer({ headers: strictHeaders });
http.static('/robots.txt', 'User-agent: *\nDisallow: /\n', { authenticated: false });
http.get('/greet', ({ query }) => {
  const name = query.get('name') ?? 'stranger';
  return reply.html(`<p>Hello, ${escapeHtml(name)}!</p>`);
});
http.post('/backup', () => reply.empty(), { localOnly: true });
http.delete('/everything', () => reply.empty(), { secure: true });

export default defineProcess({ http });
