/**
 * The permutation of Keccak (FIPS 202 §3.2), written out: lane i is l<i> (low half) and h<i> (high half). Guests hash names too, in an
 * interpreter that pays for each array access and call, so there are none inside: 0.2 ms a hash in a QuickJS guest where loops over
 * arrays of the same halves took 1.6 ms, and 1.4 us in Node against 10. Int32Array, not Uint32Array: half of the latter's values are no
 * small integers to an engine.
 */

const ROUNDS = 24;
/** Round constants (iota), low and high halves: a linear feedback shift register writes them. */
const CONSTANTS_LOW = new Int32Array(ROUNDS);
const CONSTANTS_HIGH = new Int32Array(ROUNDS);

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

/** @param state 25 lanes, the low half of each before its high half; replaced */
// prettier-ignore
export function permute(state: Int32Array): void {
  let l0 = state[0]!, h0 = state[1]!, l1 = state[2]!, h1 = state[3]!, l2 = state[4]!, h2 = state[5]!, l3 = state[6]!, h3 = state[7]!, l4 = state[8]!, h4 = state[9]!;
  let l5 = state[10]!, h5 = state[11]!, l6 = state[12]!, h6 = state[13]!, l7 = state[14]!, h7 = state[15]!, l8 = state[16]!, h8 = state[17]!, l9 = state[18]!, h9 = state[19]!;
  let l10 = state[20]!, h10 = state[21]!, l11 = state[22]!, h11 = state[23]!, l12 = state[24]!, h12 = state[25]!, l13 = state[26]!, h13 = state[27]!, l14 = state[28]!, h14 = state[29]!;
  let l15 = state[30]!, h15 = state[31]!, l16 = state[32]!, h16 = state[33]!, l17 = state[34]!, h17 = state[35]!, l18 = state[36]!, h18 = state[37]!, l19 = state[38]!, h19 = state[39]!;
  let l20 = state[40]!, h20 = state[41]!, l21 = state[42]!, h21 = state[43]!, l22 = state[44]!, h22 = state[45]!, l23 = state[46]!, h23 = state[47]!, l24 = state[48]!, h24 = state[49]!;
  for (let round = 0; round < ROUNDS; round++) {
    // Theta: the parities of the columns, p low and q high.
    const p0 = l0 ^ l5 ^ l10 ^ l15 ^ l20;
    const p1 = l1 ^ l6 ^ l11 ^ l16 ^ l21;
    const p2 = l2 ^ l7 ^ l12 ^ l17 ^ l22;
    const p3 = l3 ^ l8 ^ l13 ^ l18 ^ l23;
    const p4 = l4 ^ l9 ^ l14 ^ l19 ^ l24;
    const q0 = h0 ^ h5 ^ h10 ^ h15 ^ h20;
    const q1 = h1 ^ h6 ^ h11 ^ h16 ^ h21;
    const q2 = h2 ^ h7 ^ h12 ^ h17 ^ h22;
    const q3 = h3 ^ h8 ^ h13 ^ h18 ^ h23;
    const q4 = h4 ^ h9 ^ h14 ^ h19 ^ h24;
    let a: number, b: number, c: number, d: number;
    a = p4 ^ ((p1 << 1) | (q1 >>> 31)); b = q4 ^ ((q1 << 1) | (p1 >>> 31));
    l0 ^= a; h0 ^= b; l5 ^= a; h5 ^= b; l10 ^= a; h10 ^= b; l15 ^= a; h15 ^= b; l20 ^= a; h20 ^= b;
    a = p0 ^ ((p2 << 1) | (q2 >>> 31)); b = q0 ^ ((q2 << 1) | (p2 >>> 31));
    l1 ^= a; h1 ^= b; l6 ^= a; h6 ^= b; l11 ^= a; h11 ^= b; l16 ^= a; h16 ^= b; l21 ^= a; h21 ^= b;
    a = p1 ^ ((p3 << 1) | (q3 >>> 31)); b = q1 ^ ((q3 << 1) | (p3 >>> 31));
    l2 ^= a; h2 ^= b; l7 ^= a; h7 ^= b; l12 ^= a; h12 ^= b; l17 ^= a; h17 ^= b; l22 ^= a; h22 ^= b;
    a = p2 ^ ((p4 << 1) | (q4 >>> 31)); b = q2 ^ ((q4 << 1) | (p4 >>> 31));
    l3 ^= a; h3 ^= b; l8 ^= a; h8 ^= b; l13 ^= a; h13 ^= b; l18 ^= a; h18 ^= b; l23 ^= a; h23 ^= b;
    a = p3 ^ ((p0 << 1) | (q0 >>> 31)); b = q3 ^ ((q0 << 1) | (p0 >>> 31));
    l4 ^= a; h4 ^= b; l9 ^= a; h9 ^= b; l14 ^= a; h14 ^= b; l19 ^= a; h19 ^= b; l24 ^= a; h24 ^= b;
    // Rho and pi: each lane, rotated, moves to the place of the next one of a single cycle.
    a = l1; b = h1;
    c = l10; d = h10; l10 = (a << 1) | (b >>> 31); h10 = (b << 1) | (a >>> 31); a = c; b = d;
    c = l7; d = h7; l7 = (a << 3) | (b >>> 29); h7 = (b << 3) | (a >>> 29); a = c; b = d;
    c = l11; d = h11; l11 = (a << 6) | (b >>> 26); h11 = (b << 6) | (a >>> 26); a = c; b = d;
    c = l17; d = h17; l17 = (a << 10) | (b >>> 22); h17 = (b << 10) | (a >>> 22); a = c; b = d;
    c = l18; d = h18; l18 = (a << 15) | (b >>> 17); h18 = (b << 15) | (a >>> 17); a = c; b = d;
    c = l3; d = h3; l3 = (a << 21) | (b >>> 11); h3 = (b << 21) | (a >>> 11); a = c; b = d;
    c = l5; d = h5; l5 = (a << 28) | (b >>> 4); h5 = (b << 28) | (a >>> 4); a = c; b = d;
    c = l16; d = h16; l16 = (b << 4) | (a >>> 28); h16 = (a << 4) | (b >>> 28); a = c; b = d;
    c = l8; d = h8; l8 = (b << 13) | (a >>> 19); h8 = (a << 13) | (b >>> 19); a = c; b = d;
    c = l21; d = h21; l21 = (b << 23) | (a >>> 9); h21 = (a << 23) | (b >>> 9); a = c; b = d;
    c = l24; d = h24; l24 = (a << 2) | (b >>> 30); h24 = (b << 2) | (a >>> 30); a = c; b = d;
    c = l4; d = h4; l4 = (a << 14) | (b >>> 18); h4 = (b << 14) | (a >>> 18); a = c; b = d;
    c = l15; d = h15; l15 = (a << 27) | (b >>> 5); h15 = (b << 27) | (a >>> 5); a = c; b = d;
    c = l23; d = h23; l23 = (b << 9) | (a >>> 23); h23 = (a << 9) | (b >>> 23); a = c; b = d;
    c = l19; d = h19; l19 = (b << 24) | (a >>> 8); h19 = (a << 24) | (b >>> 8); a = c; b = d;
    c = l13; d = h13; l13 = (a << 8) | (b >>> 24); h13 = (b << 8) | (a >>> 24); a = c; b = d;
    c = l12; d = h12; l12 = (a << 25) | (b >>> 7); h12 = (b << 25) | (a >>> 7); a = c; b = d;
    c = l2; d = h2; l2 = (b << 11) | (a >>> 21); h2 = (a << 11) | (b >>> 21); a = c; b = d;
    c = l20; d = h20; l20 = (b << 30) | (a >>> 2); h20 = (a << 30) | (b >>> 2); a = c; b = d;
    c = l14; d = h14; l14 = (a << 18) | (b >>> 14); h14 = (b << 18) | (a >>> 14); a = c; b = d;
    c = l22; d = h22; l22 = (b << 7) | (a >>> 25); h22 = (a << 7) | (b >>> 25); a = c; b = d;
    c = l9; d = h9; l9 = (b << 29) | (a >>> 3); h9 = (a << 29) | (b >>> 3); a = c; b = d;
    c = l6; d = h6; l6 = (a << 20) | (b >>> 12); h6 = (b << 20) | (a >>> 12); a = c; b = d;
    c = l1; d = h1; l1 = (b << 12) | (a >>> 20); h1 = (a << 12) | (b >>> 20); a = c; b = d;
    // Chi, row by row.
    a = l0; b = l1;
    l0 ^= ~b & l2; l1 ^= ~l2 & l3; l2 ^= ~l3 & l4; l3 ^= ~l4 & a; l4 ^= ~a & b;
    a = h0; b = h1;
    h0 ^= ~b & h2; h1 ^= ~h2 & h3; h2 ^= ~h3 & h4; h3 ^= ~h4 & a; h4 ^= ~a & b;
    a = l5; b = l6;
    l5 ^= ~b & l7; l6 ^= ~l7 & l8; l7 ^= ~l8 & l9; l8 ^= ~l9 & a; l9 ^= ~a & b;
    a = h5; b = h6;
    h5 ^= ~b & h7; h6 ^= ~h7 & h8; h7 ^= ~h8 & h9; h8 ^= ~h9 & a; h9 ^= ~a & b;
    a = l10; b = l11;
    l10 ^= ~b & l12; l11 ^= ~l12 & l13; l12 ^= ~l13 & l14; l13 ^= ~l14 & a; l14 ^= ~a & b;
    a = h10; b = h11;
    h10 ^= ~b & h12; h11 ^= ~h12 & h13; h12 ^= ~h13 & h14; h13 ^= ~h14 & a; h14 ^= ~a & b;
    a = l15; b = l16;
    l15 ^= ~b & l17; l16 ^= ~l17 & l18; l17 ^= ~l18 & l19; l18 ^= ~l19 & a; l19 ^= ~a & b;
    a = h15; b = h16;
    h15 ^= ~b & h17; h16 ^= ~h17 & h18; h17 ^= ~h18 & h19; h18 ^= ~h19 & a; h19 ^= ~a & b;
    a = l20; b = l21;
    l20 ^= ~b & l22; l21 ^= ~l22 & l23; l22 ^= ~l23 & l24; l23 ^= ~l24 & a; l24 ^= ~a & b;
    a = h20; b = h21;
    h20 ^= ~b & h22; h21 ^= ~h22 & h23; h22 ^= ~h23 & h24; h23 ^= ~h24 & a; h24 ^= ~a & b;
    l0 ^= CONSTANTS_LOW[round]!; h0 ^= CONSTANTS_HIGH[round]!;
  }
  state[0] = l0; state[1] = h0; state[2] = l1; state[3] = h1; state[4] = l2; state[5] = h2; state[6] = l3; state[7] = h3; state[8] = l4; state[9] = h4;
  state[10] = l5; state[11] = h5; state[12] = l6; state[13] = h6; state[14] = l7; state[15] = h7; state[16] = l8; state[17] = h8; state[18] = l9; state[19] = h9;
  state[20] = l10; state[21] = h10; state[22] = l11; state[23] = h11; state[24] = l12; state[25] = h12; state[26] = l13; state[27] = h13; state[28] = l14; state[29] = h14;
  state[30] = l15; state[31] = h15; state[32] = l16; state[33] = h16; state[34] = l17; state[35] = h17; state[36] = l18; state[37] = h18; state[38] = l19; state[39] = h19;
  state[40] = l20; state[41] = h20; state[42] = l21; state[43] = h21; state[44] = l22; state[45] = h22; state[46] = l23; state[47] = h23; state[48] = l24; state[49] = h24;
}
