/* vm.c - an interpreter for a little register machine, which counts the steps
 * of Collatz sequences below n: a switch in a loop, and a guest whose branches
 * cannot be predicted. */
#include "kernel.h"

typedef enum {
    VM_HALT,
    VM_SET,      /* r[a] = immediate b */
    VM_MOVE,     /* r[a] = r[b] */
    VM_ADD,      /* r[a] += r[b] */
    VM_ADD_IMM,  /* r[a] += immediate b */
    VM_TRIPLE,   /* r[a] = 3 r[a] + b */
    VM_HALVE,    /* r[a] /= 2 */
    VM_XOR,      /* r[a] ^= r[b] */
    VM_ROTATE,   /* r[a] rotated left by b */
    VM_JUMP,     /* to c */
    VM_JUMP_ODD, /* to c if r[a] is odd */
    VM_JUMP_ONE, /* to c if r[a] is one */
    VM_JUMP_LESS /* to c if r[a] < r[b] */
} Opcode;

typedef struct {
    uint8_t op, a, b, c;
} Instruction;

/* r0 is the number, r1 its start, r2 the steps, r3 the checksum, r4 n. */
static const Instruction program[] = {
    {VM_SET, 1, 1, 0},       /*  0 */
    {VM_SET, 3, 0, 0},       /*  1 */
    {VM_MOVE, 0, 1, 0},      /*  2 next start */
    {VM_SET, 2, 0, 0},       /*  3 */
    {VM_JUMP_ONE, 0, 0, 11}, /*  4 next step */
    {VM_ADD_IMM, 2, 1, 0},   /*  5 */
    {VM_JUMP_ODD, 0, 0, 9},  /*  6 */
    {VM_HALVE, 0, 0, 0},     /*  7 */
    {VM_JUMP, 0, 0, 4},      /*  8 */
    {VM_TRIPLE, 0, 1, 0},    /*  9 */
    {VM_JUMP, 0, 0, 4},      /* 10 */
    {VM_ROTATE, 3, 5, 0},    /* 11 one is reached */
    {VM_XOR, 3, 2, 0},       /* 12 */
    {VM_ADD, 3, 1, 0},       /* 13 */
    {VM_ADD_IMM, 1, 1, 0},   /* 14 */
    {VM_JUMP_LESS, 1, 4, 2}, /* 15 */
    {VM_HALT, 3, 0, 0},      /* 16 */
};

static uint32_t r[8];

static uint32_t run(const Instruction *code)
{
    const Instruction *at = code;

    for (;;) {
        Instruction i = *at++;

        switch ((Opcode)i.op) {
        case VM_HALT: return r[i.a];
        case VM_SET: r[i.a] = i.b; break;
        case VM_MOVE: r[i.a] = r[i.b]; break;
        case VM_ADD: r[i.a] += r[i.b]; break;
        case VM_ADD_IMM: r[i.a] += i.b; break;
        case VM_TRIPLE: r[i.a] = 3 * r[i.a] + i.b; break;
        case VM_HALVE: r[i.a] >>= 1; break;
        case VM_XOR: r[i.a] ^= r[i.b]; break;
        case VM_ROTATE: r[i.a] = r[i.a] << i.b | r[i.a] >> (32 - i.b); break;
        case VM_JUMP: at = code + i.c; break;
        case VM_JUMP_ODD:
            if (r[i.a] & 1)
                at = code + i.c;
            break;
        case VM_JUMP_ONE:
            if (r[i.a] == 1)
                at = code + i.c;
            break;
        case VM_JUMP_LESS:
            if (r[i.a] < r[i.b])
                at = code + i.c;
            break;
        }
    }
}

uint32_t kernel(uint32_t n)
{
    r[4] = n;
    return run(program);
}
