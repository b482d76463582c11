;; run: chiasm validate %
(module
  (func $first (result i32)
    i32.const 1
    f32.const 2
    i32.add)
  (func $second
    (drop
      (i64.add (i64.const 1)
               (i32.const 2)))))
;; expect:
the_validators_error_is_shown_in_the_text.wat:6:5: error: type mismatch: expected i32, found f32 (i32.add in function 0 $first)
        i32.add)
        ^
the_validators_error_is_shown_in_the_text.wat:9:8: error: type mismatch: expected i64, found i32 (i64.add in function 1 $second)
          (i64.add (i64.const 1)
           ^
