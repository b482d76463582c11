/* hand.h - the instructions on data whose row in op.def says HAND.
 *
 * Included by a dispatcher, behind control.h where it runs whole
 * functions.  It defines HANDLER, NEXT, INSTANCE, TRAP and SAVE, and the
 * variables pc, sp and tos of state.h.  No address of a local variable may
 * escape from here: that would forbid tail calls.
 */

/* ---- tables */

HANDLER(table_get)
{
    const Table *t = INSTANCE->tables[code_u32(&pc)];
    if (unlikely(tos >= t->size))
        TRAP(ERR_TABLE_BOUNDS);
    tos = t->elems[tos];
    NEXT;
}
HANDLER(table_set)
{
    Table *t = INSTANCE->tables[code_u32(&pc)];
    uint64_t word = tos;
    DROP();
    if (unlikely(tos >= t->size))
        TRAP(ERR_TABLE_BOUNDS);
    t->elems[tos] = word;
    DROP();
    NEXT;
}
/* Three operands below each other: a, b, c = tos. */
#define POP3(a, b, c)                                                          \
    uint64_t c = tos, b = sp[-1], a = sp[-2];                                  \
    sp -= 3
HANDLER(table_init)
{
    uint32_t elem = code_u32(&pc);
    Table *t = INSTANCE->tables[code_u32(&pc)];
    POP3(at, source, n);
    CHECK(table_init(INSTANCE, t, elem, at, source, n));
    FILL();
    NEXT;
}
HANDLER(elem_drop)
{
    INSTANCE->elem_dropped[code_u32(&pc)] = 1;
    NEXT;
}
HANDLER(table_copy)
{
    Table *to = INSTANCE->tables[code_u32(&pc)];
    Table *from = INSTANCE->tables[code_u32(&pc)];
    POP3(at, source, n);
    CHECK(table_copy(to, at, from, source, n));
    FILL();
    NEXT;
}
HANDLER(table_fill)
{
    Table *t = INSTANCE->tables[code_u32(&pc)];
    POP3(at, word, n);
    CHECK(table_fill(t, at, word, n));
    FILL();
    NEXT;
}
HANDLER(table_grow)
{
    Table *t = INSTANCE->tables[code_u32(&pc)];
    uint64_t by = tos;
    DROP();
    uint64_t old = table_grow(t, by, tos);
    tos = t->type.limits.is64 ? old : (uint32_t)old;
    NEXT;
}
HANDLER(table_size)
{
    PUSH(INSTANCE->tables[code_u32(&pc)]->size);
    NEXT;
}

/* ---- memories */

#define MEMORY_DATA(index) (INSTANCE->memories[index]->data)
HANDLER(memory_size)
{
    const MemoryData *d = MEMORY_DATA(code_u32(&pc));
    PUSH(d->size >> d->page_log2);
    NEXT;
}
HANDLER(memory_grow)
{
    Memory *m = INSTANCE->memories[code_u32(&pc)];
    uint64_t old = memory_grow(m, tos);
    tos = m->data->is64 ? old : (uint32_t)old;
    NEXT;
}
HANDLER(memory_init)
{
    uint32_t data = code_u32(&pc);
    MemoryData *d = MEMORY_DATA(code_u32(&pc));
    SPILL();
    SAVE();
    POP3(at, source, n);
    CHECK(memory_init(INSTANCE, d, data, at, source, n));
    FILL();
    NEXT;
}
HANDLER(data_drop)
{
    INSTANCE->data_dropped[code_u32(&pc)] = 1;
    NEXT;
}
HANDLER(memory_copy)
{
    MemoryData *to = MEMORY_DATA(code_u32(&pc));
    MemoryData *from = MEMORY_DATA(code_u32(&pc));
    SPILL();
    SAVE();
    POP3(at, source, n);
    CHECK(memory_copy(THE_STORE, to, at, from, source, n));
    FILL();
    NEXT;
}
HANDLER(memory_fill)
{
    MemoryData *d = MEMORY_DATA(code_u32(&pc));
    SPILL();
    SAVE();
    POP3(at, value, n);
    CHECK(memory_fill(THE_STORE, d, at, (uint8_t)value, n));
    FILL();
    NEXT;
}

/* ---- references */

HANDLER(ref_null)
{
    code_skip(&pc);
    PUSH(0);
    NEXT;
}
HANDLER(ref_is_null)
{
    tos = tos == 0;
    NEXT;
}
HANDLER(ref_func)
{
    PUSH((uintptr_t)instance_func(INSTANCE, code_u32(&pc)));
    NEXT;
}
HANDLER(ref_eq)
{
    uint64_t other = tos;
    DROP();
    tos = tos == other;
    NEXT;
}
HANDLER(ref_as_non_null)
{
    if (unlikely(!tos))
        TRAP(ERR_NULL_REFERENCE);
    NEXT;
}
HANDLER(ref_test)
{
    tos = word_matches(tos, heap_type(MODULE, 0, &pc));
    NEXT;
}
HANDLER(ref_test_null)
{
    tos = word_matches(tos, heap_type(MODULE, 1, &pc));
    NEXT;
}
HANDLER(ref_cast)
{
    if (unlikely(!word_matches(tos, heap_type(MODULE, 0, &pc))))
        TRAP(ERR_CAST);
    NEXT;
}
HANDLER(ref_cast_null)
{
    if (unlikely(!word_matches(tos, heap_type(MODULE, 1, &pc))))
        TRAP(ERR_CAST);
    NEXT;
}
HANDLER(any_convert_extern) { NEXT; }
HANDLER(extern_convert_any) { NEXT; }
HANDLER(ref_i31)
{
    tos = (uint32_t)(tos << 1) | 1;
    NEXT;
}
HANDLER(i31_get_s)
{
    if (unlikely(!tos))
        TRAP(ERR_NULL_I31);
    tos = (uint32_t)((int32_t)(uint32_t)tos >> 1);
    NEXT;
}
HANDLER(i31_get_u)
{
    if (unlikely(!tos))
        TRAP(ERR_NULL_I31);
    tos = (uint32_t)tos >> 1;
    NEXT;
}

/* ---- aggregates: fields and elements go through memory, at sp */

HANDLER(struct_new)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    SPILL();
    SAVE();
    Object *o = heap_struct(THE_STORE, t);
    if (unlikely(!o))
        TRAP(ERR_HEAP_LIMIT);
    for (uint32_t k = t->structure.n_fields; k-- > 0;) {
        const Field *f = &t->structure.fields[k];
        sp -= type_slots(f->type);
        field_store((char *)o + f->offset, f->type, sp + 1);
    }
    FILL();
    PUSH((uintptr_t)o);
    NEXT;
}
HANDLER(struct_new_default)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    SPILL();
    SAVE();
    Object *o = heap_struct(THE_STORE, t);
    if (unlikely(!o))
        TRAP(ERR_HEAP_LIMIT);
    PUSH((uintptr_t)o);
    NEXT;
}
#define STRUCT_GET(is_signed)                                                  \
    const TypeDef *t = MODULE->types[code_u32(&pc)];                           \
    const Field *f = &t->structure.fields[code_u32(&pc)];                      \
    if (unlikely(!tos))                                                        \
        TRAP(ERR_NULL_STRUCT);                                                 \
    field_load((char *)word_object(tos) + f->offset, f->type, is_signed, sp);  \
    if (f->type == T_V128)                                                     \
        sp++;                                                                  \
    FILL()
HANDLER(struct_get)
{
    STRUCT_GET(false);
    NEXT;
}
HANDLER(struct_get_s)
{
    STRUCT_GET(true);
    NEXT;
}
HANDLER(struct_get_u)
{
    STRUCT_GET(false);
    NEXT;
}
HANDLER(struct_set)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    const Field *f = &t->structure.fields[code_u32(&pc)];
    SPILL();
    sp -= type_slots(f->type);
    if (unlikely(!*sp))
        TRAP(ERR_NULL_STRUCT);
    field_store((char *)word_object(*sp) + f->offset, f->type, sp + 1);
    DROP();
    NEXT;
}
HANDLER(array_new)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    uint32_t n = get_i32(tos);
    SPILL();
    SAVE();
    Object *o = heap_array(THE_STORE, t, n);
    if (unlikely(!o))
        TRAP(ERR_HEAP_LIMIT);
    sp -= type_slots(t->array.type);
    array_fill(o, t, 0, sp, n);
    tos = (uintptr_t)o;
    NEXT;
}
HANDLER(array_new_default)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    SPILL();
    SAVE();
    Object *o = heap_array(THE_STORE, t, get_i32(tos));
    if (unlikely(!o))
        TRAP(ERR_HEAP_LIMIT);
    tos = (uintptr_t)o;
    NEXT;
}
HANDLER(array_new_fixed)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    uint32_t n = code_u32(&pc), size = type_size(t->array.type);
    SPILL();
    SAVE();
    Object *o = heap_array(THE_STORE, t, n);
    if (unlikely(!o))
        TRAP(ERR_HEAP_LIMIT);
    char *at = (char *)o + t->array.offset + (size_t)n * size;
    for (; n > 0; n--) {
        at -= size;
        sp -= type_slots(t->array.type);
        field_store(at, t->array.type, sp + 1);
    }
    FILL();
    PUSH((uintptr_t)o);
    NEXT;
}
#define ARRAY_NEW_SEGMENT(init)                                                \
    const TypeDef *t = MODULE->types[code_u32(&pc)];                           \
    uint32_t segment = code_u32(&pc);                                          \
    uint32_t n = get_i32(tos), source = get_i32(sp[-1]);                       \
    CHECK(init(INSTANCE, NULL, t, segment, 0, source, n));                     \
    SPILL();                                                                   \
    SAVE();                                                                    \
    Object *o = heap_array(THE_STORE, t, n);                                   \
    if (unlikely(!o))                                                          \
        TRAP(ERR_HEAP_LIMIT);                                                  \
    CHECK(init(INSTANCE, o, t, segment, 0, source, n));                        \
    sp--;                                                                      \
    tos = (uintptr_t)o
HANDLER(array_new_data)
{
    ARRAY_NEW_SEGMENT(array_init_data);
    NEXT;
}
HANDLER(array_new_elem)
{
    ARRAY_NEW_SEGMENT(array_init_elem);
    NEXT;
}
#define ARRAY_GET(is_signed)                                                   \
    const TypeDef *t = MODULE->types[code_u32(&pc)];                           \
    uint32_t i = get_i32(tos);                                                 \
    sp--;                                                                      \
    const Object *o = word_object(*sp);                                        \
    if (unlikely(!o))                                                          \
        TRAP(ERR_NULL_ARRAY);                                                  \
    if (unlikely(i >= o->length))                                              \
        TRAP(ERR_ARRAY_BOUNDS);                                                \
    Type type = t->array.type;                                                 \
    field_load((const char *)o + t->array.offset                               \
                   + (size_t)i * type_size(type),                              \
               type, is_signed, sp);                                           \
    if (type == T_V128)                                                        \
        sp++;                                                                  \
    FILL()
HANDLER(array_get)
{
    ARRAY_GET(false);
    NEXT;
}
HANDLER(array_get_s)
{
    ARRAY_GET(true);
    NEXT;
}
HANDLER(array_get_u)
{
    ARRAY_GET(false);
    NEXT;
}
HANDLER(array_set)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    Type type = t->array.type;
    SPILL();
    sp -= 1 + type_slots(type);
    Object *o = word_object(*sp);
    uint32_t i = get_i32(sp[1]);
    if (unlikely(!o))
        TRAP(ERR_NULL_ARRAY);
    if (unlikely(i >= o->length))
        TRAP(ERR_ARRAY_BOUNDS);
    field_store((char *)o + t->array.offset + (size_t)i * type_size(type), type,
                sp + 2);
    DROP();
    NEXT;
}
HANDLER(array_len)
{
    if (unlikely(!tos))
        TRAP(ERR_NULL_ARRAY);
    tos = word_object(tos)->length;
    NEXT;
}
HANDLER(array_fill)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    uint32_t n = get_i32(tos), wide = type_slots(t->array.type);
    sp -= 2 + wide; /* array, index, value, n */
    if (unlikely(!*sp))
        TRAP(ERR_NULL_ARRAY);
    CHECK(array_fill(word_object(*sp), t, get_i32(sp[1]), sp + 2, n));
    DROP();
    NEXT;
}
HANDLER(array_copy)
{
    const TypeDef *t = MODULE->types[code_u32(&pc)];
    code_skip(&pc);
    uint32_t n = get_i32(tos);
    sp -= 4; /* to, index, from, index, n */
    if (unlikely(!sp[0] || !sp[2]))
        TRAP(ERR_NULL_ARRAY);
    CHECK(array_copy(word_object(sp[0]), t, get_i32(sp[1]), word_object(sp[2]),
                     get_i32(sp[3]), n));
    DROP();
    NEXT;
}
#define ARRAY_INIT(init)                                                       \
    const TypeDef *t = MODULE->types[code_u32(&pc)];                           \
    uint32_t segment = code_u32(&pc);                                          \
    uint32_t n = get_i32(tos);                                                 \
    sp -= 3; /* array, index, source, n */                                     \
    if (unlikely(!*sp))                                                        \
        TRAP(ERR_NULL_ARRAY);                                                  \
    CHECK(init(INSTANCE, word_object(*sp), t, segment, get_i32(sp[1]),         \
               get_i32(sp[2]), n));                                            \
    DROP()
HANDLER(array_init_data)
{
    ARRAY_INIT(array_init_data);
    NEXT;
}
HANDLER(array_init_elem)
{
    ARRAY_INIT(array_init_elem);
    NEXT;
}

/* ---- vectors */

HANDLER(v128_const)
{
    SPILL();
    memcpy(sp + 1, pc, 16);
    pc += 16;
    sp += 2;
    FILL();
    NEXT;
}
HANDLER(i8x16_shuffle)
{
    SPILL();
    sp -= 2;
    put_v128(sp - 1,
             eval_i8x16_shuffle(get_v128(sp - 1), get_v128(sp + 1), pc));
    pc += 16;
    FILL();
    NEXT;
}

/* ---- threads.  A shared memory's size only grows. */

/* Reads a memarg; `base` is the address operand.  Gives the effective address
 * and the memory, or traps. */
#define EFFECTIVE(d, ea, base, n)                                              \
    uint64_t align_ = code_u64(&pc);                                           \
    MemoryData *d = unlikely(align_ & 0x40) ? MEMORY_DATA(code_u32(&pc))       \
                                            : INSTANCE->memory0;               \
    uint64_t ea = (base) + code_u64(&pc);                                      \
    uint64_t size_ = atomic_load_explicit(&d->size, memory_order_relaxed);     \
    if (unlikely(ea < (base) || ea > size_ || size_ - ea < (n)))               \
    TRAP(ERR_MEMORY_BOUNDS)
#define EFFECTIVE_ALIGNED(d, ea, base, n)                                      \
    EFFECTIVE(d, ea, base, n);                                                 \
    if (unlikely(ea % (n)))                                                    \
    TRAP(ERR_UNALIGNED)

HANDLER(atomic_notify)
{
    EFFECTIVE_ALIGNED(d, ea, sp[-1], 4u);
    tos = memory_notify(d, ea, get_i32(tos));
    sp--;
    NEXT;
}
#define ATOMIC_WAIT(n, is64)                                                   \
    EFFECTIVE_ALIGNED(d, ea, sp[-2], n);                                       \
    if (unlikely(!d->shared))                                                  \
        TRAP(ERR_EXPECTED_SHARED);                                             \
    SPILL();                                                                   \
    SAVE();                                                                    \
    sp -= 2;                                                                   \
    CHECK(wait_at(THE_STORE, d, ea, is64, sp));                                \
    FILL()
HANDLER(atomic_wait32)
{
    ATOMIC_WAIT(4u, false);
    NEXT;
}
HANDLER(atomic_wait64)
{
    ATOMIC_WAIT(8u, true);
    NEXT;
}
HANDLER(atomic_fence)
{
    pc++;
    atomic_thread_fence(memory_order_seq_cst);
    NEXT;
}
