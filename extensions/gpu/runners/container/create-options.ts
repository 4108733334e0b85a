/** What a job's container is allowed: everything that is said to the engine at its creation (compute-market.md §9.2). Pure. */
import type { ContainerCreateOptions } from 'dockerode';
import type { Run } from '../runner.ts';

const MIB = 1024 * 1024;
const SHM_BYTES_MAX = 1024 * MIB;
/** Seconds between TERM and KILL. */
export const STOP_S = 10;
/** After its timeout a container has this long to be gone; then any reaper may take it (CM11). */
const REAP_GRACE_S = 30;
/** Nobody of the host, for extensions that run as root. */
export const UNPRIVILEGED_ID = 65_532;

export const LABEL = {
  job: 'hn.job',
  attempt: 'hn.attempt',
  lease: 'hn.lease',
  owner: 'hn.owner',
  killAt: 'hn.killAt',
} as const;

export interface ContainerSetting {
  /** `uid:gid` inside. */
  readonly user: string;
  /** This instance of the extension. */
  readonly owner: string;
  readonly nodeId: string;
  /** Of this machine. */
  readonly cpus: number;
  /** Another runtime than the engine's own, for isolation `vm`. */
  readonly runtime: string | undefined;
  /** Whether GPU jobs can have a read-only root here. */
  readonly gpuReadonlyRoot: boolean;
  /** Seconds since 1970. */
  readonly nowS: number;
}

export function containerName({ jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>): string {
  return `hn-${jobId.replace(/^0x/, '').slice(0, 12)}-${attempt}`;
}

/** The client's types lack a member of the engine's API. */
export type CreateOptions = ContainerCreateOptions & {
  readonly HostConfig: { readonly CgroupnsMode: 'private' };
};

export function createOptions(run: Run, setting: ContainerSetting): CreateOptions {
  const { spec, jobId, attempt, lease, gpus } = run;
  const { limits } = spec;
  const memory = limits.memMiB * MIB;
  return {
    name: containerName(run),
    Image: spec.image!,
    ...(spec.entry.cmd === undefined ? {} : { Cmd: [...spec.entry.cmd] }),
    WorkingDir: '/job/out',
    User: setting.user,
    Env: environment(run, setting),
    Labels: {
      [LABEL.job]: jobId,
      [LABEL.attempt]: `${attempt}`,
      [LABEL.lease]: lease,
      [LABEL.owner]: setting.owner,
      [LABEL.killAt]: `${setting.nowS + run.timeoutS + REAP_GRACE_S}`,
    },
    Hostname: 'job',
    Tty: false,
    OpenStdin: false,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    StopSignal: 'SIGTERM',
    StopTimeout: STOP_S,
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: gpus.length === 0 || setting.gpuReadonlyRoot,
      Privileged: false,
      Init: true,
      AutoRemove: false,
      Memory: memory,
      MemorySwap: memory,
      MemoryReservation: Math.floor((memory * 3) / 4),
      OomKillDisable: false,
      // Engines refuse more than there are.
      NanoCpus: Math.min(limits.cpuMilli * 1_000_000, setting.cpus * 1_000_000_000),
      PidsLimit: limits.pids,
      CapDrop: ['ALL'],
      CapAdd: [],
      // Seccomp stays unsaid: that is the engine's default profile, never `unconfined`.
      SecurityOpt: ['no-new-privileges:true'],
      IpcMode: 'private',
      PidMode: '',
      UTSMode: '',
      CgroupnsMode: 'private',
      UsernsMode: '',
      ShmSize: Math.min(Math.floor(memory / 4), SHM_BYTES_MAX),
      Ulimits: [
        { Name: 'nofile', Soft: 4096, Hard: 4096 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      Tmpfs: { '/tmp': `rw,noexec,nosuid,nodev,size=${limits.tmpMiB}m,mode=1777` },
      Mounts: [
        bind(run.inputs, '/job/in', true),
        // Outputs must outlive the container, so they are no tmpfs; their size is watched.
        bind(run.outputs, '/job/out', false),
      ],
      LogConfig: { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } },
      RestartPolicy: { Name: 'no' },
      DeviceRequests:
        gpus.length === 0
          ? []
          : [
              {
                Driver: 'nvidia',
                DeviceIDs: [...gpus],
                Capabilities: [['gpu', 'compute', 'utility']],
              },
            ],
      ...(setting.runtime === undefined ? {} : { Runtime: setting.runtime }),
    },
  };
}

function bind(
  source: string,
  target: string,
  readOnly: boolean,
): NonNullable<NonNullable<ContainerCreateOptions['HostConfig']>['Mounts']>[number] {
  return {
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    BindOptions: { Propagation: 'rprivate' },
  };
}

function environment({ spec, jobId, attempt, gpus }: Run, { nodeId }: ContainerSetting): string[] {
  return [
    ...Object.entries(spec.entry.env ?? {}).map(([name, value]) => `${name}=${value}`),
    `JOB_ID=${jobId}`,
    `NODE_ID=${nodeId}`,
    `HN_ATTEMPT=${attempt}`,
    'HN_IN=/job/in',
    'HN_OUT=/job/out',
    'HOME=/tmp',
    // Where the engine's default runtime is nvidia's, images that say `all` would see every GPU (threat 24).
    ...(gpus.length === 0 ? ['NVIDIA_VISIBLE_DEVICES=void'] : []),
  ];
}
