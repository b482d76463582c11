;; run: chiasm print %
(func
  block $a
    block $b
      loop $a
        br $a
        br 2
        br $b
        br 3
      end
      br $a
    end
  end)
;; expect:
(module
  (type (;0;) (func))
  (func (;0;) (type 0)
    block $a
      block $b
        loop $a
          br $a
          br 2
          br $b
          br 3
        end
        br $a
      end
    end
  )
)
