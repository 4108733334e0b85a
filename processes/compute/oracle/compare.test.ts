/** Two runs of one job: which results are the same by exact, tolerance, image and text (compute-market.md §8). */
import { deflateSync, crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { saltOf } from '../../../contracts/compute.ts';
import { closeTexts, compareRuns, type Outcome } from './compare.ts';
import { closeImages } from './compare-images.ts';
import { closeNumbers } from './compare-numbers.ts';
import { specOf } from './testing.ts';

const utf8 = new TextEncoder();

describe('comparing two runs', () => {
  const run = (root: string, part: Partial<Outcome> = {}): Outcome => ({
    status: 0,
    exitCode: 0,
    outputsRoot: saltOf(root),
    outputs: [],
    ...part,
  });
  const none = async (): Promise<undefined> => undefined;
  it('exact: equal roots, and how it ended', async () => {
    const spec = specOf();
    expect(await compareRuns(spec, run('a'), run('a'), none)).toBe('same');
    expect(await compareRuns(spec, run('a'), run('b'), none)).toBe('different');
    const failed = (exitCode: number): Outcome => run('x', { status: 1, exitCode });
    expect(await compareRuns(spec, failed(1), failed(1), none)).toBe('same');
    expect(await compareRuns(spec, failed(1), failed(2), none)).toBe('different');
    expect(await compareRuns(spec, failed(1), run('a'), none)).toBe('different');
    expect(await compareRuns(spec, run('a'), run('a', { status: 6 }), none)).toBe('undecided');
    const unverifiable = specOf({ verify: { mode: 'none' } });
    expect(await compareRuns(unverifiable, run('a'), run('b'), none)).toBe('undecided');
  });
  it('tolerance: numbers that are close, files that are the same ones', async () => {
    const spec = specOf({ verify: { mode: 'tolerance', absPpb: 1_000, relPpb: 0 } });
    const file = (sha256: string) => ({ path: 'm.json', size: 1, sha256: sha256.repeat(32) });
    const texts: Record<string, string> = { aa: '{"loss": 0.25}', bb: '{"loss":0.2500009}' };
    const read = async (_: string, { sha256 }: { sha256: string }): Promise<Uint8Array> =>
      utf8.encode(texts[sha256.slice(0, 2)]);
    const one = run('a', { outputs: [file('aa')] });
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), read)).toBe('same');
    texts['bb'] = '{"loss":0.250002}';
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), read)).toBe(
      'different',
    );
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), none)).toBe(
      'undecided',
    );
    expect(await compareRuns(spec, one, run('b'), read)).toBe('different');
  });
  it('tolerance is exact at its edge, both absolute and relative', () => {
    const close = (a: string, b: string, absPpb: bigint, relPpb: bigint): boolean =>
      closeNumbers('x.json', utf8.encode(a), utf8.encode(b), { absPpb, relPpb });
    expect(close('1.000000001', '1', 1n, 0n)).toBe(true);
    expect(close('1.0000000011', '1', 1n, 0n)).toBe(false);
    expect(close('1e3', '1000.000001', 0n, 1n)).toBe(true);
    expect(close('1e3', '1000.0000011', 0n, 1n)).toBe(false);
    expect(close('[1,2]', '[1,2,3]', 10n ** 12n, 0n)).toBe(false);
    expect(close('{"a":1}', '{"b":1}', 10n ** 12n, 0n)).toBe(false);
    expect(close('"1"', '"2"', 10n ** 12n, 0n)).toBe(false);
    expect(close('1e999', '1e998', 10n ** 12n, 0n)).toBe(false);
    expect(close('no', 'no ', 10n ** 12n, 0n)).toBe(false);
  });
  it('tolerance reads arrays of NumPy', () => {
    const npy = (descr: string, shape: string, data: ArrayBufferView): Uint8Array => {
      const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }\n`;
      const lead = Buffer.from([
        0x93,
        0x4e,
        0x55,
        0x4d,
        0x50,
        0x59,
        1,
        0,
        head.length & 255,
        head.length >> 8,
      ]);
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      return Uint8Array.from(Buffer.concat([lead, Buffer.from(head), bytes]));
    };
    const tolerance = { absPpb: 1_000n, relPpb: 0n };
    const close = (a: Uint8Array, b: Uint8Array): boolean => closeNumbers('a.npy', a, b, tolerance);
    const floats = (...values: number[]): Uint8Array =>
      npy('<f8', `${values.length},`, Float64Array.from(values));
    expect(close(floats(0.5, -3), floats(0.5000005, -3))).toBe(true);
    expect(close(floats(0.5, -3), floats(0.500002, -3))).toBe(false);
    expect(close(floats(1), floats(1, 1))).toBe(false);
    expect(close(floats(NaN, Infinity), floats(NaN, Infinity))).toBe(true);
    expect(close(floats(Infinity), floats(-Infinity))).toBe(false);
    expect(close(floats(NaN), floats(1))).toBe(false);
    const singles = (value: number): Uint8Array => npy('<f4', '1,', Float32Array.of(value));
    expect(close(singles(1e-8), singles(2e-8))).toBe(true);
    expect(close(singles(1), floats(1))).toBe(false);
    const integers = (value: number): Uint8Array => npy('<i4', '1,', Int32Array.of(value));
    expect(close(integers(-5), integers(-5))).toBe(true);
    expect(close(integers(-5), integers(-4))).toBe(false);
    expect(close(utf8.encode('no array'), utf8.encode('no array'))).toBe(false);
  });
  it('image: a little noise is the same, a stripe is not', () => {
    const [width, height] = [64, 64];
    const pixels = (noise: (at: number) => number): Uint8Array =>
      Uint8Array.from({ length: width * height * 3 }, (_, at) =>
        Math.max(0, Math.min(255, (at * 7) % 200) + noise(at)),
      );
    const ppm = (data: Uint8Array): Uint8Array =>
      Uint8Array.from(Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]));
    const plain = pixels(() => 0);
    expect(closeImages(ppm(plain), ppm(pixels((at) => at % 2)))).toBe(true);
    expect(closeImages(ppm(plain), ppm(pixels((at) => (at < 300 ? 50 : 0))))).toBe(false);
    expect(
      closeImages(
        ppm(plain),
        png(
          width,
          height,
          pixels((at) => at % 3),
        ),
      ),
    ).toBe(true);
    expect(
      closeImages(
        png(width, height, plain),
        png(
          width,
          height,
          pixels(() => 20),
        ),
      ),
    ).toBe(false);
    expect(closeImages(ppm(plain), ppm(plain).subarray(1))).toBe(false);
    expect(closeImages(png(width, height, plain).subarray(0, 200), ppm(plain))).toBe(false);
  });
  it('text: the first words, or nine tenths of it', () => {
    const words = (count: number, last = 'same'): Uint8Array =>
      utf8.encode(Array.from({ length: count }, (_, at) => (at < 32 ? `w${at}` : last)).join(' '));
    expect(closeTexts(words(60), words(60, 'other'))).toBe(true);
    expect(
      closeTexts(
        utf8.encode('a'.repeat(90) + 'b'.repeat(10)),
        utf8.encode('a'.repeat(90) + 'c'.repeat(10)),
      ),
    ).toBe(true);
    expect(
      closeTexts(
        utf8.encode('a'.repeat(89) + 'b'.repeat(11)),
        utf8.encode('a'.repeat(89) + 'c'.repeat(11)),
      ),
    ).toBe(false);
    expect(closeTexts(utf8.encode('yes'), utf8.encode('no'))).toBe(false);
    expect(closeTexts(utf8.encode(''), utf8.encode(''))).toBe(true);
  });
});

/** Eight bits, three channels, each row by another filter. */
function png(width: number, height: number, rgb: Uint8Array): Uint8Array {
  const stride = width * 3;
  const rows = Buffer.alloc((stride + 1) * height);
  const before = (row: number, at: number): number =>
    row < 0 || at < 0 ? 0 : rgb[row * stride + at]!;
  for (let row = 0; row < height; row += 1) {
    const filter = row % 5;
    rows[row * (stride + 1)] = filter;
    for (let at = 0; at < stride; at += 1) {
      const [left, above] = [before(row, at - 3), before(row - 1, at)];
      const corner = at < 3 ? 0 : before(row - 1, at - 3);
      const guess = left + above - corner;
      const nearest = [left, above, corner].toSorted(
        (a, b) => Math.abs(guess - a) - Math.abs(guess - b),
      )[0]!;
      const predicted = [0, left, above, (left + above) >> 1, nearest][filter]!;
      rows[row * (stride + 1) + 1 + at] = rgb[row * stride + at]! - predicted;
    }
  }
  const chunk = (kind: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const frame = Buffer.alloc(8 + body.length);
    frame.writeUInt32BE(data.length);
    body.copy(frame, 4);
    frame.writeUInt32BE(crc32(body), 4 + body.length);
    return frame;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const lead = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data = deflateSync(rows);
  return Uint8Array.from(
    Buffer.concat([
      lead,
      chunk('IHDR', head),
      chunk('IDAT', data.subarray(0, 50)),
      chunk('IDAT', data.subarray(50)),
      chunk('IEND', Buffer.alloc(0)),
    ]),
  );
}
