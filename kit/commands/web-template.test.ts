/** What the template of a web app does, before anybody has changed it. */
import { expect, test } from 'vitest';
import { FakeHttpServer } from '../../processes/lib/testing/fake-http-server.ts';
import { FakeVfs } from '../../processes/lib/testing/fake-vfs.ts';
import { TestProcess } from '../../processes/lib/testing/test-process.ts';
import template from '../templates/web-ts/web/index.ts';

const ROOT = '/web:visits:bob.os';

test('a page, a JSON route, and a socket that carries what the route changes', async () => {
  const server = new FakeHttpServer();
  const vfs = new FakeVfs();
  vfs.put('visits:bob.os/pkg/ui/index.html', '<head></head>the page');
  const options = {
    our: `alice.os@${ROOT.slice(1)}`,
    peers: { 'http-server:distro:sys': server.peer, 'vfs:distro:sys': vfs.peer },
  };
  const process = await TestProcess.start(template, options);
  expect((await server.request(process, ROOT)).text).toContain('the page');
  expect((await server.request(process, `${ROOT}/visits`)).text).toBe('{"count":0}');
  const socket = await server.connect(process, `${ROOT}/live`);
  const visit = { method: 'POST' };
  expect((await server.request(process, `${ROOT}/visits`, visit)).status).toBe(201);
  expect(socket?.next()).toBe('{"count":1}');
  const again = await TestProcess.start(template, { ...options, state: process.host.state });
  expect((await server.request(again, `${ROOT}/visits`)).text).toBe('{"count":1}');
});
