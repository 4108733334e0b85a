/**
 * Trains a small neural network, two inputs, eight hidden units, one output, on `points.csv` (x, y, class), and writes its weights. Floats of 32
 * bits, in one order, with the runtime's own exponential: every machine gets the same bits. AssemblyScript.
 */
import { args, fail, input, output, outputText, print, random } from 'job';

const HIDDEN = 8;
const WEIGHTS = HIDDEN * 4 + 1;
const RATE: f32 = 0.5;

export function main(): void {
  const words = args();
  const epochs = words.length > 1 ? I32.parseInt(words[1]) : 0;
  if (epochs < 1) fail('say how many epochs');
  const lines = String.UTF8.decode(input('points.csv').buffer).trim().split('\n');
  const points = new Float32Array(lines.length * 3);
  for (let i = 0; i < lines.length; i++) {
    const fields = lines[i].split(',');
    for (let j = 0; j < 3; j++) points[i * 3 + j] = <f32>parseFloat(fields[j]);
  }
  const weights = start();
  let loss: f32 = 0;
  for (let epoch = 0; epoch < epochs; epoch++) loss = step(weights, points);
  output('weights.f32', Uint8Array.wrap(weights.buffer));
  let right = 0;
  for (let i = 0; i < lines.length; i++) {
    if ((forward(weights, points[i * 3], points[i * 3 + 1], null) > 0.5) == (points[i * 3 + 2] > 0.5)) right++;
  }
  outputText('metrics.json', '{"points":' + lines.length.toString() + ',"right":' + right.toString() + ',"lossMicro":' + (<i32>(loss * 1000000)).toString() + '}\n');
  print(right.toString() + ' of ' + lines.length.toString() + ' right after ' + epochs.toString() + ' epochs');
}

/** Small weights of either sign, from the seed of the spec. */
function start(): Float32Array {
  const bytes = random(WEIGHTS);
  const weights = new Float32Array(WEIGHTS);
  for (let i = 0; i < WEIGHTS; i++) weights[i] = (<f32>bytes[i] - 127.5) / 128;
  return weights;
}

/** One step of gradient descent over all points; the mean squared error before it. */
function step(weights: Float32Array, points: Float32Array): f32 {
  const slopes = new Float32Array(WEIGHTS);
  const hidden = new Float32Array(HIDDEN);
  const count = points.length / 3;
  let loss: f32 = 0;
  for (let i = 0; i < count; i++) {
    const x = points[i * 3];
    const y = points[i * 3 + 1];
    const result = forward(weights, x, y, hidden);
    const error = result - points[i * 3 + 2];
    loss += error * error;
    const down = error * result * (1 - result);
    slopes[WEIGHTS - 1] += down;
    for (let h = 0; h < HIDDEN; h++) {
      slopes[h * 4 + 3] += down * hidden[h];
      const inner = down * weights[h * 4 + 3] * (1 - hidden[h] * hidden[h]);
      slopes[h * 4] += inner * x;
      slopes[h * 4 + 1] += inner * y;
      slopes[h * 4 + 2] += inner;
    }
  }
  for (let i = 0; i < WEIGHTS; i++) weights[i] -= (RATE * slopes[i] * 8) / <f32>count;
  return loss / <f32>count;
}

function forward(weights: Float32Array, x: f32, y: f32, hidden: Float32Array | null): f32 {
  let sum = weights[WEIGHTS - 1];
  for (let h = 0; h < HIDDEN; h++) {
    const value = Mathf.tanh(weights[h * 4] * x + weights[h * 4 + 1] * y + weights[h * 4 + 2]);
    if (hidden) hidden[h] = value;
    sum += weights[h * 4 + 3] * value;
  }
  return 1 / (1 + Mathf.exp(-sum));
}
