/** The frame of a tar (POSIX ustar, with pax headers for long names). Pure. */

const BLOCK = 512;
const NAME_BYTES_MAX = 100;
/** What eleven octal digits hold; a larger file's size stands in its pax header. */
const SIZE_MAX = 8 ** 11 - 1;
const utf8 = new TextEncoder();

/** What ends a tar. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/** What comes before a file's bytes. @param path  relative, with slashes */
export function tarHeader(path: string, size: number): Uint8Array {
  const short = utf8.encode(path).length <= NAME_BYTES_MAX && size <= SIZE_MAX;
  if (short) return header(path, size, '0');
  const pax = utf8.encode(paxLine('path', path) + paxLine('size', String(size)));
  const parts = [
    header('pax', pax.length, 'x'),
    pax,
    tarPadding(pax.length),
    header('pax', Math.min(size, SIZE_MAX), '0'),
  ];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What comes behind a file's bytes: none, or up to the next block. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** `<length> <name>=<value>\n`, its own length counted. */
function paxLine(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const bytes = utf8.encode(rest).length;
  let length = bytes + 1;
  while (String(length).length + bytes !== length) length = String(length).length + bytes;
  return `${length}${rest}`;
}

function header(name: string, size: number, type: '0' | 'x'): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number): void => block.set(utf8.encode(text), at);
  put(name, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  put('        ', 148);
  put(type, 156);
  put('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
