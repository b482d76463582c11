;; run: chiasm print %
(module $"two words"
  (func $"a b" (param $"tab\t" i32) (call $"a b" (local.get $"tab\t")))
  (func $"\u{202e}reversed")
  (func $"größe" (@name "other"))
  (func (@name "")))
;; expect:
(module $"two words"
  (type (;0;) (func (param i32)))
  (type (;1;) (func))
  (func $"a b" (;0;) (type 0) (param $"tab\t" i32)
    local.get $"tab\t"
    call $"a b"
  )
  (func $"\e2\80\aereversed" (;1;) (type 1))
  (func $other (;2;) (type 1))
  (func (;3;) (@name "") (type 1))
)
