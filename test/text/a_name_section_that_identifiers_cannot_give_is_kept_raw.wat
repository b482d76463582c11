;; run: chiasm print %
(module (@custom "name" (after data) "\01\04\01\00\01f" "\7f\01\00") (func))
;; expect:
(module
  (type (;0;) (func))
  (func $f (;0;) (type 0))
  (@custom "name" "\01\04\01\00\01f\7f\01\00")
)
