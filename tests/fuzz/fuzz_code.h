#ifndef ORRERY_TESTS_FUZZ_CODE_H
#define ORRERY_TESTS_FUZZ_CODE_H

/* Random guest code: any instruction that decodes, and groups of instructions that reach what a lone random one does
 * not (a real MSR number, a device port, a descriptor, a page table, the code itself). */

#include "fuzz.h"

#include <Zydis/Zydis.h>

#define FUZZ_GROUP_BYTES 64u /* no group is longer */

struct fuzz_code {
    uint8_t *bytes;
    size_t end, at; /* groups go to bytes[at] while there are FUZZ_GROUP_BYTES before end */
    unsigned bits;  /* 16, 32, 64: of the code segment */
};

/* Addresses that the groups aim at. */
static const uint32_t fuzz_memory_targets[] = {
    0x40000, 0x40100, 0x41000, 0x42ff0, 0x60000, 0x60010, 0x60ff8, 0x60fff, 0x61ffd,   0x62000,
    0x57000, 0x10000, 0x11000, 0x12000, 0x14000, 0x16000, 0x17000, 0x20000, 0x20008,   0x20050,
    0x21000, 0x210e0, 0x23000, 0x30000, 0x9ffff, 0xa0000, 0xf0000, 0xfffff, 0x1000000, 0xffffff,
};
static const uint32_t fuzz_device_targets[] = {0xfee00000, 0xfee00000, 0xfec00000,
                                               0xfed00000, 0xfea00000, 0xfec01000};
static const uint16_t fuzz_ports[] = {
    0x20,  0x21,  0xa0,  0xa1,  0x40,  0x41,  0x42,  0x43,  0x60,  0x61,   0x64,  0x70,
    0x71,  0x80,  0x92,  0xe9,  0x2f8, 0x2f9, 0x2fa, 0x2fb, 0x2fd, 0x3f8,  0x3f9, 0x3fa,
    0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x4d0, 0x4d1, 0x600, 0x602, 0x604,  0x608, 0x620,
    0x622, 0xcf8, 0xcfc, 0xcf9, 0xb2,  0x22,  0x3e8, 0x0,   0x8,   0xffff, 0xf0,
};
static const uint32_t fuzz_msrs[] = {
    0x10,       0x1b,       0x3a,       0x3b,       0x8b,       0xfe,       0x174,      0x175,
    0x176,      0x179,      0x17a,      0x1a0,      0x1d9,      0x200,      0x201,      0x20f,
    0x250,      0x258,      0x268,      0x277,      0x2ff,      0x6e0,      0x802,      0x803,
    0x808,      0x80b,      0x80d,      0x80f,      0x810,      0x820,      0x828,      0x82f,
    0x830,      0x832,      0x835,      0x838,      0x839,      0x83e,      0x83f,      0xc0000080,
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
    0xc0010010, 0xc0010015, 0xda0,      0x1db,      0xc0010000, 0xc0010004, 0xc0010016, 0xc0010017,
    0xc001001a, 0xc001001f, 0xc0010022, 0xc0010111, 0xc0010113, 0xc0011029,
};

/* ---- pieces ---- */

static inline void fuzz_byte(struct fuzz_code *c, unsigned value)
{
    c->bytes[c->at++] = (uint8_t)value;
}

static inline void fuzz_bytes(struct fuzz_code *c, const char *bytes, size_t size)
{
    memcpy(c->bytes + c->at, bytes, size);
    c->at += size;
}

static inline void fuzz_imm(struct fuzz_code *c, uint64_t value, unsigned size_bytes)
{
    memcpy(c->bytes + c->at, &value, size_bytes);
    c->at += size_bytes;
}

/* Prefix that makes the operand size 32 bits. */
static inline void fuzz_op32(struct fuzz_code *c)
{
    if (c->bits == 16) {
        fuzz_byte(c, 0x66);
    }
}

static inline void fuzz_address32(struct fuzz_code *c)
{
    if (c->bits == 16) {
        fuzz_byte(c, 0x67);
    }
}

/* mov r32, imm32 of one of the first eight registers. */
static inline void fuzz_load(struct fuzz_code *c, unsigned reg, uint64_t value)
{
    fuzz_op32(c);
    fuzz_byte(c, 0xb8 + reg);
    fuzz_imm(c, value, 4);
}

/* As fuzz_load, or with 64 bits where there are any. */
static inline void fuzz_load_wide(struct rng *r, struct fuzz_code *c, unsigned reg, uint64_t value)
{
    if (c->bits != 64 || fuzz_one_in(r, 2)) {
        fuzz_load(c, reg, value);
        return;
    }
    fuzz_byte(c, 0x48);
    fuzz_byte(c, 0xb8 + reg);
    fuzz_imm(c, value, 8);
}

static inline uint32_t fuzz_target(struct rng *r)
{
    uint32_t at = fuzz_one_in(r, 6) ? FUZZ_PICK(r, fuzz_device_targets) : FUZZ_PICK(r, fuzz_memory_targets);
    return fuzz_one_in(r, 2) ? at : at + 8 * fuzz_below(r, 256) - fuzz_below(r, 8);
}

#define FUZZ_TEXT(c, text) fuzz_bytes((c), (text), sizeof(text) - 1)

/* ---- one instruction, whatever it is ---- */

static inline unsigned fuzz_try(struct rng *r, const struct fuzz_code *c, uint8_t *b)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65};
    unsigned n = 0;
    for (; n < 3 && fuzz_one_in(r, 6);) {
        b[n++] = FUZZ_PICK(r, prefixes);
    }
    if (c->bits == 64 && fuzz_one_in(r, 2)) {
        b[n++] = (uint8_t)(0x40 | (fuzz_one_in(r, 2) ? 8 : 0) | (fuzz_one_in(r, 4) ? fuzz_below(r, 8) : 0));
    }
    unsigned map = fuzz_below(r, 12);
    if (map >= 5) {
        b[n++] = 0x0f;
    }
    if (map >= 10) {
        b[n++] = map == 10 ? 0x38 : 0x3a;
    }
    b[n++] = (uint8_t)rng_next(r);
    /* memory through rbx, rsi, rdi, rbp with a short displacement more often than anything else */
    static const uint8_t bases[] = {3, 6, 7, 5};
    uint8_t any = (uint8_t)rng_next(r);
    b[n++] = fuzz_one_in(r, 2) ? (uint8_t)(0x40 | (any & 0x38) | FUZZ_PICK(r, bases)) : any;
    for (unsigned i = 0; i < 10; i++) {
        b[n++] = fuzz_one_in(r, 3) ? (uint8_t)fuzz_value(r) : (uint8_t)(fuzz_below(r, 8) * 8);
    }
    return n;
}

static inline void fuzz_any(struct rng *r, struct fuzz_code *c)
{
    ZydisDecoder d;
    ZydisDecodedInstruction insn;
    ZydisMachineMode mode = c->bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : c->bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                            : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisStackWidth width = c->bits == 64   ? ZYDIS_STACK_WIDTH_64
                            : c->bits == 32 ? ZYDIS_STACK_WIDTH_32
                                            : ZYDIS_STACK_WIDTH_16;
    ZydisDecoderInit(&d, mode, width);
    for (unsigned tries = 0; tries < 50; tries++) {
        uint8_t b[24];
        unsigned n = fuzz_try(r, c, b);
        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d, NULL, b, n, &insn))) {
            fuzz_bytes(c, (const char *)b, insn.length);
            return;
        }
    }
    fuzz_byte(c, 0x90);
}

/* ---- groups ---- */

static inline void fuzz_registers(struct rng *r, struct fuzz_code *c)
{
    static const uint8_t pointers[] = {3, 6, 7, 5};
    fuzz_load_wide(r, c, FUZZ_PICK(r, pointers), fuzz_target(r));
    if (fuzz_one_in(r, 4)) {
        fuzz_load(c, 4, 0x57000);
    }
}

static inline void fuzz_msr(struct rng *r, struct fuzz_code *c)
{
    uint64_t v = fuzz_value(r);
    fuzz_load(c, 1, fuzz_one_in(r, 16) ? fuzz_value(r) : FUZZ_PICK(r, fuzz_msrs));
    if (fuzz_one_in(r, 4)) {
        FUZZ_TEXT(c, "\x0f\x32"); /* rdmsr, change one bit */
        fuzz_op32(c);
        fuzz_byte(c, 0x35);
        fuzz_imm(c, UINT32_C(1) << fuzz_below(r, 32), 4);
    } else {
        fuzz_load(c, 0, v);
        fuzz_load(c, 2, fuzz_one_in(r, 2) ? 0 : v >> 32);
    }
    FUZZ_TEXT(c, "\x0f\x30");
}

static inline void fuzz_control(struct rng *r, struct fuzz_code *c)
{
    static const uint8_t numbers[] = {0, 0, 3, 3, 4, 4, 2, 8, 1, 15};
    static const uint32_t roots[] = {0x10000, 0x11000, 0x16000, 0x10001, 0x10fff, 0x12000};
    unsigned n = FUZZ_PICK(r, numbers), rex = c->bits == 64 && n >= 8 ? 0x44 : 0;
    if (n == 3 || fuzz_one_in(r, 8)) {
        fuzz_load_wide(r, c, 0, fuzz_one_in(r, 4) ? fuzz_value(r) : FUZZ_PICK(r, roots));
    } else { /* change one bit of what it is */
        fuzz_bytes(c, "\x44\x0f\x20", 3);
        c->at -= rex ? 0 : 3;
        fuzz_bytes(c, "\x0f\x20", rex ? 0 : 2);
        fuzz_byte(c, 0xc0 | (n & 7) << 3);
        fuzz_op32(c);
        fuzz_byte(c, 0x35);
        fuzz_imm(c, UINT32_C(1) << (fuzz_one_in(r, 2) ? fuzz_below(r, 22) : fuzz_below(r, 32)), 4);
    }
    if (rex) {
        fuzz_byte(c, rex);
    }
    fuzz_byte(c, 0x0f);
    fuzz_byte(c, 0x22);
    fuzz_byte(c, 0xc0 | (n & 7) << 3);
}

/* LGDT, LIDT, LLDT, LTR, SMSW, INVLPG, VERR, LAR and the rest of groups 6 and 7 and their neighbours. */
static inline void fuzz_tables(struct rng *r, struct fuzz_code *c)
{
    static const uint8_t selectors[] = {0,    8,    0x10, 0x18, 0x20, 0x28, 0x33, 0x3b,
                                        0x43, 0x50, 0x60, 0x70, 0x78, 4,    0x14, 0x73};
    unsigned kind = fuzz_below(r, 5);
    fuzz_load(c, 0, FUZZ_PICK(r, selectors));
    fuzz_load(c, 3, fuzz_target(r));
    if (kind == 0) { /* an operand that a descriptor table can have */
        fuzz_address32(c);
        FUZZ_TEXT(c, "\x66\xc7\x03");
        if (c->bits == 16) {
            c->at -= 3;
            FUZZ_TEXT(c, "\xc7\x03");
        }
        fuzz_imm(c, fuzz_one_in(r, 2) ? 0xfff : fuzz_value(r), 2);
        fuzz_op32(c);
        fuzz_address32(c);
        FUZZ_TEXT(c, "\xc7\x43\x02");
        fuzz_imm(c, fuzz_one_in(r, 2) ? 0x20000 : 0x21000, 4);
        fuzz_address32(c);
        FUZZ_TEXT(c, "\x0f\x01");
        fuzz_byte(c, fuzz_one_in(r, 2) ? 0x13 : 0x1b);
        return;
    }
    fuzz_address32(c);
    fuzz_byte(c, 0x0f);
    static const uint8_t opcodes[] = {0x00, 0x01, 0x02, 0x03};
    fuzz_byte(c, kind == 1 ? 0x00 : FUZZ_PICK(r, opcodes));
    unsigned reg = fuzz_below(r, 8) << 3;
    fuzz_byte(c, kind == 1 || fuzz_one_in(r, 2) ? 0xc0 | reg : 0x03 | reg);
}

static inline void fuzz_far(struct rng *r, struct fuzz_code *c)
{
    static const uint16_t code_selectors[] = {8, 8, 0x18, 0x20, 0x33, 0x43, 0x70, 0x50, 0x10, 0x73, 0};
    uint32_t to = 0x40000 + fuzz_below(r, 0x2f00), flags = (uint32_t)fuzz_value(r) & 0x47fd7;
    fuzz_load(c, 3, 0x60100);
    fuzz_load(c, 1, FUZZ_PICK(r, code_selectors));
    fuzz_load(c, 0, c->bits == 16 ? to & 0x3fff : to);
    switch (fuzz_below(r, 4)) {
    case 0: /* pushes SS, SP, FLAGS, CS, IP and IRET */
        fuzz_load(c, 2, flags);
        fuzz_load(c, 7, fuzz_one_in(r, 2) ? 0x10 : 0x3b);
        fuzz_load(c, 6, 0x56000);
        FUZZ_TEXT(c, "\x57\x56\x52\x51\x50");
        fuzz_byte(c, c->bits == 64 ? 0x48 : 0x90);
        fuzz_byte(c, 0xcf);
        break;
    case 1: /* RETF */
        FUZZ_TEXT(c, "\x51\x50");
        fuzz_byte(c, c->bits == 64 ? 0x48 : 0x90);
        fuzz_byte(c, 0xcb);
        break;
    case 2: /* a far pointer in memory: JMP or CALL */
        fuzz_op32(c), fuzz_address32(c);
        FUZZ_TEXT(c, "\x89\x03");
        fuzz_op32(c), fuzz_address32(c);
        FUZZ_TEXT(c, "\x89\x4b\x04");
        fuzz_op32(c), fuzz_address32(c);
        fuzz_byte(c, 0xff);
        fuzz_byte(c, fuzz_one_in(r, 2) ? 0x2b : 0x1b);
        break;
    default: /* segment registers */
        if (fuzz_one_in(r, 4)) {
            FUZZ_TEXT(c, "\x51\x0f\xa1"); /* push, pop fs */
        }
        fuzz_byte(c, 0x8e);
        fuzz_byte(c, 0xc1 | fuzz_below(r, 6) << 3);
        break;
    }
}

static inline void fuzz_port(struct rng *r, struct fuzz_code *c)
{
    static const char opcodes[] = "\xec\xed\xee\xef\xee\xee";
    fuzz_load(c, 2, fuzz_one_in(r, 32) ? fuzz_value(r) : FUZZ_PICK(r, fuzz_ports));
    fuzz_load(c, 0, fuzz_one_in(r, 2) ? rng_below(r, 256) : fuzz_value(r));
    if (fuzz_one_in(r, 8)) { /* rep ins or outs */
        fuzz_load(c, 1, fuzz_below(r, 20));
        fuzz_load(c, 6 + fuzz_below(r, 2), fuzz_target(r));
        fuzz_byte(c, 0xf3);
        fuzz_byte(c, 0x6c + fuzz_below(r, 4));
        return;
    }
    fuzz_byte(c, (uint8_t)opcodes[fuzz_below(r, 6)]);
}

/* An access to a device's registers, of any width and kind. */
static inline void fuzz_mmio(struct rng *r, struct fuzz_code *c)
{
    static const char *const kinds[] = {"\x89\x03",     "\x89\x03", "\x89\x03",     "\x8b\x03",
                                        "\x8b\x03",     "\x88\x03", "\x87\x03",     "\x01\x03",
                                        "\x8a\x03",     "\xff\x03", "\x0f\xae\x03", "\x0f\x11\x03",
                                        "\x0f\x10\x03", "\xdd\x3b", "\x66\x89\x03", "\x0f\xc7\x0b"};
    static const uint16_t ioapic[] = {0, 0x10, 0x10, 0x10, 0x40};
    uint32_t base = FUZZ_PICK(r, fuzz_device_targets), offset = 16 * fuzz_below(r, 64);
    if (base == 0xfec00000) {
        offset = FUZZ_PICK(r, ioapic);
    } else if (base == 0xfed00000) {
        offset = fuzz_one_in(r, 3) ? 0xf0 + 8 * fuzz_below(r, 2) : 8 * fuzz_below(r, 48);
    }
    fuzz_load(c, 3, base + offset + (fuzz_one_in(r, 8) ? fuzz_below(r, 16) : 0));
    fuzz_load(c, 0, fuzz_one_in(r, 2) ? fuzz_below(r, 256) : fuzz_value(r));
    if (c->bits == 64 && fuzz_one_in(r, 6)) {
        fuzz_byte(c, 0x48);
    }
    const char *kind = FUZZ_PICK(r, kinds);
    fuzz_address32(c);
    fuzz_bytes(c, kind, strlen(kind));
}

static inline void fuzz_ipi(struct rng *r, struct fuzz_code *c)
{
    static const uint32_t modes[] = {0,     0,      0,      0x100, 0x400, 0x500,
                                     0x600, 0x4600, 0x8500, 0x800, 0x200, 0x700};
    fuzz_load(c, 3, 0xfee00300);
    fuzz_load(c, 0, fuzz_one_in(r, 8) ? fuzz_value(r) : rng_below(r, 5) << 24);
    fuzz_op32(c), fuzz_address32(c);
    FUZZ_TEXT(c, "\x89\x43\x10");
    fuzz_load(c, 0,
              FUZZ_PICK(r, modes) | fuzz_below(r, 4) << 18 | fuzz_below(r, 256) |
                  (fuzz_one_in(r, 2) ? 0x4000 : 0));
    fuzz_op32(c), fuzz_address32(c);
    FUZZ_TEXT(c, "\x89\x03");
    if (fuzz_one_in(r, 2)) { /* and the APIC on, or its timer */
        fuzz_load(c, 3, fuzz_one_in(r, 2) ? 0xfee000f0 : 0xfee00380);
        fuzz_load(c, 0, 0x100 | fuzz_below(r, 256));
        fuzz_op32(c), fuzz_address32(c);
        FUZZ_TEXT(c, "\x89\x03");
    }
}

static inline void fuzz_string(struct rng *r, struct fuzz_code *c)
{
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf};
    static const uint32_t counts[] = {0, 1, 3, 17, 100, 600, 5000, 0xffffffff};
    fuzz_load(c, 1, FUZZ_PICK(r, counts));
    fuzz_load_wide(r, c, 6, fuzz_target(r));
    fuzz_load_wide(r, c, 7, fuzz_one_in(r, 2) ? 0x60000 + fuzz_below(r, 0x3000) : fuzz_target(r));
    if (fuzz_one_in(r, 8)) {
        fuzz_byte(c, 0xfc + fuzz_below(r, 2)); /* CLD, STD */
    }
    if (fuzz_one_in(r, 6)) {
        fuzz_byte(c, 0x67);
    }
    fuzz_byte(c, 0xf2 + fuzz_below(r, 2));
    if (c->bits == 64 && fuzz_one_in(r, 3)) {
        fuzz_byte(c, 0x48);
    }
    fuzz_byte(c, FUZZ_PICK(r, opcodes));
}

/* A store into code, page tables or descriptor tables, and sometimes the invalidation. */
static inline void fuzz_modify(struct rng *r, struct fuzz_code *c)
{
    static const uint32_t tables[] = {0x10000, 0x11000, 0x12000, 0x14000, 0x16000,
                                      0x17000, 0x20000, 0x21000, 0x23000};
    bool code = fuzz_one_in(r, 2);
    uint32_t near = 0x40000 + (uint32_t)c->at + fuzz_below(r, 48) - 8;
    uint32_t at = code ? (fuzz_one_in(r, 2) ? near : 0x40000 + fuzz_below(r, 0x3000))
                       : FUZZ_PICK(r, tables) + 8 * fuzz_below(r, 512);
    fuzz_load(c, 3, at);
    fuzz_load(c, 0,
              code                ? fuzz_value(r)
              : fuzz_one_in(r, 3) ? fuzz_value(r)
                                  : 0x1000 * fuzz_below(r, 256) + (rng_next(r) & 0x1ff));
    fuzz_address32(c);
    fuzz_byte(c, code && fuzz_one_in(r, 2) ? 0x88 : 0x89);
    fuzz_byte(c, 0x03);
    if (fuzz_one_in(r, 3)) {
        fuzz_load(c, 3, fuzz_target(r));
        fuzz_address32(c);
        FUZZ_TEXT(c, "\x0f\x01\x3b");
    }
}

/* XSAVE, FXSAVE, MONITOR, INVPCID, CMPXCHG16B, cache control: memory operands of unusual kinds. */
static inline void fuzz_areas(struct rng *r, struct fuzz_code *c)
{
    static const char *const kinds[] = {
        "\x0f\xae\x03", "\x0f\xae\x0b",     "\x0f\xae\x13",
        "\x0f\xae\x1b", "\x0f\xae\x23",     "\x0f\xae\x2b",
        "\x0f\xae\x33", "\x0f\xae\x3b",     "\x66\x0f\x38\x82\x03",
        "\x0f\xc7\x0b", "\x0f\xc7\x23",     "\x0f\xc7\x2b",
        "\xdd\x23",     "\xdd\x33",         "\xd9\x23",
        "\xd9\x33",     "\x66\x0f\xae\x3b", "\x66\x0f\xae\x33",
        "\x0f\x0d\x0b", "\x0f\x18\x03",     "\xdf\x33",
        "\xdb\x3b",     "\x0f\xc3\x03",     "\x0f\xe7\x03",
        "\x0f\xf7\xc1",
    };
    fuzz_load(c, 3, fuzz_one_in(r, 3) ? 0x60000 + 64 * fuzz_below(r, 128) : fuzz_target(r));
    fuzz_load(c, 0, fuzz_below(r, 8));
    fuzz_load(c, 2, fuzz_one_in(r, 4) ? fuzz_value(r) : 0);
    fuzz_load(c, 1, fuzz_one_in(r, 8) ? fuzz_value(r) : 0);
    if (fuzz_one_in(r, 5)) {
        FUZZ_TEXT(c, "\x8d\x03\x0f\x01\xc8"); /* MONITOR, then perhaps MWAIT */
        FUZZ_TEXT(c, "\x0f\x01\xc9");
        c->at -= fuzz_one_in(r, 2) ? 3 : 0;
        return;
    }
    if (fuzz_one_in(r, 6)) {
        FUZZ_TEXT(c, "\x0f\x01");
        fuzz_byte(c, 0xc0 | fuzz_below(r, 64));
        return;
    }
    fuzz_address32(c);
    if (c->bits == 64 && fuzz_one_in(r, 3)) {
        fuzz_byte(c, 0x48);
    }
    const char *kind = FUZZ_PICK(r, kinds);
    fuzz_bytes(c, kind, strlen(kind));
}

/* Short instructions that change the order of things. */
static inline void fuzz_events(struct rng *r, struct fuzz_code *c)
{
    static const char *const kinds[] = {
        "\xfb",         "\xfb",         "\xfa",
        "\xf4",         "\xf3\x90",     "\x9d",
        "\x9c",         "\xcc",         "\xf1",
        "\xce",         "\x0f\x05",     "\x0f\x34",
        "\x0f\x07",     "\x48\x0f\x07", "\x0f\x35",
        "\x0f\x01\xf8", "\x0f\x01\xf9", "\x0f\xa2",
        "\x0f\x31",     "\x0f\x33",     "\x0f\x0b",
        "\x0f\x06",     "\x0f\x08",     "\x0f\x09",
        "\x0f\x0b",     "\x0f\xc7\xf0", "\x0f\xc7\xf8",
        "\x0f\xae\xf0", "\x0f\xae\xe8", "\x9b",
        "\xdb\xe3",     "\x0f\x77",     "\xf3\x0f\x1e\xfa",
        "\x0f\x01\xd0", "\x0f\x01\xd1", "\x0f\x01\xca",
        "\x0f\x01\xcb", "\x0f\xaa",     "\xd6",
        "\x0f\xff",     "\x0f\x21\xf8", "\x0f\x23\xf8",
        "\x0f\x23\xc0", "\x0f\x23\xf0", "\x8e\xd1",
        "\x17",         "\x1f",         "\xc9",
    };
    if (fuzz_one_in(r, 4)) {
        fuzz_byte(c, 0xcd);
        fuzz_byte(c, fuzz_below(r, 256));
        return;
    }
    fuzz_load(c, 0, fuzz_one_in(r, 2) ? 0x40000 + fuzz_below(r, 0x2000) : fuzz_value(r));
    const char *kind = FUZZ_PICK(r, kinds);
    fuzz_bytes(c, kind, strlen(kind));
}

/* Branches: short ones both ways, loops, calls. */
static inline void fuzz_branch(struct rng *r, struct fuzz_code *c)
{
    static const uint8_t opcodes[] = {0xe0, 0xe1, 0xe2, 0xe3, 0xeb};
    unsigned kind = fuzz_below(r, 8);
    int to = fuzz_one_in(r, 3) ? -(int)fuzz_below(r, 100) : (int)fuzz_below(r, 24);
    if (kind == 0) {
        fuzz_byte(c, 0xe8);
        fuzz_imm(c, (uint64_t)to, c->bits == 16 ? 2 : 4);
    } else if (kind == 1) {
        fuzz_load(c, 0, c->bits == 16 ? fuzz_below(r, 0x2f00) : 0x40000 + fuzz_below(r, 0x2f00));
        fuzz_byte(c, 0xff);
        fuzz_byte(c, fuzz_one_in(r, 2) ? 0xe0 : 0xd0);
    } else if (kind == 2) {
        fuzz_load(c, 1, 1 + fuzz_below(r, 50));
        fuzz_any(r, c);
        fuzz_byte(c, FUZZ_PICK(r, opcodes));
        fuzz_imm(c, (uint64_t) - (int)(2 + fuzz_below(r, 12)), 1);
    } else {
        fuzz_byte(c, 0x70 + fuzz_below(r, 16));
        fuzz_imm(c, (uint64_t)to, 1);
    }
}

/* Appends one instruction or group, when there is room. */
static inline void fuzz_emit(struct rng *r, struct fuzz_code *c)
{
    typedef void group_fn(struct rng * r, struct fuzz_code * c);
    static group_fn *const groups[] = {
        fuzz_any,       fuzz_any,       fuzz_any,    fuzz_any,     fuzz_any,    fuzz_any,
        fuzz_registers, fuzz_registers, fuzz_msr,    fuzz_control, fuzz_tables, fuzz_far,
        fuzz_port,      fuzz_mmio,      fuzz_mmio,   fuzz_ipi,     fuzz_string, fuzz_modify,
        fuzz_areas,     fuzz_events,    fuzz_branch, fuzz_branch,
    };
    if (c->at + FUZZ_GROUP_BYTES <= c->end) {
        FUZZ_PICK(r, groups)(r, c);
    }
}

/* A near jump by delta from its own first byte. */
static inline void fuzz_emit_jump(struct fuzz_code *c, int32_t delta)
{
    fuzz_byte(c, 0xe9);
    fuzz_imm(c, (uint64_t)(int64_t)(delta - (c->bits == 16 ? 3 : 5)), c->bits == 16 ? 2 : 4);
}

/* The end of a handler: drops the error code, moves the return address on, IRET. */
static inline void fuzz_emit_return(struct fuzz_code *c, bool has_code, uint8_t skip)
{
    if (has_code) {
        fuzz_bytes(c, "\x48\x83\xc4\x08", c->bits == 64 ? 4 : 0); /* add rsp, 8 */
        fuzz_bytes(c, "\x83\xc4\x04", c->bits == 32 ? 3 : 0);
    }
    if (c->bits == 16) {
        FUZZ_TEXT(
            c, "\x55\x89\xe5\x83\x46\x02"); /* push bp; mov bp, sp; add word [bp + 2], skip; pop bp; iret */
        fuzz_byte(c, skip);
        FUZZ_TEXT(c, "\x5d\xcf");
        return;
    }
    fuzz_bytes(c, "\x48", c->bits == 64 ? 1 : 0);
    FUZZ_TEXT(c, "\x83\x04\x24"); /* add [rsp], skip; iret */
    fuzz_byte(c, skip);
    fuzz_bytes(c, "\x48", c->bits == 64 ? 1 : 0);
    fuzz_byte(c, 0xcf);
}

#endif
