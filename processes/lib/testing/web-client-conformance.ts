/**
 * What web-client-guest.ts sees of other servers. The same tests run with the fake of http-client and with the real module, so that what
 * is learnt with the fake holds on a node.
 *
 * The server that a world provides answers:
 * - `/echo` with JSON of method, header x-own and body, and a header `x-seen: yes`; `/teapot` with 418 and `short`;
 * - `/number` with `{"n":7}`, `/nonsense` with `nonsense`; `/broken` by breaking the connection;
 * - WebSockets on `/live` that bring x-own, with `welcome`, then with whatever it is sent; to `bye` by closing. No others.
 */
import { expect, test } from 'vitest';

export interface ClientWorld extends AsyncDisposable {
  /** The server's, such as `127.0.0.1:8080`. */
  readonly host: string;
  /** Calls a method of the process's contract. Rejects with what it refuses. */
  ask(method: string, args: unknown): Promise<unknown>;
}

/** @param open a world in which web-client-guest.ts runs, afresh */
export function webClientConformance(open: () => Promise<ClientWorld>): void {
  const page = (name: string, work: (world: ClientWorld) => Promise<void>): void => {
    test(name, async () => {
      await using world = await open();
      await work(world);
    });
  };
  const seen = async (world: ClientWorld, index: number, wanted: unknown): Promise<void> =>
    expect.poll(() => world.ask('Seen', index)).toEqual(wanted);

  page('M204 M205 a request goes out as given, its answer comes back whole', async (world) => {
    const url = `http://${world.host}/echo?q=1`;
    const request = { method: 'PUT', url, own: 'mine', body: 'grüße' };
    expect(await world.ask('Fetch', request)).toEqual({
      status: 200,
      type: 'application/json',
      seen: 'yes',
      body: '{"method":"PUT","own":"mine","body":"grüße"}',
    });
  });

  page('M204 any status is an answer', async (world) => {
    const url = `http://${world.host}/teapot`;
    const request = { method: 'GET', url, own: '', body: '' };
    expect(await world.ask('Fetch', request)).toMatchObject({ status: 418, body: 'short' });
  });

  page('M206 what goes wrong has a name', async (world) => {
    const fetch = (url: string, method = 'GET'): Promise<unknown> =>
      world.ask('Fetch', { method, url, own: '', body: '' });
    await expect(fetch('nonsense')).rejects.toMatchObject({ kind: 'BadUrl' });
    const broken = fetch(`http://${world.host}/broken`);
    await expect(broken).rejects.toMatchObject({ kind: 'ExecuteRequestFailed' });
    expect(await world.ask('FetchNumber', `http://${world.host}/number`)).toBe(7);
    const nonsense = world.ask('FetchNumber', `http://${world.host}/nonsense`);
    await expect(nonsense).rejects.toMatchObject({ kind: 'BadData' });
  });

  page('a socket carries texts and bytes until the server closes it', async (world) => {
    await world.ask('Connect', `ws://${world.host}/live`);
    await seen(world, 0, [['welcome'], true]);
    await world.ask('Send', [0, 'hällo']);
    await seen(world, 0, [['welcome', 'hällo'], true]);
    await world.ask('SendBytes', [0, [1, 2, 255]]);
    await seen(world, 0, [['welcome', 'hällo', 'bytes 1,2,255'], true]);
    await world.ask('Send', [0, 'bye']);
    await seen(world, 0, [['welcome', 'hällo', 'bytes 1,2,255', 'closed'], false]);
    const late = world.ask('Send', [0, 'late']);
    await expect(late).rejects.toMatchObject({ kind: 'WsPushUnknownChannel' });
  });

  page('a socket that the process closes is closed once', async (world) => {
    await world.ask('Connect', `ws://${world.host}/live`);
    await world.ask('Connect', `ws://${world.host}/live`);
    await seen(world, 1, [['welcome'], true]);
    await world.ask('Close', 0);
    await world.ask('Close', 0);
    await world.ask('Send', [1, 'still']);
    await seen(world, 1, [['welcome', 'still'], true]);
    const [events, isOpen] = (await world.ask('Seen', 0)) as [string[], boolean];
    expect(isOpen).toBe(false);
    expect(events.filter((event) => event === 'closed')).toHaveLength(1);
  });

  page('M206 a socket that is refused is none', async (world) => {
    const refused = world.ask('Connect', `ws://${world.host}/elsewhere`);
    await expect(refused).rejects.toMatchObject({ kind: 'WsOpenFailed' });
    await expect(world.ask('Connect', 'nonsense')).rejects.toMatchObject({ kind: 'BadUrl' });
  });
}
