;; Asked with a body of 4 bytes, a count, it makes that many awaited requests with a blob of 1 MiB to echo-blob:bench:sys and takes
;; the blob of each answer, then answers with the count.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "get-blob" (func $get-blob (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "hyperware:process/standard@1.0.0" "send-and-await-response" (func $await (param i32 i32)))
  ;; The blob to send at 1 MiB, what the host passes from 2 MiB.
  (memory (export "memory") 64)
  (data (i32.const 64) "ourecho-blobbenchsys")
  (global $next (mut i32) (i32.const 0x200000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $ask (param $count i32)
    ;; The arguments at 256: target, the request at 288, the blob at 344.
    (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 3))
    (i32.store (i32.const 264) (i32.const 67)) (i32.store (i32.const 268) (i32.const 9))
    (i32.store (i32.const 272) (i32.const 76)) (i32.store (i32.const 276) (i32.const 5))
    (i32.store (i32.const 280) (i32.const 81)) (i32.store (i32.const 284) (i32.const 3))
    (i32.store8 (i32.const 296) (i32.const 1)) ;; expects a response
    (i64.store (i32.const 304) (i64.const 30))
    (i32.store8 (i32.const 344) (i32.const 1)) ;; a blob, without a mime type
    (i32.store (i32.const 360) (i32.const 0x100000)) (i32.store (i32.const 364) (i32.const 0x100000))
    (loop $again
      (global.set $next (i32.const 0x200000))
      (call $await (i32.const 256) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then unreachable)) ;; a send error
      (call $get-blob (i32.const 3072))
      (if (i32.ne (i32.load (i32.const 3092)) (i32.const 0x100000)) (then unreachable))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count))))
  (func (export "init") (param i32 i32)
    (local $count i32)
    (loop $next-message
      (global.set $next (i32.const 0x200000))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (local.set $count (i32.load (i32.load (i32.const 1096))))
      (call $ask (local.get $count))
      (i32.store (i32.const 32) (local.get $count))
      (call $send-response
        (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0))
      (br $next-message))))
