;; run: chiasm parse -o - %
(func $größe (; ☃ ;) (call $weite))
;; expect:
columns_count_characters_not_bytes.wat:2:10: error: illegal character 'ö'
    (func $größe (; ☃ ;) (call $weite))
             ^
