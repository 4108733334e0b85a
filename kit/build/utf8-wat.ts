/**
 * UTF-8 as functions of the module in `quickjs-native.ts`. A text is the same bytes on both sides, so both copy; `decode-utf8` looks at
 * them before, by table 3-7 of Unicode 15.0.
 */
export const UTF8_FUNCTIONS = `(func $copy (param $from i32) (param $length i32) (result i32) (local $to i32)
    (local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $length)))
    (memory.copy (local.get $to) (local.get $from) (local.get $length))
    (local.get $to))
  (func $follows (param $at i32) (result i32)
    (i32.eq (i32.and (i32.load8_u (local.get $at)) (i32.const 0xc0)) (i32.const 0x80)))
  (func $valid (param $at i32) (param $end i32) (result i32) (local $first i32) (local $second i32)
    (block $bad
      (loop $next
        (block $slow
          (loop $words
            (br_if $slow (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $end)))
            (br_if $slow (i64.ne
              (i64.and (i64.load align=1 (local.get $at)) (i64.const 0x8080808080808080)) (i64.const 0)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $words)))
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 1))))
        (local.set $first (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $first) (i32.const 0x80)))
        (br_if $bad (i32.lt_u (local.get $first) (i32.const 0xc2)))
        (br_if $bad (i32.gt_u (local.get $first) (i32.const 0xf4)))
        (br_if $bad (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $bad (i32.eqz (call $follows (local.get $at))))
        (local.set $second (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $first) (i32.const 0xe0)))
        (br_if $bad (i32.and (i32.eq (local.get $first) (i32.const 0xe0)) (i32.lt_u (local.get $second) (i32.const 0xa0))))
        (br_if $bad (i32.and (i32.eq (local.get $first) (i32.const 0xed)) (i32.gt_u (local.get $second) (i32.const 0x9f))))
        (br_if $bad (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $bad (i32.eqz (call $follows (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $first) (i32.const 0xf0)))
        (br_if $bad (i32.and (i32.eq (local.get $first) (i32.const 0xf0)) (i32.lt_u (local.get $second) (i32.const 0x90))))
        (br_if $bad (i32.and (i32.eq (local.get $first) (i32.const 0xf4)) (i32.gt_u (local.get $second) (i32.const 0x8f))))
        (br_if $bad (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $bad (i32.eqz (call $follows (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  (func (export "decode-utf8") (param $at i32) (param $length i32) (param $result i32)
    (if (i32.eqz (call $valid (local.get $at) (i32.add (local.get $at) (local.get $length))))
      (then (i32.store8 (local.get $result) (i32.const 0)) (return)))
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store offset=4 (local.get $result) (call $copy (local.get $at) (local.get $length)))
    (i32.store offset=8 (local.get $result) (local.get $length)))
  (func (export "encode-utf8") (param $at i32) (param $length i32) (param $result i32)
    (i32.store (local.get $result) (call $copy (local.get $at) (local.get $length)))
    (i32.store offset=4 (local.get $result) (local.get $length)))`;
