;; A reading loop that leaves in the middle: run(n) adds up n bytes, 64 KiB at a time.
(module
  (memory 1)
  (func $sum (param $length i32) (result i32)
    (local $i i32) (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $length)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $sum))
  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $fill
      (i32.store8 (local.get $i) (local.get $i))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 7))) (i32.const 65536))))
    (block $done
      (loop $more
        (br_if $done (i32.le_s (local.get $n) (i32.const 0)))
        (local.set $sum (i32.add (local.get $sum) (call $sum (i32.const 65536))))
        (local.set $n (i32.sub (local.get $n) (i32.const 65536)))
        (br $more)))
    (local.get $sum)))
