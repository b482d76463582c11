;; demote left the upper half of the f64 there, neg the sign of an f64.
(module
  (global (export "a") (mut f32) (f32.const 0))
  (global (export "b") (mut f32) (f32.const 0))
  (func (export "f") (param f64)
    (global.set 0 (f32.demote_f64 (f64.const 16.524886877828056)))
    (global.set 1 (f32.neg (f32.const 1)))
    (global.set 1 (f32.neg (f32.demote_f64 (local.get 0))))))
