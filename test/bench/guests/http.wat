;; Answers every request as a web page would be: status and headers as the body, 1 KiB of content as the blob.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-response"
    (func $send-response (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 16)
  (global $next (mut i32) (i32.const 0x10000))
  (data (i32.const 2048) "{\"status\":200,\"headers\":{\"Content-Type\":\"application/json\"}}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "init") (param i32 i32)
    (memory.fill (i32.const 4096) (i32.const 0x61) (i32.const 1024))
    (loop $next-message
      (global.set $next (i32.const 0x10000))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024)))
      (br_if $next-message (i32.load8_u (i32.const 1064)))
      (call $send-response
        (i32.const 0) (i32.const 2048) (i32.const 60) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 4096) (i32.const 1024))
      (br $next-message))))
