;; Asked with anything, it answers with the same body after 200 million turns of a loop; asked with an empty body it loops for ever.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "init") (param i32 i32)
    (local $turns i32)
    (loop $next-message
      (global.set $next (i32.const 4096))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (if (i32.eqz (i32.load (i32.const 1100))) (then (loop $ever (br $ever))))
      (local.set $turns (i32.const 200000000))
      (loop $spin
        (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
        (br_if $spin (local.get $turns)))
      (call $send-response
        (i32.const 0) (i32.load (i32.const 1096)) (i32.load (i32.const 1100))
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (br $next-message))))
