/**
 * `sign:sign:sys`: signs with the node's networking key for the apps of this node (packages.md §18, networking.md §11.3). What is signed
 * is our own address, then that of who asks, then the message, so that no app gets a signature that another one could have asked for,
 * and none of them one that the node itself means something by. Net has the key; it puts the first address in front.
 */
import { parseAddress } from '../../../wit/address.ts';
import {
  decodeNetResponse,
  encodeNetAction,
  type NetAction,
  type NetResponse,
} from '../../../wit/net-api.ts';
import type { LazyLoadBlob } from '../../../wit/types.ts';
import { type Context, defineProcess, formatAddress, Refusal } from '../../lib/index.ts';
import type { Caller } from '../../lib/modules.ts';
import { signRequest, signResponse } from '../contract.ts';

/** Bytes of a message that is signed or checked: it is copied as a whole, so who has more signs its hash. */
export const MESSAGE_BYTES_MAX = 1_048_576;
const SIGNATURE_BYTES = 64;
const NET = 'net:distro:sys';
const NET_S = 5;

const encoder = new TextEncoder();

export default defineProcess({
  onMessage: async (context, process) => {
    // Another node has a key of its own, and ours is not for it.
    if (!context.isLocal) throw new Refusal('Forbidden', 'only processes of this node may ask');
    const request = signRequest.decode(context.body);
    if (!request.ok) {
      const { path, expected } = request.error;
      throw new Refusal('BadRequest', `${path || 'body'}: expected ${expected}`);
    }
    switch (request.value.kind) {
      case 'NetKeyMakeMessage': {
        const message = joined(formatAddress(process.our), signedFor(context));
        context.reply(signResponse.encode({ kind: 'NetKeyMakeMessage' }), {
          blob: blobOf(message),
        });
        return;
      }
      case 'NetKeySign': {
        const { response, blob } = await askNet(process, { kind: 'Sign' }, signedFor(context));
        if (response.kind !== 'Signed' || blob?.bytes.length !== SIGNATURE_BYTES)
          throw new Refusal('NotSigned', `${NET} did not sign`);
        context.reply(signResponse.encode({ kind: 'NetKeySign' }), { blob: blobOf(blob.bytes) });
        return;
      }
      case 'NetKeyVerify': {
        const { node, signature } = request.value.value;
        const value = await isSigned(process, { by: node, signature, message: messageOf(context) });
        context.reply(signResponse.encode({ kind: 'NetKeyVerify', value }));
        return;
      }
    }
  },
});

/** Text that is no address has signed nothing. */
async function isSigned(
  process: Caller,
  { by, signature, message }: { by: string; signature: readonly number[]; message: Uint8Array },
): Promise<boolean> {
  const signer = parseAddress(by);
  if (!signer.ok || signature.length !== SIGNATURE_BYTES) return false;
  const from = { node: signer.value.node, process: process.our.process };
  const action = {
    kind: 'Verify',
    value: { from, signature: Uint8Array.from(signature) },
  } as const;
  // As that address is written, so that there is one text for it.
  const { response } = await askNet(process, action, joined(formatAddress(signer.value), message));
  return response.kind === 'Verified' && response.value;
}

async function askNet(
  process: Caller,
  action: NetAction,
  bytes: Uint8Array,
): Promise<{ response: NetResponse; blob: LazyLoadBlob | undefined }> {
  const reply = await process.request(NET, encodeNetAction(action), {
    blob: blobOf(bytes),
    timeoutS: NET_S,
  });
  const response = decodeNetResponse(reply.body);
  if (response === undefined) throw new Error(`${NET} answered ${action.kind} with something else`);
  return { response, blob: reply.blob };
}

function signedFor(context: Context): Uint8Array {
  return joined(formatAddress(context.source), messageOf(context));
}

function messageOf(context: Context): Uint8Array {
  const blob = context.blob();
  if (blob === undefined) throw new Refusal('NoBlob', 'the message must be the blob');
  if (blob.bytes.length > MESSAGE_BYTES_MAX) {
    throw new Refusal('TooLong', `a message has at most ${MESSAGE_BYTES_MAX} bytes: sign its hash`);
  }
  return blob.bytes;
}

function joined(text: string, bytes: Uint8Array): Uint8Array {
  const prefix = encoder.encode(text);
  const whole = new Uint8Array(prefix.length + bytes.length);
  whole.set(prefix);
  whole.set(bytes, prefix.length);
  return whole;
}

function blobOf(bytes: Uint8Array): LazyLoadBlob {
  return { mime: undefined, bytes };
}
