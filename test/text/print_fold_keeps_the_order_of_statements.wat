;; run: chiasm print --fold %
(memory 1)
(func (result i32)
  i32.const 1
  nop
  i32.const 2
  (i32.store (i32.const 0) (i32.const 7))
  i32.add)
(func (result i32)
  block (result i32 i32)
    i32.const 1
    i32.const 2
  end
  i32.sub)
(func (result i32)
  unreachable
  i32.add)
;; expect:
(module
  (type (;0;) (func (result i32)))
  (type (;1;) (func (result i32 i32)))
  (memory (;0;) 1)
  (func (;0;) (type 0) (result i32)
    (i32.const 1)
    (nop)
    (i32.const 2)
    (i32.store (i32.const 0) (i32.const 7))
    (i32.add))
  (func (;1;) (type 0) (result i32)
    (i32.sub
      (block (type 1) (result i32 i32)
        (i32.const 1)
        (i32.const 2))))
  (func (;2;) (type 0) (result i32)
    (unreachable)
    (i32.add))
)
