;; Answers every request with its own body and blob. Built for the oldest generation we run.
;; A core module; kit wraps it into a component of the world that its imports name.
(module
  (import "kinode:process/standard@0.7.0" "receive" (func $receive (param i32)))
  (import "kinode:process/standard@0.7.0" "send-response"
    (func $send-response
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 2)
  ;; What the host passes is freed by starting over at each receive.
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc")
    (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (if (i32.lt_u (local.get $end) (local.get $at)) (then (unreachable)))
    (block $fits
      (br_if $fits (i32.le_u (local.get $end) (i32.shl (memory.size) (i32.const 16))))
      (br_if $fits
        (i32.ne (i32.const -1)
          (memory.grow
            (i32.sub
              (i32.add (i32.shr_u (local.get $end) (i32.const 16)) (i32.const 1))
              (memory.size)))))
      (unreachable))
    (if (local.get $old-size)
      (then (memory.copy (local.get $at) (local.get $old) (local.get $old-size))))
    (global.set $next (local.get $end))
    (local.get $at))
  (func (export "init") (param i32 i32)
    (loop $next-message
      (global.set $next (i32.const 4096))
      ;; The delivery at 1024: its kind; from 1032 the source (32 bytes), from 1064 the message.
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024))) ;; a send error
      (br_if $next-message (i32.load8_u (i32.const 1064))) ;; a response
      (br_if $next-message (i32.eqz (i32.load8_u (i32.const 1080)))) ;; expects-response: none
      (call $send-response
        (i32.const 1) ;; inherit: the blob
        (i32.load (i32.const 1096)) (i32.load (i32.const 1100)) ;; body
        (i32.const 0) (i32.const 0) (i32.const 0) ;; no metadata
        (i32.const 0) (i32.const 0) ;; no capabilities
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) ;; no blob
      (br $next-message)))
)
