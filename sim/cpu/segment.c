/*
 * Segmentation: descriptors, loads of segment registers, linear addresses, the stack.
 *
 * Source: AMD64 APM vol. 2, "Segmented Virtual Memory" and "Segment-Protection Overview"; vol. 3, the
 * READ_DESCRIPTOR pseudo code and the pages of MOV, POP, LxS, RETF, IRET.
 * Deviations: an access that wraps around the end of a 4-GiB expand-up segment faults (the manuals leave it
 * to the implementation); virtual-8086 mode is not modelled; EFER.LMSLE does not exist.
 *
 * The accessed and busy bits are set by a byte store to the type field after a read. On hardware that is
 * one locked access; two CPUs that set the same bit at once store the same byte, so nothing can be lost.
 */

#include "cpu/segment.h"

#include "cpu/exception.h"
#include "cpu/mem.h"

/* ---- descriptors ---- */

uint32_t descriptor_base(const struct descriptor *d)
{
    return (uint32_t)bits_get(d->raw, 39, 16) | (uint32_t)bits_get(d->raw, 63, 56) << 24;
}

uint32_t descriptor_limit(const struct descriptor *d)
{
    uint32_t limit = (uint32_t)(bits_get(d->raw, 15, 0) | bits_get(d->raw, 51, 48) << 16);
    return (descriptor_attr(d) & SEG_G) ? limit << 12 | 0xfffu : limit;
}

struct segment descriptor_segment(const struct descriptor *d, uint16_t selector)
{
    return (struct segment){
        .base = descriptor_base(d),
        .limit = descriptor_limit(d),
        .selector = selector,
        .attr = (uint16_t)descriptor_attr(d),
    };
}

/* Linear address of byte offset of a descriptor table; outside long mode addresses are 32 bits. */
static lin_t table_address(const struct cpu *cpu, uint64_t base, uint64_t offset)
{
    uint64_t a = base + offset;
    return lin(in_long_mode(cpu) ? a : (uint32_t)a);
}

/* Base and limit of the table that a selector names; false: an LDT selector without an LDT. */
static bool selector_table(const struct cpu *cpu, uint16_t selector, uint64_t *base, uint32_t *limit)
{
    if (!(selector & SELECTOR_TI)) {
        *base = cpu->gdtr.base;
        *limit = cpu->gdtr.limit;
        return true;
    }
    *base = cpu->ldtr.base;
    *limit = cpu->ldtr.limit;
    return (cpu->ldtr.attr & SEG_P) != 0;
}

bool descriptor_read(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *out)
{
    uint64_t base;
    uint32_t limit;
    uint32_t offset = selector & 0xfff8u;
    if (!selector_table(cpu, selector, &base, &limit) || (uint64_t)offset + 7 > limit) {
        return segment_fault(cpu, vector, SELECTOR_ERROR(selector));
    }
    out->address = table_address(cpu, base, offset);
    out->raw_hi = 0;
    return mem_read_system(cpu, out->address, 8, &out->raw);
}

bool descriptor_read_upper(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    uint64_t base;
    uint32_t limit;
    uint32_t offset = selector & 0xfff8u;
    if (!selector_table(cpu, selector, &base, &limit) || (uint64_t)offset + 15 > limit) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!mem_read_system(cpu, lin(d->address.v + 8), 8, &d->raw_hi)) {
        return false;
    }
    return bits_get(d->raw_hi, 44, 40) == 0 || segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
}

bool descriptor_set_type_bits(struct cpu *cpu, struct descriptor *d, unsigned bits)
{
    uint64_t raw = d->raw | (uint64_t)bits << 40;
    if (raw != d->raw && !mem_write_system(cpu, lin(d->address.v + 5), 1, bits_get(raw, 47, 40))) {
        return false;
    }
    d->raw = raw;
    return true;
}

/* ---- loads ---- */

struct segment segment_null(uint16_t selector)
{
    return (struct segment){.selector = selector};
}

/* Sets the accessed bit of a checked code or data descriptor and makes its hidden part. */
static bool segment_from_descriptor(struct cpu *cpu, struct descriptor *d, uint16_t selector,
                                    struct segment *out)
{
    if (!descriptor_set_type_bits(cpu, d, TYPE_ACCESSED)) {
        return false;
    }
    *out = descriptor_segment(d, selector);
    return true;
}

bool segment_read_stack(struct cpu *cpu, uint16_t selector, unsigned cpl, enum vector vector,
                        struct segment *out)
{
    struct descriptor d;
    if (!descriptor_read(cpu, selector, vector, &d)) {
        return false;
    }
    unsigned attr = descriptor_attr(&d);
    if ((selector & SELECTOR_RPL) != cpl || !attr_is_writable_data(attr) || attr_dpl(attr) != cpl) {
        return segment_fault(cpu, vector, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_SS, SELECTOR_ERROR(selector));
    }
    return segment_from_descriptor(cpu, &d, selector, out);
}

/* MOV, POP and LSS to SS. A null selector serves as the stack of 64-bit kernels only. */
static bool load_ss(struct cpu *cpu, uint16_t selector)
{
    if (SELECTOR_NULL(selector)) {
        if (cpu->mode != MODE_LONG64 || cpu->cpl == 3) {
            return segment_fault(cpu, VECTOR_GP, 0);
        }
        cpu->seg[SEG_SS] = segment_null(selector);
        return true;
    }
    return segment_read_stack(cpu, selector, cpu->cpl, VECTOR_GP, &cpu->seg[SEG_SS]);
}

static bool load_data(struct cpu *cpu, enum seg_reg s, uint16_t selector)
{
    if (SELECTOR_NULL(selector)) {
        cpu->seg[s] = segment_null(selector);
        return true;
    }
    struct descriptor d;
    if (!descriptor_read(cpu, selector, VECTOR_GP, &d)) {
        return false;
    }
    unsigned attr = descriptor_attr(&d);
    bool readable = (attr & SEG_S) && (!(attr & TYPE_CODE) || (attr & TYPE_READABLE));
    unsigned rpl = selector & SELECTOR_RPL;
    unsigned effective = rpl > cpu->cpl ? rpl : cpu->cpl;
    if (!readable || (!attr_is_conforming(attr) && effective > attr_dpl(attr))) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    return segment_from_descriptor(cpu, &d, selector, &cpu->seg[s]);
}

bool segment_load(struct cpu *cpu, enum seg_reg s, uint16_t selector)
{
    if (cpu->mode == MODE_REAL) { /* limit and attributes stay: this is how "big real mode" works */
        cpu->seg[s].selector = selector;
        cpu->seg[s].base = (uint64_t)selector << 4;
        return true;
    }
    if (s != SEG_SS) {
        return load_data(cpu, s, selector);
    }
    if (!load_ss(cpu, selector)) {
        return false;
    }
    cpu_update_mode(cpu); /* SS.B decides the stack width */
    return true;
}

/* Long mode refuses a code segment that claims to be 64-bit and 32-bit at once. */
static bool code_bits_valid(const struct cpu *cpu, unsigned attr)
{
    return !(in_long_mode(cpu) && (attr & SEG_L) && (attr & SEG_DB));
}

bool segment_read_code(struct cpu *cpu, uint16_t selector, const struct descriptor *d, struct segment *out)
{
    unsigned attr = descriptor_attr(d);
    bool allowed = attr_is_conforming(attr)
                       ? attr_dpl(attr) <= cpu->cpl
                       : (selector & SELECTOR_RPL) <= cpu->cpl && attr_dpl(attr) == cpu->cpl;
    if (!attr_is_code(attr) || !allowed || !code_bits_valid(cpu, attr)) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    struct descriptor copy = *d;
    return segment_from_descriptor(cpu, &copy, (uint16_t)((selector & ~SELECTOR_RPL) | cpu->cpl), out);
}

bool segment_read_code_return(struct cpu *cpu, uint16_t selector, struct segment *out)
{
    if (SELECTOR_NULL(selector)) {
        return segment_fault(cpu, VECTOR_GP, 0);
    }
    struct descriptor d;
    if (!descriptor_read(cpu, selector, VECTOR_GP, &d)) {
        return false;
    }
    unsigned attr = descriptor_attr(&d);
    unsigned rpl = selector & SELECTOR_RPL;
    bool allowed = attr_is_conforming(attr) ? attr_dpl(attr) <= rpl : attr_dpl(attr) == rpl;
    if (!attr_is_code(attr) || rpl < cpu->cpl || !allowed || !code_bits_valid(cpu, attr)) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    return segment_from_descriptor(cpu, &d, selector, out);
}

bool segment_check_rip(struct cpu *cpu, const struct segment *cs, uint64_t rip)
{
    bool ok = in_long_mode(cpu) && (cs->attr & SEG_L) ? lin_is_canonical(lin(rip)) : rip <= cs->limit;
    return ok || segment_fault(cpu, VECTOR_GP, 0);
}

void segment_drop_inner(struct cpu *cpu)
{
    static const enum seg_reg data_segments[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < sizeof data_segments / sizeof data_segments[0]; i++) {
        struct segment *s = &cpu->seg[data_segments[i]];
        if ((s->attr & SEG_P) && attr_dpl(s->attr) < cpu->cpl && !attr_is_conforming(s->attr)) {
            *s = segment_null(0);
        }
    }
}

/* ---- linear addresses ---- */

static bool linear_fault(struct cpu *cpu, enum seg_reg s)
{
    return segment_fault(cpu, s == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
}

static bool canonical_range(uint64_t a, unsigned size_bytes)
{
    uint64_t last = a + size_bytes - 1;
    return lin_is_canonical(lin(a)) && lin_is_canonical(lin(last));
}

/* Do bytes offset .. offset + size_bytes - 1 lie within the segment? offset is at most 32 bits. */
static bool within_limit(const struct segment *s, uint64_t offset, unsigned size_bytes)
{
    uint64_t last = offset + size_bytes - 1;
    bool data = (s->attr & SEG_S) && !(s->attr & TYPE_CODE);
    if (data && (s->attr & TYPE_EXPAND_DOWN)) {
        return offset > s->limit && last <= ((s->attr & SEG_DB) ? UINT32_MAX : UINT16_MAX);
    }
    return last <= s->limit;
}

static bool access_allowed(const struct cpu *cpu, const struct segment *s, bool write)
{
    if (cpu->mode == MODE_REAL) { /* types are not checked: CS is writable */
        return true;
    }
    if (!(s->attr & SEG_P)) {
        return false;
    }
    if (s->attr & TYPE_CODE) {
        return !write && (s->attr & TYPE_READABLE);
    }
    return !write || (s->attr & TYPE_WRITABLE);
}

bool segment_linear(struct cpu *cpu, enum seg_reg s, uint64_t offset, unsigned size_bytes, bool write,
                    lin_t *out)
{
    const struct segment *seg = &cpu->seg[s];
    if (cpu->mode == MODE_LONG64) { /* the offset is checked, too, whatever a base makes of it */
        bool based = s == SEG_FS || s == SEG_GS;
        uint64_t a = offset + (based ? seg->base : 0);
        *out = lin(a);
        bool ok = canonical_range(a, size_bytes) && (!based || canonical_range(offset, size_bytes));
        return ok || linear_fault(cpu, s);
    }
    offset = (uint32_t)offset;
    *out = lin((uint32_t)(seg->base + offset));
    return (access_allowed(cpu, seg, write) && within_limit(seg, offset, size_bytes)) || linear_fault(cpu, s);
}

bool segment_fetch(struct cpu *cpu, uint64_t offset, lin_t *out)
{
    const struct segment *cs = &cpu->seg[SEG_CS];
    if (cpu->mode == MODE_LONG64) {
        *out = lin(offset);
        return lin_is_canonical(lin(offset)) || linear_fault(cpu, SEG_CS);
    }
    *out = lin((uint32_t)(cs->base + offset));
    return offset <= cs->limit || linear_fault(cpu, SEG_CS);
}

/* ---- the stack ---- */

unsigned segment_stack_bytes(const struct cpu *cpu)
{
    if (cpu->mode == MODE_LONG64) {
        return 8;
    }
    return (cpu->seg[SEG_SS].attr & SEG_DB) ? 4 : 2;
}

struct stack_frame frame_current(const struct cpu *cpu)
{
    return (struct stack_frame){
        .ss = cpu->seg[SEG_SS],
        .rsp = cpu->gpr[RSP],
        .width_bytes = (uint8_t)segment_stack_bytes(cpu),
    };
}

struct stack_frame frame_inner(const struct segment *ss, uint64_t rsp, bool long64)
{
    return (struct stack_frame){
        .ss = *ss,
        .rsp = rsp,
        .width_bytes = long64                ? 8
                       : (ss->attr & SEG_DB) ? 4
                                             : 2,
        .system = true,
        .error = SELECTOR_ERROR(ss->selector),
    };
}

void frame_adjust(struct stack_frame *f, int64_t delta)
{
    uint64_t rsp = f->rsp + (uint64_t)delta;
    f->rsp = f->width_bytes == 8   ? rsp
             : f->width_bytes == 4 ? (uint32_t)rsp
                                   : (f->rsp & ~UINT64_C(0xffff)) | (uint16_t)rsp;
}

static bool frame_linear(struct cpu *cpu, const struct stack_frame *f, uint64_t rsp, unsigned size_bytes,
                         bool write, lin_t *out)
{
    uint64_t offset = rsp & bits_size_mask(f->width_bytes);
    bool ok;
    if (f->width_bytes == 8) {
        *out = lin(offset);
        ok = canonical_range(offset, size_bytes);
    } else {
        *out = lin((uint32_t)(f->ss.base + offset));
        ok = access_allowed(cpu, &f->ss, write) && within_limit(&f->ss, offset, size_bytes);
    }
    return ok || segment_fault(cpu, VECTOR_SS, f->error);
}

bool frame_push(struct cpu *cpu, struct stack_frame *f, uint64_t value, unsigned size_bytes)
{
    struct stack_frame next = *f;
    frame_adjust(&next, -(int64_t)size_bytes);
    lin_t a;
    if (!frame_linear(cpu, &next, next.rsp, size_bytes, true, &a)) {
        return false;
    }
    value &= bits_size_mask(size_bytes);
    if (!(f->system ? mem_write_system(cpu, a, size_bytes, value) : mem_write(cpu, a, size_bytes, value))) {
        return false;
    }
    *f = next;
    return true;
}

bool frame_pop(struct cpu *cpu, struct stack_frame *f, unsigned size_bytes, uint64_t *out)
{
    lin_t a;
    if (!frame_linear(cpu, f, f->rsp, size_bytes, false, &a)) {
        return false;
    }
    if (!(f->system ? mem_read_system(cpu, a, size_bytes, out) : mem_read(cpu, a, size_bytes, out))) {
        return false;
    }
    frame_adjust(f, size_bytes);
    return true;
}

bool frame_peek(struct cpu *cpu, const struct stack_frame *f, uint64_t above_bytes, unsigned size_bytes,
                uint64_t *out)
{
    struct stack_frame above = *f;
    frame_adjust(&above, (int64_t)above_bytes);
    return frame_pop(cpu, &above, size_bytes, out);
}

bool stack_push(struct cpu *cpu, uint64_t value, unsigned size_bytes)
{
    struct stack_frame f = frame_current(cpu);
    if (!frame_push(cpu, &f, value, size_bytes)) {
        return false;
    }
    cpu->gpr[RSP] = f.rsp;
    return true;
}

bool stack_pop(struct cpu *cpu, unsigned size_bytes, uint64_t *out)
{
    struct stack_frame f = frame_current(cpu);
    if (!frame_pop(cpu, &f, size_bytes, out)) {
        return false;
    }
    cpu->gpr[RSP] = f.rsp;
    return true;
}

void stack_adjust(struct cpu *cpu, int64_t delta)
{
    struct stack_frame f = frame_current(cpu);
    frame_adjust(&f, delta);
    cpu->gpr[RSP] = f.rsp;
}
