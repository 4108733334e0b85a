/** Signing for apps, with net as networking.md §11.2 has it: real keys, and the bytes that it says are signed. */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { address, formatAddress } from '../../wit/address.ts';
import { decodeNetAction, encodeNetResponse } from '../../wit/net-api.ts';
import { RemoteError } from '../lib/index.ts';
import type { Peer } from '../lib/testing/memory-host.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import signer from './sign/index.ts';

const US = 'alice.os@sign:sign:sys';
const CHESS = address('alice.os@chess:chess:bob.os');
const CHAT = address('alice.os@chat:chat:sys');

const keys: Readonly<Record<string, KeyObject>> = { 'alice.os': key(1), 'bob.os': key(2) };
function key(fill: number): KeyObject {
  const seed = Buffer.alloc(32, fill);
  return createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
}

/** Net of this node: signs for whom it sees, which is the signer, and knows the keys of both nodes. */
const net: Peer = ({ request, blob }) => {
  const action = decodeNetAction(request.body);
  const message = Buffer.from(blob?.bytes ?? []);
  if (action?.kind === 'Sign') {
    const body = encodeNetResponse({ kind: 'Signed' });
    return { body, blob: sign(null, Buffer.concat([Buffer.from(US), message]), keys['alice.os']!) };
  }
  if (action?.kind !== 'Verify') return undefined;
  const { from, signature } = action.value;
  const signed = Buffer.concat([Buffer.from(formatAddress(from)), message]);
  const known = keys[from.node];
  const value = known !== undefined && verify(null, signed, createPublicKey(known), signature);
  return encodeNetResponse({ kind: 'Verified', value });
};

let answering: Peer;
let process: TestProcess<never, never>;
beforeEach(async () => {
  answering = net;
  const peers = { 'net:distro:sys': ((sent, host) => answering(sent, host)) satisfies Peer };
  // Proof of the type: the test asks by text only.
  process = (await TestProcess.start(signer, { our: US, peers })) as never;
});

interface Said {
  readonly text: string | undefined;
  readonly bytes: Uint8Array | undefined;
}

async function ask(body: unknown, source = CHESS, message?: string | Uint8Array): Promise<Said> {
  const bytes = typeof message === 'string' ? new TextEncoder().encode(message) : message;
  const blob = bytes === undefined ? undefined : { mime: undefined, bytes };
  const text = await process.ask(JSON.stringify(body), { source, blob });
  return { text, bytes: process.host.responses.at(-1)?.blob?.bytes };
}

const verifying = (node: string, signature: Uint8Array): unknown => ({
  NetKeyVerify: { node, signature: [...signature] },
});
const refusing = (kind: string): unknown => expect.objectContaining({ kind });

test('P53 two apps that sign the same bytes sign different ones', async () => {
  const chess = await ask('NetKeyMakeMessage', CHESS, 'e2-e4');
  expect(chess.text).toBe('"NetKeyMakeMessage"');
  expect(String(Buffer.from(chess.bytes!))).toBe(
    'alice.os@sign:sign:sysalice.os@chess:chess:bob.ose2-e4',
  );
  const chat = await ask('NetKeyMakeMessage', CHAT, 'e2-e4');
  expect(String(Buffer.from(chat.bytes!))).toBe(
    'alice.os@sign:sign:sysalice.os@chat:chat:syse2-e4',
  );
});

test('P53 what is signed is what the message was said to be, by the key of the node', async () => {
  const made = await ask('NetKeyMakeMessage', CHESS, 'e2-e4');
  const signed = await ask('NetKeySign', CHESS, 'e2-e4');
  expect(signed.text).toBe('"NetKeySign"');
  const publicKey = createPublicKey(keys['alice.os']!);
  expect(verify(null, made.bytes!, publicKey, signed.bytes!)).toBe(true);
});

test('P54 a signature is of the app that asked for it, of its node, and of its message', async () => {
  const { bytes: signature } = await ask('NetKeySign', CHESS, 'e2-e4');
  const verified = async (who: string, message = 'e2-e4', by = signature!): Promise<unknown> =>
    JSON.parse((await ask(verifying(who, by), CHAT, message)).text!);
  expect(await verified('alice.os@chess:chess:bob.os')).toEqual({ NetKeyVerify: true });
  const no = { NetKeyVerify: false };
  expect(await verified('alice.os@chat:chat:sys')).toEqual(no);
  expect(await verified('bob.os@chess:chess:bob.os')).toEqual(no);
  expect(await verified('carol.os@chess:chess:bob.os')).toEqual(no);
  expect(await verified('alice.os@chess:chess:bob.os', 'e2-e5')).toEqual(no);
  expect(await verified('alice.os@chess:chess:bob.os', 'e2-e4', signature!.with(0, 7))).toEqual(no);
  for (const short of [signature!.slice(1), new Uint8Array(), new Uint8Array(65)])
    expect(await verified('alice.os@chess:chess:bob.os', 'e2-e4', short)).toEqual(no);
  for (const none of ['', 'alice.os', 'alice.os@chess', 'chess:chess:bob.os'])
    expect(await verified(none), none).toEqual(no);
});

test('P54 what another node signed verifies under its own signer', async () => {
  const text = Buffer.from('bob.os@sign:sign:sysbob.os@chess:chess:bob.ose7-e5');
  const signature = sign(null, text, keys['bob.os']!);
  const { text: said } = await ask(
    verifying('bob.os@chess:chess:bob.os', signature),
    CHESS,
    'e7-e5',
  );
  expect(said).toBe('{"NetKeyVerify":true}');
});

test('the key of a node is for its own apps', async () => {
  for (const body of [
    'NetKeySign',
    'NetKeyMakeMessage',
    verifying('a.os@b:c:d.os', Buffer.alloc(64)),
  ])
    await expect(ask(body, address('bob.os@chess:chess:bob.os'), 'x')).rejects.toEqual(
      refusing('Forbidden'),
    );
  expect(process.host.sent).toEqual([]);
});

test('what cannot be understood, has no message or too long a one, is refused, and net not asked', async () => {
  for (const body of [
    'Sign',
    { NetKeyVerify: { node: 'a' } },
    { NetKeyVerify: { node: 'a', signature: [256] } },
    7,
  ])
    await expect(ask(body, CHESS, 'x'), JSON.stringify(body)).rejects.toEqual(
      refusing('BadRequest'),
    );
  await expect(ask('NetKeySign')).rejects.toEqual(refusing('NoBlob'));
  const most = new Uint8Array(1_048_576);
  const longer = new Uint8Array(most.length + 1);
  await expect(ask('NetKeySign', CHESS, longer)).rejects.toEqual(refusing('TooLong'));
  expect(process.host.sent).toEqual([]);
  expect((await ask('NetKeySign', CHESS, most)).bytes).toHaveLength(64);
  // An empty message is one.
  expect((await ask('NetKeySign', CHESS, '')).bytes).toHaveLength(64);
});

test('a net that is silent, or answers something else, has signed nothing', async () => {
  answering = () => encodeNetResponse({ kind: 'Verified', value: true });
  await expect(ask('NetKeySign', CHESS, 'x')).rejects.toEqual(refusing('NotSigned'));
  answering = () => encodeNetResponse({ kind: 'Signed' });
  await expect(ask('NetKeySign', CHESS, 'x')).rejects.toEqual(refusing('NotSigned'));
  const verify64 = verifying('alice.os@chess:chess:bob.os', Buffer.alloc(64));
  expect((await ask(verify64, CHESS, 'x')).text).toBe('{"NetKeyVerify":false}');
  answering = () => 'ack';
  await expect(ask('NetKeySign', CHESS, 'x')).rejects.toBeInstanceOf(RemoteError);
  answering = () => undefined;
  expect((await ask('NetKeySign', CHESS, 'x')).text).toBeUndefined();
  const before = process.host.responses.length;
  process.host.advance(5);
  await process.run();
  expect(process.host.responses).toHaveLength(before + 1);
});
