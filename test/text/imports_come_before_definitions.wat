;; run: chiasm parse -o - %
(func $f)
(import "env" "g" (func))
;; expect:
imports_come_before_definitions.wat:3:1: error: import after a definition (of a func); imports stand first
    (import "env" "g" (func))
    ^
