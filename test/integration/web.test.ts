/** The web server in whole nodes: real components answer, real programs ask, ports are taken, the end comes. */
import { mkdtemp } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { httpServer } from '../../runtime-modules/http-server/index.ts';
import { id, testNode } from '../support/node.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const FIRST_BOOT_MS = 180_000;

interface Got {
  readonly status: number;
  readonly text: string;
}

function ask(
  port: number,
  path: string,
  {
    method = 'GET',
    body,
    headers = {},
  }: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.end(body);
  });
}

test('M132 M135 M141 a component answers; one that spins is 408, one that traps 503, and neither disturbs anybody', async () => {
  await using node = await testNode();
  const web = httpServer({ port: 0, host: '127.0.0.1' })({
    port: node.kernel.port('http-server'),
    clock: systemClock,
  });
  node.kernel.registerModule(web);
  const { port } = await web.listen();
  const component = await buildComponent(
    fileURLToPath(new URL('../guests/web.ts', import.meta.url)),
  );
  const capabilities = [
    { issuer: { node: 'test.os', process: id('http-server:distro:sys') }, params: '"messaging"' },
  ];
  for (const name of ['a:web:sys', 'b:web:sys'])
    await node.start(name, component, { capabilities });
  for (const path of ['/a:web:sys', '/b:web:sys'])
    await expect.poll(async () => (await ask(port, path)).status, { timeout: 20_000 }).toBe(200);
  const note = await ask(port, '/a:web:sys/note/7?x=1', { method: 'POST', body: 'text' });
  expect([note.status, JSON.parse(note.text)]).toEqual([
    200,
    expect.objectContaining({
      method: 'POST',
      bound_path: '/a:web:sys/note/:id',
      url_params: { id: '7' },
      query_params: { x: '1' },
      body: 'text',
    }),
  ]);
  const spinning = ask(port, '/a:web:sys/spin', {
    headers: { 'X-Hyperware-Http-Server-Timeout': '1' },
  });
  expect((await ask(port, '/b:web:sys')).status).toBe(200);
  expect((await spinning).status).toBe(408);
  const trapped = await ask(port, '/b:web:sys/trap');
  expect(trapped).toEqual({ status: 503, text: 'b:web:sys is not running' });
  expect((await ask(port, '/b:web:sys')).status).toBe(404);
  await node.kernel.kill(id('a:web:sys'));
}, 60_000);

let home: string;
let node: RunningNode;
let port: number;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'web-'));
  node = RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--port', '0', '--expose-local']);
  port = Number((await node.until(/ is up after .*http:\/\/localhost:(\d+)\./))[1]);
}, FIRST_BOOT_MS);
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await removeHome(home);
});

test('M168 M169 M173 a program of this machine asks a module, as kit does', async () => {
  const rpc = async (process: string, body: object): Promise<Got> =>
    ask(port, '/rpc:distro:sys/message', {
      method: 'POST',
      body: JSON.stringify({ process, expects_response: 5, body: JSON.stringify(body) }),
    });
  expect(await rpc('timer:distro:sys', { SetTimer: 1 })).toEqual({
    status: 200,
    text: '{"body":[],"lazy_load_blob":null}',
  });
  // It speaks for itself: what only capabilities open stays shut.
  const listing = await rpc('vfs:distro:sys', { path: '/terminal:sys/pkg', action: 'ReadDir' });
  const { body } = JSON.parse(listing.text) as { body: number[] };
  expect(Buffer.from(body).toString()).toBe('{"Err":"NoReadCap"}');
});

test('F21 a page that had its name pointed here gets nothing', async () => {
  for (const path of ['/', '/rpc:distro:sys/message'])
    expect((await ask(port, path, { headers: { Host: 'evil.example' } })).status).toBe(403);
});

test(
  'M236 a second node on the port ends with code 9, and says which is free',
  async () => {
    const other = await mkdtemp(join(tmpdir(), 'web-'));
    const second = RunningNode.spawn([
      other,
      '--fake-node-name',
      'two.dev',
      '--port',
      String(port),
    ]);
    expect((await second.exited).code).toBe(9);
    expect(second.output).toMatch(new RegExp(`port ${port} is taken; the next free one is \\d+`));
    await removeHome(other);
  },
  FIRST_BOOT_MS,
);

test('an idle connection does not hold up the end', async () => {
  const idle = connect(port, '127.0.0.1');
  idle.on('error', () => undefined);
  await new Promise((resolve) => {
    idle.once('connect', resolve);
  });
  expect(await node.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(node.output).not.toContain('ended at once');
});
