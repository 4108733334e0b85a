/** Which images run here, and bringing them (compute-market.md §9.2, threat 23): by digest only, of repositories the operator named. */
import type Docker from 'dockerode';
import { RunFault } from '../runner.ts';
import { statusOf, within, type EngineInfo } from './engine.ts';

/** How long bringing an image may take. */
const PULL_MS_MAX = 900_000;
/** Bytes of an image as it comes over the network. */
const PULL_BYTES_MAX = 20 * 1024 ** 3;

export interface ImagePolicy {
  /** Repositories (`ghcr.io/acme/infer`) or registries and paths with all below them (`ghcr.io/acme/`). */
  readonly allow: readonly string[];
  /** For the registry of that host; never from a job. */
  readonly credentials?: Readonly<
    Record<string, { readonly username: string; readonly password: string }>
  >;
}

export interface ImageName {
  readonly repository: string;
  readonly digest: string;
}

/** `repository@sha256:…`. The spec was checked to be of that form. */
export function parseImage(image: string): ImageName {
  const at = image.lastIndexOf('@');
  return { repository: image.slice(0, at), digest: image.slice(at + 1) };
}

export function isAllowed({ repository }: ImageName, { allow }: ImagePolicy): boolean {
  return allow.some((one) => (one.endsWith('/') ? repository.startsWith(one) : repository === one));
}

/**
 * Makes sure that the engine holds the image, by its digest and for this machine. `onProgress`: parts in a million. True if it was not there before.
 * @throws RunFault IMAGE_PULL_FAILED or IMAGE_INVALID
 */
export async function bringImage(
  docker: Docker,
  engine: EngineInfo,
  policy: ImagePolicy,
  {
    image,
    onProgress,
    signal,
  }: {
    readonly image: string;
    readonly onProgress: (ppm: number) => void;
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  const name = parseImage(image);
  const present = await isPresent(docker, image);
  if (!present) {
    if (!isAllowed(name, policy))
      throw new RunFault(
        'REJECTED',
        `${name.repository} is not among the repositories that the operator allows`,
      );
    await pull(docker, name, policy, { onProgress, signal });
  }
  await check(docker, engine, name);
  return !present;
}

async function isPresent(docker: Docker, image: string): Promise<boolean> {
  try {
    await within('looking for the image', () => docker.getImage(image).inspect());
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw new RunFault('INTERNAL', `the container engine does not answer: ${textOf(error)}`);
  }
}

async function pull(
  docker: Docker,
  { repository, digest }: ImageName,
  { credentials = {} }: ImagePolicy,
  { onProgress, signal }: { onProgress: (ppm: number) => void; signal: AbortSignal },
): Promise<void> {
  const end = AbortSignal.any([signal, AbortSignal.timeout(PULL_MS_MAX)]);
  const login = credentials[repository.split('/')[0]!];
  let stream: NodeJS.ReadableStream;
  try {
    stream = await docker.pull(`${repository}@${digest}`, {
      abortSignal: end,
      ...(login === undefined ? {} : { authconfig: login }),
    });
  } catch (error) {
    throw pullFault(error);
  }
  const layers = new Map<string, { current: number; total: number }>();
  await new Promise<void>((resolve, reject) => {
    const stop = (error: Error): void => {
      if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
      reject(error);
    };
    end.addEventListener('abort', () => stop(new Error('it took too long or was cancelled')), {
      once: true,
    });
    docker.modem.followProgress(
      stream,
      (error: Error | null) => (error === null ? resolve() : reject(error)),
      (event: PullEvent) => {
        // The engine says so in the stream, with status 200.
        if (event.error !== undefined) stop(new Error(event.error));
        const { total, current } = event.progressDetail ?? {};
        if (event.id === undefined || event.status !== 'Downloading' || total === undefined) return;
        layers.set(event.id, { current: current ?? 0, total });
        const sum = sumOf(layers);
        if (sum.total > PULL_BYTES_MAX) stop(new TooBig());
        onProgress(Math.floor((sum.current / sum.total) * 1_000_000));
      },
    );
  }).catch((error: unknown) => {
    throw pullFault(error);
  });
}

interface PullEvent {
  readonly error?: string;
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

class TooBig extends Error {}

function sumOf(layers: ReadonlyMap<string, { current: number; total: number }>): {
  current: number;
  total: number;
} {
  let current = 0;
  let total = 0;
  for (const layer of layers.values()) {
    current += layer.current;
    total += layer.total;
  }
  return { current, total };
}

/** What a registry serves under a digest that is not of it is the image's fault, and so is one there is none of; the rest is the network's. */
function pullFault(error: unknown): RunFault {
  const text = textOf(error);
  if (error instanceof TooBig)
    return new RunFault('IMAGE_INVALID', `the image is over ${PULL_BYTES_MAX} bytes`);
  const wrong =
    /digest|manifest (?:unknown|invalid)|not found|no match for platform|no matching manifest|verification failed|unsupported|filesystem layer/i;
  return wrong.test(text)
    ? new RunFault('IMAGE_INVALID', `the image is not what its digest says, or not there: ${text}`)
    : new RunFault('IMAGE_PULL_FAILED', `the image did not come: ${text}`);
}

/** What the engine holds is the digest of the spec and for this machine. */
async function check(docker: Docker, engine: EngineInfo, name: ImageName): Promise<void> {
  const reference = `${name.repository}@${name.digest}`;
  const found = await within('looking at the image', () =>
    docker.getImage(reference).inspect(),
  ).catch((error: unknown) => {
    throw statusOf(error) === 404
      ? new RunFault('IMAGE_INVALID', `what came is not ${reference}`)
      : new RunFault('INTERNAL', `the container engine does not answer: ${textOf(error)}`);
  });
  const digests = found.RepoDigests ?? [];
  if (!digests.some((one) => one.endsWith(`@${name.digest}`)))
    throw new RunFault('IMAGE_INVALID', `the engine holds ${reference} under another digest`);
  if (found.Os !== engine.os || found.Architecture !== engine.arch)
    throw new RunFault(
      'IMAGE_INVALID',
      `the image is for ${found.Os}/${found.Architecture}, this machine is ${engine.os}/${engine.arch}`,
    );
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
