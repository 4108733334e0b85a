/**
 * Tests with a real container engine: where one answers and can run containers (DOCKER_HOST, or the usual socket), skipped elsewhere with
 * what is missing. Their images are made here of a static busybox and served by a registry of our own, so that they have digests as any.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import Docker from 'dockerode';
import type { TestContext } from 'vitest';
import { missing } from './tools.ts';

const run = promisify(execFile);
const PROBE_MS = 30_000;

export interface TestEngine extends AsyncDisposable {
  readonly docker: Docker;
  /** As DOCKER_HOST. */
  readonly host: string | undefined;
  /** `127.0.0.1:port/hl/busybox@sha256:…`, with a shell and its tools; not yet pulled. */
  readonly image: string;
  /** `127.0.0.1:port/hl/busybox`. */
  readonly repository: string;
  readonly registry: TestRegistry;
  /** The tar of its root folder. */
  readonly layer: Buffer;
  /** The host's own, which the images were made of. */
  readonly busybox: string;
}

let engine: Promise<TestEngine | string> | undefined;

/** The engine, once for all tests of a file; ends the test where there is none. */
export async function dockerEngine(context: TestContext): Promise<TestEngine> {
  const found = await findDockerEngine();
  return typeof found === 'string' ? missing(context, 'docker', found) : found;
}

/** The same without a test: the reason as text where there is none. */
export function findDockerEngine(): Promise<TestEngine | string> {
  engine ??= findEngine();
  return engine;
}

/** For `afterAll`. */
export async function closeDockerEngine(): Promise<void> {
  const found = await engine;
  if (typeof found === 'object') await found[Symbol.asyncDispose]();
  engine = undefined;
}

async function findEngine(): Promise<TestEngine | string> {
  const host = process.env['DOCKER_HOST'];
  const docker = new Docker(
    host?.startsWith('unix://') === true ? { socketPath: host.slice('unix://'.length) } : {},
  );
  try {
    await docker.ping();
  } catch (error) {
    return `no container engine answers at ${host ?? '/var/run/docker.sock'} (${messageOf(error)}): start dockerd, or set DOCKER_HOST`;
  }
  const busybox = await staticBusybox();
  if (busybox === undefined)
    return 'there is no static busybox to make images of: apt-get install busybox-static';
  const registry = await TestRegistry.start();
  const layer = await busyboxLayer(busybox);
  const image = await registry.add('hl/busybox', layer);
  const found: TestEngine = {
    docker,
    host,
    image,
    repository: image.split('@')[0]!,
    registry,
    layer,
    busybox,
    [Symbol.asyncDispose]: async () => {
      await docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => {});
      await registry[Symbol.asyncDispose]();
    },
  };
  const problem = await probe(found);
  if (problem === undefined) return found;
  await found[Symbol.asyncDispose]();
  return problem;
}

/** An engine may answer and yet have no cgroups, no namespaces or no disk to run a container with. */
async function probe({ docker, image }: TestEngine): Promise<string | undefined> {
  const late = AbortSignal.timeout(PROBE_MS);
  try {
    const stream = await docker.pull(image, { abortSignal: late });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      );
    });
    const container = await docker.createContainer({
      Image: image,
      Cmd: ['true'],
      HostConfig: { NetworkMode: 'none' },
    });
    try {
      await container.start();
      const { StatusCode } = (await container.wait()) as { StatusCode: number };
      return StatusCode === 0
        ? undefined
        : `the container engine ran "true", which exited with ${StatusCode}`;
    } finally {
      await container.remove({ force: true });
    }
  } catch (error) {
    return `the container engine answers but runs no container: ${messageOf(error)}`;
  }
}

async function staticBusybox(): Promise<string | undefined> {
  for (const path of ['/bin/busybox', '/usr/bin/busybox']) {
    const { stdout } = await run(path, ['--list']).catch(() => ({ stdout: '' }));
    // A busybox that needs libraries would not start in an image without them.
    const libraries = await run('ldd', [path])
      .then((found) => found.stdout)
      .catch(() => '');
    if (stdout !== '' && !libraries.includes('=>')) return path;
  }
  return undefined;
}

/** A tar of a root folder with busybox under all its names. */
async function busyboxLayer(busybox: string): Promise<Buffer> {
  const root = await mkdtemp(join(tmpdir(), 'hl-rootfs-'));
  try {
    await chmod(root, 0o755);
    for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'job/in', 'job/out'])
      await mkdir(join(root, folder), { recursive: true });
    await chmod(join(root, 'tmp'), 0o1777);
    await copyFile(busybox, join(root, 'bin/busybox'));
    const { stdout } = await run(busybox, ['--list']);
    for (const name of stdout.trim().split('\n'))
      if (name !== 'busybox') await symlink('busybox', join(root, 'bin', name));
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
    const { stdout: tar } = await run(
      'tar',
      [
        '-C',
        root,
        '--sort=name',
        '--mtime=@0',
        '--owner=0',
        '--group=0',
        '--numeric-owner',
        '-c',
        '.',
      ],
      { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
    );
    return tar;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The part of a registry that pulling needs: manifests and blobs by digest. */
export class TestRegistry implements AsyncDisposable {
  readonly #server: Server;
  /** By repository and digest; mutable, so that a test can serve something else under a digest. */
  readonly content = new Map<string, { type: string; bytes: Buffer }>();

  constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<TestRegistry> {
    const server = createServer();
    const registry = new TestRegistry(server);
    server.on('request', ({ url = '' }, response) => {
      response.setHeader('docker-distribution-api-version', 'registry/2.0');
      if (url === '/v2/') {
        response.end('{}');
        return;
      }
      const digest = url.split('/').at(-1) ?? '';
      const found = registry.content.get(digest);
      if (found === undefined) {
        response.writeHead(404, { 'content-type': 'application/json' });
        response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
        return;
      }
      response.writeHead(200, {
        'content-type': found.type,
        'content-length': found.bytes.length,
        'docker-content-digest': digest,
      });
      response.end(found.bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** An image of one layer. Returns its name with digest. */
  async add(
    repository: string,
    tar: Buffer,
    config: { readonly architecture?: string; readonly env?: readonly string[] } = {},
  ): Promise<string> {
    const layer = gzipSync(tar);
    const image = Buffer.from(
      JSON.stringify({
        architecture: config.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
        os: 'linux',
        config: { Env: ['PATH=/bin', ...(config.env ?? [])], Cmd: ['/bin/sh'] },
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      }),
    );
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type,
        config: {
          mediaType: 'application/vnd.docker.container.image.v1+json',
          ...{ size: image.length, digest: digestOf(image) },
        },
        layers: [
          {
            mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
            ...{ size: layer.length, digest: digestOf(layer) },
          },
        ],
      }),
    );
    const put = (bytes: Buffer, kind: string): void =>
      void this.content.set(digestOf(bytes), { type: kind, bytes });
    put(image, 'application/octet-stream');
    put(layer, 'application/octet-stream');
    put(manifest, type);
    return `${this.address}/${repository}@${digestOf(manifest)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
