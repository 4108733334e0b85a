// A page of its own: binds its root, then answers every HTTP request with what it saw. `/trap` ends it, `/spin` never answers.
import {
  getBlob,
  receive,
  sendAndAwaitResponse,
  sendResponse,
} from 'hyperware:process/standard@1.0.0';

const utf8 = new TextEncoder();
const SERVER = {
  node: 'our',
  process: { processName: 'http-server', packageName: 'distro', publisherNode: 'sys' },
};

function bind(path: string): void {
  const action = { Bind: { path, authenticated: false, local_only: false, cache: false } };
  sendAndAwaitResponse(
    SERVER,
    {
      inherit: false,
      expectsResponse: 5,
      body: utf8.encode(JSON.stringify(action)),
      metadata: null,
      capabilities: [],
    },
    null,
  );
}

export function init(_our: string): void {
  bind('/');
  bind('/note/:id');
  for (;;) {
    const message = receive()[1];
    if (message.tag !== 'request') continue;
    const { Http: request } = JSON.parse(new TextDecoder().decode(message.val.body)) as {
      Http: { url: string };
    };
    if (request.url.endsWith('/trap')) throw new Error('as asked');
    while (request.url.endsWith('/spin'));
    const body = new TextDecoder().decode(getBlob()?.bytes);
    const head = { status: 200, headers: { 'Content-Type': 'application/json' } };
    sendResponse(
      { inherit: false, body: utf8.encode(JSON.stringify(head)), metadata: null, capabilities: [] },
      { mime: null, bytes: utf8.encode(JSON.stringify({ ...request, body })) },
    );
  }
}
