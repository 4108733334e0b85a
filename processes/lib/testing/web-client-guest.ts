/** A process that asks other servers as it is told, for the tests of web-client-conformance.ts. */
import { contract, defineProcess, method, Refusal, t } from '../index.ts';
import { fetch, HttpClientError } from '../http-client.ts';
import { connect, type WebSocket } from '../web-socket.ts';

const calls = contract({
  Fetch: method(
    t.record({ method: t.text, url: t.text, own: t.text, body: t.text }),
    t.record({ status: t.u16, type: t.option(t.text), seen: t.option(t.text), body: t.text }),
  ),
  /** The url's body as JSON with a number n. */
  FetchNumber: method(t.text, t.u32),
  /** Sockets are known by the order in which they were asked for. */
  Connect: method(t.text, t.unit),
  Send: method(t.tuple(t.u32, t.text), t.unit),
  SendBytes: method(t.tuple(t.u32, t.bytes), t.unit),
  Close: method(t.u32, t.unit),
  /** What has happened on a socket, and whether it is open. */
  Seen: method(t.u32, t.tuple(t.list(t.text), t.bool)),
});

const sockets: { socket: WebSocket | undefined; readonly seen: string[] }[] = [];

function socketOf(index: number): WebSocket {
  const socket = sockets[index]?.socket;
  if (socket === undefined) throw new Refusal('NoSocket', `there is no socket ${index}`);
  return socket;
}

/** What went wrong, by its name. */
async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HttpClientError) throw new Refusal(error.code, error.detail);
    throw error;
  }
}

export default defineProcess({
  contract: calls,
  setup: () => {
    sockets.length = 0;
  },
  on: {
    Fetch: async ({ method: verb, url, own, body }, _context, process) => {
      const options = { method: verb, headers: { 'X-Own': own }, body, timeoutS: 5 };
      const response = await named(fetch(process, url, options));
      const { status, headers } = response;
      const type = headers.get('Content-Type');
      return { status, type, seen: headers.get('x-seen'), body: response.text() };
    },
    FetchNumber: async (url, _context, process) => {
      const response = await named(fetch(process, url));
      try {
        return response.json(t.record({ n: t.u32 })).n;
      } catch (error) {
        return named(Promise.reject(error as Error));
      }
    },
    Connect: async (url, _context, process) => {
      const seen: string[] = [];
      const entry: (typeof sockets)[number] = { socket: undefined, seen };
      sockets.push(entry);
      const opening = connect(process, url, {
        headers: { 'X-Own': 'mine' },
        onMessage: (frame) =>
          void seen.push(typeof frame === 'string' ? frame : `bytes ${frame.join()}`),
        onClose: () => void seen.push('closed'),
      });
      entry.socket = await named(opening);
    },
    Send: ([index, text]) => named(socketOf(index).send(text)),
    SendBytes: ([index, bytes]) => named(socketOf(index).send(bytes)),
    Close: (index) => named(socketOf(index).close()),
    Seen: (index) => {
      const { seen = [], socket } = sockets[index] ?? {};
      return [seen, socket?.isOpen ?? false] as const;
    },
  },
});
