;; run: chiasm print %
(memory $a 1) (memory $b i64 1 0x1_0000) (memory $c 1 1 shared) (memory $d 0 (pagesize 1))
(data $x (memory $b) (i64.const 8) "hello\n\"\ff\u{1f600}")
(data $y "passive")
(func (param $p i32) (param $q i64)
  (i32.store8 offset=4 (local.get $p) (i32.load $b offset=0xffff_ffff_f align=1 (local.get $q)))
  (memory.init $b $y (local.get $q) (i32.const 0) (i32.const 1))
  (memory.copy $a $b (i32.const 0) (i64.const 0) (i32.const 0))
  (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
  (memory.fill $c (i32.const 0) (i32.const 0) (i32.const 0))
  (drop (i32.atomic.rmw8.add_u $c (local.get $p) (memory.size $d)))
  (drop (v128.load8_lane $b 3 (local.get $q) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))
  (data.drop $x))
;; expect:
(module
  (type (;0;) (func (param i32 i64)))
  (memory $a (;0;) 1)
  (memory $b (;1;) i64 1 65536)
  (memory $c (;2;) 1 1 shared)
  (memory $d (;3;) 0 (pagesize 1))
  (func (;0;) (type 0) (param $p i32) (param $q i64)
    local.get $p
    local.get $q
    i32.load $b offset=68719476735 align=1
    i32.store8 offset=4
    local.get $q
    i32.const 0
    i32.const 1
    memory.init $b $y
    i32.const 0
    i64.const 0
    i32.const 0
    memory.copy $a $b
    i32.const 0
    i32.const 0
    i32.const 0
    memory.copy
    i32.const 0
    i32.const 0
    i32.const 0
    memory.fill $c
    local.get $p
    memory.size $d
    i32.atomic.rmw8.add_u $c
    drop
    local.get $q
    v128.const i32x4 0x03020100 0x07060504 0x0b0a0908 0x0f0e0d0c
    v128.load8_lane $b 3
    drop
    data.drop $x
  )
  (data $x (;0;) (memory $b) (i64.const 8) "hello\n\"\ff\f0\9f\98\80")
  (data $y (;1;) "passive")
)
