#ifndef ORRERY_TESTS_VEC_H
#define ORRERY_TESTS_VEC_H

/*
 * Vectors: one line of text a case, with the whole state before and after. tests/vectors/README.md has the
 * grammar. The rule is that everything which the line does not name stays as it was, registers and memory.
 *
 *   vec_state.c   the state as a list of named words, and the modes a vector starts in
 *   vec_value.c   values and descriptors
 *   vec_text.c    lines and items: text -> state before, state expected
 *   vec_event.c   what the manual says of the delivery of exceptions and interrupts
 *   vec_run.c     loads a state into a vCPU, runs it, compares
 */

#include "apic/lapic.h"
#include "core/bus.h"
#include "cpu/block.h"
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/segment.h"

/* Where things lie; everything is below 64 KiB, so that all modes reach it. */
#define VEC_GDT     0x1000u
#define VEC_LDT     0x1800u
#define VEC_IDT     0x2000u
#define VEC_TSS     0x3000u
#define VEC_PML4    0x4000u
#define VEC_PDPT    0x5000u
#define VEC_CODE    0x8000u
#define VEC_HANDLER 0x9000u /* handler of vector v: 0x9000 + 16 * v, an HLT */
#define VEC_RSP0    0xb000u
#define VEC_RSP1    0xb400u
#define VEC_RSP2    0xb800u
#define VEC_IST1    0xc000u
#define VEC_DATA    0xd000u
#define VEC_STACK   0xf000u

#define VEC_RAM_BYTES   0x20000u /* compared; the vCPU has more */
#define VEC_CODE_BYTES  96u
#define VEC_START_TIME  0x5000u
#define VEC_PORT        0x5000u /* 64 ports: a byte reads as its number's low byte, writes are recorded */
#define VEC_STEPS_MAX   64u
#define VEC_TITLE_BYTES 160u

enum vec_field {
#define VEC_FIELD(id, name, where) VEC_##id,
#include "vec_field.def"
#undef VEC_FIELD
    VEC_FIELD_COUNT
};

struct vec_state {
    uint64_t field[VEC_FIELD_COUNT];
    uint8_t ram[VEC_RAM_BYTES];
};

/* A segment's four words follow each other, selector first. */
enum { VEC_SEG_SELECTOR, VEC_SEG_BASE, VEC_SEG_LIMIT, VEC_SEG_ATTR };

enum vec_mode {
#define VEC_MODE(id, name, cpu_mode, level, code, data) VEC_MODE_##id,
#include "vec_mode.def"
#undef VEC_MODE
    VEC_MODE_COUNT
};

/* How a vector's run must end. */
enum vec_end { VEC_END_RUNS, VEC_END_SHUTDOWN, VEC_END_NOT_MODELLED };

struct vec {
    const char *file;
    unsigned line;
    enum vec_mode mode;
    char key[24];
    char title[VEC_TITLE_BYTES];
    uint8_t code[VEC_CODE_BYTES];
    unsigned code_bytes, last_bytes; /* last_bytes: offset of the last instruction */
    unsigned steps;                  /* instructions, iterations and deliveries */
    bool faults;                     /* an exception is expected */
    enum vec_end end;
    struct vec_state before, after;
};

/* ---- vec_state.c ---- */

extern const char *const vec_field_names[VEC_FIELD_COUNT];
extern const char *const vec_mode_names[VEC_MODE_COUNT];

/* The field of a name, or VEC_FIELD_COUNT. */
unsigned vec_field_find(const char *name, size_t length);
/* The state in which the vectors of a mode begin, before what the line itself sets. */
void vec_mode_state(struct vec_state *s, enum vec_mode mode);
/* Does a word of the column of modes ("l64.0", "all.0", "pm.3", ...) mean this mode? */
bool vec_mode_named(const char *word, size_t length, enum vec_mode mode);

void vec_poke(struct vec_state *s, uint64_t at, uint64_t value, unsigned size_bytes);
uint64_t vec_peek(const struct vec_state *s, uint64_t at, unsigned size_bytes);
bool vec_long_mode(const struct vec_state *s);
bool vec_64bit(const struct vec_state *s);

/* ---- vec_value.c ---- */

/* Ends the test program's work on this vector with a message: the text is wrong. */
_Noreturn void vec_error(const struct vec *v, const char *what, const char *text);

/* A value at *text, up to what cannot be part of it; names mean the state before. */
uint64_t vec_value(const struct vec *v, const char **text);
/* A descriptor, a gate or a pair of them (16 bytes): what follows "gdt[n]=". Writes it at `at`. */
void vec_descriptor(const struct vec *v, struct vec_state *s, uint64_t at, const char *text);
void vec_idt_entry(const struct vec *v, struct vec_state *s, unsigned vector, const char *text);
/* Sets a segment register (first field) to what the descriptor tables of s say of a selector. */
void vec_load_segment(const struct vec *v, struct vec_state *s, unsigned first_field, uint64_t selector);

/* ---- vec_text.c ---- */

/* One line, for one mode: false when the line is not for that mode. line_text is not kept. */
bool vec_parse(struct vec *v, const char *file, unsigned line, const char *line_text, enum vec_mode mode);

/* ---- vec_event.c ---- */

void vec_push(struct vec_state *s, uint64_t value, unsigned size_bytes);
/* "#GP(0)", "$BP", "#21": the exception or interrupt of the text, delivered by the gates of vec_mode_state. */
void vec_event(const struct vec *v, struct vec_state *s, const char *text);

/* ---- vec_run.c ---- */

struct vec_machine;

struct vec_machine *vec_machine_create(void);
void vec_machine_destroy(struct vec_machine *m);

/* Runs the vector on every engine; prints what differs. */
bool vec_run(struct vec_machine *m, const struct vec *v);

#endif
