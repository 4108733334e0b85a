import { describe, expect, test } from 'vitest';
import {
  decodeManifest,
  decodeMetadata,
  decodeScripts,
  entryOf,
  grantedCapabilities,
  initialCapabilities,
} from './bundle.ts';

const base = {
  process_name: 'main',
  process_wasm_path: '/main.wasm',
  on_exit: 'Restart',
  request_networking: false,
  request_capabilities: [],
  grant_capabilities: [],
  public: false,
};

function manifest(...entries: object[]): ReturnType<typeof decodeManifest> {
  return decodeManifest(JSON.stringify(entries.map((entry) => ({ ...base, ...entry }))));
}

function one(entry: object) {
  const decoded = manifest(entry);
  if (!decoded.ok) throw new Error(decoded.error.message);
  const [first] = decoded.value;
  if (first === undefined) throw new Error('no entry');
  return first;
}

const metadata = decodeMetadata(
  JSON.stringify({
    properties: {
      package_name: 'app',
      publisher: 'pub.os',
      current_version: '1.0.0',
      wit_version: 1,
    },
  }),
);
if (!metadata.ok) throw new Error('metadata');
const app = metadata.value;

describe('capability shorthand', () => {
  test('K122 a string is messaging, an object its params with sorted keys', () => {
    const entry = one({
      request_capabilities: [
        'vfs:distro:sys',
        { process: 'vfs:distro:sys', params: { root: true } },
        { process: 'home:home:sys', params: 'RemoveOther' },
        { process: 'kv:distro:sys', params: { z: [{ b: 1, a: 2 }], a: null } },
      ],
    });
    expect(entry.requests.map(({ params }) => params)).toEqual([
      '"messaging"',
      '{"root":true}',
      '"RemoveOther"',
      '{"a":null,"z":[{"a":2,"b":1}]}',
    ]);
  });

  test('K122 numbers in params keep their class and their digits', () => {
    const text = JSON.stringify([{ ...base, request_capabilities: ['@'] }]).replace(
      '"@"',
      '{"process":"a:b:c","params":{"n":1.0,"big":18446744073709551615}}',
    );
    const decoded = decodeManifest(text);
    expect(decoded.ok && decoded.value[0]?.requests[0]?.params).toBe(
      '{"big":18446744073709551615,"n":1.0}',
    );
  });

  test('K122 what is neither form is skipped with a line, the rest counts', () => {
    const entry = one({
      request_capabilities: [7, { process: 'a:b:c' }, 'net:distro:sys'],
      grant_capabilities: ['not-an-id', null],
    });
    expect(entry.requests).toHaveLength(1);
    expect(entry.grants).toHaveLength(0);
    expect(entry.skipped).toEqual([
      'manifest requested invalid cap: 7',
      'manifest requested invalid cap: {"process":"a:b:c"}',
      'main manifest tried to grant invalid cap: "not-an-id"',
      'main manifest tried to grant invalid cap: null',
    ]);
  });

  test('K122 an unparseable id in a request refuses the manifest', () => {
    const decoded = manifest({ request_capabilities: ['vfs:distro'] });
    expect(decoded).toMatchObject({ ok: false, error: { field: '[0].request_capabilities' } });
  });
});

test('K121 a bundled process holds what §3.8 says, and nothing else', () => {
  const entry = one({ request_capabilities: ['net:distro:sys'], request_networking: true });
  expect(
    initialCapabilities('n.os', app, entry).map((cap) => [cap.issuer.process, cap.params]),
  ).toEqual([
    ['main:app:pub.os', '"messaging"'],
    ['net:distro:sys', '"messaging"'],
    ['vfs:distro:sys', '{"drive":"/app:pub.os/pkg","kind":"read"}'],
    ['vfs:distro:sys', '{"drive":"/app:pub.os/pkg","kind":"write"}'],
    ['kernel:distro:sys', '"network"'],
  ]);
  const plain = initialCapabilities('n.os', app, one({}));
  expect(plain).toHaveLength(3);
  expect(plain.every((cap) => cap.issuer.node === 'n.os')).toBe(true);
});

test('K121 grants are issued by the granter, to the process named', () => {
  const entry = one({ grant_capabilities: ['a:b:c', { process: 'd:e:f', params: { x: 1 } }] });
  expect(grantedCapabilities('n.os', app, entry)).toEqual([
    {
      to: 'a:b:c',
      capability: { issuer: { node: 'n.os', process: 'main:app:pub.os' }, params: '"messaging"' },
    },
    {
      to: 'd:e:f',
      capability: { issuer: { node: 'n.os', process: 'main:app:pub.os' }, params: '{"x":1}' },
    },
  ]);
});

test('K120 the handle is the path in the vfs, with or without leading slash', () => {
  for (const process_wasm_path of ['/main.wasm', 'main.wasm']) {
    expect(entryOf(app, one({ process_wasm_path }))).toEqual({
      wasmBytesHandle: '/app:pub.os/pkg/main.wasm',
      witVersion: 1,
      onExit: { kind: 'restart' },
      public: false,
    });
  }
});

test('K124 on-exit requests decode, with bare and signed capabilities alike', () => {
  const capability = { issuer: 'n.os@a:b:c', params: '"messaging"' };
  const request = {
    inherit: false,
    expects_response: 5,
    body: [1, 2],
    metadata: null,
    capabilities: [capability, [capability, [0, 1]]],
  };
  const blob = { mime: null, bytes: [9] };
  const { onExit } = one({ on_exit: { Requests: [['n.os@a:b:c', request, blob]] } });
  expect(onExit).toEqual({
    kind: 'requests',
    requests: [
      {
        target: { node: 'n.os', process: 'a:b:c' },
        request: {
          inherit: false,
          expectsResponse: 5,
          body: Uint8Array.of(1, 2),
          metadata: undefined,
          capabilities: [
            { issuer: { node: 'n.os', process: 'a:b:c' }, params: '"messaging"' },
            { issuer: { node: 'n.os', process: 'a:b:c' }, params: '"messaging"' },
          ],
        },
        blob: { mime: undefined, bytes: Uint8Array.of(9) },
      },
    ],
  });
});

test.each([
  ['not JSON', '[', '', 'not JSON'],
  ['no array', '{}', '', 'array'],
  ['no object', '[1]', '[0]', 'object'],
  ['bad name', JSON.stringify([{ ...base, process_name: 'A_b' }]), '[0].process_name', 'a-z'],
  [
    'escape',
    JSON.stringify([{ ...base, process_wasm_path: '/../x.wasm' }]),
    '[0].process_wasm_path',
    'inside',
  ],
  ['bad on-exit', JSON.stringify([{ ...base, on_exit: 'Never' }]), '[0].on_exit', 'Restart'],
  ['not a boolean', JSON.stringify([{ ...base, public: 'no' }]), '[0].public', 'true or false'],
  ['twice', JSON.stringify([base, base]), '[1].process_name', 'twice'],
])('K120 a damaged manifest is refused by file and field: %s', (_name, text, field, message) => {
  const decoded = decodeManifest(text);
  expect(decoded).toMatchObject({ ok: false, error: { file: 'manifest.json', field } });
  expect(!decoded.ok && decoded.error.message).toContain(message);
});

test.each(Object.keys(base))('K120 a manifest without %s is refused', (name) => {
  const entry = Object.fromEntries(Object.entries(base).filter(([key]) => key !== name));
  const decoded = decodeManifest(JSON.stringify([entry]));
  expect(decoded).toMatchObject({ ok: false, error: { field: `[0].${name}` } });
});

test('K120 metadata names the package; bad names are refused', () => {
  expect(app).toMatchObject({ package: 'app:pub.os', witVersion: 1, currentVersion: '1.0.0' });
  const bad = decodeMetadata(
    '{"properties":{"package_name":"../x","publisher":"sys","current_version":"1"}}',
  );
  expect(bad).toMatchObject({ ok: false, error: { field: 'properties.package_name' } });
  expect(decodeMetadata('{}')).toMatchObject({ ok: false, error: { field: 'properties' } });
});

test('M239 scripts.json decodes, optional fields may be missing', () => {
  const text =
    '{"a.wasm":{"root":true,"public":false,"request_networking":false,"request_capabilities":["x:y:z"]}}';
  const decoded = decodeScripts(text);
  expect(decoded.ok && decoded.value.get('a.wasm')).toEqual({
    root: true,
    public: false,
    requestNetworking: false,
    requests: [{ process: 'x:y:z', params: '"messaging"' }],
    grants: [],
    witVersion: undefined,
  });
  expect(decodeScripts('{"a.wasm":{"root":1}}')).toMatchObject({
    ok: false,
    error: { field: 'a.wasm.root' },
  });
});
