;; Prints for ever.
(module
  (import "hyperware:process/standard@1.0.0" "print-to-terminal" (func $print (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "a line of a process that never stops printing")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "init") (param i32 i32)
    (loop $for-ever
      (call $print (i32.const 0) (i32.const 64) (i32.const 45))
      (br $for-ever))))
