;; The tightest loop: run(n) copies n bytes one by one, 64 KiB at a time, and gives the last one.
(module
  (memory 3)
  (func $copy (param $to i32) (param $from i32) (param $length i32)
    (local $i i32)
    (loop $next
      (i32.store8 (i32.add (local.get $to) (local.get $i))
        (i32.add (i32.load8_u (i32.add (local.get $from) (local.get $i))) (i32.const 1)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (local.get $length)))))
  (func (export "run") (param $n i32) (result i32)
    (block $done
      (loop $more
        (br_if $done (i32.lt_s (local.get $n) (i32.const 65536)))
        (call $copy (i32.const 65536) (i32.const 0) (i32.const 65536))
        (call $copy (i32.const 0) (i32.const 65536) (i32.const 65536))
        (local.set $n (i32.sub (local.get $n) (i32.const 131072)))
        (br $more)))
    (i32.load8_u (i32.const 65535))))
