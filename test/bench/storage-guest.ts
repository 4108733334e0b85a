/** A native guest that works a storage module, and the node around both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../kernel/clock.ts';
import { kv } from '../../runtime-modules/kv/index.ts';
import { databaseCapability } from '../../runtime-modules/shared/database-place.ts';
import { sqlite } from '../../runtime-modules/sqlite/index.ts';
import { packageId, processId } from '../../wit/address.ts';
import type { ProcessId } from '../../wit/types.ts';
import { testNode, type TestNode } from '../support/node.ts';
import { guestWith } from './guests.ts';

/** Whose databases the benches use. */
const PACKAGE = packageId('bench:sys');
const WAIT_S = 600;

export interface Work {
  readonly module: 'kv' | 'sqlite';
  /** The action as JSON, with `####` (or `6#,6#,6#,6#`) where the number goes; or that is in the blob. */
  readonly action: string;
  readonly blob?: string;
  /** An action asked once, after all others. */
  readonly last?: string;
}

export interface StorageNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly folder: string;
  /** Asks a module as a process that has all rights to the database `b`. @throws Error on an `Err` */
  ask(module: Work['module'], action: string, blob?: string): Promise<void>;
  /** Milliseconds for `count` requests, `window` of them outstanding. */
  run(work: Work, count: number, window: number): Promise<number>;
}

export async function storageNode(): Promise<StorageNode> {
  const folder = await mkdtemp(join(tmpdir(), 'hyperloom-bench-'));
  const node = await testNode();
  const { kernel } = node;
  kernel.registerModule(kv({ root: join(folder, 'kv') })({ port: kernel.port('kv') }));
  kernel.registerModule(
    sqlite({ root: join(folder, 'sqlite') })({ port: kernel.port('sqlite'), clock: systemClock }),
  );
  const give = async (process: ProcessId): Promise<void> => {
    const capabilities = (['kv', 'sqlite'] as const).flatMap((module) => [
      { issuer: kernel.port(module).our, params: '"messaging"' },
      databaseCapability('test.os', module, 'read', PACKAGE, 'b'),
      databaseCapability('test.os', module, 'write', PACKAGE, 'b'),
    ]);
    await kernel.grant(process, capabilities);
  };
  await give(kernel.port('tester').our.process);
  let started = 0;
  return {
    node,
    folder,
    async ask(module, action, blob) {
      const answer = await node.ask(`${module}:distro:sys`, body(action), {
        seconds: WAIT_S,
        ...(blob === undefined
          ? {}
          : { blob: { mime: undefined, bytes: new TextEncoder().encode(blob) } }),
      });
      if (answer.text.includes('"Err"')) throw new Error(`${action}: ${answer.text}`);
    },
    async run(work, count, window) {
      started += 1;
      const id = processId(`worker${started}:bench:sys`);
      await node.start(id, await guestWith('storage.wat', ';; @DATA', dataOf(work)));
      await give(id);
      const asked = new Uint32Array([count, window]);
      const start = performance.now();
      await node.ask(id, new Uint8Array(asked.buffer), { seconds: WAIT_S });
      const took = performance.now() - start;
      await kernel.kill(id);
      return took;
    },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

function body(action: string): string {
  return `{"package_id":{"package_name":"bench","publisher_node":"sys"},"db":"b","action":${action}}`;
}

/** The guest's texts where its code looks for them. */
function dataOf({ module, action, blob = '', last }: Work): string {
  const request = body(action);
  const final = last === undefined ? '' : body(last);
  const inBlob = blob.includes('#');
  const text = inBlob ? blob : request;
  const stride = text.includes('####') ? 1 : 3;
  const at = (inBlob ? 4096 : 2048) + Math.max(0, text.indexOf('#'));
  const quoted = (value: string): string =>
    value.replaceAll('#', '0').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const data = (offset: number, value: string): string =>
    `(data (i32.const ${offset}) "${quoted(value)}")`;
  const globals = {
    'body-length': request,
    'blob-length': blob,
    'last-length': final,
    name: module,
  };
  return [
    data(64, 'ourdistrosys'),
    data(96, module),
    data(2048, request),
    data(4096, blob),
    data(8192, final),
    ...Object.entries(globals).map(
      ([name, value]) => `(global $${name} i32 (i32.const ${value.length}))`,
    ),
    `(global $digits i32 (i32.const ${at}))`,
    `(global $stride i32 (i32.const ${stride}))`,
  ].join('\n  ');
}
