/** A namespace as a test says it is, behind the calls that registration makes; and wallets that sign what a browser's would. */
import { AbiCoder, Wallet } from 'ethers';
import { HYPER_ACCOUNT, HYPERMAP, MULTICALL3 } from '../../../contracts/addresses.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import type { Result } from '../../../wit/types.ts';
import type { ChainPlace, ChainReads, ReadCall, ReadError } from './namespace.ts';

export const BASE: ChainPlace = {
  chainId: 8_453,
  hypermap: HYPERMAP,
  multicall: MULTICALL3,
  account: HYPER_ACCOUNT,
};

const abi = AbiCoder.defaultAbiCoder();
const ZERO = `0x${'0'.repeat(40)}`;
const TBA = `0x${'7b'.repeat(20)}`;
const GET = /8eaa6ac0([0-9a-f]{64})/g;

export class FakeChain implements ChainReads {
  readonly #entries = new Map<string, readonly [tba: string, owner: string, data: string]>();
  /** Instead of an answer. */
  error: ReadError | undefined;
  /** What calls to anything but the namespace return; undefined: they revert. */
  other: (call: ReadCall) => string | undefined = () => undefined;
  reads = 0;

  /** A node with its notes. */
  set(name: string, owner: string, notes: Readonly<Record<string, string>> = {}): void {
    this.#entries.set(namehash(name), [TBA, owner, '0x']);
    for (const [label, data] of Object.entries(notes))
      this.#entries.set(namehash(`${label}.${name}`), [ZERO, ZERO, data]);
  }

  clear(): void {
    this.#entries.clear();
  }

  call(call: ReadCall): Promise<Result<string, ReadError>> {
    this.reads += 1;
    if (this.error !== undefined) return Promise.resolve({ ok: false, error: this.error });
    if (call.to !== MULTICALL3) {
      const value = this.other(call);
      return Promise.resolve(
        value === undefined ? { ok: false, error: { kind: 'reverted' } } : { ok: true, value },
      );
    }
    const answers = Array.from(call.data.matchAll(GET), ([, hash]) =>
      abi.encode(
        ['address', 'address', 'bytes'],
        this.#entries.get(`0x${hash}`) ?? [ZERO, ZERO, '0x'],
      ),
    );
    return Promise.resolve({ ok: true, value: abi.encode(['uint256', 'bytes[]'], [7, answers]) });
  }
}

export interface BootBody {
  readonly username: string;
  readonly password_hash: string;
  readonly timestamp: number;
  readonly direct: boolean;
  readonly reset: boolean;
  readonly chain_id: number;
}

/** The body of a boot, signed by a wallet as EIP-712 says. */
export async function signedBoot(
  key: string,
  message: BootBody,
  domain: { readonly chainId: number; readonly verifyingContract: string } = {
    chainId: BASE.chainId,
    verifyingContract: HYPERMAP,
  },
): Promise<Record<string, unknown>> {
  const wallet = new Wallet(key);
  const signature = await wallet.signTypedData(
    { name: 'Hypermap', version: '1', ...domain },
    {
      Boot: [
        { name: 'username', type: 'string' },
        { name: 'password_hash', type: 'bytes32' },
        { name: 'timestamp', type: 'uint256' },
        { name: 'direct', type: 'bool' },
        { name: 'reset', type: 'bool' },
        { name: 'chain_id', type: 'uint256' },
      ],
    },
    message,
  );
  return { ...message, owner: wallet.address, signature };
}

export const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));
