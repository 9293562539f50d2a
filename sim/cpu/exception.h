#ifndef ORRERY_CPU_EXCEPTION_H
#define ORRERY_CPU_EXCEPTION_H

/* Delivery of exceptions and interrupts through the IDT (or the real-mode table): the only place where a
 * guest fault ends. Source: APM vol. 2, "Exceptions and Interrupts"; SDM vol. 3A, "Interrupt and Exception
 * Handling". */

#include "cpu/cpu.h"

enum event_source { EVENT_FAULT, EVENT_EXTERNAL, EVENT_NMI, EVENT_SOFT };

/* Delivers a fault recorded in cpu->fault, escalating to #DF and shutdown as the table of the manual says.
 * return_rip is pushed: the boundary for faults, next_rip for traps and soft interrupts. cpu->rip must still
 * be the offset of the instruction (or the boundary): a fault met during the delivery pushes that. Charges
 * nothing; returns FLOW_JUMP when a handler was entered, FLOW_STOP when it is not modelled; on a triple fault
 * sets activity CPU_SHUTDOWN (FLOW_JUMP). Sets CR2 (#PF), DR6 (#DB) and NMI blocking (EVENT_NMI). fault->soft
 * counts as EVENT_SOFT, INT1 as EVENT_FAULT. */
enum flow exception_deliver(struct cpu *cpu, const struct fault *fault, enum event_source source,
                            uint64_t return_rip);

/* External interrupt or NMI at a boundary. */
enum flow exception_interrupt(struct cpu *cpu, uint8_t vector, enum event_source source);

/* Stack pointer of an inner level from the current TSS: in 64-bit form from RSP0-2, or IST1-7 when ist is not
 * 0. #TS with the TSS selector when it lies outside the limit. */
bool tss_read_rsp(struct cpu *cpu, unsigned level, unsigned ist, uint64_t *rsp);
/* The same from a legacy TSS (16 or 32 bits): SSn:(E)SPn with all checks of the new stack segment. */
bool tss_read_stack(struct cpu *cpu, unsigned level, struct segment *ss, uint64_t *rsp);

/* A code segment that a gate leads to: null, table, type and privilege are #GP, absence #NP. for_jump: the
 * gate is used by JMP, which may not change the level. level is the privilege level it will run at. */
bool gate_read_code(struct cpu *cpu, uint16_t selector, bool for_jump, struct segment *cs, unsigned *level);

#endif
