#ifndef ORRERY_GDB_REGISTERS_H
#define ORRERY_GDB_REGISTERS_H

/* The registers of a vCPU as GDB numbers and describes them (registers.def). */

#include "gdb/packet.h"
#include "machine/sim.h"

#define GDB_REGISTER_BYTES_MAX 16u

unsigned gdb_register_count(void);
/* Its bytes, lowest first; returns how many. */
unsigned gdb_register_get(const struct sim *s, unsigned cpu, unsigned number,
                          uint8_t bytes[GDB_REGISTER_BYTES_MAX]);
unsigned gdb_register_bytes(unsigned number);
/* The effect that gives it these bytes. False: only the guest can (all but general registers, RIP and RFLAGS). */
bool gdb_register_effect(unsigned cpu, unsigned number, const uint8_t *bytes, struct effect *out);
/* The target description, XML. */
void gdb_describe(struct gdb_text *out);

#endif
