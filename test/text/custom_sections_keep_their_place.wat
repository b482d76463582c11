;; run: chiasm print %
(module
  (@custom "first" (before first) "1")
  (@custom "mid" (after func) "\00\01")
  (@custom "last" "z")
  (@custom "empty")
  (@custom "near the data" (after data) "d")
  (func $f) (memory 1) (data $d "x"))
;; expect:
(module
  (@custom "first" (before first) "1")
  (type (;0;) (func))
  (@custom "mid" (after func) "\00\01")
  (memory (;0;) 1)
  (func $f (;0;) (type 0))
  (data $d (;0;) "x")
  (@custom "near the data" (after data) "d")
  (@custom "last" "z")
  (@custom "empty")
)
