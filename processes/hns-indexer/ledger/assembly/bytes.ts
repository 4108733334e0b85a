// Growable memory outside of the collector's sight, and what is written into it (not TypeScript: compiled by asc).

export class Bytes {
  at: usize = 0;
  length: usize = 0;
  private capacity: usize = 0;

  /** Makes room for `more` bytes at the end, and counts them in. Returns where they begin; contents are undefined. */
  extend(more: usize): usize {
    const from = this.length;
    this.length += more;
    if (this.length > this.capacity) {
      this.capacity = max(this.length, max(this.capacity * 2, 256));
      this.at = this.at == 0 ? heap.alloc(this.capacity) : heap.realloc(this.at, this.capacity);
    }
    return this.at + from;
  }

  copy(from: usize, bytes: usize): void {
    memory.copy(this.extend(bytes), from, bytes);
  }

  /** Takes bytes out of the middle. */
  cut(from: usize, to: usize): void {
    memory.copy(this.at + from, this.at + to, this.length - to);
    this.length -= to - from;
  }

  u8(value: u32): void {
    store<u8>(this.extend(1), <u8>value);
  }
  u32(value: u32): void {
    store<u32>(this.extend(4), value);
  }
  u64(value: u64): void {
    store<u64>(this.extend(8), value);
  }

  /** ASCII text. */
  text(value: string): void {
    const to = this.extend(value.length);
    for (let i = 0; i < value.length; i++) store<u8>(to + i, <u8>value.charCodeAt(i));
  }
  decimal(value: u64): void {
    let digits: u64 = 1;
    while (value / digits >= 10) digits *= 10;
    for (; digits > 0; digits /= 10) this.u8(48 + <u32>((value / digits) % 10));
  }
  /** Lower-case digits. */
  hex(from: usize, bytes: usize): void {
    const to = this.extend(bytes * 2);
    for (let i: usize = 0; i < bytes; i++) {
      const byte = <u32>load<u8>(from + i);
      store<u8>(to + 2 * i, digit(byte >> 4));
      store<u8>(to + 2 * i + 1, digit(byte & 15));
    }
  }
}

export function digit(value: u32): u8 {
  return <u8>(value < 10 ? 48 + value : 87 + value);
}

/** Of a hex digit; 255 for anything else. */
export function valueOfDigit(character: u32): u32 {
  if (character - 48 < 10) return character - 48;
  const lower = character | 32;
  return lower - 97 < 6 ? lower - 87 : 255;
}

export function same(a: usize, b: usize, bytes: usize): bool {
  return memory.compare(a, b, bytes) == 0;
}

/** Whether ASCII text is at that place. */
export function isText(at: usize, length: usize, value: string): bool {
  if (length != <usize>value.length) return false;
  for (let i = 0; i < value.length; i++) {
    if (load<u8>(at + i) != <u8>value.charCodeAt(i)) return false;
  }
  return true;
}
