/** What a request asks for, and whether what its process holds allows it: body and authority, no I/O. */
import { fromHex } from '../../contracts/hex.ts';
import { hashTypedData } from '../../contracts/typed-data.ts';
import { CAPABILITY_PARAMS_CHARS_MAX } from '../../kernel/limits.ts';
import type { ModuleRequest } from '../../kernel/module.ts';
import { packageOf } from '../../wit/address.ts';
import { formatJson } from '../../wit/json.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { type SignerError, type SignerRequest, signerRequest } from '../../wit/signer-api.ts';
import type { Address, Result } from '../../wit/types.ts';
import type { FileHashes, HashablePath } from '../shared/file-hashes.ts';
import { decodeBody } from '../shared/refuse.ts';
import { type Bill, permitMessage, permitTransaction, permitTypedData } from './authority.ts';
import { type Grant, grantOf, isKeyName } from './grants.ts';
import {
  BODY_BYTES_MAX,
  CALLDATA_BYTES_MAX,
  GRANTS_MAX,
  HASH_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  SEND_ID_CHARS_MAX,
  SIGNATURES_MAX,
} from './limits.ts';

type Kind<K extends SignerRequest['kind']> = Extract<SignerRequest, { kind: K }>;

/** A request that may be done. */
export type SignerWork =
  | Kind<'CreateKey' | 'RemoveKey' | 'Grant' | 'Recover' | 'Verify' | 'ForgetSends'>
  | { readonly kind: 'ImportKey'; readonly name: string | undefined; readonly secret: Uint8Array }
  | { readonly kind: 'ListKeys' | 'Budgets'; readonly grants: readonly Held[] }
  | { readonly kind: 'Keccak256'; readonly bytes: Uint8Array }
  | { readonly kind: 'TypedDataDigest'; readonly digest: Uint8Array }
  | {
      readonly kind: 'SignTypedData';
      readonly key: string;
      readonly digest: Uint8Array;
      readonly bills: readonly Bill[];
    }
  | {
      readonly kind: 'SignTransaction';
      readonly value: Kind<'SignTransaction'>['value'];
      readonly bills: readonly Bill[];
    }
  | {
      readonly kind: 'SignMessage';
      readonly key: string;
      readonly digest: Uint8Array;
      readonly bills: readonly Bill[];
    }
  | {
      readonly kind: 'Send';
      /** The asker's package. */
      readonly sender: string;
      readonly value: Kind<'Send'>['value'];
      /** Of the asker: what it costs is known later, and is theirs to allow. */
      readonly grants: readonly Grant[];
    }
  | { readonly kind: 'SendState'; readonly sender: string; readonly id: string }
  | { readonly kind: 'Sha256' | 'MerkleRoot' | 'LogRoot'; readonly path: HashablePath };

/** A capability of the signer, as its holder has it. */
export interface Held {
  readonly params: string;
  readonly grant: Grant;
}

type Decision = Result<SignerWork, SignerError>;

export function decide(
  request: ModuleRequest,
  { our, files }: { readonly our: Address; readonly files: FileHashes },
): Decision {
  const body = decodeBody(signerRequest, request.body, BODY_BYTES_MAX);
  if (!body.ok) return malformed(body.error);
  const asked = body.value;
  switch (asked.kind) {
    case 'CreateKey':
    case 'ImportKey':
    case 'RemoveKey':
    case 'ForgetSends':
    case 'Grant':
      return decideChange(asked, heldBy(request, our), request.blob?.bytes);
    case 'ListKeys':
    case 'Budgets':
      return allowed({ kind: asked.kind, grants: heldBy(request, our) });
    case 'SignTypedData':
    case 'SignTransaction':
    case 'SignMessage':
      return decideSignature(asked, grantsOf(request, our));
    case 'Send':
      return decideSend(asked.value, packageOf(request.source.process), grantsOf(request, our));
    case 'SendState':
      return allowed({
        kind: 'SendState',
        sender: packageOf(request.source.process),
        id: asked.value.id,
      });
    case 'Sha256':
    case 'LogRoot':
    case 'MerkleRoot': {
      const path = files.at(request, asked.value.path);
      if (path.ok) return allowed({ kind: asked.kind, path: path.value });
      return path.error === 'forbidden' ? failed({ kind: 'NoReadCap' }) : malformed('path');
    }
    default:
      return decideComputation(asked, request.blob?.bytes);
  }
}

function heldBy({ caller }: ModuleRequest, our: Address): readonly Held[] {
  return caller
    .heldFrom(our)
    .slice(0, GRANTS_MAX)
    .flatMap(({ params }) => {
      const grant = grantOf(params);
      return grant === undefined ? [] : [{ params, grant }];
    });
}

function grantsOf(request: ModuleRequest, our: Address): readonly Grant[] {
  return heldBy(request, our).map(({ grant }) => grant);
}

function decideChange(
  asked: Kind<'CreateKey' | 'ImportKey' | 'RemoveKey' | 'Grant' | 'ForgetSends'>,
  held: readonly Held[],
  blob: Uint8Array | undefined,
): Decision {
  const root = held.some(({ grant }) => grant.kind === 'root');
  const name = 'name' in asked.value ? asked.value.name : undefined;
  if (name !== undefined && !isKeyName(name)) return malformed('name');
  if (asked.kind === 'CreateKey') {
    const mayCreate = held.some(({ grant }) => grant.kind === 'create' && grant.name === name);
    return root || mayCreate ? allowed(asked) : notPermitted('no capability to create this key');
  }
  if (!root) return notPermitted('this is for holders of {"root":true}');
  if (asked.kind === 'ImportKey') {
    if (blob === undefined) return malformed('no blob');
    return allowed({ kind: 'ImportKey', name, secret: Uint8Array.from(blob) });
  }
  if (asked.kind === 'Grant' && !isGrantable(asked.value.params))
    return malformed('params: not what a capability of the signer says');
  return allowed(asked);
}

function decideSignature(
  asked: Kind<'SignTypedData' | 'SignTransaction' | 'SignMessage'>,
  grants: readonly Grant[],
): Decision {
  if (asked.kind === 'SignMessage') {
    // Proof that it is hex: the codec of the body.
    const message = fromHex(asked.value.message) ?? new Uint8Array();
    if (message.length > MESSAGE_BYTES_MAX)
      return malformed(`message over ${MESSAGE_BYTES_MAX} bytes`);
    const { key } = asked.value;
    const bills = permitMessage(grants, { key, message });
    if (!bills.ok) return notPermitted(bills.error);
    const digest = messageDigest(message);
    return allowed({ kind: 'SignMessage', key, digest, bills: bills.value });
  }
  if (asked.kind === 'SignTransaction') {
    if (asked.value.transaction.data.length > 2 + 2 * CALLDATA_BYTES_MAX)
      return malformed(`calldata over ${CALLDATA_BYTES_MAX} bytes`);
    const bills = permitTransaction(grants, asked.value);
    if (!bills.ok) return notPermitted(bills.error);
    return allowed({ kind: 'SignTransaction', value: asked.value, bills: bills.value });
  }
  const { key, data } = asked.value;
  const hashes = hashTypedData(data);
  if (!hashes.ok) return failed({ kind: 'BadTypedData', value: hashes.error });
  const bills = permitTypedData(grants, { key, hashes: hashes.value, message: data.message });
  if (!bills.ok) return notPermitted(bills.error);
  const { digest } = hashes.value;
  return allowed({ kind: 'SignTypedData', key, digest, bills: bills.value });
}

/** Whether it may be sent at all, whatever it costs. */
function decideSend(
  value: Kind<'Send'>['value'],
  sender: string,
  grants: readonly Grant[],
): Decision {
  const { id, key, chainId, transaction } = value;
  if (id === '' || id.length > SEND_ID_CHARS_MAX) return malformed('id');
  if (transaction.data.length > 2 + 2 * CALLDATA_BYTES_MAX)
    return malformed(`calldata over ${CALLDATA_BYTES_MAX} bytes`);
  const { to, data, value: wei } = transaction;
  const free = { chainId, to, data, value: wei, gasLimit: 0, maxFeePerGas: 0n };
  const bills = permitTransaction(grants, { key, transaction: free });
  if (!bills.ok) return notPermitted(bills.error);
  return allowed({ kind: 'Send', sender, value, grants });
}

/** EIP-191, version 0x45. */
function messageDigest(message: Uint8Array): Uint8Array {
  const prefix = Buffer.from(`\x19Ethereum Signed Message:\n${message.length}`, 'latin1');
  return keccak256(Buffer.concat([prefix, message]));
}

function decideComputation(
  asked: Kind<'Keccak256' | 'TypedDataDigest' | 'Recover' | 'Verify'>,
  blob: Uint8Array = new Uint8Array(),
): Decision {
  switch (asked.kind) {
    case 'Keccak256':
      if (blob.length > HASH_BYTES_MAX) return malformed(`blob of ${blob.length} bytes`);
      return allowed({ kind: 'Keccak256', bytes: blob });
    case 'TypedDataDigest': {
      const hashes = hashTypedData(asked.value);
      if (!hashes.ok) return failed({ kind: 'BadTypedData', value: hashes.error });
      return allowed({ kind: 'TypedDataDigest', digest: hashes.value.digest });
    }
    case 'Recover':
    case 'Verify':
      return asked.value.length > SIGNATURES_MAX
        ? malformed(`more than ${SIGNATURES_MAX} signatures`)
        : allowed(asked);
    default:
      return asked satisfies never;
  }
}

/** Root is not handed on: its holders got it from the owner. */
function isGrantable(params: Kind<'Grant'>['value']['params']): boolean {
  const text = formatJson(params, { sortKeys: true });
  if (text.length > CAPABILITY_PARAMS_CHARS_MAX) return false;
  const grant = grantOf(text);
  return grant !== undefined && grant.kind !== 'root';
}

function allowed(value: SignerWork): Decision {
  return { ok: true, value };
}

function failed(error: SignerError): Decision {
  return { ok: false, error };
}

function malformed(value: string): Decision {
  return failed({ kind: 'MalformedRequest', value });
}

function notPermitted(value: string): Decision {
  return failed({ kind: 'NotPermitted', value });
}
