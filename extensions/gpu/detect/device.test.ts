/** Detection by what vendors' tools print (fixtures/), and on this very machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceInfo } from '../../../wit/jobs/device.ts';
import { detectDevice, fingerprint } from './device.ts';
import { isDriverNewEnough } from './nvidia.ts';
import { hostTools, type ToolOutput, type Tools } from './tool.ts';

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
const ran = (stdout: string, code = 0): ToolOutput => ({ kind: 'ran', code, stdout, stderr: '' });

/** A machine with these tools: by name, or by name and first argument. */
function machine(
  tools: Readonly<Record<string, ToolOutput | ((args: readonly string[]) => ToolOutput)>>,
): Tools {
  return (name, args) => {
    const found = tools[`${name} ${args[0] ?? ''}`.trim()] ?? tools[name] ?? { kind: 'missing' };
    return Promise.resolve(typeof found === 'function' ? found(args) : found);
  };
}
const nvidia = (csv: ToolOutput | ((args: readonly string[]) => ToolOutput), list = ''): Tools =>
  machine({
    'nvidia-smi': (args) =>
      args[0]?.startsWith('--query-gpu=') === true
        ? typeof csv === 'function'
          ? csv(args)
          : csv
        : ran(args[0] === '-L' ? list : fixture('banner.txt')),
  });

describe('CM38 nvidia-smi', () => {
  it('a card in full', async () => {
    const { gpus, warnings } = await detectDevice({ tools: nvidia(ran(fixture('rtx-4090.csv'))) });
    expect(gpus).toEqual([
      {
        ...{ index: 0, uuid: 'GPU-5d5ba0d6-1234-5678-9abc-def012345678', vendor: 'nvidia' },
        ...{ name: 'NVIDIA GeForce RTX 4090', class: 'rtx-4090', memMiB: 24564, memFreeMiB: 24000 },
        ...{ driver: '550.54.14', cuda: '12.4', computeCap: '8.9', pci: '00000000:01:00.0' },
        ...{ pcieGen: 4, pcieWidth: 16, mig: [], ecc: undefined, powerLimitMw: 450_000, slots: 1 },
      },
    ]);
    expect(warnings).toEqual([]);
  });
  it('a card that is too hot, or whose memory programs of others have, gets no new jobs until that is over', async () => {
    const csv = fixture('rtx-4090.csv');
    const at = (field: number, value: string): string => {
      const values = csv.trim().split(', ');
      values[field] = value;
      return values.join(', ');
    };
    const seen = async (
      text: string,
      leased: readonly string[] = [],
    ): Promise<[number | bigint | undefined, readonly string[]]> => {
      const found = await detectDevice({ tools: nvidia(ran(text)), leased: () => leased });
      return [found.gpus[0]?.slots, found.warnings];
    };
    // In the order of the question: the free memory, and the temperature.
    const hot = at(9, '86');
    expect(await seen(hot)).toEqual([
      0,
      ['NVIDIA GeForce RTX 4090 is at 86 °C: no new jobs until it is cooler'],
    ]);
    expect(await seen(at(9, '85'))).toEqual([1, []]);
    const full = at(5, '1000');
    expect(await seen(full)).toEqual([
      0,
      ['other programs have the memory of NVIDIA GeForce RTX 4090: no new jobs meanwhile'],
    ]);
    expect(await seen(full, ['GPU-5d5ba0d6-1234-5678-9abc-def012345678'])).toEqual([1, []]);
    expect(await seen(at(5, '1300'))).toEqual([1, []]);
  });
  it('slices of cards in MIG mode are what jobs get', async () => {
    const { gpus, warnings } = await detectDevice({
      tools: nvidia(ran(fixture('a100-mig.csv')), fixture('a100-mig-list.txt')),
    });
    expect(gpus.map(({ slots, mig, ecc }) => [slots, mig, ecc])).toEqual([
      [
        3,
        [
          { uuid: 'MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f', profile: '3g.20gb', memMiB: 20480 },
          { uuid: 'MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb', profile: '1g.5gb', memMiB: 5120 },
          {
            uuid: 'MIG-GPU-aaaaaaaa-0000-0000-0000-000000000000/9/0',
            profile: '1g.18gb',
            memMiB: 18432,
          },
        ],
        true,
      ],
      [1, [], true],
      [0, [], true],
    ]);
    expect(warnings).toEqual([expect.stringContaining('has no slices')]);
  });
  it('whatever a card does not say is left out, and a card without a name is none', async () => {
    const { gpus, warnings } = await detectDevice({ tools: nvidia(ran(fixture('oddities.csv'))) });
    expect(
      gpus.map(({ name, memMiB, powerLimitMw, computeCap, ecc }) => ({
        name,
        memMiB,
        powerLimitMw,
        computeCap,
        ecc,
      })),
    ).toEqual([
      {
        name: 'NVIDIA GB10',
        memMiB: 0,
        powerLimitMw: undefined,
        computeCap: '12.1',
        ecc: undefined,
      },
      { name: 'Tesla K80', memMiB: 11441, powerLimitMw: undefined, computeCap: '3.7', ecc: false },
      {
        name: 'GRID A100D-1-10C, MIG 1g.10gb',
        memMiB: 10240,
        powerLimitMw: undefined,
        computeCap: undefined,
        ecc: true,
      },
    ]);
    expect(warnings).toEqual([
      expect.stringContaining('GB10 does not say how much memory'),
      expect.stringContaining('GPU 3 does not say its name'),
      expect.stringContaining('Tesla K80: driver 470.82.01 is older'),
      expect.stringContaining('driver 470.82.01 is older'),
    ]);
  });
  it('an old driver that refuses a field is asked without it', async () => {
    const asked: string[] = [];
    const tools = nvidia(([question = '']) => {
      asked.push(question);
      for (const field of ['compute_cap', 'mig.mode.current'])
        if (question.includes(field))
          return ran(`Field "${field}" is not a valid field to query.\n`, 2);
      return ran(fixture('old-driver.csv'));
    });
    const { gpus } = await detectDevice({ tools });
    expect(asked).toHaveLength(3);
    expect(gpus).toMatchObject([
      { name: 'Tesla T4', computeCap: '7.5', class: 't4', powerLimitMw: 70_000, ecc: false },
    ]);
  });
  it.each([
    ['no driver', ran('', 9), /driver does not answer/],
    [
      'no driver, by its words',
      ran("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 1),
      /driver does not answer/,
    ],
    ['a tool that hangs', { kind: 'stuck' } as const, /does not end/],
    ['a tool that fails', ran('something else', 255), /ended with 255/],
  ])('%s is a warning', async (_, output, warning) => {
    const { gpus, warnings } = await detectDevice({ tools: nvidia(output) });
    expect(gpus).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });
  it('no device is nothing to warn of', async () => {
    const { gpus, warnings } = await detectDevice({
      tools: nvidia(ran('No devices were found', 6)),
    });
    expect([gpus, warnings]).toEqual([[], []]);
  });
  it('never throws, whatever the tools print', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), fc.nat(255), async (one, other, code) => {
        const rows = fixture('oddities.csv') + one;
        const tools = machine({
          'nvidia-smi': ([first]) => ran(first === undefined ? one : rows + other, 0),
          'rocm-smi': ran(one, code),
          'amd-smi': ran(JSON.stringify([null, one, { gpu: 0, vram: other }, { gpu: one }])),
          system_profiler: ran(JSON.stringify({ SPDisplaysDataType: [one, { _name: other }] })),
          'xpu-smi': ran(JSON.stringify({ device_list: [one, { device_id: code }] })),
        });
        const info = await detectDevice({ tools });
        const again = deviceInfo.decode(deviceInfo.stringify(info));
        expect(again).toMatchObject({ ok: true });
      }),
      { numRuns: 100 },
    );
  });
});

it('AMD, by rocm-smi', async () => {
  const { gpus } = await detectDevice({
    tools: machine({ 'rocm-smi': ran(fixture('rocm-smi.json')) }),
  });
  expect(gpus).toMatchObject([
    {
      vendor: 'amd',
      name: 'AMD Instinct MI250X / MI250',
      class: 'mi250x-mi250',
      memMiB: 65520,
      memFreeMiB: 65509,
      driver: '6.2.4',
    },
    { vendor: 'amd', name: 'Radeon RX 7900 XTX', class: 'rx-7900-xtx', memMiB: 24560 },
  ]);
  expect(new Set(gpus.map(({ uuid }) => uuid)).size).toBe(2);
});
it('AMD, by amd-smi where rocm-smi is not', async () => {
  const { gpus } = await detectDevice({
    tools: machine({ 'amd-smi': ran(fixture('amd-smi.json')) }),
  });
  expect(gpus).toMatchObject([
    {
      uuid: 'AMD-0x1F4B2D55BB11A9E2',
      name: 'AMD Instinct MI300X',
      class: 'mi300x',
      memMiB: 196592,
      pci: '0000:05:00.0',
    },
  ]);
});
it('Apple, with three quarters of the memory', async () => {
  const { gpus, host } = await detectDevice({
    tools: machine({ system_profiler: ran(fixture('system-profiler.json')) }),
  });
  expect(gpus).toMatchObject([{ vendor: 'apple', name: 'Apple M2 Max', class: 'm2-max' }]);
  expect(Math.abs(Number(gpus[0]?.memMiB) - Number(host.memMiB) * 0.75)).toBeLessThanOrEqual(1);
});
it('Intel, device by device', async () => {
  const { gpus } = await detectDevice({
    tools: machine({
      'xpu-smi': (args) => ran(fixture(args.includes('-d') ? 'xpu-smi-0.json' : 'xpu-smi.json')),
    }),
  });
  expect(gpus).toMatchObject([
    { vendor: 'intel', class: 'flex-170', memMiB: 13588, pci: '0000:4d:00.0' },
  ]);
});

it('this machine is told as it is, GPU or none', async () => {
  const info = await detectDevice({
    runners: [{ kind: 'wasm', describe: () => ({ memMaxMiB: 4096 }) }],
  });
  expect(info.host.cpuThreads).toBeGreaterThan(0);
  expect(info.host.cpuCores).toBeLessThanOrEqual(Number(info.host.cpuThreads) * 64);
  expect(info.host.memMiB).toBeGreaterThan(100);
  expect(info.runners).toEqual({ wasm: { memMaxMiB: 4096 } });
  const listed = await hostTools('nvidia-smi', ['-L']);
  const real =
    listed.kind === 'ran' && listed.code === 0
      ? (listed.stdout.match(/^GPU \d+:/gm) ?? []).length
      : 0;
  expect(info.gpus.filter(({ vendor }) => vendor === 'nvidia')).toHaveLength(real);
  const again = deviceInfo.decode(deviceInfo.stringify(info));
  expect(again.ok && again.value.fingerprint).toBe(info.fingerprint);
});

it('the fingerprint depends on what the machine is, not on the order of its cards', () => {
  const host = { arch: 'x86_64', cpuModel: 'a' };
  const [one, two] = [
    { uuid: 'GPU-1', name: 'a', memMiB: 1 },
    { uuid: 'GPU-2', name: 'b', memMiB: 2 },
  ];
  expect(fingerprint(host, [one, two])).toBe(fingerprint(host, [two, one]));
  expect(fingerprint(host, [one])).not.toBe(fingerprint(host, [two]));
});

it('drivers are compared by their numbers', () => {
  expect(
    ['525.60.13', '525.60.14', '525.105.17', '526.1', '1000.1'].map(isDriverNewEnough),
  ).toEqual([true, true, true, true, true]);
  expect(['525.60.12', '525.60', '470.82.01', '5.99.99', ''].map(isDriverNewEnough)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});

it('a tool that is not there, hangs or floods is no error', async () => {
  expect(await hostTools('hl-no-such-tool', [])).toEqual({ kind: 'missing' });
  expect(
    await hostTools(process.execPath, [
      '-e',
      'process.stdout.write("x".repeat(3e6)); setInterval(() => {}, 1000)',
    ]),
  ).toEqual({ kind: 'stuck' });
  expect(await hostTools(process.execPath, ['-e', 'console.log(1); process.exit(3)'])).toEqual({
    kind: 'ran',
    code: 3,
    stdout: '1\n',
    stderr: '',
  });
});
