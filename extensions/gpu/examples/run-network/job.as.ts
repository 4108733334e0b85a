/** Runs the network that train-network trained: `weights.f32` over a grid of points, drawn as a picture of what it takes for which class. AssemblyScript. */
import { fail, input, outputText, print } from 'job';

const HIDDEN = 8;
const WEIGHTS = HIDDEN * 4 + 1;
const COLUMNS = 48;
const ROWS = 24;

export function main(): void {
  const bytes = input('weights.f32');
  if (bytes.length != WEIGHTS * 4) fail('weights.f32 is of another network');
  const weights = Float32Array.wrap(bytes.buffer);
  let map = '';
  let inside = 0;
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      const x = (<f32>column / <f32>(COLUMNS - 1)) * 4 - 2;
      const y = <f32>2 - (<f32>row / <f32>(ROWS - 1)) * 4;
      const isInside = classOf(weights, x, y) > 0.5;
      if (isInside) inside++;
      map += isInside ? '#' : '.';
    }
    map += '\n';
  }
  outputText('map.txt', map);
  print(inside.toString() + ' of ' + (COLUMNS * ROWS).toString() + ' points inside');
}

function classOf(weights: Float32Array, x: f32, y: f32): f32 {
  let sum = weights[WEIGHTS - 1];
  for (let h = 0; h < HIDDEN; h++) {
    sum += weights[h * 4 + 3] * Mathf.tanh(weights[h * 4] * x + weights[h * 4 + 1] * y + weights[h * 4 + 2]);
  }
  return 1 / (1 + Mathf.exp(-sum));
}
