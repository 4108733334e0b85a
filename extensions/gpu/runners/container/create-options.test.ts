/** What an engine is told that this machine need not have: GPUs, other runtimes, more processors. */
import { expect, it } from 'vitest';
import { specOf } from '../testing.ts';
import type { Run } from '../runner.ts';
import { containerName, createOptions, LABEL, type ContainerSetting } from './create-options.ts';

const setting: ContainerSetting = {
  ...{ user: '65532:65532', owner: '1.2.3', nodeId: 'alice.os', cpus: 2 },
  ...{ runtime: undefined, gpuReadonlyRoot: true, nowS: 1_000 },
};
const runOf = (members: Partial<Run>): Run => ({
  ...{ jobId: `0x${'ab'.repeat(32)}`, attempt: 1, lease: 'lease', module: undefined, gpus: [] },
  spec: specOf({
    kind: 'container',
    image: `acme/infer@sha256:${'0'.repeat(64)}`,
    entry: { cmd: ['run'], env: { MINE: '1' } },
    limits: { cpuMilli: 8_000 },
  }),
  ...{ inputs: '/var/job/in', outputs: '/var/job/out', timeoutS: 60 },
  log: () => Promise.resolve(),
  progress: () => {},
  started: () => {},
  signal: new AbortController().signal,
  ...members,
});

it('CM9 T24 GPUs are named one by one, and only then is the environment silent about them', () => {
  const gpus = ['GPU-5d5ba0d6', 'MIG-c6d4f1ef'];
  const { Env, HostConfig } = createOptions(runOf({ gpus }), setting);
  expect(HostConfig.DeviceRequests).toEqual([
    { Driver: 'nvidia', DeviceIDs: gpus, Capabilities: [['gpu', 'compute', 'utility']] },
  ]);
  expect(Env?.some((one) => one.startsWith('NVIDIA_'))).toBe(false);
  expect(createOptions(runOf({}), setting).Env).toContain('NVIDIA_VISIBLE_DEVICES=void');
});

it('CM9 a writable root is for GPUs that work in no other way', () => {
  const writable = { ...setting, gpuReadonlyRoot: false };
  expect(createOptions(runOf({}), writable).HostConfig.ReadonlyRootfs).toBe(true);
  expect(createOptions(runOf({ gpus: ['GPU-1'] }), writable).HostConfig.ReadonlyRootfs).toBe(false);
  expect(createOptions(runOf({ gpus: ['GPU-1'] }), setting).HostConfig.ReadonlyRootfs).toBe(true);
});

it('CM9 more processors than there are come to as many as there are', () => {
  expect(createOptions(runOf({}), setting).HostConfig.NanoCpus).toBe(2_000_000_000);
  expect(createOptions(runOf({}), { ...setting, cpus: 64 }).HostConfig.NanoCpus).toBe(
    8_000_000_000,
  );
});

it('CM9 the job can not say what the node says', () => {
  const { Env, Labels, HostConfig } = createOptions(runOf({}), { ...setting, runtime: 'runsc' });
  expect(Env).toEqual(
    expect.arrayContaining(['MINE=1', 'NODE_ID=alice.os', 'HN_ATTEMPT=1', 'HOME=/tmp']),
  );
  expect(Labels).toMatchObject({ [LABEL.owner]: '1.2.3', [LABEL.killAt]: `${1_000 + 60 + 30}` });
  expect(HostConfig.Runtime).toBe('runsc');
  expect(HostConfig.CgroupnsMode).toBe('private');
  expect(containerName(runOf({}))).toBe('hn-abababababab-1');
});
