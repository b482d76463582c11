;; run: chiasm parse -o - %
(func (nop (@custom "x")))
;; expect:
a_misplaced_annotation_is_refused.wat:2:12: error: misplaced @custom annotation
    (func (nop (@custom "x")))
               ^
