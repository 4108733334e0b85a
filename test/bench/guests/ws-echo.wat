;; Binds a WebSocket at its path and pushes every frame back on its channel: the body of a frame's message is the action that sends one.
(module
  (import "hyperware:process/standard@1.0.0" "receive" (func $receive (param i32)))
  (import "hyperware:process/standard@1.0.0" "get-blob" (func $get-blob (param i32)))
  (import "hyperware:process/standard@1.0.0" "send-request" (func $send (param i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "ourhttp-serverdistrosys")
  (data (i32.const 512) "{\22WebSocketBind\22:{\22path\22:\22/\22,\22authenticated\22:false,\22extension\22:false}}")
  (global $next (mut i32) (i32.const 8192))
  ;; What the host passes is freed by starting over at each receive.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $request (param $body i32) (param $length i32)
    ;; The arguments at 256: target, request at 288, context at 344, blob at 356. No response is expected.
    (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 3))
    (i32.store (i32.const 264) (i32.const 67)) (i32.store (i32.const 268) (i32.const 11))
    (i32.store (i32.const 272) (i32.const 78)) (i32.store (i32.const 276) (i32.const 6))
    (i32.store (i32.const 280) (i32.const 84)) (i32.store (i32.const 284) (i32.const 3))
    (i32.store (i32.const 312) (local.get $body)) (i32.store (i32.const 316) (local.get $length))
    (call $send (i32.const 256)))
  (func (export "init") (param i32 i32)
    (call $request (i32.const 512) (i32.const 70))
    (loop $next-message
      (global.set $next (i32.const 8192))
      (call $receive (i32.const 1024))
      (br_if $next-message (i32.load8_u (i32.const 1024))) ;; a send error
      (br_if $next-message (i32.load8_u (i32.const 1064))) ;; a response
      ;; {"WebSocketPush": the letter after {"WebSocket
      (br_if $next-message
        (i32.ne (i32.load8_u offset=11 (i32.load (i32.const 1096))) (i32.const 80)))
      (call $get-blob (i32.const 3072))
      (i32.store (i32.const 356) (i32.load (i32.const 3072)))
      (i32.store (i32.const 372) (i32.load (i32.const 3088)))
      (i32.store (i32.const 376) (i32.load (i32.const 3092)))
      (call $request (i32.load (i32.const 1096)) (i32.load (i32.const 1100)))
      (br $next-message)))
)
