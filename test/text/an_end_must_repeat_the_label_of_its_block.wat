;; run: chiasm parse -o - %
(func
  block $a
    loop $b
    end $a
  end)
;; expect:
an_end_must_repeat_the_label_of_its_block.wat:5:9: error: mismatching label
        end $a
            ^
