;; A loop whose body is 20,000 instructions in one line: the bench puts them where it says BODY.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "init") (param i32 i32)
    (local $x f64)
    (local.set $x (f64.const 1.5))
    (loop $for-ever
      (;BODY;)
      (br $for-ever))))
