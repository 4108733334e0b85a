;; Passes the blob of every request on to catcher:distro:sys.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-request" (func $send (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "ourcatcherdistrosys")
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
    ;; At 256: the target, then the request at 288, with a body.
    (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 3))
    (i32.store (i32.const 264) (i32.const 67)) (i32.store (i32.const 268) (i32.const 7))
    (i32.store (i32.const 272) (i32.const 74)) (i32.store (i32.const 276) (i32.const 6))
    (i32.store (i32.const 280) (i32.const 80)) (i32.store (i32.const 284) (i32.const 3))
    (i32.store8 (i32.const 288) (i32.const 1)) ;; inherit
    (i32.store (i32.const 312) (i32.const 80)) (i32.store (i32.const 316) (i32.const 2))
    (loop $next-message
      (global.set $next (i32.const 4096))
      (call $receive (i32.const 1024))
      (call $send (i32.const 256))
      (br $next-message))))
