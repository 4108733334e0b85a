/** Finds the edges of a picture: `photo.ppm` to `edges.pgm`, by the Sobel operator. AssemblyScript. */
import { fail, input, output, print } from 'job';

export function main(): void {
  const file = input('photo.ppm');
  const reader = new Reader(file);
  if (reader.word() != 'P6') fail('photo.ppm is no binary PPM');
  const width = I32.parseInt(reader.word());
  const height = I32.parseInt(reader.word());
  if (I32.parseInt(reader.word()) != 255) fail('photo.ppm has no 8 bits per colour');
  if (width < 1 || height < 1 || file.length - reader.at < width * height * 3) fail('photo.ppm is cut off');

  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    const pixel = reader.at + i * 3;
    // The eye's weights, in thousandths: no float, so no rounding of anybody's.
    grey[i] = <u8>((299 * <i32>file[pixel] + 587 * <i32>file[pixel + 1] + 114 * <i32>file[pixel + 2]) / 1000);
  }

  const header = Uint8Array.wrap(String.UTF8.encode('P5\n' + width.toString() + ' ' + height.toString() + '\n255\n'));
  const picture = new Uint8Array(header.length + grey.length);
  picture.set(header);
  let strong = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const edge = sobel(grey, width, height, x, y);
      picture[header.length + y * width + x] = <u8>edge;
      if (edge > 127) strong++;
    }
  }
  output('edges.pgm', picture);
  print(width.toString() + 'x' + height.toString() + ', ' + strong.toString() + ' pixels on edges');
}

function sobel(grey: Uint8Array, width: i32, height: i32, x: i32, y: i32): i32 {
  let across = 0;
  let down = 0;
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -1; dx <= 1; dx++) {
      const value = <i32>grey[clamp(y + dy, height) * width + clamp(x + dx, width)];
      across += dx * (dy == 0 ? 2 : 1) * value;
      down += dy * (dx == 0 ? 2 : 1) * value;
    }
  }
  return min(abs(across) + abs(down), 255);
}

function clamp(at: i32, size: i32): i32 {
  return max(0, min(at, size - 1));
}

/** The words of a PPM's head. */
class Reader {
  at: i32 = 0;
  constructor(private bytes: Uint8Array) {}

  word(): string {
    let text = '';
    while (this.at < this.bytes.length && this.bytes[this.at] > 32) {
      text += String.fromCharCode(this.bytes[this.at++]);
    }
    this.at++;
    return text;
  }
}
