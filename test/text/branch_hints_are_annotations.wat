;; run: chiasm print %
(func (param i32)
  (block (@metadata.code.branch_hint "\01") (br_if 0 (local.get 0)))
  (@metadata.code.branch_hint "\00")
  (if (local.get 0) (then (nop))))
;; expect:
(module
  (type (;0;) (func (param i32)))
  (func (;0;) (type 0) (param i32)
    block
      local.get 0
      (@metadata.code.branch_hint "\01") br_if 0
    end
    local.get 0
    (@metadata.code.branch_hint "\00") if
      nop
    end
  )
)
