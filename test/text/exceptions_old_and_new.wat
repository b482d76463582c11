;; run: chiasm print --fold %
(tag $e (param i32))
(func (result i32)
  (block $all
    (return
      (block $h (result i32)
        (try_table (catch $e $h) (catch_all $all)
          (throw $e (i32.const 1)))
        (i32.const 2))))
  (i32.const 3))
(func (result i32)
  (try $t (result i32)
    (do (try (do (throw $e (i32.const 3))) (delegate $t)) (i32.const 4))
    (catch $e)
    (catch_all (rethrow $t))))
;; expect:
(module
  (type (;0;) (func (param i32)))
  (type (;1;) (func (result i32)))
  (tag $e (;0;) (type 0) (param i32))
  (func (;0;) (type 1) (result i32)
    (block $all
      (return
        (block $h (result i32)
          (try_table (catch $e $h) (catch_all $all)
            (throw $e (i32.const 1)))
          (i32.const 2))))
    (i32.const 3))
  (func (;1;) (type 1) (result i32)
    (try $t (result i32)
      (do
        (try
          (do
            (throw $e (i32.const 3)))
          (delegate $t))
        (i32.const 4))
      (catch $e)
      (catch_all
        (rethrow $t))))
)
