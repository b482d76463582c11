;; run: chiasm parse -o - %
(func (drop (i32.const 1)) (drop (i32.const 2)) (drop (i32.const 3)) (drop (i32.const 4)) (drop (i32.const 5)) (drop (i32.cosnt 6)) (drop (i32.const 7)) (drop (i32.const 8)))
;; expect:
a_long_line_is_shown_around_the_error.wat:2:119: error: unknown operator i32.cosnt; did you mean i32.const?
    .const 3)) (drop (i32.const 4)) (drop (i32.const 5)) (drop (i32.cosnt 6)) (drop (i32.const 7)) (drop
                                                                ^
