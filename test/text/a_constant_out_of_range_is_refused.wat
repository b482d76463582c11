;; run: chiasm parse -o - %
(func (drop (i32.const 4_294_967_296)))
;; expect:
a_constant_out_of_range_is_refused.wat:2:24: error: i32 constant out of range
    (func (drop (i32.const 4_294_967_296)))
                           ^
