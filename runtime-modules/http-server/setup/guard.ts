/**
 * Who may set up a node (F31). Whoever sits at its machine: requests that name a loopback host, so that no page of another site can
 * reach it by a name of its own. Or, when its owner says so, whoever has the code that the terminal shows: it opens for one browser,
 * and the next one gets another.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { isLoopbackHost } from '../bindings/host-label.ts';
import { isCrossOrigin } from '../login/site.ts';

const COOKIE = 'hyperloom-setup';
/** Letters and digits of a code: 40 bits, and one guess a second at most. */
const CODE_CHARS = 8;
/** Without those that look alike. */
const ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';

export interface SetupVisitor {
  /** Lower case, with its port. */
  readonly host: string;
  readonly method: string;
  readonly cookie: string | undefined;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
}

export type Admission = 'in' | 'foreign-host' | 'cross-origin' | 'needs-code';

export interface Guard {
  admit(visitor: SetupVisitor): Admission;
  /** The value of Set-Cookie that lets this browser in; undefined: not the code. */
  redeem(code: string, secure: boolean): string | undefined;
}

export const localGuard: Guard = {
  admit(visitor) {
    if (!isLoopbackHost(visitor.host)) return 'foreign-host';
    return isForeign(visitor) ? 'cross-origin' : 'in';
  },
  redeem: () => undefined,
};

export class CodeGuard implements Guard {
  readonly #show: (code: string) => void;
  readonly #token = randomBytes(32).toString('base64url');
  #code: string;

  /** @param show  tells the owner the code that is good now; called at once, and when it has been used */
  constructor(show: (code: string) => void) {
    this.#show = show;
    this.#code = freshCode();
    show(spelled(this.#code));
  }

  admit(visitor: SetupVisitor): Admission {
    if (isForeign(visitor)) return 'cross-origin';
    const wanted = `${COOKIE}=${this.#token}`;
    const found = (visitor.cookie ?? '').split('; ').some((entry) => equal(entry, wanted));
    return found ? 'in' : 'needs-code';
  }

  redeem(code: string, secure: boolean): string | undefined {
    const plain = code.toUpperCase().replace(/[\s-]/g, '');
    if (!equal(plain, this.#code)) return undefined;
    this.#code = freshCode();
    this.#show(spelled(this.#code));
    return `${COOKIE}=${this.#token}; HttpOnly; SameSite=Strict; Path=/${secure ? '; Secure' : ''}`;
  }
}

function isForeign(visitor: SetupVisitor): boolean {
  return visitor.method !== 'GET' && visitor.method !== 'HEAD' && isCrossOrigin(visitor);
}

function freshCode(): string {
  return Array.from({ length: CODE_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]!).join('');
}

function spelled(code: string): string {
  return `${code.slice(0, CODE_CHARS / 2)}-${code.slice(CODE_CHARS / 2)}`;
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
