/**
 * Signatures by keys that the node keeps, and hashes that are slow in a guest, through `signer:distro:sys` (docs/signer.md).
 * `import { signer } from 'hyperware/signer'`. Bytes are `0x` hex, amounts bigints in atomic units.
 */
import { askModule, type Caller, member, ModuleError } from './modules.ts';
import { bytesOf } from './utf8.ts';

/** `code`: such as `NotPermitted`, `OverBudget` or `NoSuchKey`; or `NoMessaging`. */
export class SignerError extends ModuleError {
  override readonly name = 'SignerError';
}

export interface SignerOptions {
  /** Of every call; default 5. */
  readonly timeoutS?: number;
}

/** A number of a message: an integer, decimal digits, or a bigint. */
export type TypedValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly TypedValue[]
  | { readonly [name: string]: TypedValue };

/** As wallets take it in `eth_signTypedData_v4`; an `EIP712Domain` among the types may be left out. */
export interface TypedData {
  readonly domain: TypedValue;
  readonly types: Readonly<
    Record<string, readonly { readonly name: string; readonly type: string }[]>
  >;
  readonly primaryType: string;
  readonly message: TypedValue;
}

/** EIP-1559, to a contract. */
export interface TransactionToSign {
  readonly chainId: number;
  readonly nonce: number;
  readonly maxPriorityFeePerGas: bigint;
  readonly maxFeePerGas: bigint;
  readonly gasLimit: number;
  readonly to: string;
  /** Wei; default 0. */
  readonly value?: bigint;
  /** Default `0x`. */
  readonly data?: string;
}

/** To a contract; nonce and fees are the signer's. */
export interface TransactionToSend {
  readonly to: string;
  /** Wei; default 0. */
  readonly value?: bigint;
  /** Default `0x`. */
  readonly data?: string;
  /** Estimated if left out: what would revert is then `Refused`. */
  readonly gasLimit?: number;
  /** The most that a unit of gas may ever cost, in wei; default four times what is needed now. */
  readonly maxFeePerGas?: bigint;
}

/** Something that was sent. */
export interface Sent {
  /** Of the form with the highest fees, or of the one that was mined. */
  readonly hash: string;
  readonly nonce: number;
  /** `superseded`: something that was not sent here has its nonce. A mined one may become pending again. */
  readonly state: 'pending' | 'mined' | 'superseded';
  /** Of the block; undefined unless mined. */
  readonly block: number | undefined;
  /** Whether it did not revert; undefined unless mined. */
  readonly ok: boolean | undefined;
}

/** Seconds that `send` waits: the signer asks the chain several things. */
const SEND_TIMEOUT_S = 60;

export interface Budget {
  /** Of the capability, as it is held. */
  readonly params: string;
  readonly spent: bigint;
  readonly perDay: bigint;
}

export function signer(caller: Caller, options: SignerOptions = {}): Signer {
  return new Signer(caller, options);
}

/** Every method rejects with `SignerError`, or with `NoResponse`. */
export class Signer {
  readonly #caller: Caller;
  readonly #options: SignerOptions;

  constructor(caller: Caller, options: SignerOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  /** A new key. For holders of `{"create":name}` or `{"root":true}`. @returns its address */
  async createKey(name?: string): Promise<string> {
    return text(await this.act({ CreateKey: { name: name ?? null } }), 'Key');
  }

  /** Addresses of the keys that the capabilities held name. */
  async listKeys(): Promise<readonly string[]> {
    return field(await this.act('ListKeys'), 'Keys') as string[];
  }

  /** What is left today of each capability. */
  async budgets(): Promise<readonly Budget[]> {
    const listed = field(await this.act('Budgets'), 'Budgets') as {
      params: string;
      spent: string;
      perDay: string;
    }[];
    return listed.map(({ params, spent, perDay }) => ({
      params,
      spent: BigInt(spent),
      perDay: BigInt(perDay),
    }));
  }

  /** r, s and v. `key`: name or address, spelled as in the capability. */
  async signTypedData(key: string, data: TypedData): Promise<string> {
    const request = `{"SignTypedData":{"key":${JSON.stringify(key)},"data":${typedText(data)}}}`;
    const answer = await this.#ask('SignTypedData', bytesOf(request));
    return text(field(answer, 'Signature'), 'signature');
  }

  async typedDataDigest(data: TypedData): Promise<string> {
    const request = `{"TypedDataDigest":${typedText(data)}}`;
    return text(await this.#ask('TypedDataDigest', bytesOf(request)), 'Hash');
  }

  /** For `eth_sendRawTransaction`. */
  async signTransaction(
    key: string,
    transaction: TransactionToSign,
  ): Promise<{ readonly raw: string; readonly hash: string }> {
    const { value = 0n, data = '0x', maxFeePerGas, maxPriorityFeePerGas } = transaction;
    const sent = {
      ...transaction,
      maxFeePerGas: String(maxFeePerGas),
      maxPriorityFeePerGas: String(maxPriorityFeePerGas),
      value: String(value),
      data,
    };
    const body = await this.act({ SignTransaction: { key, transaction: sent } });
    const signed = field(body, 'Transaction');
    return { raw: text(signed, 'raw'), hash: text(signed, 'hash') };
  }

  /** r, s and v over an EIP-191 message. For holders of `{"key":…,"messages":[tag]}` it begins with the tag and a zero byte. */
  async signMessage(key: string, message: Uint8Array): Promise<string> {
    const hex = Array.from(message, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const body = await this.act({ SignMessage: { key, message: `0x${hex}` } });
    return text(field(body, 'Signature'), 'signature');
  }

  /**
   * Sends, once for each `id` of the package: the same again answers what became of it. Resolves when it is on disk and was broadcast; from then on it
   * is sent until it is mined, whatever happens to this process or the node.
   */
  async send(
    id: string,
    key: string,
    chainId: number,
    { to, value = 0n, data = '0x', gasLimit, maxFeePerGas }: TransactionToSend,
  ): Promise<Sent> {
    const transaction = {
      to,
      value: String(value),
      data,
      gasLimit: gasLimit ?? null,
      maxFeePerGas: maxFeePerGas === undefined ? null : String(maxFeePerGas),
    };
    const timeoutS = this.#options.timeoutS ?? SEND_TIMEOUT_S;
    return sentOf(await this.#act({ Send: { id, key, chainId, transaction } }, timeoutS));
  }

  /** @throws SignerError `NoSuchSend`, where this package sent nothing under the id */
  async sendState(id: string): Promise<Sent> {
    return sentOf(await this.act({ SendState: { id } }));
  }

  async keccak256(bytes: Uint8Array): Promise<string> {
    return text(await this.act('Keccak256', bytes), 'Hash');
  }

  /** Who signed; undefined for what is no signature that a contract would take. */
  async recover(
    signed: readonly { readonly digest: string; readonly signature: string }[],
  ): Promise<readonly (string | undefined)[]> {
    const found = field(await this.act({ Recover: signed }), 'Addresses') as (string | null)[];
    return found.map((address) => address ?? undefined);
  }

  async verify(
    signed: readonly {
      readonly digest: string;
      readonly signature: string;
      readonly address: string;
    }[],
  ): Promise<readonly boolean[]> {
    return field(await this.act({ Verify: signed }), 'Verified') as boolean[];
  }

  /** Of a file in vfs that may be read. */
  async sha256(path: string): Promise<{ readonly sha256: string; readonly bytes: number }> {
    const found = field(await this.act({ Sha256: { path } }), 'FileHash');
    return { sha256: text(found, 'sha256'), bytes: Number(field(found, 'bytes')) };
  }

  /** Of a file of log records in vfs (`wit/jobs/log-records.ts`). */
  async logRoot(path: string): Promise<{
    readonly root: string;
    readonly records: number;
    readonly stdoutHash: string;
    readonly bytes: number;
  }> {
    const found = field(await this.act({ LogRoot: { path } }), 'LogRoot');
    return {
      root: text(found, 'root'),
      records: Number(field(found, 'records')),
      stdoutHash: text(found, 'stdoutHash'),
      bytes: Number(field(found, 'bytes')),
    };
  }

  /** Of the files below a folder in vfs, as outputs of a job. */
  async merkleRoot(
    path: string,
  ): Promise<{ readonly root: string; readonly files: number; readonly bytes: number }> {
    const found = field(await this.act({ MerkleRoot: { path } }), 'Root');
    return {
      root: text(found, 'root'),
      files: Number(field(found, 'files')),
      bytes: Number(field(found, 'bytes')),
    };
  }

  /** One request of docs/signer.md, as it is on the wire: the answer's body. For what has no method here. */
  act(request: unknown, blob?: Uint8Array): Promise<unknown> {
    return this.#act(request, this.#options.timeoutS, blob);
  }

  #act(request: unknown, timeoutS: number | undefined, blob?: Uint8Array): Promise<unknown> {
    const kind = typeof request === 'string' ? request : Object.keys(request as object).join();
    return this.#ask(kind, request, timeoutS, blob);
  }

  /** `body`: as `ModuleQuestion` has it. */
  #ask(
    kind: string,
    body: unknown,
    timeoutS = this.#options.timeoutS,
    blob?: Uint8Array,
  ): Promise<unknown> {
    const calls = { module: 'signer', timeoutS, error: SignerError } as const;
    const question = { what: `signer ${kind}`, body, blob };
    return askModule(this.#caller, calls, question, (answer) => answer.body);
  }
}

function sentOf(answer: unknown): Sent {
  const sent = field(answer, 'Sent');
  const state = field(sent, 'state');
  const mined = member(state, 'Mined');
  const whole = { hash: text(sent, 'hash'), nonce: Number(field(sent, 'nonce')) };
  if (mined === undefined) {
    const over = state === 'Superseded' ? 'superseded' : 'pending';
    return { ...whole, state: over, block: undefined, ok: undefined };
  }
  const block = Number(field(mined, 'block'));
  return { ...whole, state: 'mined', block, ok: field(mined, 'ok') === true };
}

/** As the module takes it: JSON has no bigints; typed data takes digits in a text. */
function typedText({ domain, types, primaryType, message }: TypedData): string {
  let typesText = typesTexts.get(types);
  if (typesText === undefined) {
    typesText = JSON.stringify(types);
    typesTexts.set(types, typesText);
  }
  return `{"domain":${JSON.stringify(plain(domain))},"types":${typesText},"primaryType":${JSON.stringify(primaryType)},"message":${JSON.stringify(plain(message))}}`;
}

/** They are most of the text, and a program's own, so the same object as a rule. */
const typesTexts = new WeakMap<TypedData['types'], string>();

/** The value itself where it has no bigints, which costs a guest least. */
function plain(value: TypedValue): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as readonly TypedValue[]).map((each) => plain(each));
  const fields = value as Readonly<Record<string, TypedValue>>;
  let changed: Record<string, unknown> | undefined;
  for (const name in fields) {
    const each = fields[name]!;
    const other = plain(each);
    if (other !== each) (changed ??= { ...fields })[name] = other;
  }
  return changed ?? value;
}

function field(value: unknown, name: string): unknown {
  const found = member(value, name);
  if (found === undefined) throw new SignerError('BadData', 'signer', `no ${name} in the answer`);
  return found;
}

function text(value: unknown, name: string): string {
  return String(field(value, name));
}
