/*
 * The local APIC through MSRs: APIC_BASE and its modes, TSC_DEADLINE, the x2APIC registers.
 *
 * Source: Intel SDM volume 3, "Extended XAPIC (x2APIC)", "x2APIC Register Address Space", "x2APIC State
 * Transitions", "TSC-Deadline Mode"; AMD64 APM volume 2, "x2APIC".
 *
 * Deviations: moving the register page is reported as not modelled. The BSP flag is read-only, as AMD has it.
 */

#include "apic/lapic_internal.h"
#include "base/bits.h"
#include "base/types.h"

/* What an x2APIC register allows; write_mask has the bits that may be 1. */
struct x2apic_rule {
    bool readable, writable;
    uint32_t write_mask;
};

#define ICR_X2APIC_VALID UINT32_C(0xccfff)

static struct x2apic_rule lvt_rule(const struct lapic *l, enum lapic_lvt source)
{
    bool lint = source == LVT_LINT0 || source == LVT_LINT1;
    uint32_t read_only = LAPIC_LVT_STATUS | (lint ? LAPIC_LVT_REMOTE_IRR : 0); /* ignored, not reserved */
    return (struct x2apic_rule){true, true, lapic_lvt_valid(l, source) | read_only};
}

static struct x2apic_rule rule_of(const struct lapic *l, uint32_t offset)
{
    const struct x2apic_rule read_only = {true, false, 0};
    if (offset >= LAPIC_ISR && offset < LAPIC_IRR + 0x80) {
        return read_only;
    }
    if (offset >= LAPIC_LVT_TIMER && offset <= LAPIC_LVT_ERROR) {
        return lvt_rule(l, LVT_TIMER + (offset - LAPIC_LVT_TIMER) / 16);
    }
    switch (offset) {
    case LAPIC_ID:
    case LAPIC_VERSION:
    case LAPIC_PPR:
    case LAPIC_LDR:
    case LAPIC_TIMER_CURRENT:
        return read_only;
    case LAPIC_TPR:
        return (struct x2apic_rule){true, true, 0xff};
    case LAPIC_EOI:
        return (struct x2apic_rule){false, true, 0};
    case LAPIC_SVR:
        return (struct x2apic_rule){true, true, LAPIC_SVR_EOI_SUPPRESS | LAPIC_SVR_FOCUS_OFF | 0x1ff};
    case LAPIC_ESR:
        return (struct x2apic_rule){true, true, 0};
    case LAPIC_LVT_CMCI:
        return lvt_rule(l, LVT_CMCI);
    case LAPIC_ICR_LO:
        return (struct x2apic_rule){true, true, ICR_X2APIC_VALID};
    case LAPIC_TIMER_INITIAL:
        return (struct x2apic_rule){true, true, UINT32_MAX};
    case LAPIC_TIMER_DIVIDE:
        return (struct x2apic_rule){true, true, 0xb};
    case LAPIC_SELF_IPI:
        return (struct x2apic_rule){false, true, 0xff};
    default:
        return (struct x2apic_rule){false, false, 0};
    }
}

static enum lapic_result x2apic_read(const struct lapic *l, uint32_t offset, uint64_t *value,
                                     uint64_t now_cycles)
{
    if (lapic_mode(l) != LAPIC_X2APIC || !rule_of(l, offset).readable) {
        return LAPIC_GP;
    }
    if (offset == LAPIC_ICR_LO) {
        *value = (uint64_t)l->icr_hi << 32 | l->icr_lo;
    } else {
        *value = lapic_register_read(l, offset, now_cycles);
    }
    return LAPIC_OK;
}

static void self_ipi(struct lapic *l, uint8_t vector, uint64_t now_cycles)
{
    struct apic_message m = {
        .vector = vector, .delivery = APIC_FIXED, .shorthand = APIC_TO_SELF, .wide = true};
    if (vector < 16) {
        lapic_error(l, LAPIC_ESR_RECEIVE_ILLEGAL, now_cycles);
        return;
    }
    lapic_deliver(l, &m, now_cycles);
}

static enum lapic_result x2apic_write(struct lapic *l, uint32_t offset, uint64_t value, uint64_t now_cycles)
{
    struct x2apic_rule rule = rule_of(l, offset);
    uint64_t allowed = rule.write_mask | (offset == LAPIC_ICR_LO ? UINT64_C(0xffffffff00000000) : 0);
    if (lapic_mode(l) != LAPIC_X2APIC || !rule.writable || (value & ~allowed)) {
        return LAPIC_GP;
    }
    if (offset == LAPIC_SELF_IPI) {
        self_ipi(l, (uint8_t)value, now_cycles);
        return LAPIC_OK;
    }
    if (offset == LAPIC_ICR_LO) {
        if (lapic_icr_stalls(l)) {
            return LAPIC_STALL;
        }
        l->icr_hi = (uint32_t)(value >> 32);
    }
    lapic_register_write(l, offset, (uint32_t)value, now_cycles);
    return LAPIC_OK;
}

static enum lapic_mode base_mode(uint64_t apic_base)
{
    if (!(apic_base & APIC_BASE_EN)) {
        return LAPIC_DISABLED;
    }
    return apic_base & APIC_BASE_EXTD ? LAPIC_X2APIC : LAPIC_XAPIC;
}

static bool base_is_legal(const struct lapic *l, uint64_t value)
{
    uint64_t address_bits = bits_mask(PHYS_BITS) & ~(uint64_t)PAGE_MASK_BITS;
    uint64_t flags = APIC_BASE_BSP | APIC_BASE_EN | (l->config.x2apic ? APIC_BASE_EXTD : 0);
    enum lapic_mode from = lapic_mode(l), to = base_mode(value);
    if (value & ~(address_bits | flags)) {
        return false;
    }
    if (!(value & APIC_BASE_EN) && (value & APIC_BASE_EXTD)) {
        return false;
    }
    return !(from == LAPIC_X2APIC && to == LAPIC_XAPIC) && !(from == LAPIC_DISABLED && to == LAPIC_X2APIC);
}

static enum lapic_result write_apic_base(struct lapic *l, uint64_t value, uint64_t now_cycles)
{
    if (!base_is_legal(l, value)) {
        return LAPIC_GP;
    }
    if (align_down(value, PAGE_SIZE_BYTES) != LAPIC_BASE) {
        return LAPIC_NOT_MODELLED;
    }
    enum lapic_mode from = lapic_mode(l), to = base_mode(value);
    l->apic_base = (value & ~APIC_BASE_BSP) | (l->apic_base & APIC_BASE_BSP);
    if (from == to) {
        return LAPIC_OK;
    }
    if (to == LAPIC_X2APIC) {
        l->ldr = lapic_x2apic_ldr(l->config.apic_id);
        l->icr_hi = 0;
    } else {
        lapic_reset_registers(l, now_cycles);
    }
    return LAPIC_OK;
}

static void write_deadline(struct lapic *l, uint64_t value, uint64_t now_cycles)
{
    if (lapic_timer_in_deadline_mode(l)) { /* ignored in the other modes */
        l->tsc_deadline = value;
        lapic_timer_arm(l, now_cycles);
    }
}

bool lapic_has_msr(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

enum lapic_result lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value, uint64_t now_cycles)
{
    if (msr == MSR_APIC_BASE) {
        *value = l->apic_base;
        return LAPIC_OK;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = l->tsc_deadline;
        return l->config.tsc_deadline ? LAPIC_OK : LAPIC_GP;
    }
    return x2apic_read(l, (msr - MSR_X2APIC_FIRST) * 16, value, now_cycles);
}

enum lapic_result lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now_cycles)
{
    if (msr == MSR_APIC_BASE) {
        return write_apic_base(l, value, now_cycles);
    }
    if (msr == MSR_TSC_DEADLINE) {
        if (!l->config.tsc_deadline) {
            return LAPIC_GP;
        }
        write_deadline(l, value, now_cycles);
        return LAPIC_OK;
    }
    return x2apic_write(l, (msr - MSR_X2APIC_FIRST) * 16, value, now_cycles);
}
