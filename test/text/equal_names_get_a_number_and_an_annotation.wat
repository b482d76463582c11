;; run: chiasm print %
(func $init (param $x i32) (param (@name "x") i32) (local.get 1) (drop))
(func (@name "init") (call $init (i32.const 1) (i32.const 2)))
(func (@name "init#1"))
(func (@name "init") (call 1) (call 2) (call 3))
;; expect:
(module
  (type (;0;) (func (param i32 i32)))
  (type (;1;) (func))
  (func $init (;0;) (type 0) (param $x i32) (param $x#1 (@name "x") i32)
    local.get $x#1
    drop
  )
  (func (;1;) (@name "init") (type 1)
    i32.const 1
    i32.const 2
    call $init
  )
  (func $init#1 (;2;) (type 1))
  (func $init#3 (;3;) (@name "init") (type 1)
    call 1
    call $init#1
    call $init#3
  )
)
