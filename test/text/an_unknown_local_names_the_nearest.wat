;; run: chiasm parse -o - %
(func (param $length i32)
  (local.get $lenght) drop)
;; expect:
an_unknown_local_names_the_nearest.wat:3:14: error: unknown local $lenght; did you mean $length?
      (local.get $lenght) drop)
                 ^
