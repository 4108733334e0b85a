/**
 * keccak256, the hash of Ethereum: what names, labels and event topics are hashed with. FIPS 202's permutation with the padding that
 * came before the standard. Here because guests hash names too and import nothing; it guards no secret. `keccak.test.ts` compares
 * it with an audited implementation at every length around the block size.
 */

/** Bytes taken in between two permutations. */
const RATE_BYTES = 136;
const HASH_BYTES = 32;
const ROUNDS = 24;
const LANES = 25;

/** Lane i of the state goes to lane TARGETS[i], rotated left by ROTATIONS[i] bits (rho and pi in one). */
const TARGETS = new Uint8Array(LANES);
const ROTATIONS = new Uint8Array(LANES);
/** Round constants (iota), low and high halves. */
const CONSTANTS_LOW = new Uint32Array(ROUNDS);
const CONSTANTS_HIGH = new Uint32Array(ROUNDS);

for (let x = 0; x < 5; x++)
  for (let y = 0; y < 5; y++) TARGETS[x + 5 * y] = y + 5 * ((2 * x + 3 * y) % 5);
for (let step = 0, x = 1, y = 0; step < 24; step++) {
  ROTATIONS[x + 5 * y] = (((step + 1) * (step + 2)) / 2) % 64;
  [x, y] = [y, (2 * x + 3 * y) % 5];
}
for (let round = 0, bits = 1; round < ROUNDS; round++) {
  for (let power = 0; power < 7; power++) {
    const at = (1 << power) - 1;
    if ((bits & 1) === 1) {
      if (at < 32) CONSTANTS_LOW[round]! ^= 1 << at;
      else CONSTANTS_HIGH[round]! ^= 1 << (at - 32);
    }
    bits = (bits << 1) ^ ((bits >> 7) * 0x171);
  }
}

// The state and its scratch, low and high halves of each lane. One call at a time: there is no await in here.
const low = new Uint32Array(LANES);
const high = new Uint32Array(LANES);
const movedLow = new Uint32Array(LANES);
const movedHigh = new Uint32Array(LANES);
const parityLow = new Uint32Array(5);
const parityHigh = new Uint32Array(5);

/** The 32 bytes of the hash, the caller's own. */
export function keccak256(message: Uint8Array): Uint8Array {
  low.fill(0);
  high.fill(0);
  let at = 0;
  for (; message.length - at >= RATE_BYTES; at += RATE_BYTES) {
    for (let i = 0; i < RATE_BYTES; i++) absorb(i, message[at + i]!);
    permute();
  }
  for (let i = at; i < message.length; i++) absorb(i - at, message[i]!);
  absorb(message.length - at, 0x01);
  absorb(RATE_BYTES - 1, 0x80);
  permute();
  const hash = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i++) {
    const half = (i & 4) === 0 ? low : high;
    hash[i] = half[i >> 3]! >>> (8 * (i & 3));
  }
  return hash;
}

function absorb(at: number, byte: number): void {
  const half = (at & 4) === 0 ? low : high;
  half[at >> 3]! ^= byte << (8 * (at & 3));
}

function permute(): void {
  for (let round = 0; round < ROUNDS; round++) {
    theta();
    rhoAndPi();
    chi(low, movedLow);
    chi(high, movedHigh);
    low[0]! ^= CONSTANTS_LOW[round]!;
    high[0]! ^= CONSTANTS_HIGH[round]!;
  }
}

function theta(): void {
  for (let x = 0; x < 5; x++) {
    parityLow[x] = low[x]! ^ low[x + 5]! ^ low[x + 10]! ^ low[x + 15]! ^ low[x + 20]!;
    parityHigh[x] = high[x]! ^ high[x + 5]! ^ high[x + 10]! ^ high[x + 15]! ^ high[x + 20]!;
  }
  for (let x = 0; x < 5; x++) {
    const before = (x + 4) % 5;
    const after = (x + 1) % 5;
    const lowMask = parityLow[before]! ^ ((parityLow[after]! << 1) | (parityHigh[after]! >>> 31));
    const highMask = parityHigh[before]! ^ ((parityHigh[after]! << 1) | (parityLow[after]! >>> 31));
    for (let lane = x; lane < LANES; lane += 5) {
      low[lane]! ^= lowMask;
      high[lane]! ^= highMask;
    }
  }
}

function rhoAndPi(): void {
  for (let lane = 0; lane < LANES; lane++) {
    const target = TARGETS[lane]!;
    const bits = ROTATIONS[lane]!;
    const turned = bits >= 32;
    const from = turned ? high[lane]! : low[lane]!;
    const other = turned ? low[lane]! : high[lane]!;
    const by = bits & 31;
    // Shifting right by 32 - 0 would shift by nothing: in two steps it leaves nothing, as it should.
    movedLow[target] = (from << by) | ((other >>> 1) >>> (31 - by));
    movedHigh[target] = (other << by) | ((from >>> 1) >>> (31 - by));
  }
}

function chi(into: Uint32Array, from: Uint32Array): void {
  for (let row = 0; row < LANES; row += 5) {
    const a = from[row]!;
    const b = from[row + 1]!;
    const c = from[row + 2]!;
    const d = from[row + 3]!;
    const e = from[row + 4]!;
    into[row] = a ^ (~b & c);
    into[row + 1] = b ^ (~c & d);
    into[row + 2] = c ^ (~d & e);
    into[row + 3] = d ^ (~e & a);
    into[row + 4] = e ^ (~a & b);
  }
}
