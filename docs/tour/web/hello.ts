import { defineProcess } from 'hyperware';
import { HttpServer, reply } from 'hyperware/http-server';

const http = new HttpServer();
http.get('/hello/:name', ({ params }) => reply.text(`Hello, ${params.name}!`));

export default defineProcess({ http });
