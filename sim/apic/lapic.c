/*
 * The local APIC: acceptance and priority of interrupts, local sources, what the CPU sees.
 *
 * Source: Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller (APIC)", sections "Local
 * APIC", "Handling Interrupts", "Local Vector Table", "Error Handling"; AMD64 APM volume 2, chapter "Advanced
 * Programmable Interrupt Controller (APIC)".
 *
 * Deviations: an interrupt message is accepted or dropped on arrival (no retry on the bus); a level-triggered
 * one that meets a disabled APIC is lost. No focus processor. Logging of "send accept" and "receive accept"
 * errors, which only the first generations had, is absent.
 */

#include "apic/lapic.h"

#include "apic/lapic_internal.h"
#include "base/bits.h"

static void vector_set(uint32_t bits[8], unsigned vector, bool value)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);
    bits[vector >> 5] = value ? bits[vector >> 5] | bit : bits[vector >> 5] & ~bit;
}

static bool vector_test(const uint32_t bits[8], unsigned vector)
{
    return bits[vector >> 5] >> (vector & 31) & 1;
}

/* The highest vector that is set, or LAPIC_NO_VECTOR. */
static int vector_highest(const uint32_t bits[8])
{
    for (unsigned word = 8; word-- > 0;) {
        if (bits[word]) {
            return (int)(word * 32 + 31) - __builtin_clz(bits[word]);
        }
    }
    return LAPIC_NO_VECTOR;
}

/* The class (bits 7..4) of the highest vector that is set, in place; 0 when none is. */
static uint32_t highest_class(const uint32_t bits[8])
{
    int vector = vector_highest(bits);
    return vector == LAPIC_NO_VECTOR ? 0 : (uint32_t)vector & 0xf0;
}

uint32_t lapic_ppr(const struct lapic *l)
{
    uint32_t in_service = highest_class(l->isr);
    return (l->tpr & 0xf0) >= in_service ? l->tpr : in_service;
}

uint32_t lapic_apr(const struct lapic *l)
{
    uint32_t task = l->tpr & 0xf0;
    uint32_t in_service = highest_class(l->isr);
    uint32_t requested = highest_class(l->irr);
    if (task >= requested && task > in_service) {
        return l->tpr;
    }
    uint32_t busy = task & in_service;
    return busy > requested ? busy : requested;
}

enum lapic_mode lapic_mode(const struct lapic *l)
{
    if (!(l->apic_base & APIC_BASE_EN)) {
        return LAPIC_DISABLED;
    }
    return l->apic_base & APIC_BASE_EXTD ? LAPIC_X2APIC : LAPIC_XAPIC;
}

static bool lint_active(const struct lapic *l, unsigned pin)
{
    return l->lint[pin] != ((l->lvt[LVT_LINT0 + pin] & LAPIC_LVT_LOW_ACTIVE) != 0);
}

static enum apic_delivery lvt_delivery(uint32_t lvt)
{
    return (enum apic_delivery)bits_get(lvt, 10, 8);
}

bool lapic_extint(const struct lapic *l)
{
    if (lapic_mode(l) == LAPIC_DISABLED) {
        return l->lint[0]; /* the pin is the CPU's INTR */
    }
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t lvt = l->lvt[LVT_LINT0 + pin];
        if (lvt_delivery(lvt) == APIC_EXTINT && !(lvt & LAPIC_LVT_MASKED) && lint_active(l, pin)) {
            return true;
        }
    }
    return l->extint_latched;
}

static void derive(struct lapic *l)
{
    int vector = vector_highest(l->irr);
    bool deliverable = vector != LAPIC_NO_VECTOR && ((uint32_t)vector & 0xf0) > (lapic_ppr(l) & 0xf0);
    l->pending_vector = deliverable ? vector : LAPIC_NO_VECTOR;
    l->intr = deliverable || lapic_extint(l);
}

void lapic_refresh(struct lapic *l, uint64_t now_cycles)
{
    bool before = l->intr;
    derive(l);
    if (l->intr != before && l->signals.intr) {
        l->signals.intr(l->signals.target, l->signals.cpu, l->intr, now_cycles);
    }
}

void lapic_accept(struct lapic *l, uint8_t vector, bool level_triggered, uint64_t now_cycles)
{
    if (vector < 16) {
        lapic_error(l, LAPIC_ESR_RECEIVE_ILLEGAL, now_cycles);
        return;
    }
    vector_set(l->irr, vector, true);
    vector_set(l->tmr, vector, level_triggered);
    lapic_refresh(l, now_cycles);
}

void lapic_error(struct lapic *l, uint32_t esr_bits, uint64_t now_cycles)
{
    bool first = l->esr_pending == 0; /* a write to ESR arms the interrupt again */
    l->esr_pending |= esr_bits;
    if (first) {
        lapic_lvt_deliver(l, LVT_ERROR, now_cycles);
    }
}

static void signal_edge(const struct lapic *l, void (*signal)(void *, unsigned, uint64_t),
                        uint64_t now_cycles)
{
    if (signal) {
        signal(l->signals.target, l->signals.cpu, now_cycles);
    }
}

void lapic_deliver(struct lapic *l, const struct apic_message *m, uint64_t now_cycles)
{
    if (lapic_mode(l) == LAPIC_DISABLED) {
        return;
    }
    switch (m->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST_PRIORITY:
        if (lapic_accepts_fixed(l)) {
            lapic_accept(l, m->vector, m->level_triggered, now_cycles);
        }
        break;
    case APIC_SMI:
        signal_edge(l, l->signals.smi, now_cycles);
        break;
    case APIC_NMI:
        signal_edge(l, l->signals.nmi, now_cycles);
        break;
    case APIC_INIT:
        signal_edge(l, l->signals.init, now_cycles);
        break;
    case APIC_STARTUP:
        if (l->signals.sipi) {
            l->signals.sipi(l->signals.target, l->signals.cpu, m->vector, now_cycles);
        }
        break;
    case APIC_EXTINT:
        if (lapic_accepts_fixed(l)) {
            l->extint_latched = true;
            lapic_refresh(l, now_cycles);
        }
        break;
    case APIC_REMOTE_READ: /* reserved; never sent */
        break;
    }
}

void lapic_lvt_deliver(struct lapic *l, enum lapic_lvt source, uint64_t now_cycles)
{
    uint32_t lvt = l->lvt[source];
    if (lvt & LAPIC_LVT_MASKED) {
        return;
    }
    bool has_mode = source != LVT_TIMER && source != LVT_ERROR;
    struct apic_message m = {.vector = (uint8_t)lvt, .delivery = has_mode ? lvt_delivery(lvt) : APIC_FIXED};
    if (m.delivery == APIC_FIXED) {
        lapic_accept(l, m.vector, false, now_cycles);
    } else if (m.delivery == APIC_SMI || m.delivery == APIC_NMI || m.delivery == APIC_INIT) {
        lapic_deliver(l, &m, now_cycles);
    } /* ExtINT is a level, see lapic_extint; the others are reserved */
}

/* Acts on the state of a pin. edge: it has just become active. */
void lapic_lint_evaluate(struct lapic *l, unsigned pin, bool edge, uint64_t now_cycles)
{
    uint32_t *lvt = &l->lvt[LVT_LINT0 + pin];
    bool level = lvt_delivery(*lvt) == APIC_FIXED && (*lvt & LAPIC_LVT_LEVEL);
    if (!lint_active(l, pin) || (*lvt & LAPIC_LVT_MASKED)) {
        lapic_refresh(l, now_cycles); /* an ExtINT request may have gone */
    } else if (!level) {
        if (edge) {
            lapic_lvt_deliver(l, LVT_LINT0 + pin, now_cycles);
        }
        lapic_refresh(l, now_cycles);
    } else if (!(*lvt & LAPIC_LVT_REMOTE_IRR)) {
        *lvt |= LAPIC_LVT_REMOTE_IRR;
        lapic_accept(l, (uint8_t)*lvt, true, now_cycles);
    }
}

void lapic_set_lint(void *lapic, unsigned pin, bool level, uint64_t now_cycles)
{
    struct lapic *l = lapic;
    if (pin > 1 || l->lint[pin] == level) {
        return;
    }
    l->lint[pin] = level;
    if (lapic_mode(l) != LAPIC_DISABLED) {
        lapic_lint_evaluate(l, pin, lint_active(l, pin), now_cycles);
        return;
    }
    if (pin == 1 && level) {
        signal_edge(l, l->signals.nmi, now_cycles); /* the pin is the CPU's NMI */
    }
    lapic_refresh(l, now_cycles);
}

bool lapic_lint_is_unmaskable(const struct lapic *l, unsigned pin)
{
    uint32_t lvt = l->lvt[LVT_LINT0 + pin];
    return !(lvt & LAPIC_LVT_MASKED) && apic_delivery_is_unmaskable(lvt_delivery(lvt));
}

void lapic_local_interrupt(struct lapic *l, enum lapic_lvt source, uint64_t now_cycles)
{
    if (lapic_mode(l) != LAPIC_DISABLED) {
        lapic_lvt_deliver(l, source, now_cycles);
    }
}

uint8_t lapic_acknowledge(struct lapic *l, uint64_t now_cycles)
{
    if (l->pending_vector == LAPIC_NO_VECTOR) {
        return (uint8_t)l->svr; /* spurious: no ISR bit, no EOI */
    }
    uint8_t vector = (uint8_t)l->pending_vector;
    vector_set(l->irr, vector, false);
    vector_set(l->isr, vector, true);
    lapic_refresh(l, now_cycles);
    return vector;
}

void lapic_acknowledge_extint(struct lapic *l, uint64_t now_cycles)
{
    l->extint_latched = false;
    lapic_refresh(l, now_cycles);
}

/* A level-triggered LINT pin whose interrupt ended asks again while it is active. */
static void lint_end_of_interrupt(struct lapic *l, uint8_t vector, uint64_t now_cycles)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t *lvt = &l->lvt[LVT_LINT0 + pin];
        if ((*lvt & LAPIC_LVT_REMOTE_IRR) && (uint8_t)*lvt == vector) {
            *lvt &= ~LAPIC_LVT_REMOTE_IRR;
            lapic_lint_evaluate(l, pin, false, now_cycles);
        }
    }
}

void lapic_end_of_interrupt(struct lapic *l, uint64_t now_cycles)
{
    int vector = vector_highest(l->isr);
    if (vector == LAPIC_NO_VECTOR) {
        return;
    }
    vector_set(l->isr, (unsigned)vector, false);
    lapic_refresh(l, now_cycles);
    if (!vector_test(l->tmr, (unsigned)vector)) {
        return;
    }
    lint_end_of_interrupt(l, (uint8_t)vector, now_cycles);
    if (!(l->svr & LAPIC_SVR_EOI_SUPPRESS) && l->port.eoi) {
        l->port.eoi(l->port.target, (uint8_t)vector, now_cycles);
    }
}

unsigned lapic_cr8(const struct lapic *l)
{
    return l->tpr >> 4;
}

void lapic_set_cr8(struct lapic *l, unsigned value, uint64_t now_cycles)
{
    l->tpr = (value & 15) << 4;
    lapic_refresh(l, now_cycles);
}

void lapic_set_tsc_offset(struct lapic *l, uint64_t offset, uint64_t now_cycles)
{
    l->tsc_offset = offset;
    lapic_timer_arm(l, now_cycles);
}

bool lapic_accepts_fixed(const struct lapic *l)
{
    return lapic_mode(l) != LAPIC_DISABLED && (l->svr & LAPIC_SVR_ENABLE);
}

unsigned lapic_priority(const struct lapic *l)
{
    return lapic_apr(l);
}

static bool matches_logical_xapic(const struct lapic *l, uint32_t destination)
{
    uint32_t own = l->ldr >> 24;
    if (destination > APIC_BROADCAST_8) {
        return false;
    }
    switch (l->dfr >> 28) {
    case 0xf: /* flat */
        return (own & destination) != 0;
    case 0: /* cluster */
        return (destination & 0xf0) == (own & 0xf0) && (own & destination & 0xf) != 0;
    default:
        return false;
    }
}

bool lapic_matches(const struct lapic *l, const struct apic_message *m)
{
    enum lapic_mode mode = lapic_mode(l);
    if (mode == LAPIC_DISABLED) {
        return false;
    }
    if (m->destination == (m->wide ? APIC_BROADCAST_32 : APIC_BROADCAST_8)) {
        return true;
    }
    if (!m->logical) {
        uint32_t own = mode == LAPIC_X2APIC ? l->config.apic_id : l->config.apic_id & 0xff;
        return m->destination == own;
    }
    if (mode == LAPIC_XAPIC) {
        return matches_logical_xapic(l, m->destination);
    }
    return m->destination >> 16 == l->ldr >> 16 && (m->destination & l->ldr & 0xffff) != 0;
}

void lapic_reset_registers(struct lapic *l, uint64_t now_cycles)
{
    for (unsigned i = 0; i < 8; i++) {
        l->isr[i] = l->tmr[i] = l->irr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        l->lvt[i] = LAPIC_LVT_MASKED;
    }
    l->tpr = l->esr = l->esr_pending = l->icr_lo = l->icr_hi = 0;
    l->ldr = lapic_mode(l) == LAPIC_X2APIC ? lapic_x2apic_ldr(l->config.apic_id) : 0;
    l->dfr = UINT32_MAX;
    l->svr = 0xff;
    l->timer_initial = l->timer_divide = l->timer_base_count = 0;
    l->timer_base_cycles = now_cycles;
    l->tsc_deadline = 0;
    l->extint_latched = l->icr_waiting = false;
    l->waiting = (struct apic_message){0};
    event_cancel(l->events, l->timer);
    lapic_refresh(l, now_cycles);
}

void lapic_init_reset(struct lapic *l, uint64_t now_cycles)
{
    lapic_reset_registers(l, now_cycles);
}

void lapic_reset(struct lapic *l, uint64_t now_cycles)
{
    l->apic_base = LAPIC_BASE | APIC_BASE_EN | (l->config.bsp ? APIC_BASE_BSP : 0);
    l->tsc_offset = 0;
    lapic_reset_registers(l, now_cycles);
}

void lapic_init(struct lapic *l, const struct lapic_config *config, const struct lapic_signals *signals,
                struct event_queue *events)
{
    *l = (struct lapic){.config = *config, .signals = *signals, .events = events};
    lapic_timer_init(l);
    lapic_reset(l, 0);
}

void lapic_visit(struct lapic *l, struct visitor *v)
{
    visit_u64(v, "apic_base", &l->apic_base);
    visit_u32(v, "tpr", &l->tpr);
    visit_u32(v, "ldr", &l->ldr);
    visit_u32(v, "dfr", &l->dfr);
    visit_u32(v, "svr", &l->svr);
    visit_u32(v, "esr", &l->esr);
    visit_u32(v, "esr_pending", &l->esr_pending);
    visit_u32(v, "icr_lo", &l->icr_lo);
    visit_u32(v, "icr_hi", &l->icr_hi);
    visit_array(v, "isr", l->isr, 4, 8);
    visit_array(v, "tmr", l->tmr, 4, 8);
    visit_array(v, "irr", l->irr, 4, 8);
    visit_array(v, "lvt", l->lvt, 4, LVT_COUNT);
    visit_u32(v, "timer_initial", &l->timer_initial);
    visit_u32(v, "timer_divide", &l->timer_divide);
    visit_u64(v, "tsc_deadline", &l->tsc_deadline);
    visit_u64(v, "tsc_offset", &l->tsc_offset);
    visit_bool(v, "lint0", &l->lint[0]);
    visit_bool(v, "lint1", &l->lint[1]);
    visit_bool(v, "extint_latched", &l->extint_latched);
    if (v->level >= VISIT_MACHINE) {
        visit_bool(v, "icr_waiting", &l->icr_waiting);
        apic_message_visit(&l->waiting, v);
        visit_u32(v, "timer_base_count", &l->timer_base_count);
        visit_u64(v, "timer_base_cycles", &l->timer_base_cycles);
    }
    derive(l);
}
