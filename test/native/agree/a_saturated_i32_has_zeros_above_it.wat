(module
  (memory 1)
  (func (export "a") (param f32) (result i32)
    (i32.trunc_sat_f32_s (local.get 0)))
  (func (export "b") (param f64) (result i32)
    (i32.trunc_sat_f64_u (local.get 0)))
  (func (export "c") (param i32 i64) (result i32 i32)
    (i32.clz (local.get 0)) (i32.popcnt (local.get 0)))
  (func (export "d") (result i32) (memory.size)))
