;; What a tail call, a throw or a return spilled in one arm was not in its slot
;; on the other way.
(module
  (type $s (struct (field i32) (field i64)))
  (global (export "g") (mut (ref null $s)) (ref.null $s))
  (tag $t (param i32))
  (func $f (param i32) (result i32 i32 i32 i32 i32 i32)
    (i32.const 1) (i32.const 2) (i32.const 3)
    (i32.const 4) (i32.const 5) (i32.const 6))
  (func (export "tail") (param i32) (result i32 i32 i32 i32 i32 i32)
    i32.const 7
    i64.const 8
    local.get 0
    if
      i32.const 5
      return_call $f
    end
    struct.new $s
    global.set 0
    (call $f (i32.const 1)))
  (func (export "return") (param i32) (result i32 i32 i32 i32 i32 i32)
    i32.const 7
    i64.const 8
    local.get 0
    if
      (return (call $f (i32.const 1)))
    end
    struct.new $s
    global.set 0
    (call $f (i32.const 1)))
  (func (export "throw") (param i32)
    i32.const 7
    i64.const 8
    local.get 0
    if
      (throw $t (i32.const 9))
    end
    struct.new $s
    global.set 0))
