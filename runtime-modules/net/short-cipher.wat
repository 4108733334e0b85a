;; ChaCha20-Poly1305 of one short message without associated data (RFC 8439 §2.8; the nonce of Noise: four zero bytes and a counter).
;; `short-cipher.ts` puts the key to KEY and the text to IN, calls, and takes what is at OUT. No branch and no address depends on anything
;; secret. `test/net-wasm.ts` makes bytes of this file.
;;
;;      0  KEY    32
;;     64  ZEROS  64: what the first block of the key stream, the one-time key of Poly1305, is written over
;;    128  IN     1536, and 128 of padding
;;   1792  ONCE   64: the one-time key
;;   1856  OUT    1536, and 128 of padding
(module
  (memory (export "memory") 1)
  ;; "expand 32-byte k"
  (global $words v128 (v128.const i32x4 0x61707865 0x3320646e 0x79622d32 0x6b206574))

  ;; IN seals: the ciphertext and the tag behind it are at OUT then.
  (func (export "seal") (param $length i32) (param $low i32) (param $high i32)
    (local $tag v128)
    (call $stream (local.get $length) (local.get $low) (local.get $high))
    (v128.store offset=1856 (local.get $length) (v128.const i64x2 0 0))
    (local.set $tag (call $mac (i32.const 1856) (local.get $length)))
    (v128.store offset=1856 (local.get $length) (local.get $tag))
    (call $wipe))

  ;; IN is $length bytes of ciphertext and the tag behind them: OUT is what was sealed. 0: it was not sealed so, and OUT means nothing.
  (func (export "open") (param $length i32) (param $low i32) (param $high i32) (result i32)
    (local $tag v128)
    (local.set $tag (v128.load offset=128 (local.get $length)))
    (v128.store offset=128 (local.get $length) (v128.const i64x2 0 0))
    (call $stream (local.get $length) (local.get $low) (local.get $high))
    (local.set $tag (v128.xor (local.get $tag) (call $mac (i32.const 128) (local.get $length))))
    (call $wipe)
    (i32.eqz (v128.any_true (local.get $tag))))

  ;; The tag of IN to OUT, under whatever is at ONCE: for a test of keys that no other key leads to.
  (func (export "probe") (param $length i32)
    (v128.store (i32.const 1856) (call $mac (i32.const 128) (local.get $length))))

  (func $wipe
    (v128.store (i32.const 0) (v128.const i64x2 0 0))
    (v128.store (i32.const 16) (v128.const i64x2 0 0))
    (v128.store (i32.const 1792) (v128.const i64x2 0 0))
    (v128.store (i32.const 1808) (v128.const i64x2 0 0)))

  ;; ZEROS and IN with the key stream to ONCE and OUT, two blocks at a time (RFC 8439 §2.3, §2.4): a row of the state is a vector, and two
  ;; blocks beside each other hide what one operation waits for another.
  (func $stream (param $length i32) (param $low i32) (param $high i32)
    (local $at i32) (local $round i32)
    (local $a0 v128) (local $b0 v128) (local $c0 v128) (local $d0 v128) (local $e0 v128)
    (local $a1 v128) (local $b1 v128) (local $c1 v128) (local $d1 v128) (local $e1 v128)
    (local.set $e0 (i32x4.replace_lane 2
      (i32x4.replace_lane 3 (v128.const i32x4 0 0 0 0) (local.get $high)) (local.get $low)))
    (loop $blocks
      (local.set $e1 (i32x4.add (local.get $e0) (v128.const i32x4 1 0 0 0)))
      (local.set $a0 (global.get $words))
      (local.set $a1 (local.get $a0))
      (local.set $b0 (v128.load offset=0 (i32.const 0)))
      (local.set $b1 (local.get $b0))
      (local.set $c0 (v128.load offset=16 (i32.const 0)))
      (local.set $c1 (local.get $c0))
      (local.set $d0 (local.get $e0))
      (local.set $d1 (local.get $e1))
      (local.set $round (i32.const 10))
      (loop $rounds
        ;; Columns.
        (local.set $a0 (i32x4.add (local.get $a0) (local.get $b0)))
        (local.set $a1 (i32x4.add (local.get $a1) (local.get $b1)))
        (local.set $d0 (i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          (local.tee $d0 (v128.xor (local.get $d0) (local.get $a0))) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          (local.tee $d1 (v128.xor (local.get $d1) (local.get $a1))) (local.get $d1)))
        (local.set $c0 (i32x4.add (local.get $c0) (local.get $d0)))
        (local.set $c1 (i32x4.add (local.get $c1) (local.get $d1)))
        (local.set $b0 (v128.or
          (i32x4.shl (local.tee $b0 (v128.xor (local.get $b0) (local.get $c0))) (i32.const 12))
          (i32x4.shr_u (local.get $b0) (i32.const 20))))
        (local.set $b1 (v128.or
          (i32x4.shl (local.tee $b1 (v128.xor (local.get $b1) (local.get $c1))) (i32.const 12))
          (i32x4.shr_u (local.get $b1) (i32.const 20))))
        (local.set $a0 (i32x4.add (local.get $a0) (local.get $b0)))
        (local.set $a1 (i32x4.add (local.get $a1) (local.get $b1)))
        (local.set $d0 (i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          (local.tee $d0 (v128.xor (local.get $d0) (local.get $a0))) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          (local.tee $d1 (v128.xor (local.get $d1) (local.get $a1))) (local.get $d1)))
        (local.set $c0 (i32x4.add (local.get $c0) (local.get $d0)))
        (local.set $c1 (i32x4.add (local.get $c1) (local.get $d1)))
        (local.set $b0 (v128.or
          (i32x4.shl (local.tee $b0 (v128.xor (local.get $b0) (local.get $c0))) (i32.const 7))
          (i32x4.shr_u (local.get $b0) (i32.const 25))))
        (local.set $b1 (v128.or
          (i32x4.shl (local.tee $b1 (v128.xor (local.get $b1) (local.get $c1))) (i32.const 7))
          (i32x4.shr_u (local.get $b1) (i32.const 25))))
        ;; Diagonals become columns.
        (local.set $b0 (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $b0) (local.get $b0)))
        (local.set $b1 (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $b1) (local.get $b1)))
        (local.set $c0 (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $c0) (local.get $c0)))
        (local.set $c1 (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $c1) (local.get $c1)))
        (local.set $d0 (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $d0) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $d1) (local.get $d1)))
        (local.set $a0 (i32x4.add (local.get $a0) (local.get $b0)))
        (local.set $a1 (i32x4.add (local.get $a1) (local.get $b1)))
        (local.set $d0 (i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          (local.tee $d0 (v128.xor (local.get $d0) (local.get $a0))) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          (local.tee $d1 (v128.xor (local.get $d1) (local.get $a1))) (local.get $d1)))
        (local.set $c0 (i32x4.add (local.get $c0) (local.get $d0)))
        (local.set $c1 (i32x4.add (local.get $c1) (local.get $d1)))
        (local.set $b0 (v128.or
          (i32x4.shl (local.tee $b0 (v128.xor (local.get $b0) (local.get $c0))) (i32.const 12))
          (i32x4.shr_u (local.get $b0) (i32.const 20))))
        (local.set $b1 (v128.or
          (i32x4.shl (local.tee $b1 (v128.xor (local.get $b1) (local.get $c1))) (i32.const 12))
          (i32x4.shr_u (local.get $b1) (i32.const 20))))
        (local.set $a0 (i32x4.add (local.get $a0) (local.get $b0)))
        (local.set $a1 (i32x4.add (local.get $a1) (local.get $b1)))
        (local.set $d0 (i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          (local.tee $d0 (v128.xor (local.get $d0) (local.get $a0))) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          (local.tee $d1 (v128.xor (local.get $d1) (local.get $a1))) (local.get $d1)))
        (local.set $c0 (i32x4.add (local.get $c0) (local.get $d0)))
        (local.set $c1 (i32x4.add (local.get $c1) (local.get $d1)))
        (local.set $b0 (v128.or
          (i32x4.shl (local.tee $b0 (v128.xor (local.get $b0) (local.get $c0))) (i32.const 7))
          (i32x4.shr_u (local.get $b0) (i32.const 25))))
        (local.set $b1 (v128.or
          (i32x4.shl (local.tee $b1 (v128.xor (local.get $b1) (local.get $c1))) (i32.const 7))
          (i32x4.shr_u (local.get $b1) (i32.const 25))))
        (local.set $b0 (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $b0) (local.get $b0)))
        (local.set $b1 (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $b1) (local.get $b1)))
        (local.set $c0 (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $c0) (local.get $c0)))
        (local.set $c1 (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $c1) (local.get $c1)))
        (local.set $d0 (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $d0) (local.get $d0)))
        (local.set $d1 (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $d1) (local.get $d1)))
        (br_if $rounds (local.tee $round (i32.sub (local.get $round) (i32.const 1)))))
      (v128.store offset=1792 (local.get $at)
        (v128.xor (v128.load offset=64 (local.get $at))
          (i32x4.add (local.get $a0) (global.get $words))))
      (v128.store offset=1808 (local.get $at)
        (v128.xor (v128.load offset=80 (local.get $at))
          (i32x4.add (local.get $b0) (v128.load offset=0 (i32.const 0)))))
      (v128.store offset=1824 (local.get $at)
        (v128.xor (v128.load offset=96 (local.get $at))
          (i32x4.add (local.get $c0) (v128.load offset=16 (i32.const 0)))))
      (v128.store offset=1840 (local.get $at)
        (v128.xor (v128.load offset=112 (local.get $at))
          (i32x4.add (local.get $d0) (local.get $e0))))
      (v128.store offset=1856 (local.get $at)
        (v128.xor (v128.load offset=128 (local.get $at))
          (i32x4.add (local.get $a1) (global.get $words))))
      (v128.store offset=1872 (local.get $at)
        (v128.xor (v128.load offset=144 (local.get $at))
          (i32x4.add (local.get $b1) (v128.load offset=0 (i32.const 0)))))
      (v128.store offset=1888 (local.get $at)
        (v128.xor (v128.load offset=160 (local.get $at))
          (i32x4.add (local.get $c1) (v128.load offset=16 (i32.const 0)))))
      (v128.store offset=1904 (local.get $at)
        (v128.xor (v128.load offset=176 (local.get $at))
          (i32x4.add (local.get $d1) (local.get $e1))))
      (local.set $e0 (i32x4.add (local.get $e0) (v128.const i32x4 2 0 0 0)))
      (local.set $at (i32.add (local.get $at) (i32.const 128)))
      (br_if $blocks
        (i32.lt_u (local.get $at) (i32.add (local.get $length) (i32.const 64))))))

  (func $either (param $mask i64) (param $set i64) (param $clear i64) (result i64)
    (i64.or
      (i64.and (local.get $set) (local.get $mask))
      (i64.and (local.get $clear) (i64.xor (local.get $mask) (i64.const -1)))))

  ;; The tag of $length bytes at $at, behind which are zeros to a multiple of 16, under the key at ONCE (RFC 8439 §2.5, §2.8): five parts of
  ;; 26 bits.
  (func $mac (param $at i32) (param $length i32) (result v128)
    (local $end i32) (local $low i64) (local $high i64) (local $keep i64) (local $sum i64)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64) (local $r4 i64)
    (local $s1 i64) (local $s2 i64) (local $s3 i64) (local $s4 i64)
    (local $h0 i64) (local $h1 i64) (local $h2 i64) (local $h3 i64) (local $h4 i64)
    (local $d0 i64) (local $d1 i64) (local $d2 i64) (local $d3 i64) (local $d4 i64)
    (local.set $low (i64.and (i64.load (i32.const 1792)) (i64.const 0x0ffffffc0fffffff)))
    (local.set $high (i64.and (i64.load (i32.const 1800)) (i64.const 0x0ffffffc0ffffffc)))
    (local.set $r0 (i64.and (local.get $low) (i64.const 0x3ffffff)))
    (local.set $r1 (i64.and (i64.shr_u (local.get $low) (i64.const 26)) (i64.const 0x3ffffff)))
    (local.set $r2 (i64.and
      (i64.or (i64.shr_u (local.get $low) (i64.const 52)) (i64.shl (local.get $high) (i64.const 12)))
      (i64.const 0x3ffffff)))
    (local.set $r3 (i64.and (i64.shr_u (local.get $high) (i64.const 14)) (i64.const 0x3ffffff)))
    (local.set $r4 (i64.shr_u (local.get $high) (i64.const 40)))
    (local.set $s1 (i64.mul (local.get $r1) (i64.const 5)))
    (local.set $s2 (i64.mul (local.get $r2) (i64.const 5)))
    (local.set $s3 (i64.mul (local.get $r3) (i64.const 5)))
    (local.set $s4 (i64.mul (local.get $r4) (i64.const 5)))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $blocks
      ;; After the text: the lengths of the associated data, which is none, and of the text.
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (local.set $low (i64.load (local.get $at)))
          (local.set $high (i64.load offset=8 (local.get $at))))
        (else
          (local.set $low (i64.const 0))
          (local.set $high (i64.extend_i32_u (local.get $length)))))
      (local.set $h0 (i64.add (local.get $h0) (i64.and (local.get $low) (i64.const 0x3ffffff))))
      (local.set $h1 (i64.add (local.get $h1)
        (i64.and (i64.shr_u (local.get $low) (i64.const 26)) (i64.const 0x3ffffff))))
      (local.set $h2 (i64.add (local.get $h2) (i64.and
        (i64.or
          (i64.shr_u (local.get $low) (i64.const 52)) (i64.shl (local.get $high) (i64.const 12)))
        (i64.const 0x3ffffff))))
      (local.set $h3 (i64.add (local.get $h3)
        (i64.and (i64.shr_u (local.get $high) (i64.const 14)) (i64.const 0x3ffffff))))
      (local.set $h4 (i64.add (local.get $h4)
        (i64.or (i64.shr_u (local.get $high) (i64.const 40)) (i64.const 0x1000000))))
      (local.set $d0 (i64.add (i64.add (i64.add (i64.add (i64.mul (local.get $h0) (local.get $r0))
          (i64.mul (local.get $h1) (local.get $s4)))
          (i64.mul (local.get $h2) (local.get $s3)))
          (i64.mul (local.get $h3) (local.get $s2)))
          (i64.mul (local.get $h4) (local.get $s1))))
      (local.set $d1 (i64.add (i64.add (i64.add (i64.add (i64.mul (local.get $h0) (local.get $r1))
          (i64.mul (local.get $h1) (local.get $r0)))
          (i64.mul (local.get $h2) (local.get $s4)))
          (i64.mul (local.get $h3) (local.get $s3)))
          (i64.mul (local.get $h4) (local.get $s2))))
      (local.set $d2 (i64.add (i64.add (i64.add (i64.add (i64.mul (local.get $h0) (local.get $r2))
          (i64.mul (local.get $h1) (local.get $r1)))
          (i64.mul (local.get $h2) (local.get $r0)))
          (i64.mul (local.get $h3) (local.get $s4)))
          (i64.mul (local.get $h4) (local.get $s3))))
      (local.set $d3 (i64.add (i64.add (i64.add (i64.add (i64.mul (local.get $h0) (local.get $r3))
          (i64.mul (local.get $h1) (local.get $r2)))
          (i64.mul (local.get $h2) (local.get $r1)))
          (i64.mul (local.get $h3) (local.get $r0)))
          (i64.mul (local.get $h4) (local.get $s4))))
      (local.set $d4 (i64.add (i64.add (i64.add (i64.add (i64.mul (local.get $h0) (local.get $r4))
          (i64.mul (local.get $h1) (local.get $r3)))
          (i64.mul (local.get $h2) (local.get $r2)))
          (i64.mul (local.get $h3) (local.get $r1)))
          (i64.mul (local.get $h4) (local.get $r0))))
      (local.set $d1 (i64.add (local.get $d1) (i64.shr_u (local.get $d0) (i64.const 26))))
      (local.set $d2 (i64.add (local.get $d2) (i64.shr_u (local.get $d1) (i64.const 26))))
      (local.set $d3 (i64.add (local.get $d3) (i64.shr_u (local.get $d2) (i64.const 26))))
      (local.set $d4 (i64.add (local.get $d4) (i64.shr_u (local.get $d3) (i64.const 26))))
      (local.set $h0 (i64.add (i64.and (local.get $d0) (i64.const 0x3ffffff))
        (i64.mul (i64.shr_u (local.get $d4) (i64.const 26)) (i64.const 5))))
      (local.set $h1 (i64.add (i64.and (local.get $d1) (i64.const 0x3ffffff)) (i64.shr_u (local.get $h0) (i64.const 26))))
      (local.set $h0 (i64.and (local.get $h0) (i64.const 0x3ffffff)))
      (local.set $h2 (i64.and (local.get $d2) (i64.const 0x3ffffff)))
      (local.set $h3 (i64.and (local.get $d3) (i64.const 0x3ffffff)))
      (local.set $h4 (i64.and (local.get $d4) (i64.const 0x3ffffff)))
      (br_if $blocks
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 16)))
          (i32.add (local.get $end) (i32.const 16)))))
    (local.set $h2 (i64.add (local.get $h2) (i64.shr_u (local.get $h1) (i64.const 26))))
    (local.set $h1 (i64.and (local.get $h1) (i64.const 0x3ffffff)))
    (local.set $h3 (i64.add (local.get $h3) (i64.shr_u (local.get $h2) (i64.const 26))))
    (local.set $h2 (i64.and (local.get $h2) (i64.const 0x3ffffff)))
    (local.set $h4 (i64.add (local.get $h4) (i64.shr_u (local.get $h3) (i64.const 26))))
    (local.set $h3 (i64.and (local.get $h3) (i64.const 0x3ffffff)))
    (local.set $h0 (i64.add (local.get $h0) (i64.mul (i64.shr_u (local.get $h4) (i64.const 26)) (i64.const 5))))
    (local.set $h4 (i64.and (local.get $h4) (i64.const 0x3ffffff)))
    (local.set $h1 (i64.add (local.get $h1) (i64.shr_u (local.get $h0) (i64.const 26))))
    (local.set $h0 (i64.and (local.get $h0) (i64.const 0x3ffffff)))
    ;; The same less p, which counts when it is not negative; no branch depends on it.
    (local.set $d0 (i64.add (local.get $h0) (i64.const 5)))
    (local.set $d1 (i64.add (local.get $h1) (i64.shr_u (local.get $d0) (i64.const 26))))
    (local.set $d0 (i64.and (local.get $d0) (i64.const 0x3ffffff)))
    (local.set $d2 (i64.add (local.get $h2) (i64.shr_u (local.get $d1) (i64.const 26))))
    (local.set $d1 (i64.and (local.get $d1) (i64.const 0x3ffffff)))
    (local.set $d3 (i64.add (local.get $h3) (i64.shr_u (local.get $d2) (i64.const 26))))
    (local.set $d2 (i64.and (local.get $d2) (i64.const 0x3ffffff)))
    (local.set $d4 (i64.add (local.get $h4) (i64.shr_u (local.get $d3) (i64.const 26))))
    (local.set $d3 (i64.and (local.get $d3) (i64.const 0x3ffffff)))
    (local.set $d4 (i64.sub (local.get $d4) (i64.const 0x4000000)))
    (local.set $keep (i64.shr_s (local.get $d4) (i64.const 63)))
    (local.set $h0 (call $either (local.get $keep) (local.get $h0) (local.get $d0)))
    (local.set $h1 (call $either (local.get $keep) (local.get $h1) (local.get $d1)))
    (local.set $h2 (call $either (local.get $keep) (local.get $h2) (local.get $d2)))
    (local.set $h3 (call $either (local.get $keep) (local.get $h3) (local.get $d3)))
    (local.set $h4 (call $either (local.get $keep) (local.get $h4) (local.get $d4)))
    (local.set $low (i64.or (local.get $h0)
      (i64.or (i64.shl (local.get $h1) (i64.const 26)) (i64.shl (local.get $h2) (i64.const 52)))))
    (local.set $high (i64.or (i64.shr_u (local.get $h2) (i64.const 12))
      (i64.or (i64.shl (local.get $h3) (i64.const 14)) (i64.shl (local.get $h4) (i64.const 40)))))
    (local.set $sum (i64.add (local.get $low) (i64.load (i32.const 1808))))
    (local.set $high (i64.add
      (i64.add (local.get $high) (i64.load (i32.const 1816)))
      (i64.extend_i32_u (i64.lt_u (local.get $sum) (local.get $low)))))
    (i64x2.replace_lane 1 (i64x2.splat (local.get $sum)) (local.get $high))))
