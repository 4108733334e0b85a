import { defineProcess, Refusal, stateOf, t } from 'hyperware';
import { HttpServer, reply, wholeNumber } from 'hyperware/http-server';

const note = t.record({ title: t.text, done: t.bool });
const notes = t.list(note);
type Notes = t.Decoded<typeof notes>;

const http = new HttpServer<Notes>();

http.get('/notes', ({ query }, process) => {
  const { first } = query.as(t.record({ first: t.option(wholeNumber) }));
  return reply.coded(notes, process.state.slice(0, first));
});

http.post('/notes', (request, process) => {
  process.state = [...process.state, request.json(note)];
  return reply.json({ id: process.state.length - 1 }, { status: 201 });
});

http.get('/notes/:id.json', ({ params }, process) => {
  const found = process.state[Number(params.id)];
  if (found === undefined) throw new Refusal('NotFound', `there is no note ${params.id}`);
  return reply.coded(note, found);
});

export default defineProcess({ state: stateOf(notes, (): Notes => []), http });
