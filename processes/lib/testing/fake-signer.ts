/**
 * `signer:distro:sys` in memory, for tests of processes. It speaks through wit/signer-api.ts. It keeps capabilities and budgets to the test,
 * which says what is refused; signatures are made-up bytes that tell key and digest apart, and `Recover` knows them again.
 */
import { hashTypedData } from '../../../contracts/typed-data.ts';
import { toHex, fromHex } from '../../../contracts/hex.ts';
import { checksummed } from '../../../contracts/hypermap.ts';
import { formatJson } from '../../../wit/json.ts';
import { keccak256 } from '../../../wit/keccak.ts';
import {
  type SignerError,
  type SignerRequest,
  signerRequest,
  type SignerResponse,
  signerResponse,
} from '../../../wit/signer-api.ts';
import type { Peer } from './memory-host.ts';

const utf8 = new TextEncoder();

export class FakeSigner {
  /** Addresses by name. */
  readonly keys = new Map<string, string>();
  /** Every request, in order. */
  readonly log: SignerRequest[] = [];
  /** Hashes of vfs paths. */
  readonly files = new Map<string, { readonly sha256: string; readonly bytes: number }>();
  readonly logs = new Map<string, Extract<SignerResponse, { kind: 'LogRoot' }>['value']>();
  /** What was sent, by id; a test says what becomes of it. */
  readonly sends = new Map<string, Extract<SignerResponse, { kind: 'Sent' }>['value']>();
  readonly trees = new Map<
    string,
    { readonly root: string; readonly files: number; readonly bytes: number }
  >();
  budgets: Extract<SignerResponse, { kind: 'Budgets' }>['value'] = [];
  /** What a request is refused with; undefined: it is done. */
  refuse: (request: SignerRequest) => SignerError | undefined = () => undefined;
  readonly #signers = new Map<string, string>();

  readonly peer: Peer = (sent) => {
    const decoded = signerRequest.decode(sent.request.body);
    if (!decoded.ok) return failed({ kind: 'MalformedRequest', value: decoded.error.path });
    this.log.push(decoded.value);
    const refused = this.refuse(decoded.value);
    if (refused !== undefined) return failed(refused);
    return signerResponse.encode(this.#answer(decoded.value, sent.blob?.bytes));
  };

  /** The address of a key of that name, made if missing. */
  key(name: string): string {
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    const made = checksummed(toHex(keccak256(utf8.encode(name)).slice(-20)));
    this.keys.set(name, made);
    return made;
  }

  /** As a wallet outside of the node would sign; `Recover` knows it. */
  signDigest(address: string, digest: string): string {
    const half = keccak256(Uint8Array.of(...(fromHex(address) ?? []), ...(fromHex(digest) ?? [])));
    const signature = toHex(Uint8Array.of(...half, ...half, 27));
    this.#signers.set(`${digest} ${signature}`, address);
    return signature;
  }

  #answer(request: SignerRequest, blob: Uint8Array = new Uint8Array()): SignerResponse {
    switch (request.kind) {
      case 'CreateKey':
        return { kind: 'Key', value: this.key(request.value.name ?? `key ${this.keys.size}`) };
      case 'ImportKey':
        return { kind: 'Key', value: this.key(request.value.name ?? toHex(keccak256(blob))) };
      case 'RemoveKey':
        return this.keys.delete(request.value.key) ? { kind: 'Ok' } : error({ kind: 'NoSuchKey' });
      case 'Grant':
        return { kind: 'Ok' };
      case 'ListKeys':
        return { kind: 'Keys', value: [...this.keys.values()] };
      case 'Budgets':
        return { kind: 'Budgets', value: this.budgets };
      case 'Keccak256':
        return { kind: 'Hash', value: toHex(keccak256(blob)) };
      case 'TypedDataDigest':
      case 'SignTypedData':
        return this.#typedData(request);
      case 'SignTransaction': {
        const { key, transaction } = request.value;
        const named = formatJson([
          key,
          transaction.to,
          transaction.data,
          String(transaction.nonce),
        ]);
        const raw = utf8.encode(named);
        return { kind: 'Transaction', value: { raw: toHex(raw), hash: toHex(keccak256(raw)) } };
      }
      case 'SignMessage': {
        const message = fromHex(request.value.message) ?? new Uint8Array();
        const prefix = utf8.encode(`\u0019Ethereum Signed Message:\n${message.length}`);
        const digest = keccak256(Uint8Array.of(...prefix, ...message));
        return this.#signature(request.value.key, digest);
      }
      case 'Send':
        return this.#send(request.value);
      case 'SendState': {
        const value = this.sends.get(request.value.id);
        return value ? { kind: 'Sent', value } : error({ kind: 'NoSuchSend' });
      }
      case 'ForgetSends':
        this.sends.clear();
        return { kind: 'Ok' };
      case 'LogRoot': {
        const value = this.logs.get(request.value.path);
        return value ? { kind: 'LogRoot', value } : error({ kind: 'NoReadCap' });
      }
      case 'Recover':
        return { kind: 'Addresses', value: request.value.map((one) => this.#signer(one)) };
      case 'Verify': {
        const same = request.value.map(
          (one) => this.#signer(one)?.toLowerCase() === one.address.toLowerCase(),
        );
        return { kind: 'Verified', value: same };
      }
      case 'Sha256': {
        const value = this.files.get(request.value.path);
        return value ? { kind: 'FileHash', value } : error({ kind: 'NoReadCap' });
      }
      case 'MerkleRoot': {
        const value = this.trees.get(request.value.path);
        return value ? { kind: 'Root', value } : error({ kind: 'NoReadCap' });
      }
      default:
        return request satisfies never;
    }
  }

  #send({
    id,
    key,
    transaction,
  }: Extract<SignerRequest, { kind: 'Send' }>['value']): SignerResponse {
    const known = this.sends.get(id);
    if (known !== undefined) return { kind: 'Sent', value: known };
    const named = formatJson([key, transaction.to, transaction.data, this.sends.size]);
    const hash = toHex(keccak256(utf8.encode(named)));
    const value = { hash, nonce: this.sends.size, state: { kind: 'Pending' } } as const;
    this.sends.set(id, value);
    return { kind: 'Sent', value };
  }

  #typedData(
    request: Extract<SignerRequest, { kind: 'TypedDataDigest' | 'SignTypedData' }>,
  ): SignerResponse {
    const hashes = hashTypedData(
      request.kind === 'SignTypedData' ? request.value.data : request.value,
    );
    if (!hashes.ok) return error({ kind: 'BadTypedData', value: hashes.error });
    return request.kind === 'TypedDataDigest'
      ? { kind: 'Hash', value: toHex(hashes.value.digest) }
      : this.#signature(request.value.key, hashes.value.digest);
  }

  #signature(key: string, hash: Uint8Array): SignerResponse {
    const digest = toHex(hash);
    const signer = [...this.keys].find(([name, address]) => name === key || address === key)?.[1];
    if (signer === undefined) return error({ kind: 'NoSuchKey' });
    const signature = this.signDigest(signer, digest);
    return { kind: 'Signature', value: { digest, signature } };
  }

  #signer({ digest, signature }: { digest: string; signature: string }): string | undefined {
    return this.#signers.get(`${digest} ${signature}`);
  }
}

function error(value: SignerError): SignerResponse {
  return { kind: 'Err', value };
}

function failed(value: SignerError): Uint8Array {
  return signerResponse.encode(error(value));
}
