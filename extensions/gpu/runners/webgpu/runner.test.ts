/** WebGPU jobs, where the package is installed and finds an adapter: a GPU's, or a driver on the CPU (VK_ICD_FILENAMES). */
import { describe, expect, it, type TestContext } from 'vitest';
import { specOf, tryRun, type Trial } from '../testing.ts';
import type { Runner } from '../runner.ts';
import { orderOf } from './order.ts';
import { webGpuRunner } from './runner.ts';

const LONG = 60_000;
let runner: Promise<Runner | string> | undefined;
async function ready(context: TestContext): Promise<Runner> {
  runner ??= webGpuRunner();
  const found = await runner;
  return typeof found === 'string' ? context.skip(found) : found;
}

const DOUBLE = `
  @group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
  @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&numbers)) { numbers[id.x] = numbers[id.x] * 2u + 1u; }
  }`;
const args = {
  workgroups: [4, 1, 1],
  buffers: [{ binding: 0, input: 'in.u32', output: 'out.u32' }],
};
const numbers = Uint32Array.from({ length: 256 }, (_, index) => index);

async function shader(context: TestContext, code: string, more: object = {}): Promise<Trial> {
  return tryRun(await ready(context), {
    spec: { kind: 'webgpu', entry: { args: { ...args, ...more } } },
    module: Buffer.from(code),
    inputs: { 'in.u32': new Uint8Array(numbers.buffer) },
  });
}
const wordsOf = (text: string): number[] => [
  ...new Uint32Array(Uint8Array.from(Buffer.from(text, 'latin1')).buffer),
];

it('a shader turns inputs into outputs', { timeout: LONG }, async (context) => {
  const { end, files, starts } = await shader(context, DOUBLE);
  expect(end).toMatchObject({ status: 0, fault: undefined });
  expect(wordsOf(files['out.u32']!)).toEqual([...numbers].map((one) => one * 2 + 1));
  expect(starts).toBe(1);
  expect(end.runtime).toMatchObject({ runner: 'webgpu' });
});

it('what one dispatch wrote the next one reads', { timeout: LONG }, async (context) => {
  const { files } = await shader(context, DOUBLE, { repeat: 3 });
  expect(wordsOf(files['out.u32']!)).toEqual(
    [...numbers].map((one) => ((one * 2 + 1) * 2 + 1) * 2 + 1),
  );
});

it(
  'what is no shader, or does not fit its buffers, is the client’s fault',
  { timeout: LONG },
  async (context) => {
    expect((await shader(context, 'this is no WGSL')).end.fault).toMatchObject({
      code: 'IMAGE_INVALID',
    });
    expect((await shader(context, DOUBLE, { entryPoint: 'other' })).end.fault).toMatchObject({
      code: 'IMAGE_INVALID',
    });
    const wrong = DOUBLE.replace('binding(0)', 'binding(7)');
    expect((await shader(context, wrong)).end.fault).toMatchObject({ code: 'IMAGE_INVALID' });
  },
);

it(
  'CM11 a shader that does not end is killed with its process',
  { timeout: LONG },
  async (context) => {
    const endless = `
    @group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      loop { numbers[id.x] = numbers[id.x] * 3u + 1u; if (numbers[0] == 7u && id.x == 1000000u) { break; } }
    }`;
    const { end } = await tryRun(await ready(context), {
      spec: { kind: 'webgpu', entry: { args } },
      module: Buffer.from(endless),
      inputs: { 'in.u32': new Uint8Array(numbers.buffer) },
      timeoutS: 2,
    });
    // Some drivers give up first.
    expect(['TIMEOUT', 'GPU_LOST']).toContain(end.fault?.code);
  },
);

describe('orders', () => {
  const problem = (changed: object): unknown =>
    orderOf(
      specOf({
        kind: 'webgpu',
        module: { sha256: '0'.repeat(64), size: 1 },
        inputs: [{ path: 'in.u32', size: 1024, sha256: '0'.repeat(64) }],
        entry: { args: { ...args, ...changed } },
      }),
    );
  it('are complete', () => {
    expect(problem({})).toEqual({
      ...{ entryPoint: 'main', repeat: 1, workgroups: [4, 1, 1] },
      buffers: [{ binding: 0, kind: 'storage', size: 1024, input: 'in.u32', output: 'out.u32' }],
    });
  });
  it.each([
    [{ workgroups: [1, 1] }],
    [{ workgroups: [0, 1, 1] }],
    [{ workgroups: [65_536, 1, 1] }],
    [{ entryPoint: 'a b' }],
    [{ repeat: 0 }],
    [{ buffers: [] }],
    [{ buffers: [{ binding: 0, input: 'other' }] }],
    [{ buffers: [{ binding: 0, size: 6 }] }],
    [{ buffers: [{ binding: 0, size: 4, input: 'in.u32' }] }],
    [{ buffers: [{ binding: 0, size: 4, output: '../x' }] }],
    [
      {
        buffers: [
          { binding: 0, size: 4 },
          { binding: 0, size: 4 },
        ],
      },
    ],
    [{ buffers: [{ binding: 0, size: 2 ** 40 }] }],
    [{ buffers: [{ binding: 0, size: 4, kind: 'texture' }] }],
  ])('%j is refused', (changed) => {
    expect(problem(changed)).toEqual(expect.any(String));
  });
});

it(
  'without the package there is no runner, and it says what to install',
  { timeout: LONG },
  async () => {
    expect(await webGpuRunner({ library: 'hl-no-such-package' })).toContain('npm install webgpu');
  },
);
