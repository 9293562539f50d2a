/*
 * The register file of the local APIC and its interrupt command register.
 *
 * Source: Intel SDM volume 3, "Local APIC Register Address Map", "Issuing Interprocessor Interrupts"; AMD64
 * APM volume 2, "Interprocessor Interrupts (IPI)".
 *
 * Deviations: the ID register is read-only. Remote read is not there (reserved since the Pentium 4 and on
 * Zen). Combinations of shorthand and delivery mode that the manual calls invalid send nothing, and so do
 * reserved delivery modes; fixed IPIs are edge-triggered whatever the trigger bit says (as since the Pentium
 * 4). SVR bits other than 12 and 9..0 read as zero.
 *
 * The delivery status follows AMD: it is set until the message has arrived, and a second command written
 * meanwhile is not lost. Only a command that found no room on the bus makes the next one wait (LAPIC_STALL).
 */

#include "apic/lapic_internal.h"
#include "base/bits.h"
#include "base/check.h"

#define VERSION_VALUE   UINT32_C(0x01060014) /* EOI suppression, maximum LVT entry 6, version 0x14 */
#define LVT_OFFSET_NONE LVT_COUNT

static enum lapic_lvt lvt_at(uint32_t offset)
{
    if (offset == LAPIC_LVT_CMCI) {
        return LVT_CMCI;
    }
    if (offset >= LAPIC_LVT_TIMER && offset <= LAPIC_LVT_ERROR) {
        return LVT_TIMER + (offset - LAPIC_LVT_TIMER) / 16;
    }
    return LVT_OFFSET_NONE;
}

bool lapic_register_exists(uint32_t offset)
{
    switch (offset) {
    case LAPIC_ID:
    case LAPIC_VERSION:
    case LAPIC_TIMER_INITIAL:
    case LAPIC_TIMER_CURRENT:
    case LAPIC_TIMER_DIVIDE:
    case LAPIC_ESR:
    case LAPIC_ICR_LO:
    case LAPIC_ICR_HI:
        return true;
    default:
        return (offset >= LAPIC_TPR && offset < LAPIC_IRR + 0x80) || lvt_at(offset) != LVT_OFFSET_NONE;
    }
}

uint32_t lapic_x2apic_ldr(uint32_t apic_id)
{
    return apic_id >> 4 << 16 | UINT32_C(1) << (apic_id & 15);
}

uint32_t lapic_lvt_valid(const struct lapic *l, enum lapic_lvt source)
{
    uint32_t deadline = l->config.tsc_deadline ? UINT32_C(0x40000) : 0;
    switch (source) {
    case LVT_TIMER:
        return 0x300ff | deadline;
    case LVT_LINT0:
    case LVT_LINT1:
        return 0x1a7ff;
    case LVT_ERROR:
        return 0x100ff;
    case LVT_CMCI:
    case LVT_THERMAL:
    case LVT_PERF:
    case LVT_COUNT:
        break;
    }
    return 0x107ff;
}

static bool icr_pending(const struct lapic *l)
{
    return l->icr_waiting || (l->port.in_flight && l->port.in_flight(l->port.target, l->port.source));
}

uint32_t lapic_register_read(const struct lapic *l, uint32_t offset, uint64_t now_cycles)
{
    if (offset >= LAPIC_ISR && offset < LAPIC_IRR + 0x80) {
        const uint32_t *bits = offset < LAPIC_TMR ? l->isr : offset < LAPIC_IRR ? l->tmr : l->irr;
        return bits[offset >> 4 & 7];
    }
    if (lvt_at(offset) != LVT_OFFSET_NONE) {
        return l->lvt[lvt_at(offset)];
    }
    switch (offset) {
    case LAPIC_ID:
        return lapic_mode(l) == LAPIC_X2APIC ? l->config.apic_id : l->config.apic_id << 24;
    case LAPIC_VERSION:
        return VERSION_VALUE;
    case LAPIC_TPR:
        return l->tpr;
    case LAPIC_APR:
        return lapic_apr(l);
    case LAPIC_PPR:
        return lapic_ppr(l);
    case LAPIC_LDR:
        return l->ldr;
    case LAPIC_DFR:
        return l->dfr;
    case LAPIC_SVR:
        return l->svr;
    case LAPIC_ESR:
        return l->esr;
    case LAPIC_ICR_LO:
        return l->icr_lo | (icr_pending(l) ? LAPIC_ICR_PENDING : 0);
    case LAPIC_ICR_HI:
        return l->icr_hi;
    case LAPIC_TIMER_INITIAL:
        return l->timer_initial;
    case LAPIC_TIMER_CURRENT:
        return lapic_timer_current(l, now_cycles);
    case LAPIC_TIMER_DIVIDE:
        return l->timer_divide;
    default: /* EOI and RRD */
        return 0;
    }
}

static void write_lvt(struct lapic *l, enum lapic_lvt source, uint32_t value, uint64_t now_cycles)
{
    uint32_t old = l->lvt[source];
    uint32_t valid = lapic_lvt_valid(l, source);
    uint32_t forced = l->svr & LAPIC_SVR_ENABLE ? 0 : LAPIC_LVT_MASKED;
    l->lvt[source] = (old & LAPIC_LVT_REMOTE_IRR) | (value & valid) | forced;
    if (source == LVT_TIMER) {
        lapic_timer_lvt_changed(l, old, now_cycles);
    } else if (source == LVT_LINT0 || source == LVT_LINT1) {
        if (!(value & LAPIC_LVT_LEVEL)) {
            l->lvt[source] &= ~LAPIC_LVT_REMOTE_IRR;
        }
        lapic_lint_evaluate(l, source - LVT_LINT0, false, now_cycles);
    }
}

static void write_svr(struct lapic *l, uint32_t value, uint64_t now_cycles)
{
    l->svr = value & (LAPIC_SVR_EOI_SUPPRESS | LAPIC_SVR_FOCUS_OFF | LAPIC_SVR_ENABLE | 0xff);
    if (!(value & LAPIC_SVR_ENABLE)) {
        for (unsigned i = 0; i < LVT_COUNT; i++) {
            l->lvt[i] |= LAPIC_LVT_MASKED;
        }
        lapic_timer_arm(l, now_cycles);
    }
    lapic_refresh(l, now_cycles);
}

static bool icr_is_sendable(const struct apic_message *m, uint32_t icr_lo)
{
    switch (m->delivery) {
    case APIC_REMOTE_READ:
        return false;
    case APIC_INIT: {
        bool deassert = !(icr_lo & BIT(14)) && (icr_lo & BIT(15));
        if (deassert) {
            return false; /* only resets arbitration IDs, which the bus has no use for */
        }
        break;
    }
    case APIC_FIXED:
        return true;
    case APIC_LOWEST_PRIORITY:
    case APIC_SMI:
    case APIC_NMI:
    case APIC_STARTUP:
    case APIC_EXTINT:
        break;
    }
    return m->shorthand == APIC_TO_DESTINATION || m->shorthand == APIC_TO_OTHERS;
}

static struct apic_message icr_message(const struct lapic *l)
{
    bool wide = lapic_mode(l) == LAPIC_X2APIC;
    return (struct apic_message){
        .destination = wide ? l->icr_hi : l->icr_hi >> 24,
        .vector = (uint8_t)l->icr_lo,
        .delivery = (enum apic_delivery)bits_get(l->icr_lo, 10, 8),
        .shorthand = (enum apic_shorthand)bits_get(l->icr_lo, 19, 18),
        .logical = (l->icr_lo & BIT(11)) != 0,
        .wide = wide,
    };
}

/* Hands a command to the bus, or keeps it until there is room. */
static void send(struct lapic *l, const struct apic_message *m, uint64_t now_cycles)
{
    if (!l->port.send) {
        return;
    }
    l->icr_waiting = l->port.send(l->port.target, l->port.source, m, now_cycles) == APIC_NO_ROOM;
    if (l->icr_waiting) {
        l->waiting = *m;
    }
}

static void icr_send(struct lapic *l, uint64_t now_cycles)
{
    struct apic_message m = icr_message(l);
    if (!icr_is_sendable(&m, l->icr_lo)) {
        return;
    }
    if (l->trace) {
        trace_hit(l->trace, TRACE_IPI, now_cycles, m.vector, m.delivery, m.destination, m.shorthand);
    }
    bool has_vector = m.delivery == APIC_FIXED || m.delivery == APIC_LOWEST_PRIORITY;
    if (has_vector && m.vector < 16) {
        lapic_error(l, LAPIC_ESR_SEND_ILLEGAL, now_cycles);
    } else if (m.shorthand == APIC_TO_SELF) {
        lapic_deliver(l, &m, now_cycles); /* does not cross the bus */
    } else {
        send(l, &m, now_cycles);
    }
}

bool lapic_icr_stalls(const struct lapic *l)
{
    return l->icr_waiting;
}

void lapic_bus_room(struct lapic *l, uint64_t now_cycles)
{
    if (l->icr_waiting) { /* a reset or a mode change may have dropped the command */
        struct apic_message m = l->waiting;
        send(l, &m, now_cycles);
    }
}

static void write_icr(struct lapic *l, uint32_t value, uint64_t now_cycles)
{
    if (l->icr_waiting) {
        return; /* software must poll the delivery status: a command written over a pending one is lost */
    }
    l->icr_lo = value & 0xccfff;
    icr_send(l, now_cycles);
}

void lapic_register_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_cycles)
{
    if (lvt_at(offset) != LVT_OFFSET_NONE) {
        write_lvt(l, lvt_at(offset), value, now_cycles);
        return;
    }
    switch (offset) {
    case LAPIC_TPR:
        l->tpr = value & 0xff;
        lapic_refresh(l, now_cycles);
        break;
    case LAPIC_EOI:
        lapic_end_of_interrupt(l, now_cycles);
        break;
    case LAPIC_LDR:
        l->ldr = value & 0xff000000;
        break;
    case LAPIC_DFR:
        l->dfr = value | 0x0fffffff;
        break;
    case LAPIC_SVR:
        write_svr(l, value, now_cycles);
        break;
    case LAPIC_ESR:
        l->esr = l->esr_pending;
        l->esr_pending = 0;
        break;
    case LAPIC_ICR_LO:
        write_icr(l, value, now_cycles);
        break;
    case LAPIC_ICR_HI:
        l->icr_hi = lapic_mode(l) == LAPIC_X2APIC ? value : value & 0xff000000;
        break;
    case LAPIC_TIMER_INITIAL:
        lapic_timer_set_initial(l, value, now_cycles);
        break;
    case LAPIC_TIMER_DIVIDE:
        lapic_timer_set_divide(l, value, now_cycles);
        break;
    default: /* read-only */
        break;
    }
}

uint32_t lapic_read(struct lapic *l, uint32_t offset, uint64_t now_cycles)
{
    if (!lapic_register_exists(offset)) {
        lapic_error(l, LAPIC_ESR_ILLEGAL_REG, now_cycles);
        return 0;
    }
    return lapic_register_read(l, offset, now_cycles);
}

void lapic_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_cycles)
{
    if (!lapic_register_exists(offset)) {
        lapic_error(l, LAPIC_ESR_ILLEGAL_REG, now_cycles);
        return;
    }
    lapic_register_write(l, offset, value, now_cycles);
}
