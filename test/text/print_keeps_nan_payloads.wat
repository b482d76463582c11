;; run: chiasm print --fold %
(func
  (drop (f32.const nan)) (drop (f32.const -nan)) (drop (f32.const nan:0x1))
  (drop (f32.const -nan:0x200000)) (drop (f64.const nan:0x4000000000001))
  (drop (f64.const nan:0x8000000000000)) (drop (f64.const -nan:0xfffffffffffff))
  (drop (v128.const f32x4 nan nan:0x1 -0 1)))
;; expect:
(module
  (type (;0;) (func))
  (func (;0;) (type 0)
    (drop (f32.const nan))
    (drop (f32.const -nan))
    (drop (f32.const nan:0x1))
    (drop (f32.const -nan:0x200000))
    (drop (f64.const nan:0x4000000000001))
    (drop (f64.const nan))
    (drop (f64.const -nan:0xfffffffffffff))
    (drop (v128.const i32x4 0x7fc00000 0x7f800001 0x80000000 0x3f800000)))
)
