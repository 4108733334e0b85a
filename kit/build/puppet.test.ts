import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { bootSolo, type SoloNode } from '../solo-node.ts';
import { buildComponent } from './component.ts';

let component: Uint8Array;
beforeAll(async () => {
  component = await buildComponent(
    fileURLToPath(new URL('../../test/guests/puppet.ts', import.meta.url)),
  );
});

type Step = readonly [name: string, args: readonly unknown[]];
const id = (processName: string, packageName = 'distro', publisherNode = 'sys'): object => ({
  processName,
  packageName,
  publisherNode,
});
const at = (process: object): object => ({ node: 'kit.os', process });
const TIMER = at(id('timer'));
const SELF = at(id('main', 'kit', 'kit.os'));
const request = (body: string, expectsResponse: number | null): object => ({
  inherit: false,
  expectsResponse,
  body: { $utf8: body },
  metadata: null,
  capabilities: [],
});
const hex = (text: string): object => ({ $hex: Buffer.from(text).toString('hex') });

async function steps(node: SoloNode, ...list: Step[]): Promise<unknown[]> {
  const body = new TextEncoder().encode(JSON.stringify({ steps: list }));
  const end = await node.ask(body, { timeoutS: 20 });
  if (end.kind !== 'response') throw new Error(end.kind);
  return JSON.parse(new TextDecoder().decode(end.body)) as unknown[];
}

test('identity, prints, on-exit, state and capabilities, from inside a component', async () => {
  await using node = await bootSolo(component);
  const messaging = { issuer: SELF, params: '"messaging"' };
  const made = { issuer: SELF, params: '{"drive":1}' };
  const exitRequests = {
    tag: 'requests',
    val: [[TIMER, request('7', null), { mime: 'a/b', bytes: hex('x') }]],
  };
  expect(
    await steps(
      node,
      ['our', []],
      ['printToTerminal', [2, 'líne']],
      ['getOnExit', []],
      ['setOnExit', [{ tag: 'restart' }]],
      ['getOnExit', []],
      ['setOnExit', [exitRequests]],
      ['getOnExit', []],
      ['setOnExit', [{ tag: 'none' }]],
      ['getState', []],
      ['setState', [{ $hex: '00ff80' }]],
      ['getState', []],
      ['clearState', []],
      ['getState', []],
      ['saveCapabilities', [[made]]],
    ),
  ).toEqual([
    { ok: SELF },
    { ok: null },
    { ok: { tag: 'none' } },
    { ok: null },
    { ok: { tag: 'restart' } },
    { ok: null },
    {
      ok: {
        tag: 'requests',
        val: [[TIMER, { ...request('7', null), body: hex('7') }, { mime: 'a/b', bytes: hex('x') }]],
      },
    },
    { ok: null },
    { ok: null },
    { ok: null },
    { ok: { $hex: '00ff80' } },
    { ok: null },
    { ok: null },
    { ok: null },
  ]);
  expect(node.prints).toContainEqual(
    expect.objectContaining({ verbosity: 2, text: expect.stringContaining('líne') }),
  );
  const [held] = (await steps(node, ['ourCapabilities', []])) as [{ ok: unknown[] }];
  expect(held.ok).toContainEqual(messaging);
  expect(held.ok).toContainEqual(made);
  const [, after] = (await steps(
    node,
    ['dropCapabilities', [[made]]],
    ['ourCapabilities', []],
  )) as [unknown, { ok: unknown[] }];
  expect(after.ok).not.toContainEqual(made);
});

test('requests, responses, contexts, blobs and send errors, from inside a component', async () => {
  await using node = await bootSolo(component);
  const response = { inherit: false, body: hex(''), metadata: null, capabilities: [] };
  const nobody = at(id('nobody'));
  const blob = { mime: 'text/plain', bytes: { $utf8: 'blob' } };
  const results = await steps(
    node,
    ['sendRequest', [TIMER, request('{"SetTimer":1}', 5), { $utf8: 'ctx' }, null]],
    ['receive', []],
    ['sendAndAwaitResponse', [TIMER, request('{"SetTimer":1}', 5), null]],
    ['sendRequests', [[[nobody, request('x', 5), { $utf8: 'lost' }, blob]]]],
    ['receive', []],
    ['sendAndAwaitResponse', [nobody, request('y', 5), null]],
    ['sendRequest', [SELF, request('to myself', null), null, blob]],
    ['receive', []],
    ['hasBlob', []],
    ['getBlob', []],
    ['getState', []],
    ['hasBlob', []],
    ['getBlob', []],
    ['lastBlob', []],
    [
      'spawn',
      [
        'kid',
        '/kit:kit.os/pkg/kid.wasm',
        { tag: 'none' },
        [],
        [[id('timer'), '"messaging"']],
        true,
      ],
    ],
  );
  const blobBack = { mime: 'text/plain', bytes: hex('blob') };
  const failed = (body: string, lazyLoadBlob: unknown): object => ({
    kind: 'timeout',
    target: nobody,
    message: { tag: 'request', val: { ...request(body, 5), body: hex(body) } },
    lazyLoadBlob,
  });
  expect(results).toEqual([
    { ok: null },
    { ok: [TIMER, { tag: 'response', val: [response, hex('ctx')] }] },
    { ok: [TIMER, { tag: 'response', val: [response, null] }] },
    { ok: null },
    { err: [failed('x', blobBack), hex('lost')] },
    { err: failed('y', null) },
    { ok: null },
    {
      ok: [
        SELF,
        { tag: 'request', val: { ...request('to myself', null), body: hex('to myself') } },
      ],
    },
    { ok: true },
    { ok: blobBack },
    { ok: null },
    { ok: false },
    { ok: null },
    { ok: blobBack },
    { err: 'no-file-at-path' },
  ]);
});

test('what comes between is kept for receive, and shows in the log', async () => {
  await using node = await bootSolo(component);
  expect(
    await steps(
      node,
      ['sendRequest', [SELF, request('between', null), null, null]],
      ['sendAndAwaitResponse', [TIMER, request('{"SetTimer":1}', 5), null]],
    ),
  ).toHaveLength(2);
  const [log] = (await steps(node, ['log', []])) as [{ ok: unknown[] }];
  expect(JSON.stringify(log.ok)).toContain(Buffer.from('between').toString('hex'));
});
