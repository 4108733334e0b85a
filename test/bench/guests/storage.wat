;; Asked with a count and a window (4 bytes each), it sends that many requests to the module named below, never more than the window
;; unanswered, each with another number in its body or blob; then, if there is a last body, one awaited request with that. An answer
;; that starts with {"E is an error: it traps. The marker in the module is replaced by the texts and their lengths.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-request" (func $send (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 4)
  ;; @DATA
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  ;; Four decimal digits, the last first.
  (func $number (param $n i32)
    (local $left i32) (local $at i32)
    (local.set $left (i32.const 4))
    (local.set $at (i32.add (global.get $digits) (i32.mul (i32.const 3) (global.get $stride))))
    (loop $digit
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (local.set $at (i32.sub (local.get $at) (global.get $stride)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $digit (local.get $left))))
  (func $request (param $body i32) (param $length i32) (param $blob i32)
    ;; The arguments at 256: target, request at 288, context at 344, blob at 356.
    (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 3))
    (i32.store (i32.const 264) (i32.const 96)) (i32.store (i32.const 268) (global.get $name))
    (i32.store (i32.const 272) (i32.const 67)) (i32.store (i32.const 276) (i32.const 6))
    (i32.store (i32.const 280) (i32.const 73)) (i32.store (i32.const 284) (i32.const 3))
    (i32.store8 (i32.const 296) (i32.const 1)) ;; expects a response
    (i64.store (i32.const 304) (i64.const 300))
    (i32.store (i32.const 312) (local.get $body)) (i32.store (i32.const 316) (local.get $length))
    (i32.store8 (i32.const 356) (local.get $blob))
    (i32.store (i32.const 372) (i32.const 4096)) (i32.store (i32.const 376) (global.get $blob-length))
    (call $send (i32.const 256)))
  ;; The next answer, which must be one.
  (func $answer
    (global.set $next (i32.const 65536))
    (call $receive (i32.const 1024))
    (if (i32.load8_u (i32.const 1024)) (then unreachable))
    (if (i32.ne (i32.load8_u (i32.const 1064)) (i32.const 1)) (then unreachable))
    (if (i32.eq (i32.load8_u (i32.add (i32.load (i32.const 1076)) (i32.const 2))) (i32.const 69))
      (then unreachable)))
  (func $run (param $count i32) (param $window i32)
    (local $sent i32) (local $answered i32)
    (loop $again
      (if (i32.and
            (i32.lt_u (local.get $sent) (local.get $count))
            (i32.lt_u (i32.sub (local.get $sent) (local.get $answered)) (local.get $window)))
        (then
          (call $number (i32.rem_u (local.get $sent) (i32.const 10000)))
          (call $request (i32.const 2048) (global.get $body-length)
            (i32.ne (global.get $blob-length) (i32.const 0)))
          (local.set $sent (i32.add (local.get $sent) (i32.const 1))))
        (else
          (call $answer)
          (local.set $answered (i32.add (local.get $answered) (i32.const 1)))))
      (br_if $again (i32.lt_u (local.get $answered) (local.get $count))))
    (if (global.get $last-length)
      (then
        (call $request (i32.const 8192) (global.get $last-length) (i32.const 0))
        (call $answer))))
  (func (export "init") (param i32 i32)
    (loop $next-message
      (global.set $next (i32.const 65536))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (call $run
        (i32.load (i32.load (i32.const 1096)))
        (i32.load offset=4 (i32.load (i32.const 1096))))
      (call $send-response
        (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0))
      (br $next-message))))
