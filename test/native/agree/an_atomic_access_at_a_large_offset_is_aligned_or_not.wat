;; The register that held the base was lost to the test of alignment.
(module
  (memory 1)
  (func (export "a") (param i32 i64) (result i64)
    (i64.atomic.rmw.or offset=4294967293 (local.get 0) (local.get 1)))
  (func (export "b") (param i32 i64 i64) (result i64)
    (i64.atomic.rmw.cmpxchg offset=2147483653 (local.get 0) (local.get 1)
      (local.get 2)))
  (func (export "c") (param i32) (result i32)
    (i32.atomic.load offset=4294967295 (local.get 0)))
  (func (export "d") (result i32)
    (i32.atomic.load offset=4294967295 (i32.const 1))))
