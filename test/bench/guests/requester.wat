;; Asked with a body of 4 bytes, a count, and the name of a node, or none for its own, it makes that many awaited requests of 64 bytes to echo:bench:sys of
;; that node, one after another, then answers with the count.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "hyperware:process/standard@1.0.0" "send-and-await-response" (func $await (param i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "ourechobenchsys")
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $ask (param $count i32) (param $node i32) (param $node-bytes i32)
    ;; The arguments at 256: target, then the request at 288.
    (i32.store (i32.const 256) (local.get $node))
    (i32.store (i32.const 260) (local.get $node-bytes))
    (i32.store (i32.const 264) (i32.const 67)) (i32.store (i32.const 268) (i32.const 4))
    (i32.store (i32.const 272) (i32.const 71)) (i32.store (i32.const 276) (i32.const 5))
    (i32.store (i32.const 280) (i32.const 76)) (i32.store (i32.const 284) (i32.const 3))
    (i32.store8 (i32.const 296) (i32.const 1)) ;; expects a response
    (i64.store (i32.const 304) (i64.const 600))
    (i32.store (i32.const 312) (i32.const 128)) (i32.store (i32.const 316) (i32.const 64)) ;; body
    (loop $again
      (global.set $next (i32.const 4096))
      (call $await (i32.const 256) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then unreachable)) ;; a send error
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count))))
  (func (export "init") (param i32 i32)
    (local $count i32) (local $node-bytes i32)
    (loop $next-message
      (global.set $next (i32.const 4096))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (local.set $count (i32.load (i32.load (i32.const 1096))))
      (local.set $node-bytes (i32.sub (i32.load (i32.const 1100)) (i32.const 4)))
      ;; What the host passes is overwritten by what it passes next.
      (memory.copy
        (i32.const 512) (i32.add (i32.load (i32.const 1096)) (i32.const 4)) (local.get $node-bytes))
      (if (local.get $node-bytes)
        (then (call $ask (local.get $count) (i32.const 512) (local.get $node-bytes)))
        (else (call $ask (local.get $count) (i32.const 64) (i32.const 3))))
      (i32.store (i32.const 32) (local.get $count))
      (call $send-response
        (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0))
      (br $next-message))))
