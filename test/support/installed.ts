/** Packages of tests in the home of a node that does not run, as an app store would have left them there. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import {
  decodeManifest,
  decodeMetadata,
  entryOf,
  grantedCapabilities,
  initialCapabilities,
  processOf,
} from '../../kernel/bundle.ts';
import { bootNode, type Node } from '../../bin/node.ts';

/** A package of one process. */
export interface TestPackage {
  /** `package:publisher`; the process is named as the package. */
  readonly id: string;
  readonly component: Uint8Array;
  /** As in a manifest. */
  readonly requests: readonly unknown[];
  readonly grants: readonly unknown[];
}

/** What a package needs to serve browsers and to ask other servers. */
export const SERVES = {
  requests: ['http-server:distro:sys', 'http-client:distro:sys'],
  grants: ['http-server:distro:sys', 'http-client:distro:sys'],
} as const;

/** Boots the node `test.dev` on the home, without a web server, and ends it again. The packages run from its next start on. */
export async function install(home: string, packages: readonly TestPackage[]): Promise<void> {
  const output = new PassThrough();
  output.resume();
  await using node = await bootNode({
    home,
    fakeNodeName: 'test.dev',
    detached: true,
    logging: false,
    input: new PassThrough(),
    output,
    quit: () => undefined,
  });
  for (const one of packages) await installOne(home, node, one);
}

async function installOne(home: string, node: Node, one: TestPackage): Promise<void> {
  const [name = '', publisher = ''] = one.id.split(':');
  const metadata = orThrow(
    decodeMetadata(
      JSON.stringify({
        properties: { package_name: name, publisher, current_version: '1.0.0', wit_version: 1 },
      }),
    ),
  );
  const manifest = orThrow(
    decodeManifest(
      JSON.stringify([
        {
          process_name: name,
          process_wasm_path: `/${name}.wasm`,
          on_exit: 'Restart',
          request_networking: false,
          request_capabilities: one.requests,
          grant_capabilities: one.grants,
          public: false,
        },
      ]),
    ),
  );
  const pkg = join(home, 'vfs', one.id, 'pkg');
  await mkdir(pkg, { recursive: true });
  await writeFile(join(pkg, `${name}.wasm`), one.component);
  for (const entry of manifest) {
    const id = processOf(metadata, entry);
    const capabilities = initialCapabilities(node.name, metadata, entry);
    orThrow(
      await node.kernel.initialize(
        { ...entryOf(metadata, entry), id, capabilities },
        one.component,
      ),
    );
    for (const { to, capability } of grantedCapabilities(node.name, metadata, entry)) {
      await node.kernel.grant(to, [capability]);
    }
  }
}

function orThrow<T>(
  result:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
