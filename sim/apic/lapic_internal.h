#ifndef ORRERY_APIC_LAPIC_INTERNAL_H
#define ORRERY_APIC_LAPIC_INTERNAL_H

/* What lapic.c, lapic_registers.c, lapic_msr.c and lapic_timer.c share. Not for other folders. */

#include "apic/lapic.h"

/* lapic.c */
void lapic_refresh(struct lapic *l,
                   uint64_t now_cycles); /* recomputes what the CPU sees; signals INTR edges */
void lapic_accept(struct lapic *l, uint8_t vector, bool level_triggered, uint64_t now_cycles);
void lapic_error(struct lapic *l, uint32_t esr_bits, uint64_t now_cycles);
void lapic_lvt_deliver(struct lapic *l, enum lapic_lvt source, uint64_t now_cycles);
void lapic_lint_evaluate(struct lapic *l, unsigned pin, bool edge, uint64_t now_cycles);
void lapic_end_of_interrupt(struct lapic *l, uint64_t now_cycles);
void lapic_reset_registers(struct lapic *l, uint64_t now_cycles); /* all but APIC_BASE */
uint32_t lapic_ppr(const struct lapic *l);
uint32_t lapic_apr(const struct lapic *l);

/* lapic_registers.c: reads and writes that are the same in both modes; offset is a 16-byte boundary. */
bool lapic_register_exists(uint32_t offset);
uint32_t lapic_register_read(const struct lapic *l, uint32_t offset, uint64_t now_cycles);
void lapic_register_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_cycles);
uint32_t lapic_x2apic_ldr(uint32_t apic_id);
uint32_t lapic_lvt_valid(const struct lapic *l, enum lapic_lvt source); /* writable bits */

/* lapic_timer.c */
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
void lapic_timer_init(struct lapic *l);
uint32_t lapic_timer_current(const struct lapic *l, uint64_t now_cycles);
void lapic_timer_arm(struct lapic *l, uint64_t now_cycles);
void lapic_timer_set_initial(struct lapic *l, uint32_t value, uint64_t now_cycles);
void lapic_timer_set_divide(struct lapic *l, uint32_t value, uint64_t now_cycles);
void lapic_timer_lvt_changed(struct lapic *l, uint32_t old_lvt, uint64_t now_cycles);
bool lapic_timer_in_deadline_mode(const struct lapic *l);

#endif
