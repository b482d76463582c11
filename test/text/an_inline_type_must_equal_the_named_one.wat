;; run: chiasm parse -o - %
(type $t (func (param i32)))
(func (type $t) (param i64))
;; expect:
an_inline_type_must_equal_the_named_one.wat:3:7: error: the inline function type differs from type 0
    (func (type $t) (param i64))
          ^
