/**
 * Who asks over HTTP (compute-market.md §13): the node's owner, a wallet that signed in (EIP-4361), or an executor that signed the request.
 * Tokens are HS256; what stands in a login is what this node wrote, so that a signature made for another site opens nothing here.
 */
import { HttpError } from '../../lib/http-server.ts';
import type { Signer } from '../../lib/signer.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { checksummed } from '../../../contracts/hypermap.ts';
import { hmacSha256, sha256Hex } from '../../../wit/jobs/digest.ts';
import { base64urlOf, textOfBase64url } from './base64.ts';
import { keccak256 } from '../../../wit/keccak.ts';

/** Who a request is of; `owner` is what jobs are kept under. */
export interface Principal {
  readonly kind: 'operator' | 'wallet' | 'process';
  readonly owner: string;
  /** Of a wallet, checksummed. */
  readonly address?: string;
}

export const OPERATOR: Principal = { kind: 'operator', owner: 'operator' };

export function walletPrincipal(address: string): Principal {
  const written = checksummed(address);
  return { kind: 'wallet', owner: `wallet:${written.toLowerCase()}`, address: written };
}

/** Of a token, in milliseconds. */
export const TOKEN_MS = 3_600_000;
/** To sign a login, in milliseconds. */
export const LOGIN_MS = 300_000;
/** How far an executor's clock may be off, in milliseconds. */
export const SKEW_MS = 60_000;
const LOGINS_MAX = 10_000;
const TOKENS_KNOWN_MAX = 1_000;
const REQUESTS_KNOWN_MAX = 20_000;

const utf8 = new TextEncoder();

export interface AuthNeeds {
  /** 32 bytes that only this node knows. */
  readonly secret: () => Uint8Array;
  readonly signer: Signer;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** The executor of a node, if it is known. */
  readonly executorOf: (nodeId: string) => string | undefined;
}

export class Auth {
  readonly #needs: AuthNeeds;
  readonly #logins = new Map<
    string,
    { readonly message: string; readonly address: string; readonly until: number }
  >();
  /** Tokens that were checked: an HMAC costs a guest more than most requests. */
  readonly #known = new Map<string, { readonly principal: Principal; readonly until: number }>();
  /** Signatures of requests, until they are too old by themselves. */
  readonly #used = new Map<string, number>();

  constructor(needs: AuthNeeds) {
    this.#needs = needs;
  }

  // ---- tokens

  issue(principal: Principal): { readonly token: string; readonly expiresAt: number } {
    const until = this.#needs.now() + TOKEN_MS;
    const head = base64urlOf('{"alg":"HS256","typ":"JWT"}');
    const body = base64urlOf(
      JSON.stringify({ sub: principal.owner, exp: Math.floor(until / 1_000) }),
    );
    return { token: `${head}.${body}.${this.#mac(`${head}.${body}`)}`, expiresAt: until };
  }

  /** Undefined for a token that is none, or too old. */
  principalOf(
    token: string,
  ): { readonly principal: Principal; readonly until: number } | undefined {
    const known = this.#known.get(token);
    if (known !== undefined) return known.until > this.#needs.now() ? known : undefined;
    const [head = '', body = '', mac = ''] = token.split('.');
    if (token.length > 1_000 || !sameText(mac, this.#mac(`${head}.${body}`))) return undefined;
    const { sub, exp } = JSON.parse(textOfBase64url(body) ?? 'null') as {
      readonly sub: string;
      readonly exp: number;
    };
    const until = exp * 1_000;
    if (until <= this.#needs.now()) return undefined;
    const principal =
      sub === OPERATOR.owner ? OPERATOR : walletPrincipal(sub.slice('wallet:'.length));
    if (this.#known.size >= TOKENS_KNOWN_MAX) this.#known.clear();
    const found = { principal, until };
    this.#known.set(token, found);
    return found;
  }

  // ---- wallets

  /** Step 1: the text to sign. @param site  host and port that the client sees */
  login(
    address: string,
    site: string,
    chainId: number,
  ): { readonly message: string; readonly nonce: string } {
    const wallet = checksummed(address);
    const nonce = toHex(this.#needs.random(16)).slice(2);
    const at = new Date(this.#needs.now()).toISOString();
    const end = new Date(this.#needs.now() + LOGIN_MS).toISOString();
    const message = `${site} wants you to sign in with your Ethereum account:\n${wallet}\n\nSign in to the compute market of this node.\n\nURI: http://${site}/market:compute:sys\nVersion: 1\nChain ID: ${chainId}\nNonce: ${nonce}\nIssued At: ${at}\nExpiration Time: ${end}`;
    this.#dropOld();
    if (this.#logins.size >= LOGINS_MAX) {
      throw new HttpError(429, 'too many logins are under way; try again in some minutes');
    }
    this.#logins.set(nonce, { message, address: wallet, until: this.#needs.now() + LOGIN_MS });
    return { message, nonce };
  }

  /** Step 2. Each login is good once. @throws HttpError 401 */
  async signedIn(message: string, signature: string): Promise<Principal> {
    const nonce = /^Nonce: ([0-9a-f]{32})$/m.exec(message)?.[1] ?? '';
    const login = this.#logins.get(nonce);
    this.#logins.delete(nonce);
    if (login === undefined || login.message !== message || login.until < this.#needs.now()) {
      throw new HttpError(401, 'this is not a login that was asked for here, or it is too old');
    }
    const signer = await this.#signerOf(message, signature);
    if (signer?.toLowerCase() !== login.address.toLowerCase()) {
      throw new HttpError(401, `${login.address} has not signed this`);
    }
    return walletPrincipal(login.address);
  }

  // ---- executors

  /**
   * The node whose executor signed a request: EIP-191 over `<method>\n<path>\n<SHA-256 of the body>\n<ts>`, each once.
   * @throws HttpError 401
   */
  async executor(request: {
    readonly method: string;
    readonly path: string;
    readonly body: Uint8Array;
    readonly node: string | undefined;
    readonly ts: string | undefined;
    readonly signature: string | undefined;
  }): Promise<string> {
    const { node, ts, signature } = request;
    if (node === undefined || ts === undefined || signature === undefined) {
      throw new HttpError(401, 'this is for executors: x-hn-node, x-hn-ts and x-hn-sig are needed');
    }
    const at = Number(ts);
    const now = this.#needs.now();
    if (!Number.isSafeInteger(at) || Math.abs(now - at) > SKEW_MS) {
      throw new HttpError(401, 'x-hn-ts is more than a minute off');
    }
    const executor = this.#needs.executorOf(node);
    if (executor === undefined) throw new HttpError(401, 'that node is not known here');
    const text = `${request.method}\n${request.path}\n${sha256Hex(request.body)}\n${ts}`;
    if (this.#used.has(signature)) throw new HttpError(401, 'this request was made before');
    const signer = await this.#signerOf(text, signature);
    if (signer?.toLowerCase() !== executor.toLowerCase()) {
      throw new HttpError(401, `the executor of ${node} has not signed this`);
    }
    this.#dropOld();
    if (this.#used.size >= REQUESTS_KNOWN_MAX) throw new HttpError(429, 'too many requests');
    this.#used.set(signature, at + 2 * SKEW_MS);
    return node.toLowerCase();
  }

  async #signerOf(text: string, signature: string): Promise<string | undefined> {
    if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) return undefined;
    const bytes = utf8.encode(text);
    const head = utf8.encode(`\u0019Ethereum Signed Message:\n${bytes.length}`);
    const whole = new Uint8Array(head.length + bytes.length);
    whole.set(head);
    whole.set(bytes, head.length);
    const [signer] = await this.#needs.signer.recover([
      { digest: toHex(keccak256(whole)), signature: signature.toLowerCase() },
    ]);
    return signer;
  }

  #mac(text: string): string {
    return base64urlOf(hmacSha256(this.#needs.secret(), text));
  }

  #dropOld(): void {
    const now = this.#needs.now();
    // In the order of their ends: the first that is good ends the look.
    for (const [nonce, { until }] of this.#logins) {
      if (until >= now) break;
      this.#logins.delete(nonce);
    }
    for (const [signature, until] of this.#used) {
      if (until >= now) break;
      this.#used.delete(signature);
    }
  }
}

/** In a time that does not depend on where they differ. */
function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let at = 0; at < a.length; at += 1) different |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return different === 0;
}

const OWNERS_MAX = 256;
const addresses = new Map<string, string>();

/** An address that nobody has the key of, for the terms of clients that are no wallets: made of the owner's name. */
export function addressOfOwner(owner: string): string {
  const known = addresses.get(owner);
  if (known !== undefined) return known;
  const made = checksummed(toHex(keccak256(utf8.encode(`hn/owner/v1\0${owner}`)).slice(-20)));
  // Two hashes by a guest: worth remembering.
  if (addresses.size >= OWNERS_MAX) addresses.clear();
  addresses.set(owner, made);
  return made;
}

/** 32 bytes as hex, and back. */
export function secretBytes(hex: string): Uint8Array {
  return fromHex(`0x${hex}`) ?? new Uint8Array(32);
}
