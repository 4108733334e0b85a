/** The page of the login: what it shows, loads and hashes. */
import { copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { hashPassword } from '../../identity/password.ts';
import { readLoginFiles } from './login-files.ts';
import { loginScene } from './testing.ts';

const scene = loginScene();
const { send } = scene;

describe('the page', () => {
  test('M148 GET /login has it, with the name of the node; so has a protected path', async () => {
    const page = await send('GET', '/login');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.body).toContain('alice.os');
    const instead = await send('GET', '/p:k:q');
    expect(instead.status).toBe(200);
    expect(instead.body).toBe(page.body);
    expect(instead.headers['cache-control']).toBe('no-store');
    expect(instead.body).not.toMatch(/\$\{/);
  });

  test('a hostile host changes nothing in the page but text, and not its headers', async () => {
    const page = new TextDecoder().decode(scene.node.login.page('app-store-sys."><script>x'));
    expect(page).not.toContain('<script>x');
    expect(page).toContain('content="&quot;&gt;&lt;script&gt;x"');
    for (const [, value] of scene.node.login.pageHeaders('app-store-sys.a; script-src *\r\n')) {
      expect(value).not.toMatch(/script-src \*|[\r\n]/);
    }
  });

  test('it loads nothing that the node does not serve, and has no script inside', async () => {
    const page = new TextDecoder().decode(scene.node.login.page('localhost'));
    expect(page).not.toMatch(/<script(?![^>]*src="\/)|\son\w+=|style="|javascript:/);
    const references = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(references.length).toBeGreaterThan(3);
    for (const path of references) expect(scene.node.login.asset(path), path).toBeDefined();
  });

  test('every module that its modules import is served, and nothing else of any package', async () => {
    const files = await readLoginFiles();
    const reached = new Set<string>();
    const follow = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      const source = new TextDecoder().decode(files.get(path)?.bytes);
      expect(source, path).not.toBe('');
      for (const [, specifier = ''] of source.matchAll(
        /^(?:import|export)\s[^'"();]*\bfrom ["']([^"']+)["']/gm,
      )) {
        follow(new URL(specifier, `http://x${path}`).pathname);
      }
    };
    follow('/login/page.js');
    follow('/login/theme.js');
    expect([...files.keys()].filter((path) => path.endsWith('.js')).toSorted()).toEqual(
      [...reached].toSorted(),
    );
    for (const path of ['/login/../package.json', '/login/noble/sha2.js', '/login/', '/login']) {
      expect(scene.node.login.asset(path)).toBeUndefined();
    }
  });

  test.each(['alice.os', 'a.os', '1234567', '12345678'])(
    'N43 the browser hashes as the node does, for %s',
    async (name) => {
      const folder = await mkdtemp(join(tmpdir(), 'hyperloom-login-'));
      try {
        const noble = new URL('.', import.meta.resolve('@noble/hashes/argon2.js'));
        await cp(noble, join(folder, 'noble'), {
          recursive: true,
          filter: (path) => !/\/(src|node_modules\/.*\/node_modules)$/.test(path),
        });
        await copyFile(
          new URL('./page/password-hash.js', import.meta.url),
          join(folder, 'password-hash.js'),
        );
        const module = (await import(
          /* @vite-ignore */ pathToFileURL(join(folder, 'password-hash.js')).href
        )) as { hashPassword: typeof hashPassword };
        const password = 'pässwörd 💡';
        expect(await module.hashPassword(password, name)).toBe(await hashPassword(password, name));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});

test('the page has the mark and the colours of the homepage', async () => {
  const homepage = new URL('../../../processes/homepage/', import.meta.url);
  const page = new URL('./page/', import.meta.url);
  const [ourMark, mark, ours, theirs] = await Promise.all(
    [
      new URL('icon.svg', page),
      new URL('ui/icon.svg', homepage),
      new URL('page.css', page),
      new URL('pkg/hyperware.css', homepage),
    ].map((url) => readFile(url, 'utf8')),
  );
  expect(ourMark).toBe(mark);
  const tokens = ours!.match(/^ *--hw-.*;$/gm);
  expect(tokens?.length).toBeGreaterThan(10);
  expect(tokens?.filter((token) => !theirs!.includes(token))).toEqual([]);
});

test('the page is small', async () => {
  const own = ['page.html', 'page.css', 'page.js', 'password-hash.js', 'theme.js', 'icon.svg'];
  const sizes = await Promise.all(
    own.map(async (name) => (await readFile(new URL(`./page/${name}`, import.meta.url))).length),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(20_000);
});
