#ifndef ORRERY_APIC_APIC_MESSAGE_H
#define ORRERY_APIC_APIC_MESSAGE_H

/*
 * What travels between local APICs, I/O APICs and devices that send MSIs. AMD64 APM volume 2, "Advanced
 * Programmable Interrupt Controller", figures of the Interrupt Command Register and the redirection table
 * entry.
 */

#include "base/visit.h"

#include <stdbool.h>
#include <stdint.h>

/* Delivery modes, bits 10..8 of ICR, LVT and redirection entries. */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST_PRIORITY = 1,
    APIC_SMI = 2,
    APIC_REMOTE_READ = 3,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7
};

/* Does it reach a processor that takes no maskable interrupts? */
static inline bool apic_delivery_is_unmaskable(enum apic_delivery delivery)
{
    return delivery == APIC_NMI || delivery == APIC_INIT || delivery == APIC_SMI;
}

/* Destination shorthands, bits 19..18 of ICR. */
enum apic_shorthand { APIC_TO_DESTINATION = 0, APIC_TO_SELF = 1, APIC_TO_ALL = 2, APIC_TO_OTHERS = 3 };

#define APIC_BROADCAST_8  UINT32_C(0xff)
#define APIC_BROADCAST_32 UINT32_C(0xffffffff)

struct apic_message {
    uint32_t destination; /* 8 bits of meaning unless wide */
    uint8_t vector;
    enum apic_delivery delivery;
    enum apic_shorthand shorthand;
    bool logical;         /* destination mode */
    bool level_triggered; /* the receiver sets TMR, its EOI is broadcast */
    bool wide;            /* a 32-bit destination: sent by an x2APIC */
};

static inline void apic_message_visit(struct apic_message *m, struct visitor *v)
{
    uint8_t delivery = (uint8_t)m->delivery, shorthand = (uint8_t)m->shorthand;
    visit_u32(v, "destination", &m->destination);
    visit_u8(v, "vector", &m->vector);
    visit_choice(v, "delivery", &delivery, APIC_EXTINT);
    visit_choice(v, "shorthand", &shorthand, APIC_TO_OTHERS);
    visit_bool(v, "logical", &m->logical);
    visit_bool(v, "level_triggered", &m->level_triggered);
    visit_bool(v, "wide", &m->wide);
    m->delivery = (enum apic_delivery)delivery;
    m->shorthand = (enum apic_shorthand)shorthand;
}

enum apic_send_result {
    APIC_SENT,
    APIC_NO_ROOM, /* the sender must keep the message; the bus will call its room function once */
    APIC_NOBODY   /* no local APIC matches the destination */
};

/* The way out of a local or I/O APIC. source is the number that the bus gave the sender. */
struct apic_port {
    enum apic_send_result (*send)(void *target, unsigned source, const struct apic_message *m,
                                  uint64_t now_cycles);
    void (*eoi)(void *target, uint8_t vector, uint64_t now_cycles); /* EOI broadcast to the I/O APICs */
    bool (*in_flight)(void *target, unsigned source); /* a message of the sender has not arrived yet */
    void *target;
    unsigned source;
};

#endif
