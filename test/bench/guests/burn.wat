;; Asked with a body of 4 bytes, a count, it computes for that many rounds, then answers with the count.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  ;; A xorshift generator: every round needs the one before.
  (func $burn (param $rounds i32) (result i32)
    (local $x i32)
    (local.set $x (i32.const 0x1234567))
    (loop $again
      (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 13))))
      (local.set $x (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 17))))
      (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 5))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (local.get $x))
  (func (export "init") (param i32 i32)
    (loop $next-message
      (global.set $next (i32.const 4096))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (i32.store (i32.const 32) (call $burn (i32.load (i32.load (i32.const 1096)))))
      (call $send-response
        (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0))
      (br $next-message))))
