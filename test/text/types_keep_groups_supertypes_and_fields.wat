;; run: chiasm print %
(rec
  (type $node (sub (struct (field $next (mut (ref null $node))) (field i8) (field $v (mut i16)))))
  (type $list (array (mut (ref $node)))))
(rec)
(rec (type $alone (func (param $x externref) (result (ref i31)))))
(type $leaf (sub final $node (struct (field (mut (ref null $node))) (field i8) (field (mut i16)) (field f64))))
(func $get (param (ref $node)) (result i32)
  (struct.set $node $v (local.get 0) (i32.const 1))
  (struct.get_u $node 1 (ref.cast (ref $leaf) (local.get 0))))
;; expect:
(module
  (rec
    (type $node (;0;) (sub (struct (field $next (mut (ref null $node))) (field i8) (field $v (mut i16)))))
    (type $list (;1;) (array (mut (ref $node))))
  )
  (rec)
  (type $alone (;2;) (func (param externref) (result (ref i31))))
  (type $leaf (;3;) (sub final $node (struct (field (mut (ref null $node))) (field i8) (field (mut i16)) (field f64))))
  (type (;4;) (func (param (ref $node)) (result i32)))
  (func $get (;0;) (type 4) (param (ref $node)) (result i32)
    local.get 0
    i32.const 1
    struct.set $node $v
    local.get 0
    ref.cast (ref $leaf)
    struct.get_u $node 1
  )
)
