import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { issueToken } from '../../identity/jwt.ts';
import { Secret } from '../../identity/secret.ts';
import {
  COOKIES_DELETED_MAX,
  cookieName,
  SESSION_S,
  sessionCookie,
  Sessions,
  SESSIONS_CACHED_MAX,
  TOKENS_TRIED_MAX,
  tokensNamed,
  withoutSessions,
} from './session.ts';

const KEY = createSecretKey(new Uint8Array(32).fill(0x33));
const NOW_S = 1_800_000_000;
const NAME = 'hyperware-auth_alice.os';
/** networking.md §18.5: made by the reference, with the same keyfile. */
const VECTOR =
  'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6ImFsaWNlLm9zIiwic3ViZG9tYWluIjpudWxsLCJleHBpcmF0aW9uIjoxOTAwMDAwMDAwfQ.G2vCBGaQ63Zuv2BMsUcbt5cOiuOsUINO88um1IB2xFg';

function sessions(now = { s: NOW_S }): Sessions {
  return new Sessions({ node: 'alice.os', secret: new Secret(KEY), nowS: () => now.s });
}

const tokenFor = (over: object = {}, key = KEY): string =>
  issueToken(key, { username: 'alice.os', subdomain: null, expiration: NOW_S + 1, ...over });
const pairOf = (setCookie: string): string => setCookie.split(';')[0]!;

describe('the cookie', () => {
  test('F22 M165 byte for byte, secure over TLS only', () => {
    expect(sessionCookie(NAME, 'a.b.c', false)).toBe(
      'hyperware-auth_alice.os=a.b.c; HttpOnly; SameSite=Strict; Path=/',
    );
    expect(sessionCookie(NAME, 'a.b.c', true)).toBe(
      'hyperware-auth_alice.os=a.b.c; HttpOnly; SameSite=Strict; Path=/; Secure',
    );
  });

  test('M160 names are those of the reference', () => {
    expect(cookieName('alice.os', null)).toBe(NAME);
    expect(cookieName('alice.os', 'main:app-store:sys')).toBe(`${NAME}@main:app-store:sys`);
  });

  test('M156 a new session lasts 26 weeks', () => {
    const [, token = ''] = pairOf(sessions().start(null, { secure: false })).split('=');
    expect(Buffer.from(token.split('.')[1]!, 'base64url').toString()).toBe(
      `{"username":"alice.os","subdomain":null,"expiration":${NOW_S + 15_724_800}}`,
    );
    expect(SESSION_S).toBe(26 * 7 * 24 * 3_600);
  });
});

describe('finding it', () => {
  test.each([
    ['M155 alone', 'n=a', ['a']],
    ['M155 among others', 'x=1; n=a; y=2', ['a']],
    ['M154 with two = it is none', 'n=a=b', []],
    ['M154 one with two = does not hide the next', 'n=a=b; n=c', ['c']],
    ['M154 a trailing = is a second one', 'n=a=', []],
    ['only `; ` parts entries', 'x=1;n=a', []],
    ['names are compared whole', 'xn=a; nn=a; n =a; N=a', []],
    ['no value is a value', 'n=', ['']],
    ['no = is no entry', 'n', []],
    ['nothing', '', []],
    ['quotes belong to the value', 'n="a"', ['"a"']],
  ])('%s', (_, header, tokens) => {
    expect(tokensNamed(header, 'n')).toEqual(tokens);
  });
});

describe('sessions', () => {
  test('M153 its own token opens, and so does one of the reference with the same keyfile', () => {
    const own = sessions();
    expect(own.opens(pairOf(own.start(null, { secure: true })), null)).toBe(true);
    expect(own.opens(`x=1; ${NAME}=${VECTOR}; y=2`, null)).toBe(true);
  });

  test.each([
    ['expired', tokenFor({ expiration: NOW_S })],
    ['another node', tokenFor({ username: 'bob.os' })],
    ['another secret', tokenFor({}, createSecretKey(Buffer.from('other')))],
    ['a subdomain', tokenFor({ subdomain: 'a:b:c' })],
    ['alg none', `eyJhbGciOiJub25lIn0.${tokenFor().split('.')[1]!}.`],
    ['two =', `${tokenFor()}=`],
  ])('M154 N47 refused: %s', (_, token) => {
    expect(sessions().opens(`${NAME}=${token}`, null)).toBe(false);
  });

  test('M154 a token that was good when it was first seen expires all the same', () => {
    const now = { s: NOW_S };
    const own = sessions(now);
    const cookie = `${NAME}=${tokenFor({ expiration: NOW_S + 10 })}`;
    expect(own.opens(cookie, null)).toBe(true);
    now.s = NOW_S + 9;
    expect(own.opens(cookie, null)).toBe(true);
    now.s = NOW_S + 10;
    expect(own.opens(cookie, null)).toBe(false);
  });

  test('M160 name and claim must both be of the subdomain', () => {
    const own = sessions();
    const token = tokenFor({ subdomain: 'a:b:c' });
    expect(own.opens(`${NAME}@a:b:c=${token}`, 'a:b:c')).toBe(true);
    expect(own.opens(`${NAME}=${token}`, 'a:b:c')).toBe(false);
    expect(own.opens(`${NAME}@d:b:c=${token}`, 'd:b:c')).toBe(false);
    expect(own.opens(`${NAME}@a:b:c=${tokenFor()}`, 'a:b:c')).toBe(false);
    expect(own.opens(undefined, null)).toBe(false);
  });

  test('H12 a cookie tossed in front by a sibling subdomain does not hide the real one', () => {
    const own = sessions();
    const real = `${NAME}=${tokenFor()}`;
    const tossed = Array.from({ length: TOKENS_TRIED_MAX - 1 }, (_, n) => `${NAME}=bad${n}`);
    expect(own.opens([...tossed, real].join('; '), null)).toBe(true);
    expect(own.opens([...tossed, `${NAME}=one-more`, real].join('; '), null)).toBe(false);
  });

  test('verified tokens are remembered up to a limit, and all of them still open', () => {
    const own = sessions();
    const cookies = Array.from(
      { length: SESSIONS_CACHED_MAX + 2 },
      (_, n) => `${NAME}=${tokenFor({ expiration: NOW_S + 1 + n })}`,
    );
    for (const cookie of [...cookies, ...cookies]) expect(own.opens(cookie, null)).toBe(true);
  });

  test('processes see every cookie but sessions, of any node', () => {
    expect(
      withoutSessions(`a=1; ${NAME}=${VECTOR}; b=2; ${NAME}@a:b:c=x; hyperware-auth_o.os=y`),
    ).toBe('a=1; b=2');
    expect(withoutSessions(`${NAME}=x;a=1`)).toBe('a=1');
    expect(withoutSessions('a=1;b=2')).toBe('a=1;b=2');
    expect(withoutSessions(`${NAME}=x`)).toBe('');
  });

  test('ending deletes what the browser shows, and the wide cookie of the reference', () => {
    const cookie = `a=1; ${NAME}=x; ${NAME}@a:b:c=y; ${NAME}@e\tvil=z; hyperware-auth_bob.os=w`;
    expect(sessions().end(cookie, { secure: false, domain: 'node.example.com' })).toEqual([
      `${NAME}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/`,
      `${NAME}@a:b:c=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/`,
      `${NAME}=; Max-Age=0; Domain=node.example.com; HttpOnly; SameSite=Strict; Path=/`,
    ]);
    const many = Array.from({ length: 200 }, (_, n) => `${NAME}@p${n}:b:c=x`).join('; ');
    const ended = sessions().end(many, { secure: true, domain: undefined });
    expect(ended).toHaveLength(COOKIES_DELETED_MAX);
    expect(ended[0]).toBe(`${NAME}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/; Secure`);
  });
});
