/** JSON twins: K3, and the forms of kernel.md §1.13 and §4. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { address, processId } from './address.ts';
import {
  decodeKernelCommand,
  decodeOnExit,
  encodeKernelCommand,
  encodeKernelResponse,
  type KernelCommand,
} from './kernel-api.ts';
import { parseJson, type JsonValue } from './json.ts';
import type { OnExit } from './types.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const body = (json: string): Uint8Array => new TextEncoder().encode(json);
const id = processId('p:k:q');
const capability = { issuer: address('n@a:b:c'), params: '{"root":true}' };
const onExit: OnExit = {
  kind: 'requests',
  requests: [
    {
      target: address('our@t:u:v'),
      request: {
        inherit: false,
        expectsResponse: 18446744073709551615n,
        body: Uint8Array.of(0, 255),
        metadata: 'm',
        capabilities: [capability],
      },
      blob: { mime: undefined, bytes: Uint8Array.of(7) },
    },
    {
      target: address('n@t:u:v'),
      request: {
        inherit: true,
        expectsResponse: undefined,
        body: new Uint8Array(),
        metadata: undefined,
        capabilities: [],
      },
      blob: undefined,
    },
  ],
};
const ON_EXIT =
  '{"Requests":[["our@t:u:v",{"inherit":false,"expects_response":18446744073709551615,"body":[0,255],"metadata":"m","capabilities":[[{"issuer":"n@a:b:c","params":"{\\"root\\":true}"},[]]]},{"mime":null,"bytes":[7]}],["n@t:u:v",{"inherit":true,"expects_response":null,"body":[],"metadata":null,"capabilities":[]},null]]}';

const CAP = '{"issuer":"n@a:b:c","params":"{\\"root\\":true}"}';
const commands: [KernelCommand, string][] = [
  [{ kind: 'Booted' }, '"Booted"'],
  [{ kind: 'Shutdown' }, '"Shutdown"'],
  [
    {
      kind: 'InitializeProcess',
      id,
      wasmBytesHandle: '/k:q/pkg/p.wasm',
      witVersion: undefined,
      onExit,
      initialCapabilities: [capability],
      public: true,
    },
    `{"InitializeProcess":{"id":"p:k:q","wasm_bytes_handle":"/k:q/pkg/p.wasm","wit_version":null,"on_exit":${ON_EXIT},"initial_capabilities":[${CAP}],"public":true}}`,
  ],
  [
    { kind: 'GrantCapabilities', target: id, capabilities: [capability] },
    `{"GrantCapabilities":{"target":"p:k:q","capabilities":[${CAP}]}}`,
  ],
  [
    { kind: 'DropCapabilities', target: id, capabilities: [] },
    '{"DropCapabilities":{"target":"p:k:q","capabilities":[]}}',
  ],
  [
    { kind: 'SetOnExit', target: id, onExit: { kind: 'none' } },
    '{"SetOnExit":{"target":"p:k:q","on_exit":"None"}}',
  ],
  [{ kind: 'RunProcess', id }, '{"RunProcess":"p:k:q"}'],
  [{ kind: 'KillProcess', id }, '{"KillProcess":"p:k:q"}'],
  [{ kind: 'Debug', debug: { kind: 'ProcessMap' } }, '{"Debug":"ProcessMap"}'],
  [{ kind: 'Debug', debug: { kind: 'Usage' } }, '{"Debug":"Usage"}'],
  [{ kind: 'Debug', debug: { kind: 'Process', id } }, '{"Debug":{"Process":"p:k:q"}}'],
  [
    { kind: 'Debug', debug: { kind: 'HasCap', on: id, capability } },
    `{"Debug":{"HasCap":{"on":"p:k:q","cap":${CAP}}}}`,
  ],
];

describe("K3 commands are written and read in the reference's form", () => {
  for (const [command, json] of commands) {
    test(`K3 ${json.slice(0, 60)}`, () => {
      expect(text(encodeKernelCommand(command))).toBe(json);
      expect(decodeKernelCommand(body(json))).toEqual({ ok: true, value: command });
    });
  }
});

test('K3 structs may be positional arrays', () => {
  expect(decodeKernelCommand(body('{"GrantCapabilities":["p:k:q",[["n@a:b:c","1"]]]}'))).toEqual({
    ok: true,
    value: {
      kind: 'GrantCapabilities',
      target: id,
      capabilities: [{ issuer: address('n@a:b:c'), params: '1' }],
    },
  });
});

test('K3 an attached capability is read bare, positional, and as a pair with its signature', () => {
  const attached = [
    CAP,
    `[${CAP},[1,2,3]]`,
    '["n@a:b:c","{\\"root\\":true}"]',
    '[["n@a:b:c","{\\"root\\":true}"],[]]',
  ];
  for (const form of attached) {
    const json = `{"Requests":[["n@t:u:v",{"inherit":false,"body":[],"capabilities":[${form}]},null]]}`;
    const decoded = decodeOnExit(parseJson(json) as JsonValue);
    if (!decoded.ok || decoded.value.kind !== 'requests') throw new Error(JSON.stringify(decoded));
    expect(decoded.value.requests[0]?.request.capabilities).toEqual([capability]);
  }
});

test('K3 responses', () => {
  expect(text(encodeKernelResponse({ kind: 'InitializedProcess' }))).toBe('"InitializedProcess"');
  expect(text(encodeKernelResponse({ kind: 'KilledProcess', id }))).toBe(
    '{"KilledProcess":"p:k:q"}',
  );
  expect(text(encodeKernelResponse({ kind: 'HasCap', has: undefined }))).toBe(
    '{"Debug":{"HasCap":null}}',
  );
  expect(text(encodeKernelResponse({ kind: 'Process', process: undefined }))).toBe(
    '{"Debug":{"Process":null}}',
  );
  const process = {
    wasmBytesHandle: '',
    witVersion: 1,
    onExit,
    capabilities: [capability],
    public: false,
  };
  expect(
    text(encodeKernelResponse({ kind: 'ProcessMap', processes: new Map([[id, process]]) })),
  ).toBe(
    `{"Debug":{"ProcessMap":{"p:k:q":{"wasm_bytes_handle":"","wit_version":1,"on_exit":${ON_EXIT},"capabilities":[${CAP}],"public":false}}}}`,
  );
});

test('K108 what does not fit is refused with a sentence', () => {
  const wrong = [
    ['{"SetOnExit":{"target":"p:k:q","on_exit":"Never"}}', /unknown on_exit "Never"/],
    ['{"InitializeProcess":{"id":"p:k:q"}}', /wasm_bytes_handle must be a string/],
    ['{"KillProcess":"p:k"}', /not a process id: "p:k" \(MissingField\)/],
    [
      '{"GrantCapabilities":{"target":"p:k:q","capabilities":[{"issuer":"a:b:c","params":"1"}]}}',
      /MissingNodeId/,
    ],
    ['"Reboot"', /unknown command "Reboot"/],
    ['[]', /a string or an object with one field/],
    ['{', /not JSON/],
  ] as const;
  for (const [json, message] of wrong) {
    const decoded = decodeKernelCommand(body(json));
    expect(decoded.ok ? '' : decoded.error).toMatch(message);
  }
});

test('K108 no body makes the decoder throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.constantFrom(...commands.map(([, json]) => json.slice(0, -3))),
      ),
      (json) => {
        expect(typeof decodeKernelCommand(body(json)).ok).toBe('boolean');
      },
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom('InitializeProcess', 'SetOnExit', 'Debug', 'KillProcess'),
      fc.json(),
      (name, json) => {
        expect(typeof decodeKernelCommand(body(`{"${name}":${json}}`)).ok).toBe('boolean');
      },
    ),
  );
});
