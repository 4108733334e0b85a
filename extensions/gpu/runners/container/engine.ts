/** The container engine of this machine: found, asked what it is, and called with an end to every wait. */
import Docker from 'dockerode';

/** How long the engine may take to answer a question. */
export const CALL_MS = 15_000;

/** What `DeviceInfo.runners.container` says. */
export interface EngineInfo {
  readonly engine: 'docker';
  readonly version: string;
  readonly api: string;
  readonly rootless: boolean;
  /** Whether ids inside are others outside. */
  readonly userns: boolean;
  readonly cgroup: 1 | 2;
  readonly runtimes: readonly string[];
  readonly cpus: number;
  /** `linux/x86_64`, as images are for. */
  readonly os: string;
  readonly arch: string;
}

/** Where DOCKER_HOST says, or the usual socket. */
export function connect(host: string | undefined): Docker {
  if (host === undefined || host === '') return new Docker({ timeout: 0 });
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length) });
  return new Docker();
}

/** Asks the engine what it is. @throws when it does not answer, with words for the operator */
export async function askEngine(docker: Docker): Promise<EngineInfo> {
  const [info, version] = await within('asking the container engine', () =>
    Promise.all([docker.info() as Promise<DockerInfo>, docker.version()]),
  );
  const security = info.SecurityOptions ?? [];
  return {
    engine: 'docker',
    version: version.Version,
    api: version.ApiVersion,
    rootless: security.some((option) => option.includes('rootless')),
    userns: security.some((option) => option.includes('userns')),
    cgroup: info.CgroupVersion === '2' ? 2 : 1,
    runtimes: Object.keys(info.Runtimes ?? {}),
    cpus: info.NCPU ?? 1,
    os: version.Os,
    arch: version.Arch,
  };
}

interface DockerInfo {
  readonly SecurityOptions?: readonly string[];
  readonly CgroupVersion?: string;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly NCPU?: number;
}

/** `act`, given up after `ms`. @throws with what was done when time was up */
export async function within<T>(
  what: string,
  act: () => Promise<T>,
  ms: number = CALL_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took over ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([act(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The HTTP status of an engine's refusal; undefined for other errors. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}
