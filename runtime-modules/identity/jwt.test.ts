import { createHmac, createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { issueToken, TOKEN_CHARS_MAX, verifyToken } from './jwt.ts';

const SECRET = createSecretKey(new Uint8Array(32).fill(0x33));
const CLAIMS = { username: 'alice.os', subdomain: null, expiration: 1_900_000_000 };
/** networking.md §18.5. */
const VECTOR =
  'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6ImFsaWNlLm9zIiwic3ViZG9tYWluIjpudWxsLCJleHBpcmF0aW9uIjoxOTAwMDAwMDAwfQ.G2vCBGaQ63Zuv2BMsUcbt5cOiuOsUINO88um1IB2xFg';

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signed(header: unknown, claims: unknown, key = SECRET): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

describe('session tokens', () => {
  test('N47 the vector is issued and verified', () => {
    expect(issueToken(SECRET, CLAIMS)).toBe(VECTOR);
    expect(verifyToken(SECRET, VECTOR)).toEqual(CLAIMS);
  });

  test('M156 claims are username, subdomain, expiration, in this order', () => {
    const token = issueToken(SECRET, { expiration: 1, subdomain: 'a:b:c.os', username: 'x.os' });
    expect(Buffer.from(token.split('.')[1]!, 'base64url').toString()).toBe(
      '{"username":"x.os","subdomain":"a:b:c.os","expiration":1}',
    );
  });

  test.each([0, 1, 2, 64, 1_000])('M157 a secret of %d bytes works', (length) => {
    const secret = createSecretKey(new Uint8Array(length).fill(7));
    expect(verifyToken(secret, issueToken(secret, CLAIMS))).toEqual(CLAIMS);
    expect(verifyToken(SECRET, issueToken(secret, CLAIMS))).toBeUndefined();
  });

  test('M153 a token with more in its header, as libraries write it, is one of ours', () => {
    expect(verifyToken(SECRET, signed({ typ: 'JWT', alg: 'HS256' }, CLAIMS))).toEqual(CLAIMS);
  });

  const [header, claims, signature] = VECTOR.split('.') as [string, string, string];
  test.each([
    ['alg none', signed({ alg: 'none' }, CLAIMS)],
    ['alg none without signature', `${part({ alg: 'none' })}.${claims}.`],
    ['another alg', signed({ alg: 'HS512' }, CLAIMS)],
    ['alg in other letters', signed({ alg: 'hs256' }, CLAIMS)],
    ['no alg', signed({}, CLAIMS)],
    ['a header that is no object', signed('HS256', CLAIMS)],
    ['another key', signed({ alg: 'HS256' }, CLAIMS, createSecretKey(Buffer.from('x')))],
    [
      'other claims under the signature',
      `${header}.${part({ ...CLAIMS, username: 'b.os' })}.${signature}`,
    ],
    ['two parts', `${header}.${claims}`],
    ['four parts', `${VECTOR}.x`],
    ['padding', `${VECTOR}=`],
    ['a cut signature', VECTOR.slice(0, -1)],
    ['the other spelling of the signature', `${VECTOR.slice(0, -1)}h`],
    [
      'base64 of the other alphabet',
      VECTOR.replaceAll('_', '/').replaceAll('-', '+').replace('G2', '+2'),
    ],
    ['a blank', ` ${VECTOR}`],
    ['no username', signed({ alg: 'HS256' }, { subdomain: null, expiration: 1 })],
    ['a number as subdomain', signed({ alg: 'HS256' }, { ...CLAIMS, subdomain: 1 })],
    ['an expiration in text', signed({ alg: 'HS256' }, { ...CLAIMS, expiration: '9' })],
    [
      'an expiration that is no integer',
      signed({ alg: 'HS256' }, { ...CLAIMS, expiration: 1e300 }),
    ],
    ['claims that are a list', signed({ alg: 'HS256' }, [CLAIMS])],
    ['nothing', ''],
  ])('M154 refused: %s', (_, token) => {
    expect(verifyToken(SECRET, token)).toBeUndefined();
  });

  test('a token at the limit is looked at, one past it is not', () => {
    const ofLength = (chars: number): string => {
      for (let filler = ''; ; filler += 'x') {
        const token = signed({ alg: 'HS256' }, { ...CLAIMS, filler });
        if (token.length >= chars) return token;
      }
    };
    const longest = ofLength(TOKEN_CHARS_MAX - 2);
    expect(longest.length).toBeLessThanOrEqual(TOKEN_CHARS_MAX);
    expect(verifyToken(SECRET, longest)).toEqual(CLAIMS);
    expect(verifyToken(SECRET, ofLength(TOKEN_CHARS_MAX + 1))).toBeUndefined();
  });
});
