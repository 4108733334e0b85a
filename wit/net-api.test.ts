/** Bodies of net against the vectors of networking.md §18.1 and the reading rules of §5. */
import { encode } from '@msgpack/msgpack';
import { expect, test } from 'vitest';
import { address } from './address.ts';
import {
  decodeNetAction,
  decodeNetResponse,
  encodeNetAction,
  encodeNetResponse,
  type NetAction,
  type NetResponse,
} from './net-api.ts';

const update = {
  name: 'alice.os',
  public_key: '0xab',
  ips: ['127.0.0.1'],
  ports: new Map([
    ['ws', 9000],
    ['tcp', 10_000],
  ]),
  routers: [],
};
const ACTIONS: [NetAction, string][] = [
  [{ kind: 'GetPeers' }, 'a84765745065657273'],
  [{ kind: 'GetPeer', value: 'bob.os' }, '81a747657450656572a6626f622e6f73'],
  [{ kind: 'GetDiagnostics' }, 'ae476574446961676e6f7374696373'],
  [{ kind: 'Sign' }, 'a45369676e'],
  [
    { kind: 'ConnectionRequest', value: 'alice.os' },
    '81b1436f6e6e656374696f6e52657175657374a8616c6963652e6f73',
  ],
  [
    {
      kind: 'Verify',
      value: { from: address('a.os@p:q:r'), signature: Uint8Array.of(1, 200) },
    },
    '81a656657269667992aa612e6f7340703a713a729201ccc8',
  ],
  [
    { kind: 'HnsUpdate', value: update },
    '81a9486e7355706461746595a8616c6963652e6f73a43078616291a93132372e302e302e3182a3746370cd2710a27773cd232890',
  ],
  [
    { kind: 'HnsBatchUpdate', value: [update] },
    '81ae486e7342617463685570646174659195a8616c6963652e6f73a43078616291a93132372e302e302e3182a3746370cd2710a27773cd232890',
  ],
];
const alice = { name: 'a.os', networking_key: '0xab' };
const RESPONSES: [NetResponse, string][] = [
  [
    { kind: 'Peers', value: [{ ...alice, routing: { kind: 'Routers', value: ['r.os'] } }] },
    '81a550656572739193a4612e6f73a43078616281a7526f757465727391a4722e6f73',
  ],
  [
    {
      kind: 'Peer',
      value: {
        ...alice,
        routing: { kind: 'Direct', value: { ip: '1.2.3.4', ports: new Map([['ws', 9000]]) } },
      },
    },
    '81a45065657293a4612e6f73a43078616281a644697265637492a7312e322e332e3481a27773cd2328',
  ],
  [{ kind: 'Peer', value: undefined }, '81a450656572c0'],
  [{ kind: 'Signed' }, 'a65369676e6564'],
  [{ kind: 'Verified', value: true }, '81a85665726966696564c3'],
  [{ kind: 'Rejected', value: 'a.os' }, '81a852656a6563746564a4612e6f73'],
];

test.each(ACTIONS)('N1 action %j', (value, hex) => {
  expect(encodeNetAction(value).toHex()).toBe(hex);
  expect(decodeNetAction(Uint8Array.fromHex(hex))).toEqual(value);
});

test.each(RESPONSES)('N1 response %j', (value, hex) => {
  expect(encodeNetResponse(value).toHex()).toBe(hex);
  expect(decodeNetResponse(Uint8Array.fromHex(hex))).toEqual(value);
});

test('N3 enums by index, structs as maps, unit variants with nil; nothing else', () => {
  const read = (value: unknown): NetAction | undefined => decodeNetAction(encode(value));
  expect(read(3)).toEqual({ kind: 'GetPeers', value: undefined });
  expect(decodeNetAction(Uint8Array.fromHex('8104a6626f622e6f73'))).toEqual({
    kind: 'GetPeer',
    value: 'bob.os',
  });
  expect(read({ GetPeers: null })).toEqual({ kind: 'GetPeers', value: undefined });
  const named = { ...update, ports: { tcp: 10_000, ws: 9000 } };
  expect(read({ HnsUpdate: { ...named, more: [1, { a: 2 }] } })).toEqual({
    kind: 'HnsUpdate',
    value: update,
  });
  const { routers: _left, ...short } = named;
  for (const bad of [
    ['GetPeer', 'bob.os'],
    'GetPeer',
    'Nothing',
    8,
    -1,
    1.5,
    { GetPeer: 7 },
    { GetPeers: 1 },
    { GetPeer: 'a', Sign: null },
    { HnsUpdate: short },
    { HnsUpdate: ['a.os', '0x', [], {}, [], 1] },
    { HnsUpdate: ['a.os', '0x', [], {}] },
    { HnsUpdate: ['a.os', '0x', [], { tcp: 65_536 }, []] },
    { Verify: ['a.os', [1]] },
    { Verify: ['a.os@p:q:r', 'text'] },
    null,
    [],
  ])
    expect(read(bad), JSON.stringify(bad)).toBeUndefined();
  expect(decodeNetAction(new Uint8Array())).toBeUndefined();
});
