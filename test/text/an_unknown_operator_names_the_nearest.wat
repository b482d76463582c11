;; run: chiasm parse -o - %
(func (result i32)
  i32.const 1
  i32.const 2
  i32.ad)
;; expect:
an_unknown_operator_names_the_nearest.wat:5:3: error: unknown operator i32.ad; did you mean i32.add?
      i32.ad)
      ^
