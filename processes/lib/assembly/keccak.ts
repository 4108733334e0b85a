// keccak256 (not TypeScript: compiled by asc). One call at a time, into memory of the caller.

const RATE_BYTES: usize = 136;
const ROUNDS: usize = 24;
/** The 25 lanes, then as many for what rho and pi move. */
const STATE = memory.data(200, 8);
const MOVED = memory.data(200, 8);
const PARITY = memory.data(40, 8);

const CONSTANTS = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
  0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
  0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
  0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
  0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]);
/** Lane i goes to byte TARGETS[i] of the moved lanes, rotated left by ROTATIONS[i]. */
const TARGETS = memory.data<u8>([
  0, 80, 160, 40, 120, 128, 8, 88, 168, 48, 56, 136, 16, 96, 176, 184, 64, 144, 24, 104, 112, 192,
  72, 152, 32,
]);
const ROTATIONS = memory.data<u8>([
  0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
]);

/** Writes the 32 bytes of the hash of `length` bytes at `from` to `into`, which may be the same place. */
export function keccak256(from: usize, length: usize, into: usize): void {
  memory.fill(STATE, 0, 200);
  while (length >= RATE_BYTES) {
    for (let i: usize = 0; i < RATE_BYTES; i += 8)
      store<u64>(STATE + i, load<u64>(STATE + i) ^ load<u64>(from + i));
    permute();
    from += RATE_BYTES;
    length -= RATE_BYTES;
  }
  for (let i: usize = 0; i < length; i++) flip(i, load<u8>(from + i));
  flip(length, 0x01);
  flip(RATE_BYTES - 1, 0x80);
  permute();
  memory.copy(into, STATE, 32);
}

function flip(at: usize, bits: u8): void {
  store<u8>(STATE + at, load<u8>(STATE + at) ^ bits);
}

function permute(): void {
  for (let round: usize = 0; round < ROUNDS; round++) {
    for (let x: usize = 0; x < 40; x += 8) {
      const lane = STATE + x;
      store<u64>(
        PARITY + x,
        load<u64>(lane) ^
          load<u64>(lane, 40) ^
          load<u64>(lane, 80) ^
          load<u64>(lane, 120) ^
          load<u64>(lane, 160),
      );
    }
    for (let x: usize = 0; x < 5; x++) {
      const mask =
        load<u64>(PARITY + ((x + 4) % 5) * 8) ^ rotl<u64>(load<u64>(PARITY + ((x + 1) % 5) * 8), 1);
      for (let y: usize = 0; y < 25; y += 5) {
        const i = x + y;
        store<u64>(
          MOVED + load<u8>(TARGETS + i),
          rotl<u64>(load<u64>(STATE + i * 8) ^ mask, load<u8>(ROTATIONS + i)),
        );
      }
    }
    for (let row: usize = 0; row < 200; row += 40) {
      const into = STATE + row;
      const a = load<u64>(MOVED + row);
      const b = load<u64>(MOVED + row, 8);
      const c = load<u64>(MOVED + row, 16);
      const d = load<u64>(MOVED + row, 24);
      const e = load<u64>(MOVED + row, 32);
      store<u64>(into, a ^ (~b & c));
      store<u64>(into, b ^ (~c & d), 8);
      store<u64>(into, c ^ (~d & e), 16);
      store<u64>(into, d ^ (~e & a), 24);
      store<u64>(into, e ^ (~a & b), 32);
    }
    store<u64>(STATE, load<u64>(STATE) ^ load<u64>(CONSTANTS + round * 8));
  }
}
