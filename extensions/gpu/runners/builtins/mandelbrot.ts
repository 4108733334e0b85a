/**
 * `mandelbrot`: the set from -2.5 to 1 and -1.25 to 1.25 in `args.width` by `args.height`, as `mandelbrot.pgm`; a point's value is the step
 * at which it left, scaled to 255, inside 0. Only additions and products of doubles: the same on every machine.
 */
import { type Builtin, numberOf, problemOf, wholeNumber } from './builtin.ts';

const SIDE_MAX = 16_384;
const STEPS_MAX = 100_000;

export const mandelbrot: Builtin = {
  check: (args) =>
    problemOf(
      wholeNumber(args, 'width', { least: 1, most: SIDE_MAX, otherwise: 512 }),
      wholeNumber(args, 'height', { least: 1, most: SIDE_MAX, otherwise: 512 }),
      wholeNumber(args, 'iterations', { least: 1, most: STEPS_MAX, otherwise: 255 }),
    ),
  run({ args, output, progress }) {
    const width = numberOf(args, 'width', 512);
    const height = numberOf(args, 'height', 512);
    const iterations = numberOf(args, 'iterations', 255);
    const pixels = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
      const y = -1.25 + (2.5 * row) / height;
      for (let column = 0; column < width; column += 1) {
        const left = leavesAt(-2.5 + (3.5 * column) / width, y, iterations);
        pixels[row * width + column] =
          left === iterations ? 0 : Math.floor((255 * (left + 1)) / iterations);
      }
      if (row % 64 === 0) progress(Math.floor((row * 1_000_000) / height));
    }
    const head = Buffer.from(`P5\n${width} ${height}\n255\n`);
    output('mandelbrot.pgm', Buffer.concat([head, pixels]));
    return 0;
  },
};

function leavesAt(x: number, y: number, iterations: number): number {
  let real = 0;
  let imaginary = 0;
  for (let step = 0; step < iterations; step += 1) {
    const squareReal = real * real;
    const squareImaginary = imaginary * imaginary;
    if (squareReal + squareImaginary > 4) return step;
    imaginary = 2 * real * imaginary + y;
    real = squareReal - squareImaginary + x;
  }
  return iterations;
}
