;; Fills 256 MiB with one instruction, again and again.
(module
  (memory (export "memory") 4096)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "init") (param i32 i32)
    (loop $for-ever
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000))
      (br $for-ever))))
