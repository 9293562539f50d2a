/*
 * RDMSR, WRMSR and the registers behind them.
 *
 * Source: AMD64 APM vol. 2, appendix A, "MSR Cross-Reference"; vol. 3, RDMSR, WRMSR.
 * Deviations: MTRRs and PAT are checked and stored but memory has no types here; machine check has no
 * banks; last branch recording and the counting of performance events are not built; bits 19 and 42 of
 * PERF_EVT_SEL, which the manual reserves and later silicon keeps, read as zero.
 */

#include "cpu/msr.h"

#include "apic/lapic.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

#define ALWAYS (-1)

/* ---- conditions on values ---- */

static bool any_value(uint64_t value)
{
    (void)value;
    return true;
}

static bool read_only(uint64_t value)
{
    (void)value;
    return false;
}

static bool canonical(uint64_t value)
{
    return lin_is_canonical(lin(value));
}

/* Memory types: UC 0, WC 1, WT 4, WP 5, WB 6. */
static bool mtrr_type(unsigned type)
{
    return type <= 6 && type != 2 && type != 3;
}

static bool mtrr_base(uint64_t value)
{
    return mtrr_type(value & 0xff);
}

static bool mtrr_types(uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        if (!mtrr_type(value >> i & 0xff)) {
            return false;
        }
    }
    return true;
}

/* The same and UC- 7. */
static bool pat_types(uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        unsigned type = value >> i & 0xff;
        if (type != 7 && !mtrr_type(type)) {
            return false;
        }
    }
    return true;
}

/* ---- registers that act ---- */

uint64_t msr_tsc(const struct cpu *cpu)
{
    return cpu_now(cpu) + cpu->msrs.tsc_adjust;
}

static uint64_t read_tsc(const struct cpu *cpu)
{
    return msr_tsc(cpu);
}

static uint64_t read_tsc_adjust(const struct cpu *cpu)
{
    return cpu->msrs.tsc_adjust;
}

static enum flow write_tsc_adjust(struct cpu *cpu, uint64_t value)
{
    cpu->msrs.tsc_adjust = value;
    lapic_set_tsc_offset(cpu->lapic, value, cpu_now(cpu));
    cpu_request_break(cpu); /* the deadline timer may be due at another moment now */
    return FLOW_NEXT;
}

static enum flow write_tsc(struct cpu *cpu, uint64_t value)
{
    return write_tsc_adjust(cpu, value - cpu_now(cpu));
}

/* Write-combining (10) and fixed ranges (8) exist, and eight variable ranges. */
static uint64_t read_mtrrcap(const struct cpu *cpu)
{
    (void)cpu;
    return 0x508;
}

static enum flow write_refused(struct cpu *cpu, uint64_t value)
{
    (void)value;
    return cpu_fault_code(cpu, VECTOR_GP, 0);
}

static uint64_t read_efer(const struct cpu *cpu)
{
    return cpu->efer;
}

static uint64_t read_fs_base(const struct cpu *cpu)
{
    return cpu->seg[SEG_FS].base;
}

static uint64_t read_gs_base(const struct cpu *cpu)
{
    return cpu->seg[SEG_GS].base;
}

static enum flow write_base(struct cpu *cpu, enum seg_reg s, uint64_t value)
{
    if (!canonical(value)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    cpu->seg[s].base = value;
    return FLOW_NEXT;
}

static enum flow write_fs_base(struct cpu *cpu, uint64_t value)
{
    return write_base(cpu, SEG_FS, value);
}

static enum flow write_gs_base(struct cpu *cpu, uint64_t value)
{
    return write_base(cpu, SEG_GS, value);
}

/* ---- the table ---- */

typedef uint64_t msr_read_fn(const struct cpu *cpu);
typedef enum flow msr_write_fn(struct cpu *cpu, uint64_t value);
typedef bool msr_check_fn(uint64_t value);

struct msr_row {
    uint32_t number;
    int feature; /* enum cpuid_feature or ALWAYS */
    const char *name;
    msr_read_fn *read; /* NULL: a field */
    msr_write_fn *write;
    size_t offset; /* of the field in struct cpu_msrs */
    uint64_t reset, writable, unbuilt, ignored;
    msr_check_fn *check;
};

static const struct msr_row msr_rows[] = {
#define MSR_FIELD(number_, name_, feature_, field_, reset_, writable_, unbuilt_, check_) \
    {.number = (number_),                                                                \
     .feature = (feature_),                                                              \
     .name = #name_,                                                                     \
     .offset = offsetof(struct cpu_msrs, field_),                                        \
     .reset = (reset_),                                                                  \
     .writable = (writable_),                                                            \
     .unbuilt = (unbuilt_),                                                              \
     .check = (check_)},
#define MSR_PART(number_, name_, feature_, field_, kept_, unbuilt_) \
    {.number = (number_),                                           \
     .feature = (feature_),                                         \
     .name = #name_,                                                \
     .offset = offsetof(struct cpu_msrs, field_),                   \
     .writable = (kept_),                                           \
     .unbuilt = (unbuilt_),                                         \
     .ignored = ~((kept_) | (unbuilt_)),                            \
     .check = any_value},
#define MSR_HOOK(number_, name_, feature_, read_, write_) \
    {.number = (number_), .feature = (feature_), .name = #name_, .read = (read_), .write = (write_)},
#include "cpu/msr.def"
#undef MSR_FIELD
#undef MSR_PART
#undef MSR_HOOK
};

#define MSR_ROW_COUNT (sizeof msr_rows / sizeof msr_rows[0])

const char *msr_row_name(unsigned i, uint32_t *number)
{
    if (i >= MSR_ROW_COUNT) {
        return NULL;
    }
    *number = msr_rows[i].number;
    return msr_rows[i].name;
}

/* The row of a register that this CPU has, or NULL. */
static const struct msr_row *msr_find(const struct cpu *cpu, uint32_t number)
{
    size_t low = 0;
    size_t high = MSR_ROW_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (msr_rows[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == MSR_ROW_COUNT || msr_rows[low].number != number) {
        return NULL;
    }
    const struct msr_row *row = &msr_rows[low];
    return row->feature == ALWAYS || cpuid_has(cpu, (enum cpuid_feature)row->feature) ? row : NULL;
}

static uint64_t *msr_field(struct cpu *cpu, const struct msr_row *row)
{
    return (uint64_t *)(void *)((char *)&cpu->msrs + row->offset);
}

void msr_reset(struct cpu *cpu)
{
    cpu->msrs = (struct cpu_msrs){0};
    for (size_t i = 0; i < MSR_ROW_COUNT; i++) {
        if (!msr_rows[i].read) {
            *msr_field(cpu, &msr_rows[i]) = msr_rows[i].reset;
        }
    }
}

/* What the local APIC answered, as the flow of an instruction. */
static enum flow lapic_flow(struct cpu *cpu, enum lapic_result result)
{
    switch (result) {
    case LAPIC_OK:
        return FLOW_NEXT;
    case LAPIC_GP:
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    case LAPIC_STALL:
        cpu_request_break(cpu);
        return FLOW_REPEAT;
    case LAPIC_NOT_MODELLED:
    default:
        return cpu_not_modelled(cpu, "local APIC moved from its default address");
    }
}

enum flow msr_read(struct cpu *cpu, uint32_t number, uint64_t *value)
{
    if (lapic_has_msr(number)) {
        return lapic_flow(cpu, lapic_msr_read(cpu->lapic, number, value, cpu_now(cpu)));
    }
    const struct msr_row *row = msr_find(cpu, number);
    if (!row) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    *value = row->read ? row->read(cpu) : *msr_field(cpu, row);
    return FLOW_NEXT;
}

static enum flow write_field(struct cpu *cpu, const struct msr_row *row, uint64_t value)
{
    uint64_t *field = msr_field(cpu, row);
    value &= ~row->ignored;
    if ((value & ~(row->writable | row->unbuilt)) || !row->check(value)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if ((value ^ *field) & row->unbuilt) {
        return cpu_not_modelled(cpu, row->name);
    }
    *field = value;
    if (row->offset == offsetof(struct cpu_msrs, pat)) {
        mem_drop_host_entries(cpu);
    }
    return FLOW_NEXT;
}

enum flow msr_write(struct cpu *cpu, uint32_t number, uint64_t value)
{
    if (lapic_has_msr(number)) {
        cpu_request_break(cpu); /* interrupts, timers, other CPUs */
        return lapic_flow(cpu, lapic_msr_write(cpu->lapic, number, value, cpu_now(cpu)));
    }
    const struct msr_row *row = msr_find(cpu, number);
    if (!row) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    return row->read ? row->write(cpu, value) : write_field(cpu, row, value);
}

enum flow exec_rdmsr(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint64_t value;
    enum flow flow = msr_read(cpu, (uint32_t)cpu->gpr[RCX], &value);
    if (flow == FLOW_NEXT) {
        gpr_write(cpu, RAX, value, 4);
        gpr_write(cpu, RDX, value >> 32, 4);
    }
    return flow;
}

enum flow exec_wrmsr(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint64_t value = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    uint32_t number = (uint32_t)cpu->gpr[RCX];
    enum flow flow = msr_write(cpu, number, value);
    if (flow == FLOW_NEXT) {
        trace_hit(&cpu->trace, TRACE_MSR_WRITE, cpu_now(cpu), number, value, 0, 0);
    }
    return flow;
}
