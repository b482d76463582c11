;; run: chiasm parse -o - %
(func $compute)
(func
  (call $comptue))
;; expect:
an_unknown_function_names_the_nearest.wat:4:9: error: unknown function $comptue; did you mean $compute?
      (call $comptue))
            ^
