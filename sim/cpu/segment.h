#ifndef ORRERY_CPU_SEGMENT_H
#define ORRERY_CPU_SEGMENT_H

/* Segmentation: effective address -> linear address with all checks; descriptors; loads of segment registers;
 * the stack. Source: APM vol. 2, "Segmented Virtual Memory". */

#include "cpu/insn.h"

/* Descriptor types. Code and data (S = 1): */
#define TYPE_CODE        0x8u
#define TYPE_CONFORMING  0x4u /* code */
#define TYPE_READABLE    0x2u /* code */
#define TYPE_EXPAND_DOWN 0x4u /* data */
#define TYPE_WRITABLE    0x2u /* data */
#define TYPE_ACCESSED    0x1u
/* System (S = 0). In long mode only LDT, TSS32 (64-bit TSS there) and the 32-bit gates (64-bit there) exist.
 */
#define TYPE_TSS16       0x1u
#define TYPE_LDT         0x2u
#define TYPE_TSS16_BUSY  0x3u
#define TYPE_CALL_GATE16 0x4u
#define TYPE_TASK_GATE   0x5u
#define TYPE_INT_GATE16  0x6u
#define TYPE_TRAP_GATE16 0x7u
#define TYPE_TSS32       0x9u
#define TYPE_TSS32_BUSY  0xbu
#define TYPE_CALL_GATE32 0xcu
#define TYPE_INT_GATE32  0xeu
#define TYPE_TRAP_GATE32 0xfu

#define SELECTOR_RPL            3u
#define SELECTOR_TI             4u
#define SELECTOR_NULL(selector) (((selector)&0xfffcu) == 0)

/* Error code of a selector: index and table, with the EXT bit clear (exception.c adds it). */
#define SELECTOR_ERROR(selector) ((uint32_t)((selector)&0xfffcu))

/* A descriptor as it lies in memory: bits 63..0, and bits 127..64 where the long mode makes it 16 bytes.
 *
 *   63       56 55 54 53  52 51      48 47 46 45 44 43   40 39          16 15         0
 *  | base31:24 | G |DB| L |AVL|limit19:16| P | DPL | S | type | base 23:0    | limit 15:0 |
 */
struct descriptor {
    lin_t address;
    uint64_t raw, raw_hi;
};

static inline unsigned descriptor_attr(const struct descriptor *d)
{
    return (unsigned)(d->raw >> 40) & 0xf0ffu;
}

static inline unsigned attr_type(unsigned attr)
{
    return attr & SEG_TYPE;
}

static inline unsigned attr_dpl(unsigned attr)
{
    return (attr & SEG_DPL) >> 5;
}

/* Code or data of the given kind? attr as in struct segment. */
static inline bool attr_is_code(unsigned attr)
{
    return (attr & SEG_S) && (attr & TYPE_CODE);
}

static inline bool attr_is_conforming(unsigned attr)
{
    return attr_is_code(attr) && (attr & TYPE_CONFORMING);
}

static inline bool attr_is_writable_data(unsigned attr)
{
    return (attr & SEG_S) && !(attr & TYPE_CODE) && (attr & TYPE_WRITABLE);
}

/* Base of a code, data or 8-byte system descriptor (without bits 63..32 of a 16-byte one). */
uint32_t descriptor_base(const struct descriptor *d);
/* Limit in bytes, scaled by G. */
uint32_t descriptor_limit(const struct descriptor *d);
/* The hidden part that a load of d gives; selector as given. */
struct segment descriptor_segment(const struct descriptor *d, uint16_t selector);

/* Reads the descriptor that a non-null selector names, by implicit supervisor accesses. Outside its table, or
 * in an unusable LDT: vector with the selector as error code. False: that or #PF, in cpu->fault. */
bool descriptor_read(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *out);
/* Adds the upper half of a 16-byte descriptor; its type field (bits 108..104) must be zero, else
 * #GP(selector). */
bool descriptor_read_upper(struct cpu *cpu, uint16_t selector, struct descriptor *d);
/* Sets bits of the type field in memory (accessed, busy), if they are not set yet. */
bool descriptor_set_type_bits(struct cpu *cpu, struct descriptor *d, unsigned bits);

/* Long mode, 64-bit or compatibility. */
static inline bool in_long_mode(const struct cpu *cpu)
{
    return (cpu->efer & EFER_LMA) != 0;
}

/* Records a fault with an error code; always false. */
static inline bool segment_fault(struct cpu *cpu, enum vector vector, uint32_t error)
{
    cpu_fault_code(cpu, vector, error);
    return false;
}

/* A null selector's hidden part: not present, base and limit zero (CPUID 8000_0021 NullSelectClearsBase). */
struct segment segment_null(uint16_t selector);

/* A stack segment for privilege level cpl: RPL, DPL and type checks raise vector (#GP, or #TS when the
 * selector comes from a TSS), absence #SS; the selector is the error code. Sets the accessed bit. */
bool segment_read_stack(struct cpu *cpu, uint16_t selector, unsigned cpl, enum vector vector,
                        struct segment *out);

/* CS of a direct far jump or call at the current privilege, or (by checks of RET and IRET) of a far return to
 * the selector's RPL. #GP or #NP with the selector as error code. Sets the accessed bit. */
bool segment_read_code(struct cpu *cpu, uint16_t selector, const struct descriptor *d, struct segment *out);
bool segment_read_code_return(struct cpu *cpu, uint16_t selector, struct segment *out);

/* rip must be canonical for a 64-bit code segment, else within its limit: #GP(0). */
bool segment_check_rip(struct cpu *cpu, const struct segment *cs, uint64_t rip);

/* After a return to an outer level: ES, DS, FS, GS that the new CPL may not use become null. */
void segment_drop_inner(struct cpu *cpu);

/* Linear address of offset in segment s for an access of size_bytes. 64-bit mode: canonical check only, bases
 * of FS and GS (then the offset must be canonical, too, as the reference silicon has it). Else type, limit (expand-down too) and presence. False: #GP(0) or, for SS, #SS(0) in
 * cpu->fault. */
bool segment_linear(struct cpu *cpu, enum seg_reg s, uint64_t offset, unsigned size_bytes, bool write,
                    lin_t *out);

/* The same for instruction fetch from CS at offset. */
bool segment_fetch(struct cpu *cpu, uint64_t offset, lin_t *out);

/* Loads a data or stack segment register (MOV, POP, LxS) with all checks; real mode sets base = selector
 * << 4. */
bool segment_load(struct cpu *cpu, enum seg_reg s, uint16_t selector);

/* Stack width in bytes for pushes by SS.B and mode: 2, 4 or 8 (address width, not operand size). */
unsigned segment_stack_bytes(const struct cpu *cpu);

/* Push and pop at the current privilege; size_bytes 2, 4, 8. push_probe style: stack pointer changes only on
 * success. */
bool stack_push(struct cpu *cpu, uint64_t value, unsigned size_bytes);
bool stack_pop(struct cpu *cpu, unsigned size_bytes, uint64_t *out);
/* RSP plus delta, with the width rules of the stack segment. */
void stack_adjust(struct cpu *cpu, int64_t delta);

/* A stack being pushed to or popped from, apart from the CPU's registers until the instruction commits. */
struct stack_frame {
    struct segment ss;
    uint64_t rsp;
    uint8_t width_bytes; /* 2, 4 or 8: how RSP wraps; 8 also means no limit, canonical check instead */
    bool system;         /* an inner level's stack: implicit supervisor accesses */
    uint32_t error;      /* of #SS: the selector after a stack switch, else 0 */
};

/* The current stack. */
struct stack_frame frame_current(const struct cpu *cpu);
/* A new stack of a lower level; long64: it will be used in 64-bit mode. */
struct stack_frame frame_inner(const struct segment *ss, uint64_t rsp, bool long64);
bool frame_push(struct cpu *cpu, struct stack_frame *f, uint64_t value, unsigned size_bytes);
bool frame_pop(struct cpu *cpu, struct stack_frame *f, unsigned size_bytes, uint64_t *out);
/* Reads what lies above_bytes above the top, without popping: far returns look at their frames in an order of their own,
 * which decides about the address of a page fault. */
bool frame_peek(struct cpu *cpu, const struct stack_frame *f, uint64_t above_bytes, unsigned size_bytes,
                uint64_t *out);
/* The outer stack of IRET and RETF: pops (E,R)SP and SS from *from, checks SS for code's privilege (#GP,
 * #SS). */
bool far_return_stack(struct cpu *cpu, struct stack_frame *from, const struct segment *code,
                      unsigned size_bytes, struct stack_frame *to);
/* RSP plus delta by the frame's width. */
void frame_adjust(struct stack_frame *f, int64_t delta);

#endif
