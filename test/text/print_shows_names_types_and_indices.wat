;; run: chiasm print %
(module $demo
  (import "env" "log" (func $log (param $value i32)))
  (memory $heap 1 2)
  (global $count (mut i32) (i32.const 0))
  (func $fac (export "fac") (param $n i64) (result i64) (local $unused f32) (local i32 i32)
    (if (result i64) (i64.eqz (local.get $n))
      (then (i64.const 1))
      (else (i64.mul (local.get $n) (call $fac (i64.sub (local.get $n) (i64.const 1)))))))
  (func (param i32 f64) (call $log (local.get 0)))
)
;; expect:
(module $demo
  (type (;0;) (func (param i32)))
  (type (;1;) (func (param i64) (result i64)))
  (type (;2;) (func (param i32 f64)))
  (import "env" "log" (func $log (;0;) (type 0) (param $value i32)))
  (memory $heap (;0;) 1 2)
  (global $count (;0;) (mut i32) (i32.const 0))
  (export "fac" (func $fac))
  (func $fac (;1;) (type 1) (param $n i64) (result i64)
    (local $unused f32) (local i32 i32)
    local.get $n
    i64.eqz
    if (result i64)
      i64.const 1
    else
      local.get $n
      local.get $n
      i64.const 1
      i64.sub
      call $fac
      i64.mul
    end
  )
  (func (;2;) (type 2) (param i32 f64)
    local.get 0
    call $log
  )
)
