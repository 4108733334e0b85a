// A process with an extension: `/ask?text` is answered with what the extension makes of the text, `/told` with what it said by itself.
import {
  getBlob,
  receive,
  sendAndAwaitResponse,
  sendRequest,
  sendResponse,
} from 'hyperware:process/standard@1.0.0';

const utf8 = new TextEncoder();
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const SERVER = {
  node: 'our',
  process: { processName: 'http-server', packageName: 'distro', publisherNode: 'sys' },
};
const request = (action: object, expectsResponse: number | null) => ({
  inherit: false,
  expectsResponse,
  body: utf8.encode(JSON.stringify(action)),
  metadata: null,
  capabilities: [],
});

/** Of the extension that connected last. */
let channel: number | undefined;
let told = 'nothing';

function push(reply: 'Request' | 'Response', text: string): string {
  if (channel === undefined) return 'no extension';
  const action = {
    WebSocketExtPushOutgoing: {
      channel_id: channel,
      message_type: 'Binary',
      desired_reply_type: reply,
    },
  };
  const blob = { mime: null, bytes: utf8.encode(text) };
  if (reply === 'Request') {
    sendRequest(SERVER, request(action, null), null, blob);
    return 'sent';
  }
  try {
    sendAndAwaitResponse(SERVER, request(action, 2), blob);
    return textOf(getBlob()?.bytes);
  } catch {
    return 'no answer';
  }
}

function answer(text: string): void {
  const head = utf8.encode(JSON.stringify({ status: 200, headers: {} }));
  sendResponse(
    { inherit: false, body: head, metadata: null, capabilities: [] },
    { mime: null, bytes: utf8.encode(text) },
  );
}

export function init(_our: string): void {
  const path = { authenticated: false, local_only: false, cache: false };
  for (const name of ['/ask', '/tell', '/told'])
    sendAndAwaitResponse(SERVER, request({ Bind: { path: name, ...path } }, 5), null);
  const socket = { path: '/', authenticated: false, extension: true };
  sendAndAwaitResponse(SERVER, request({ WebSocketBind: socket }, 5), null);
  for (;;) {
    const message = receive()[1];
    if (message.tag !== 'request') continue;
    const event = JSON.parse(textOf(message.val.body)) as {
      Http?: { bound_path: string; query_params: { text?: string } };
      WebSocketOpen?: { channel_id: number };
      WebSocketPush?: object;
    };
    if (event.WebSocketOpen !== undefined) channel = event.WebSocketOpen.channel_id;
    if (event.WebSocketPush !== undefined) told = textOf(getBlob()?.bytes);
    if (event.Http === undefined) continue;
    const { bound_path, query_params } = event.Http;
    if (bound_path.endsWith('/told')) answer(told);
    else
      answer(push(bound_path.endsWith('/ask') ? 'Response' : 'Request', query_params.text ?? ''));
  }
}
