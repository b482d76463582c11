;; What a landing does not restore was asked for at the jump back.
(module
  (tag $t)
  (func (export "f") (result i32) (local $n i32) (local $caught i32)
    (local.set $n (i32.const 3))
    (loop $again
      (block $h
        (try_table (catch $t $h) (throw $t)))
      (local.set $caught (i32.add (local.get $caught) (i32.const 1)))
      (br_if $again
        (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $caught)))
