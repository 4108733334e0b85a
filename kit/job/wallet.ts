/** The wallet that pays: its key, and the two things that it signs here, a login and a payment. Nothing is signed that was not looked at. */
import { resolve } from 'node:path';
import { Wallet as Signer } from 'ethers';
import { privateKey } from '../../bin/secrets-input.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { JobError } from './job-error.ts';
import type { CheckedTerms } from './terms.ts';

const AUTHORIZATION = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
];

/** Names the first account of every development chain in place of a file. Its key is public, and worth nothing elsewhere. */
const DEVELOPMENT = 'dev';

/**
 * A private key.
 * @param file  where it is, or `dev`
 * @throws JobError `file` for one that cannot be read, that others can read, or that holds no key
 */
export async function keyOf(file: string): Promise<string> {
  if (file === DEVELOPMENT) return personas.owner.privateKey;
  const path = resolve(file);
  return privateKey(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === undefined) throw new JobError('file', error.message, { cause: error });
    throw new JobError('file', `${path} cannot be read`, { cause: error });
  });
}

export class Wallet {
  readonly #signer: Signer;

  private constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** @param file  as for `keyOf` @throws JobError as `keyOf` does */
  static async open(file: string): Promise<Wallet> {
    return new Wallet(new Signer(await keyOf(file)));
  }

  /** Checksummed. */
  get address(): string {
    return this.#signer.address;
  }

  /**
   * Signs a login (EIP-4361) of this wallet at that site: a market that hands on the login of another site gets nothing.
   * @throws JobError
   */
  signLogin(message: string, site: string): string {
    const head = `${site} wants you to sign in with your Ethereum account:\n${this.address}\n\n`;
    const uri = /^URI: https?:\/\/([^/\s]+)\//m.exec(message)?.[1];
    if (!message.startsWith(head) || uri !== site || !/^Nonce: \w{8,}$/m.test(message)) {
      throw new JobError('login', `what ${site} wants signed is no login of ${this.address} there`);
    }
    return this.#signer.signMessageSync(message);
  }

  /**
   * Signs the transfer that pays for a job into its vault (EIP-3009), from where it can go to that job alone. The nonce is the job's id:
   * signed twice it is paid once.
   * @returns the header of x402
   */
  async payment({ terms, jobId, vault, token, chainId }: CheckedTerms): Promise<string> {
    const authorization = {
      from: this.address,
      to: vault,
      value: String(terms.amount),
      validAfter: '0',
      validBefore: String(terms.fundBy),
      nonce: jobId,
    };
    const signature = await this.#signer.signTypedData(
      { ...token.domain, chainId, verifyingContract: token.address },
      { TransferWithAuthorization: AUTHORIZATION },
      authorization,
    );
    const payment = { x402Version: 2, payload: { signature, authorization } };
    return Buffer.from(JSON.stringify(payment)).toString('base64');
  }
}
