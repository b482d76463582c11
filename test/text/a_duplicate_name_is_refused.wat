;; run: chiasm parse -o - %
(global $g i32 (i32.const 0))
(global $g i32 (i32.const 1))
;; expect:
a_duplicate_name_is_refused.wat:3:9: error: duplicate global $g
    (global $g i32 (i32.const 1))
            ^
