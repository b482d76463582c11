;; Both flags of the comparison went to one register: NaN was equal.
(module
  (memory (export "m") 1)
  (func (export "a") (param f64) (result f64)
    (select (f64.const 4) (f64.const 5)
      (f64.eq (local.get 0) (f64.const nan))))
  (func (export "b") (param i32 f32) (result i32)
    (select (local.get 0) (i32.const 5)
      (f32.ne (local.get 1) (f32.const nan))))
  (func (export "c") (param f32) (result f32)
    (select (local.get 0) (f32.const 5)
      (f32.eq (local.get 0) (local.get 0)))))
