;; Arithmetic in a loop around a tiny function: run(n) mixes n words (xorshift and multiplication, 32 bits).
(module
  (memory 1)
  (func $mix (param $hash i32) (param $word i32) (result i32)
    (i32.mul
      (i32.rotl (i32.xor (local.get $hash)
        (i32.mul (local.get $word) (i32.const 0xcc9e2d51))) (i32.const 13))
      (i32.const 5)))
  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $hash i32)
    (local.set $hash (i32.const 0x9747b28c))
    (loop $next
      (local.set $hash (call $mix (local.get $hash)
        (i32.load (i32.and (i32.shl (local.get $i) (i32.const 2)) (i32.const 0xfffc)))))
      (local.set $hash (i32.xor (local.get $hash) (i32.shr_u (local.get $hash) (i32.const 15))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $hash)))
