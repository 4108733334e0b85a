/** A signer in a fresh folder, for the tests beside it. */
import { createSecretKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { moduleId } from '../../wit/address.ts';
import type { JsonValue } from '../../wit/json.ts';
import type { Capability } from '../../wit/types.ts';
import { Secret } from '../identity/secret.ts';
import type { FileHashes } from '../shared/file-hashes.ts';
import { type Asked, Bench, OUR_NODE, TestClock, TestPort } from '../shared/testing.ts';
import type { SignerWork } from './decide.ts';
import { signer } from './index.ts';

export const OWNER = 'shell:terminal:sys';
export const GUEST = 'pay:shop:alice.os';
/** 2026-01-02 12:00 UTC. */
export const NOON_MS = Date.UTC(2026, 0, 2, 12);
export const DAY_MS = 24 * 60 * 60 * 1000;

/** Client of the reference's vectors. */
export const CLIENT_SECRET = 'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const CLIENT = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

const NO_FILES: FileHashes = { at: () => ({ ok: false, error: 'forbidden' }) };

export interface BenchOptions {
  readonly home?: string;
  readonly fileKey?: number;
  readonly files?: FileHashes;
}

export class SignerBench extends Bench<SignerWork> implements AsyncDisposable {
  readonly home: string;
  readonly clock: TestClock;
  nowMs = NOON_MS;

  private constructor(home: string, { fileKey = 1, files = NO_FILES }: BenchOptions) {
    const port = new TestPort('signer');
    const clock = new TestClock();
    const needs = {
      port,
      clock,
      wallMs: (): number => this.nowMs,
      fileKey: new Secret(createSecretKey(Buffer.alloc(32, fileKey))),
      files,
    };
    // Nothing asks for the time before this is made.
    super(signer({ folder: join(home, '.wallets') })(needs), port);
    this.home = home;
    this.clock = clock;
  }

  static async make(options: BenchOptions = {}): Promise<SignerBench> {
    return new SignerBench(options.home ?? (await mkdtemp(join(tmpdir(), 'signer-'))), options);
  }

  /** Of the keys. */
  file(name: string): string {
    return join(this.home, '.wallets', name);
  }

  /** The same home again, as after a crash: nothing of this one is told. */
  async again(options: BenchOptions = {}): Promise<SignerBench> {
    await this.module[Symbol.asyncDispose]();
    const next = await SignerBench.make({ ...options, home: this.home });
    next.nowMs = this.nowMs;
    return next;
  }

  /** The answer's body. */
  async do(body: unknown, rest: Partial<Asked> = {}): Promise<unknown> {
    const sent = typeof body === 'string' ? JSON.stringify(body) : body;
    return (await this.ask({ from: GUEST, body: sent, ...rest }))?.body;
  }

  /** As the owner, who may do everything. */
  root(body: unknown, rest: Partial<Asked> = {}): Promise<unknown> {
    return this.do(body, { from: OWNER, capabilities: [ROOT], ...rest });
  }

  /** Imports the client's key. */
  import(name: string | null = 'client'): Promise<unknown> {
    return this.root({ ImportKey: { name } }, { blob: Buffer.from(CLIENT_SECRET, 'hex') });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.module[Symbol.asyncDispose]();
    await rm(this.home, { recursive: true, force: true });
  }
}

export function capability(params: JsonValue): Capability {
  return {
    issuer: { node: OUR_NODE, process: moduleId('signer') },
    params: JSON.stringify(params),
  };
}
export const ROOT = capability({ root: true });

export const err = (error: unknown): object => ({ Err: error });

export const ESCROW = {
  name: 'HypernodeEscrow',
  version: '1',
  chainId: 31_337,
  verifyingContract: '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512',
};
export const VOUCHER =
  'Voucher(bytes32 jobId,uint256 cumulative,uint64 seq,uint64 tokensIn,uint64 tokensOut)';
export const JOB_ID = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';

/** May sign vouchers of that much a day. */
export function vouchers(perDay: string, more: Record<string, JsonValue> = {}): Capability {
  const types = [{ type: VOUCHER, value: 'cumulative' }];
  return capability({ key: 'client', domain: ESCROW, types, perDay, ...more });
}

/** A request to sign a voucher. */
export function voucher(
  cumulative: JsonValue,
  {
    domain = ESCROW,
    key = 'client',
    type = 'Voucher',
    jobId = JOB_ID,
  }: {
    readonly domain?: JsonValue;
    readonly key?: string;
    readonly type?: string;
    readonly jobId?: string;
  } = {},
): unknown {
  const members = VOUCHER.slice(VOUCHER.indexOf('(') + 1, -1).split(',');
  return {
    SignTypedData: {
      key,
      data: {
        domain,
        types: {
          [type]: members.map((member) => ({
            type: member.split(' ')[0],
            name: member.split(' ')[1],
          })),
        },
        primaryType: type,
        message: { jobId, cumulative, seq: 1, tokensIn: 12, tokensOut: 87 },
      },
    },
  };
}

export const holding = (
  ...capabilities: readonly Capability[]
): { readonly capabilities: readonly Capability[] } => ({ capabilities });

/** The name of an answer, or of the error in it. */
export const kindOf = (body: unknown): string => {
  const { Err: error } = body as { Err?: unknown };
  if (error === undefined)
    return typeof body === 'string' ? body : Object.keys(body as object).join();
  return typeof error === 'string' ? error : Object.keys(error as object).join();
};

/** Of the reference's vectors (compute-market.md §17). */
export const VOUCHER_SIGNATURE =
  '0xf32fc4c366c6ac68b44a1cbc80d8395ad9c1345ade751e8bb5566adfe8323edb7677a60053c89ff49ca9fd7036dedecc3ce6c17dafc6a442fa97d9a49b26c8bb1c';
export const VOUCHER_DIGEST = '0x4d8bfff26f2b568247a8337b3058369b54007354d47a761717e272db9223ae87';
/** What a voucher of 273 is answered with. */
export const SIGNED = { Signature: { digest: VOUCHER_DIGEST, signature: VOUCHER_SIGNATURE } };
export const KEY_FILE = `${CLIENT.toLowerCase()}.key`;
export const TOKEN = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
export const TRANSFER = '0xa9059cbb';

/** A request to sign a token's `transfer`. */
export function transfer(amount: bigint, change: Record<string, unknown> = {}): unknown {
  const words = [BigInt(CLIENT), amount].map((word) => word.toString(16).padStart(64, '0'));
  return {
    SignTransaction: {
      key: 'client',
      transaction: {
        chainId: 8_453,
        nonce: 7,
        maxPriorityFeePerGas: '1',
        maxFeePerGas: '20',
        gasLimit: 60_000,
        to: TOKEN,
        value: '0',
        data: TRANSFER + words.join(''),
        ...change,
      },
    },
  };
}

/** May send so many tokens a day, for so many wei. */
export const transfers = (perDay: string, weiPerDay = '1200000'): Capability =>
  capability({
    key: 'client',
    chainId: 8_453,
    contract: TOKEN,
    calls: [{ selector: TRANSFER, value: 1 }],
    perDay,
    weiPerDay,
  });
