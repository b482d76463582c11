;; Both have one place in the code: where the call returns to, the access
;; begins.
(module
  (memory 1)
  (tag $t)
  (func $trap (unreachable))
  (func $throw (throw $t))
  (func (export "trap") (result i64)
    (call $trap)
    (i64.load (i32.const 0)))
  (func (export "throw") (result i64)
    (block $h
      (try_table (catch_all $h) (call $throw))
      (return (i64.load (i32.const 0))))
    (i64.const 5)))
