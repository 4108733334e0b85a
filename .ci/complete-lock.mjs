// Completes package-lock.json after `npm install` against a registry that carries packages for some platforms only.
//
// npm leaves optional dependencies that it cannot find out of the lock, and `npm ci` then refuses the lock as out of step. This adds
// an entry for each: its exact version and the platform its name says, without an integrity hash. npm skips it where the platform
// differs, and fetches that version where it is the same.
//
// Usage: node .ci/complete-lock.mjs
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const { packages } = lock;

/** The key that `name` resolves to from the package at `from`, as Node would look it up. */
function resolve(from, name) {
  for (let folder = from; ;) {
    const key = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (key in packages) return key;
    if (folder === '') return undefined;
    const parent = folder.lastIndexOf('/node_modules/');
    folder = parent < 0 ? '' : folder.slice(0, parent);
  }
}

/** What the name of a platform package says: `binding-linux-arm64-musl`. */
function platform(name) {
  const last = name.split('/').at(-1);
  const found =
    /(android|darwin|freebsd|linux|openharmony|win32|wasm32)(?:-([a-z0-9]+))?(?:-([a-z]+))?$/.exec(
      last,
    );
  if (found === null) throw new Error(`${name}: no platform in its name; add its entry by hand`);
  const [, os, cpu, abi = ''] = found;
  if (os === 'wasm32') return { cpu: ['wasm32'] };
  const libc =
    os !== 'linux'
      ? undefined
      : abi.startsWith('musl')
        ? ['musl']
        : abi === ''
          ? undefined
          : ['glibc'];
  return {
    os: [os],
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(libc === undefined ? {} : { libc }),
  };
}

let added = 0;
for (const [key, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const present = resolve(key, name);
    if (!/^\d/.test(version) || (present !== undefined && packages[present].version === version))
      continue;
    const at =
      `node_modules/${name}` in packages ? `${key}/node_modules/${name}` : `node_modules/${name}`;
    packages[at] = {
      version,
      ...platform(name),
      ...(entry.dev === true ? { dev: true } : {}),
      optional: true,
    };
    added += 1;
  }
}
const { '': root, ...rest } = packages;
lock.packages = {
  '': root,
  ...Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))),
};
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added`);
