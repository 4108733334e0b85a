;; Byte vectors as lists of MessagePack integers, and back: `xx` below 0x80, `cc xx` from there (networking.md §5). `simd-vectors.ts` copies
;; a block to INPUT, calls, and copies OUTPUT. Loads and stores go past what counts, into padding. `test/simd-vectors-wasm.ts` makes bytes of
;; this file.
;;
;;      0  WIDEN   256 x 16: for the high bits of eight bytes, which bytes of `cc b0 cc b1 …` stay
;;   4096  NARROW  256 x 8: for the bytes of eight that are no marker, where they are
;;   8192  INPUT   65536, and 64 of padding
;;  73792  OUTPUT  131072, and 64 of padding
(module
  (memory (export "memory") 4)
  ;; What the last call of `decode` has read of INPUT.
  (global $consumed (export "consumed") (mut i32) (i32.const 0))

  (func $tables
    (local $mask i32) (local $bit i32) (local $wide i32) (local $narrow i32)
    (loop $masks
      (local.set $wide (i32.shl (local.get $mask) (i32.const 4)))
      (local.set $narrow (i32.add (i32.const 4096) (i32.shl (local.get $mask) (i32.const 3))))
      (local.set $bit (i32.const 0))
      (loop $bits
        (if (i32.and (i32.shr_u (local.get $mask) (local.get $bit)) (i32.const 1))
          (then
            (i32.store8 (local.get $wide) (i32.shl (local.get $bit) (i32.const 1)))
            (local.set $wide (i32.add (local.get $wide) (i32.const 1)))
            (i32.store8 (local.get $narrow) (local.get $bit))
            (local.set $narrow (i32.add (local.get $narrow) (i32.const 1)))))
        (i32.store8 (local.get $wide)
          (i32.add (i32.shl (local.get $bit) (i32.const 1)) (i32.const 1)))
        (local.set $wide (i32.add (local.get $wide) (i32.const 1)))
        (br_if $bits
          (i32.lt_u (local.tee $bit (i32.add (local.get $bit) (i32.const 1))) (i32.const 8))))
      (br_if $masks
        (i32.lt_u (local.tee $mask (i32.add (local.get $mask) (i32.const 1))) (i32.const 256)))))
  (start $tables)

  ;; How many of the first $length bytes of INPUT, a multiple of 16, take two.
  (func (export "high") (param $length i32) (result i32)
    (local $at i32) (local $high i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $length))
        (then
          (local.set $high (i32.add (local.get $high)
            (i32.popcnt (i8x16.bitmask (v128.load offset=8192 (local.get $at))))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next))))
    (local.get $high))

  ;; The first $length bytes of INPUT, a multiple of 16, to OUTPUT; how many bytes they are there. Both halves are written out: as calls of
  ;; one function they took three times as long.
  (func (export "encode") (param $length i32) (result i32)
    (local $at i32) (local $to i32) (local $bytes v128) (local $mask i32) (local $low i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $length))
        (then
          (local.set $bytes (v128.load offset=8192 (local.get $at)))
          (local.set $mask (i8x16.bitmask (local.get $bytes)))
          (local.set $low (i32.and (local.get $mask) (i32.const 0xff)))
          (v128.store offset=73792 (local.get $to)
            (i8x16.swizzle
              (i8x16.shuffle 16 0 17 1 18 2 19 3 20 4 21 5 22 6 23 7
                (local.get $bytes) (i8x16.splat (i32.const 0xcc)))
              (v128.load (i32.shl (local.get $low) (i32.const 4)))))
          (v128.store offset=73800
            (i32.add (local.get $to) (i32.popcnt (local.get $low)))
            (i8x16.swizzle
              (i8x16.shuffle 24 8 25 9 26 10 27 11 28 12 29 13 30 14 31 15
                (local.get $bytes) (i8x16.splat (i32.const 0xcc)))
              (v128.load
                (i32.shl (i32.shr_u (local.get $mask) (i32.const 8)) (i32.const 4)))))
          (local.set $to
            (i32.add (i32.add (local.get $to) (i32.const 16)) (i32.popcnt (local.get $mask))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next))))
    (local.get $to))

  ;; Which of the 64 bytes at $at of INPUT have their highest bit set.
  (func $high64 (param $at i32) (result i64)
    (call $mask64
      (v128.load offset=8192 (local.get $at)) (v128.load offset=8208 (local.get $at))
      (v128.load offset=8224 (local.get $at)) (v128.load offset=8240 (local.get $at))))

  (func $mask64 (param $a v128) (param $b v128) (param $c v128) (param $d v128) (result i64)
    (i64.or
      (i64.extend_i32_u (i32.or
        (i8x16.bitmask (local.get $a))
        (i32.shl (i8x16.bitmask (local.get $b)) (i32.const 16))))
      (i64.shl
        (i64.extend_i32_u (i32.or
          (i8x16.bitmask (local.get $c))
          (i32.shl (i8x16.bitmask (local.get $d)) (i32.const 16))))
        (i64.const 32))))

  ;; Which of them are 0xcc.
  (func $cc64 (param $at i32) (result i64)
    (local $cc v128)
    (local.set $cc (i8x16.splat (i32.const 0xcc)))
    (call $mask64
      (i8x16.eq (v128.load offset=8192 (local.get $at)) (local.get $cc))
      (i8x16.eq (v128.load offset=8208 (local.get $at)) (local.get $cc))
      (i8x16.eq (v128.load offset=8224 (local.get $at)) (local.get $cc))
      (i8x16.eq (v128.load offset=8240 (local.get $at)) (local.get $cc))))

  ;; Integers of the two usual forms from INPUT to OUTPUT, 64 bytes at a time, until $length or $room have less than that left or a block
  ;; has another form; how many there were.
  (func (export "decode") (param $length i32) (param $room i32) (result i32)
    (local $at i32) (local $to i32) (local $end i32) (local $group i32) (local $keep i32)
    (local $cc i64) (local $behind i64) (local $may i64) (local $series i64) (local $marker i64)
    (local $markers i64)
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const 64)) (local.get $length)))
        (br_if $done (i32.gt_u (i32.add (local.get $to) (i32.const 64)) (local.get $room)))
        ;; Of a row of 0xcc every other one is a marker. Subtracting where such a row starts carries through it (as simdjson finds
        ;; escapes). $behind: a marker ended the block before.
        (local.set $cc (call $cc64 (local.get $at)))
        (local.set $may (i64.and (local.get $cc) (i64.xor (local.get $behind) (i64.const -1))))
        (local.set $series
          (i64.xor
            (i64.sub
              (i64.or
                (i64.shl (local.get $may) (i64.const 1))
                (i64.const 0xaaaaaaaaaaaaaaaa))
              (local.get $may))
            (i64.const 0xaaaaaaaaaaaaaaaa)))
        (local.set $marker (i64.and (local.get $series) (local.get $cc)))
        ;; Whatever is neither a marker nor behind one has to be its own value.
        (br_if $done
          (i64.ne (i64.const 0)
            (i64.and (call $high64 (local.get $at))
              (i64.xor (i64.const -1)
                (i64.or
                  (i64.or (i64.shl (local.get $marker) (i64.const 1)) (local.get $behind))
                  (local.get $marker))))))
        (local.set $behind (i64.shr_u (local.get $marker) (i64.const 63)))
        (local.set $markers (local.get $marker))
        (local.set $end (i32.add (local.get $at) (i32.const 64)))
        (loop $groups
          (local.set $keep
            (i32.and
              (i32.xor (i32.wrap_i64 (local.get $markers)) (i32.const 0xff)) (i32.const 0xff)))
          (v128.store64_lane offset=73792 0 (local.get $to)
            (i8x16.swizzle
              (v128.load64_zero offset=8192 (local.get $at))
              (v128.load64_zero offset=4096 (i32.shl (local.get $keep) (i32.const 3)))))
          (local.set $to (i32.add (local.get $to) (i32.popcnt (local.get $keep))))
          (local.set $markers (i64.shr_u (local.get $markers) (i64.const 8)))
          (br_if $groups
            (i32.lt_u
              (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
        (br $next)))
    ;; A marker without what belongs to it is read again.
    (global.set $consumed (i32.sub (local.get $at) (i32.wrap_i64 (local.get $behind))))
    (local.get $to)))
