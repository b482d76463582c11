;; In the interpreter: the frame that throws begins right behind the call's
;; arguments, where the payload goes.
(module
  (tag $t (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64))
  (func $throw (param i64)
    (local.get 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)
    (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9)
    (throw $t))
  (func (export "f") (param i64)
    (result i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (block $h (result i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
      (try_table (catch $t $h) (call $throw (local.get 0)))
      (unreachable))))
