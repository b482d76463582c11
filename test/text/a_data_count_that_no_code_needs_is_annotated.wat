;; run: chiasm print %
(module (@data_count) (memory 1) (data "abc"))
;; expect:
(module
  (memory (;0;) 1)
  (data (;0;) "abc")
  (@data_count)
)
