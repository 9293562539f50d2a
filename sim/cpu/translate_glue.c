/*
 * The code around the code of blocks: how it is entered and left, and how it calls us. Written by hand, byte by byte, since it
 * is short and must not depend on a compiler's convention for the guest's registers.
 *
 * Source: AMD64 APM vol. 3, "Instruction Encoding"; System V ABI, AMD64, "Function Calling Sequence".
 */

#include "cpu/translate_code.h"

#include <stddef.h>

const uint8_t translate_pinned[PINNED_COUNT] = {14, 15, 8, 9, 5, 11, 6, 7};
const uint8_t translate_spare[SPARE_COUNT] = {3, 10};

#define REX_W    0x48u
#define REX_R    0x44u /* the register has its fourth bit */
#define REX_B    0x41u
#define BASE_R13 0x85u /* ModRM: [R13 + 32 bits] */

void code_byte(struct code *c, unsigned byte)
{
    c->t->memory.write[c->at++] = (uint8_t)byte;
}

void code_word(struct code *c, uint64_t word, unsigned size_bytes)
{
    for (unsigned i = 0; i < size_bytes; i++) {
        code_byte(c, word >> (8 * i) & 0xff);
    }
}

static void move(struct code *c, unsigned opcode, unsigned reg, size_t offset)
{
    code_byte(c, REX_W | REX_B | (reg >= HOST_R8 ? REX_R : 0));
    code_byte(c, opcode);
    code_byte(c, BASE_R13 | (reg & 7) << 3);
    code_word(c, offset, 4);
}

void code_load(struct code *c, unsigned reg, size_t offset)
{
    move(c, 0x8b, reg, offset);
}

void code_store(struct code *c, unsigned reg, size_t offset)
{
    move(c, 0x89, reg, offset);
}

void code_constant(struct code *c, unsigned reg, uint64_t value)
{
    code_byte(c, REX_W | (reg >= HOST_R8 ? REX_B : 0));
    code_byte(c, 0xb8 | (reg & 7));
    code_word(c, value, 8);
}

void code_constant_eax(struct code *c, uint32_t value)
{
    code_byte(c, 0xb8);
    code_word(c, value, 4);
}

void code_patch(const struct translator *t, uint32_t site, uint32_t to)
{
    uint32_t distance = to - (site + 4);
    memcpy(t->memory.write + site, &distance, 4);
}

void code_jump(struct code *c, uint32_t to)
{
    code_byte(c, 0xe9);
    c->at += 4;
    code_patch(c->t, c->at - 4, to);
}

/* MOV from one register to another. */
static void copy_register(struct code *c, unsigned to, unsigned from)
{
    code_byte(c, REX_W | (from >= HOST_R8 ? REX_R : 0) | (to >= HOST_R8 ? REX_B : 0));
    code_byte(c, 0x89);
    code_byte(c, 0xc0 | (from & 7) << 3 | (to & 7));
}

static size_t place_of(unsigned reg)
{
    return offsetof(struct cpu, gpr) + reg * sizeof(uint64_t);
}

static void load_guest(struct code *c)
{
    for (unsigned i = 0; i < PINNED_COUNT; i++) {
        code_load(c, translate_pinned[i], place_of(i));
    }
    code_load(c, HOST_R12, offsetof(struct cpu, left_cycles));
}

static void store_guest(struct code *c)
{
    for (unsigned i = 0; i < PINNED_COUNT; i++) {
        code_store(c, translate_pinned[i], place_of(i));
    }
    code_store(c, HOST_R12, offsetof(struct cpu, left_cycles));
}

/* What a function has to keep; and the stack as calls want it. */
static const uint8_t kept[] = {HOST_RBX, HOST_RBP, 12, 13, 14, 15};

static void push_or_pop(struct code *c, unsigned opcode, unsigned reg)
{
    if (reg >= HOST_R8) {
        code_byte(c, REX_B);
    }
    code_byte(c, opcode | (reg & 7));
}

/* enter(cpu, code): keeps what a function has to, loads the guest's registers, jumps. */
static void put_enter(struct code *c)
{
    for (unsigned i = 0; i < sizeof kept; i++) {
        push_or_pop(c, 0x50, kept[i]);
    }
    push_or_pop(c, 0x50, HOST_RAX);
    copy_register(c, HOST_R13, HOST_RDI);
    copy_register(c, HOST_RAX, HOST_RSI);
    load_guest(c);
    code_byte(c, 0xff);
    code_byte(c, 0xe0); /* jmp rax */
}

/* The end of enter, which returns RAX; the guest's registers are in memory. */
static void put_return(struct code *c)
{
    push_or_pop(c, 0x58, HOST_RCX);
    for (unsigned i = sizeof kept; i-- > 0;) {
        push_or_pop(c, 0x58, kept[i]);
    }
    code_byte(c, 0xc3);
}

/* The operation at the arena + EAX, and `tag`, to a register, by way of RCX. */
static void put_op(struct code *c, unsigned reg, unsigned tag)
{
    code_constant(c, HOST_RCX, (uint64_t)(uintptr_t)c->t->arena + tag);
    code_byte(c, REX_W);
    code_byte(c, 0x01);
    code_byte(c, 0xc8); /* add rax, rcx */
    if (reg != HOST_RAX) {
        copy_register(c, reg, HOST_RAX);
    }
}

/* Calls function(cpu, operation). */
static void put_call(struct code *c, const void *function)
{
    store_guest(c);
    put_op(c, HOST_RSI, 0);
    copy_register(c, HOST_RDI, HOST_R13);
    code_constant(c, HOST_RAX, (uint64_t)(uintptr_t)function);
    code_byte(c, 0xff);
    code_byte(c, 0xd0); /* call rax */
}

static uint32_t put_leaving_with(struct code *c, unsigned tag)
{
    uint32_t at = c->at;
    store_guest(c);
    put_op(c, HOST_RAX, tag);
    put_return(c);
    return at;
}

static uint32_t put_leaving_call(struct code *c, leave_fn *function)
{
    uint32_t at = c->at;
    put_call(c, (const void *)(uintptr_t)function);
    put_return(c);
    return at;
}

/* The plain execution function of an operation; then on where it says. */
static uint32_t put_slow(struct code *c)
{
    uint32_t at = c->at;
    put_call(c, (const void *)(uintptr_t)translate_slow);
    load_guest(c);
    code_byte(c, 0xff);
    code_byte(c, 0xe0); /* jmp rax */
    return at;
}

/* To the first operation of a block in RAX. */
static uint32_t put_leaving_to_block(struct code *c)
{
    uint32_t at = c->at;
    store_guest(c);
    code_byte(c, REX_W);
    code_byte(c, 0x8b);
    code_byte(c, 0x80); /* mov rax, [rax + 32 bits] */
    code_word(c, offsetof(struct block, ops), 4);
    put_return(c);
    return at;
}

void translate_glue(struct translator *t)
{
    struct code c = {t, 0};
    put_enter(&c);
    t->leave = c.at;
    code_load(&c, HOST_RAX, offsetof(struct cpu, chain_op));
    put_return(&c);
    t->glue[GLUE_SLOW] = put_slow(&c);
    t->glue[GLUE_SLOW_END] = put_leaving_call(&c, translate_slow_end);
    t->glue[GLUE_REFUSED] = put_leaving_call(&c, translate_refused);
    t->glue[GLUE_LINK] = put_leaving_with(&c, FOLLOW);
    t->glue[GLUE_OP] = put_leaving_with(&c, 0);
    t->glue[GLUE_BLOCK] = put_leaving_to_block(&c);
    t->first = c.at;
}
