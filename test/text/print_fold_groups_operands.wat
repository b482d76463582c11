;; run: chiasm print --fold %
(func $fac (param $n i64) (result i64)
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
  end)
(func $sum (param $n i32) (result i32) (local $s i32)
  block $done
    loop $again
      local.get $n
      i32.eqz
      br_if $done
      local.get $s
      local.get $n
      i32.add
      local.set $s
      local.get $n
      i32.const 1
      i32.sub
      local.set $n
      br $again
    end
  end
  local.get $s)
;; expect:
(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i32) (result i32)))
  (func $fac (;0;) (type 0) (param $n i64) (result i64)
    (if (result i64)
      (i64.eqz (local.get $n))
      (then
        (i64.const 1))
      (else
        (i64.mul
          (local.get $n)
          (call $fac (i64.sub (local.get $n) (i64.const 1)))))))
  (func $sum (;1;) (type 1) (param $n i32) (result i32)
    (local $s i32)
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $s (i32.add (local.get $s) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $s))
)
