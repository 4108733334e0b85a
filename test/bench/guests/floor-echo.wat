;; The floor's echo: waits for bytes at 1024, answers with them, for ever.
(module
  (import "floor" "receive" (func $receive (param i32) (result i32)))
  (import "floor" "answer" (func $answer (param i32 i32)))
  (memory (export "memory") 2)
  (func (export "run")
    (loop $next
      (call $answer (i32.const 1024) (call $receive (i32.const 1024)))
      (br $next))))
