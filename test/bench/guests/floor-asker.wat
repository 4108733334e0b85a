;; The floor's requester: no kernel, no component. `exchange` hands the 64 bytes at 128 to the other guest and comes back when its
;; answer lies at 2048.
(module
  (import "floor" "exchange" (func $exchange (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "run") (param $count i32)
    (loop $again
      (call $exchange (i32.const 128) (i32.const 64) (i32.const 2048))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count)))))
