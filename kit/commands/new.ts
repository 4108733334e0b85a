/** `kit new DIR`: a package from a template (kit.md §2.1). */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { BuildError } from '../build/build-error.ts';
import { REPOSITORY, TEMPLATES } from '../build/paths.ts';
import { fail, say } from '../report.ts';

const DEFAULT_PUBLISHER = 'template.os';
const RESERVED = ['api', 'test'];
/** Packages of ours that serve as templates as they are. */
const EXAMPLES: Readonly<Record<string, string>> = {
  'chat-ts': join(REPOSITORY, 'processes', 'chat'),
};

export interface NewOptions {
  readonly package?: string;
  readonly publisher?: string;
  readonly template: string;
  readonly language: string;
}

export const create = defineCommand({
  meta: { name: 'new', description: 'Create a package from a template.' },
  args: {
    dir: { type: 'positional', description: 'folder to create', required: true },
    package: { type: 'string', alias: 'a', description: 'package name; default: the folder' },
    publisher: { type: 'string', alias: 'u', description: 'publisher', default: DEFAULT_PUBLISHER },
    template: { type: 'string', alias: 't', description: 'echo, web or chat', default: 'chat' },
    language: { type: 'string', alias: 'l', description: 'ts or c', default: 'ts' },
    json: { type: 'boolean', description: 'report as one JSON object' },
  },
  async run({ args }) {
    const json = args.json === true;
    try {
      const files = await createPackage(args.dir, {
        ...(args.package === undefined ? {} : { package: args.package }),
        publisher: args.publisher,
        template: args.template,
        language: args.language,
      });
      const folder = resolve(args.dir);
      say(json, `Template directory created successfully at ${folder}.`, { folder, files });
    } catch (error) {
      fail(json, error);
    }
  },
});

/**
 * Writes the template into a new folder, its placeholders replaced. Returns the paths written.
 * @throws BuildError when the folder exists, a name cannot be used, or there is no such template
 */
export async function createPackage(folder: string, options: NewOptions): Promise<string[]> {
  const target = resolve(folder);
  if (await exists(target)) {
    throw new BuildError(
      'no-package',
      `${target} exists already: remove it or choose another folder`,
    );
  }
  const name = options.package ?? basename(target);
  const publisher = options.publisher ?? DEFAULT_PUBLISHER;
  if (!/^[a-z0-9-]+$/.test(name)) {
    throw new BuildError(
      'bad-manifest',
      `package name ${JSON.stringify(name)}: it consists of a-z, 0-9 and -`,
    );
  }
  if (RESERVED.includes(name))
    throw new BuildError('bad-manifest', `a package cannot be called ${name}`);
  if (!/^[a-z0-9.-]+$/.test(publisher)) {
    throw new BuildError(
      'bad-manifest',
      `publisher ${JSON.stringify(publisher)}: it consists of a-z, 0-9, . and -`,
    );
  }
  const template = await findTemplate(`${options.template}-${options.language}`);
  const written: string[] = [];
  for (const path of await readdir(template, { recursive: true })) {
    const from = join(template, path);
    if (isProduct(path) || !(await stat(from)).isFile()) continue;
    const to = join(target, path);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, fill(path, await readFile(from, 'utf8'), name, publisher));
    written.push(to);
  }
  return written;
}

async function findTemplate(wanted: string): Promise<string> {
  const own = EXAMPLES[wanted] ?? join(TEMPLATES, wanted);
  if (await exists(own)) return own;
  const known = [
    ...(await readdir(TEMPLATES)).filter((entry) => entry.includes('-')),
    ...Object.keys(EXAMPLES),
  ];
  throw new BuildError(
    'no-package',
    `there is no template ${wanted}; there are ${known.join(', ')}`,
  );
}

/** What a build or a test of the example has left, or is for us alone. */
function isProduct(path: string): boolean {
  return /^target\b|^pkg[\\/][^\\/]*\.(wasm|zip)$|\.test\.ts$/.test(path);
}

/** Templates say `__PACKAGE__`; the bundled packages that are examples too have their own names and paths in this repository. */
function fill(path: string, text: string, name: string, publisher: string): string {
  const filled = text.replaceAll('__PACKAGE__', name).replaceAll('__PUBLISHER__', publisher);
  if (path.endsWith('.ts')) return filled.replaceAll(/'(\.\.\/)+lib\/index\.ts'/g, "'hyperware'");
  if (path !== 'metadata.json') return filled;
  return filled
    .replace(/("package_name": ")[^"]*"/, `$1${name}"`)
    .replace(/("publisher": ")[^"]*"/, `$1${publisher}"`);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
