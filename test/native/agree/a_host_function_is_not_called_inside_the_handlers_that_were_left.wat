;; The interpreter kept the frame, and its handlers; machine code took it down,
;; and no longer knew who had called.
(module
  (import "h" "h" (func $h (result i32)))
  (memory (export "m") 1)
  (func $tail (param i32) (result i32)
    (block $caught
      (try_table (catch_all $caught)
        (return_call $h)))
    (i32.const 7))
  (func (export "f") (result i32) (local $n i32)
    (local.set $n (i32.const 12))
    (loop $again
      (drop (call $h))
      (drop (call $tail (i32.const 1)))
      (br_if $again
        (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 9))
  (func (export "g") (result i32) (return_call $h)))
