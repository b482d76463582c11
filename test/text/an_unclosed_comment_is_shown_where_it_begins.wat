;; run: chiasm parse -o - %
(func) (; never
closed
;; expect:
an_unclosed_comment_is_shown_where_it_begins.wat:2:8: error: unclosed comment
    (func) (; never
           ^
