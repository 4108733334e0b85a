/**
 * Runs one WebGPU job in a process of its own: drivers and shader compilers crash, and what they crash is to be this. It loads Dawn's bindings, the
 * npm package `webgpu`, where the operator installed it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ChildAnswer, ChildOrder } from './order.ts';
import type { Adapter, Device, GpuBuffer, Library } from './api.ts';

const USAGE = { mapRead: 1, copySource: 4, copyDestination: 8, uniform: 64, storage: 128 };
const COMPUTE = 4;
const MAP_READ = 1;
/** Limits that say what a job may ask for. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupStorageSize',
];

/** Devices do not hold what they come from: once that is collected, the next call into them is a crash. */
const held: object[] = [];

// Nobody is there for its answer any more.
process.once('disconnect', () => process.exit(1));
process.once('message', (order: ChildOrder) => {
  void answer(order)
    .catch((error: unknown): ChildAnswer => ({
      kind: 'failed',
      code: 'INTERNAL',
      message: String(error),
    }))
    .then((said) => process.send?.(said, () => process.exit(0)));
});

async function answer(order: ChildOrder): Promise<ChildAnswer> {
  // Its name is only known at run time: it is no dependency of this program.
  const library = (await import(order.library)) as Library;
  const gpu = library.create([]);
  held.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return { kind: 'failed', code: 'INTERNAL', message: 'there is no adapter' };
  if (order.ask === 'adapter') {
    const limits = LIMITS.flatMap((name) =>
      adapter.limits[name] === undefined ? [] : [[name, adapter.limits[name]]],
    );
    return {
      kind: 'adapter',
      name: nameOf(adapter),
      limits: Object.fromEntries(limits) as Record<string, number>,
    };
  }
  return run(adapter, order);
}

async function run(
  adapter: Adapter,
  { module, inputs, outputs, order }: Extract<ChildOrder, { ask: 'run' }>,
): Promise<ChildAnswer> {
  const device = await adapter.requestDevice();
  let lost: string | undefined;
  void device.lost.then(({ message }) => (lost = message));
  device.pushErrorScope('validation');
  const shader = device.createShaderModule({ code: await readFile(module, 'utf8') });
  const bad = (await shader.getCompilationInfo()).messages.find(({ type }) => type === 'error');
  if (bad !== undefined) {
    await device.popErrorScope();
    return {
      kind: 'failed',
      code: 'IMAGE_INVALID',
      message: `line ${bad.lineNum}: ${bad.message}`,
    };
  }
  const buffers = await Promise.all(order.buffers.map((one) => filled(device, inputs, one)));
  const readers = order.buffers.map(({ size, output }) =>
    output === undefined
      ? undefined
      : device.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyDestination }),
  );
  const startedAt = performance.now();
  submit(device, { shader, order, buffers, readers });
  await device.queue.onSubmittedWorkDone();
  const gpuMs = performance.now() - startedAt;
  const invalid = await device.popErrorScope();
  if (lost !== undefined) return { kind: 'failed', code: 'GPU_LOST', message: lost };
  if (invalid !== null) return { kind: 'failed', code: 'IMAGE_INVALID', message: invalid.message };
  for (const [index, { output, size }] of order.buffers.entries()) {
    const reader = readers[index];
    if (reader === undefined || output === undefined) continue;
    await reader.mapAsync(MAP_READ, 0, size);
    const path = join(outputs, output);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, new Uint8Array(reader.getMappedRange()));
    reader.unmap();
  }
  return { kind: 'done', adapter: nameOf(adapter), gpuMs };
}

async function filled(
  device: Device,
  inputs: string,
  { size, kind, input }: Order['buffers'][number],
): Promise<GpuBuffer> {
  const usage = kind === 'uniform' ? USAGE.uniform : USAGE.storage;
  const buffer = device.createBuffer({
    size,
    usage: usage | USAGE.copySource | USAGE.copyDestination,
  });
  if (input === undefined) return buffer;
  const bytes = await readFile(join(inputs, input));
  // Writes come in multiples of four.
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  device.queue.writeBuffer(buffer, 0, padded);
  return buffer;
}

type Order = Extract<ChildOrder, { ask: 'run' }>['order'];

function submit(
  device: Device,
  {
    shader,
    order,
    buffers,
    readers,
  }: {
    readonly shader: object;
    readonly order: Order;
    readonly buffers: readonly GpuBuffer[];
    readonly readers: readonly (GpuBuffer | undefined)[];
  },
): void {
  const layout = device.createBindGroupLayout({
    entries: order.buffers.map(({ binding, kind }) => ({
      binding,
      visibility: COMPUTE,
      buffer: { type: kind },
    })),
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: shader, entryPoint: order.entryPoint },
  });
  const group = device.createBindGroup({
    layout,
    entries: order.buffers.map(({ binding }, index) => ({
      binding,
      resource: { buffer: buffers[index]! },
    })),
  });
  const encoder = device.createCommandEncoder();
  for (let time = 0; time < order.repeat; time += 1) {
    // A pass each: what one dispatch wrote the next one reads.
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...order.workgroups);
    pass.end();
  }
  for (const [index, reader] of readers.entries())
    if (reader !== undefined)
      encoder.copyBufferToBuffer(buffers[index]!, 0, reader, 0, order.buffers[index]!.size);
  device.queue.submit([encoder.finish()]);
}

function nameOf({ info }: Adapter): string {
  return info.description === '' ? info.vendor : info.description;
}
