import { expect, test } from 'vitest';
import { FakeHttpServer } from 'hyperware/testing/fake-http-server';
import { TestProcess } from 'hyperware/testing/test-process';
import hello from './hello.ts';

test('it greets', async () => {
  const server = new FakeHttpServer();
  const process = await TestProcess.start(hello, {
    our: 'alice.os@hello:tour:me.os',
    peers: { 'http-server:distro:sys': server.peer },
  });
  const { status, text } = await server.request(process, '/hello:tour:me.os/hello/Ada');
  expect([status, text]).toEqual([200, 'Hello, Ada!']);
});
