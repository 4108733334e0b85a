/**
 * `signer:distro:sys` (finding F41): the node's secp256k1 keys. What is signed is named by a capability, key, domain and types or contract
 * and selector, with a value per day; a guest never sees a key. Also the hashes that are slow in a guest. docs/signer.md
 */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { fromHex, type Hex, toHex } from '../../contracts/hex.ts';
import { checksummed } from '../../contracts/hypermap.ts';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { formatJson } from '../../wit/json.ts';
import {
  type SignerError,
  type SignerRequest,
  type SignerResponse,
  signerResponse,
} from '../../wit/signer-api.ts';
import type { KernelMessage, Result, SendError, U64 } from '../../wit/types.ts';
import type { Secret } from '../identity/secret.ts';
import type { Clock } from '../shared/clock.ts';
import type { FileHashes, HashablePath } from '../shared/file-hashes.ts';
import { ioErrorText } from '../shared/io-error.ts';
import { KeyedLock } from '../shared/keyed-lock.ts';
import { refuse } from '../shared/refuse.ts';
import { Budgets } from './budgets.ts';
import { Curve } from './curve.ts';
import { decide, type Held, type SignerWork } from './decide.ts';
import { limitsOf, sameKey } from './grants.ts';
import { TREE_FILES_MAX } from './limits.ts';
import { Outbox } from './outbox/outbox.ts';
import { Sealer } from './sealed-key.ts';
import {
  done,
  failed,
  forget,
  type Opened,
  send,
  sent,
  signAsAsked,
  walletError,
} from './signing.ts';
import { Wallet } from './wallet.ts';

export interface SignerNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Of the identity: what the keys are sealed under. */
  readonly fileKey: Secret<KeyObject>;
  /** Files of vfs, hashed off the thread. */
  readonly files: FileHashes;
}

export interface SignerOptions {
  /** `<home>/.wallets`; created when missing. */
  readonly folder: string;
}

export const signer =
  (options: SignerOptions) =>
  (needs: SignerNeeds): RuntimeModule<SignerWork> =>
    new Signer(needs, options);

type Kind<K extends SignerRequest['kind']> = Extract<SignerRequest, { kind: K }>;

type ComputeWork = Extract<
  SignerWork,
  {
    kind:
      | 'Keccak256'
      | 'TypedDataDigest'
      | 'Recover'
      | 'Verify'
      | 'Sha256'
      | 'MerkleRoot'
      | 'LogRoot';
  }
>;

class Signer implements RuntimeModule<SignerWork> {
  readonly name = 'signer';
  readonly public = false;
  readonly #needs: SignerNeeds;
  readonly #curve = new Curve();
  /** Of its own, so that whoever has much to be hashed or recovered holds up no signature. */
  readonly #figures = new Curve();
  readonly #opened: Promise<Opened>;
  readonly #changes = new KeyedLock();

  constructor(needs: SignerNeeds, { folder }: SignerOptions) {
    this.#needs = needs;
    const { port, clock, wallMs, fileKey } = needs;
    const sealer = new Sealer(fileKey);
    const tell = (text: string): void => port.print(0, `signer: ${text}`);
    this.#opened = (async () => {
      const wallet = await Wallet.open({ folder, sealer, curve: this.#curve, tell });
      const budgets = await Budgets.open({ path: join(folder, 'budgets'), sealer, wallMs, tell });
      const sign = async (
        address: string,
        digest: Uint8Array,
      ): Promise<Result<Uint8Array, SignerError>> => {
        const signature = await wallet.sign(address, digest);
        return signature.ok ? signature : failed(walletError(signature.error));
      };
      const sends = join(folder, 'sends');
      const outbox = await Outbox.open({ folder: sends, sealer, tell, port, clock, sign });
      return { wallet, budgets, outbox };
    })();
    // Whoever asks hears of a failure too; nobody asking is no reason to end the node.
    this.#opened.catch((error: unknown) => tell(`${folder}: ${String(error)}`));
  }

  decode(request: ModuleRequest): Result<SignerWork, Answer | undefined> {
    if (!request.local) {
      this.#needs.port.print(1, `signer: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const work = decide(request, { our: this.#needs.port.our, files: this.#needs.files });
    if (work.ok) return work;
    this.#needs.port.print(1, `signer: ${request.source.process}: ${work.error.kind}`);
    return { ok: false, error: refusal(work.error) };
  }

  /** Requests overlap: signatures of one process share the write that they wait for. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: SignerWork, signal: AbortSignal): Promise<Answer | undefined> {
    try {
      const done = await this.#perform(work, await this.#opened, signal);
      if (!done.ok) return refusal(done.error);
      return answer(done.value);
    } catch (error) {
      if (signal.aborted) return undefined;
      const text = ioErrorText(error);
      if (text === undefined) throw error;
      return refusal({ kind: 'IOError', value: text });
    }
  }

  onResponse(message: KernelMessage): void {
    void this.#opened.then(({ outbox }) => outbox.answered(message));
  }

  onSendError(_error: SendError, id: U64): void {
    void this.#opened.then(({ outbox }) => outbox.failed(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened.catch(() => undefined);
    await opened?.outbox.close();
    await Promise.all([this.#curve.close(), this.#figures.close()]);
  }

  async #perform(
    work: SignerWork,
    opened: Opened,
    signal: AbortSignal,
  ): Promise<Result<SignerResponse, SignerError>> {
    switch (work.kind) {
      case 'CreateKey':
      case 'ImportKey':
      case 'RemoveKey':
        return this.#changes.run(['keys'], () => change(opened.wallet, work));
      case 'ListKeys':
        return done({ kind: 'Keys', value: visible(opened.wallet, work.grants) });
      case 'Budgets':
        return done({ kind: 'Budgets', value: budgetsOf(opened.budgets, work.grants) });
      case 'Grant':
        return this.#grant(work.value);
      case 'SignTypedData':
      case 'SignTransaction':
      case 'SignMessage':
        return signAsAsked(opened, work, signal);
      case 'Send':
        return send(opened, work, signal);
      case 'SendState':
        return sent(opened.outbox.find(work.sender, work.id));
      case 'ForgetSends':
        return forget(opened, work.value);
      default:
        return this.#compute(work, signal);
    }
  }

  /** What needs no key. */
  async #compute(
    work: ComputeWork,
    signal: AbortSignal,
  ): Promise<Result<SignerResponse, SignerError>> {
    switch (work.kind) {
      case 'Keccak256': {
        const { bytes } = work;
        const hash = await this.#figures.run<'keccak'>({ kind: 'keccak', bytes });
        return done({ kind: 'Hash', value: toHex(hash) });
      }
      case 'TypedDataDigest':
        return done({ kind: 'Hash', value: toHex(work.digest) });
      case 'Recover': {
        const found = await this.#recover(work.value);
        return done({ kind: 'Addresses', value: found });
      }
      case 'Verify': {
        const found = await this.#recover(work.value);
        const same = work.value.map(({ address }, index) => checksummed(address) === found[index]);
        return done({ kind: 'Verified', value: same });
      }
      case 'Sha256': {
        const { sha256, bytes } = await work.path.file(signal);
        return done({ kind: 'FileHash', value: { sha256: toHex(sha256), bytes } });
      }
      case 'LogRoot':
        return this.#logRoot(work.path, signal);
      case 'MerkleRoot':
        return this.#root(work.path, signal);
      default:
        return work satisfies never;
    }
  }

  async #grant({
    process,
    params,
  }: Kind<'Grant'>['value']): Promise<Result<SignerResponse, SignerError>> {
    const { port } = this.#needs;
    const capability = { issuer: port.our, params: formatJson(params, { sortKeys: true }) };
    const granted = await port.grant(process, [capability]);
    return granted ? done({ kind: 'Ok' }) : failed({ kind: 'NoProcess' });
  }

  async #recover(
    signed: readonly { readonly digest: string; readonly signature: string }[],
  ): Promise<readonly (Hex | undefined)[]> {
    const recovered = await this.#figures.run<'recover'>({
      kind: 'recover',
      signed: signed.map(({ digest, signature }) => ({
        digest: bytesOf(digest),
        signature: bytesOf(signature),
      })),
    });
    return recovered.map((address) => address && checksummed(toHex(address)));
  }

  async #logRoot(
    path: HashablePath,
    signal: AbortSignal,
  ): Promise<Result<SignerResponse, SignerError>> {
    const log = await path.log(signal);
    if (!log.ok) return failed({ kind: 'BadLog', value: log.error });
    const { root, records, stdoutHash, bytes } = log.value;
    const value = { root: toHex(root), records, stdoutHash: toHex(stdoutHash), bytes };
    return done({ kind: 'LogRoot', value });
  }

  async #root(
    path: HashablePath,
    signal: AbortSignal,
  ): Promise<Result<SignerResponse, SignerError>> {
    const tree = await path.tree(TREE_FILES_MAX, signal);
    if (!tree.ok) return failed({ kind: 'BadTree', value: tree.error });
    const root = await this.#figures.run<'root'>({ kind: 'root', files: tree.value });
    const bytes = tree.value.reduce((sum, file) => sum + file.bytes, 0);
    return done({ kind: 'Root', value: { root: toHex(root), files: tree.value.length, bytes } });
  }
}

async function change(
  wallet: Wallet,
  work: Extract<SignerWork, { kind: 'CreateKey' | 'ImportKey' | 'RemoveKey' }>,
): Promise<Result<SignerResponse, SignerError>> {
  if (work.kind === 'RemoveKey') {
    const removed = await wallet.remove(work.value.key);
    return removed.ok ? done({ kind: 'Ok' }) : failed(walletError(removed.error));
  }
  const added =
    work.kind === 'CreateKey'
      ? await wallet.add(work.value.name)
      : await wallet.add(work.name, work.secret);
  if (!added.ok) return failed(walletError(added.error));
  return done({ kind: 'Key', value: checksummed(added.value.address) });
}

/** Addresses that the holder of these may know of. */
function visible(wallet: Wallet, held: readonly Held[]): readonly Hex[] {
  const sees = ({ address, name }: { address: string; name: string | undefined }): boolean =>
    held.some(({ grant }) => {
      if (grant.kind === 'root') return true;
      const named = grant.kind === 'create' ? grant.name : grant.key;
      return named === name || sameKey(named, address);
    });
  return wallet
    .labels()
    .filter(sees)
    .map(({ address }) => checksummed(address));
}

function budgetsOf(
  budgets: Budgets,
  held: readonly Held[],
): Extract<SignerResponse, { kind: 'Budgets' }>['value'] {
  return held.flatMap(({ params, grant }) =>
    limitsOf(grant).map(({ id, perDay }) => ({ params, spent: budgets.spent(id), perDay })),
  );
}

/** Proof that it is hex: the codec of the body. */
function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

function answer(response: SignerResponse): Answer {
  return { body: signerResponse.encode(response) };
}

/** Whoever waits is always told. */
function refusal(value: SignerError): Answer {
  return refuse(signerResponse.encode({ kind: 'Err', value }), 'if-wanted');
}
