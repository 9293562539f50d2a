#ifndef ORRERY_APIC_APIC_BUS_H
#define ORRERY_APIC_APIC_BUS_H

/*
 * How messages get from local and I/O APICs to local APICs: destinations are resolved when a message is sent,
 * one delivery for each receiver, and each delivery arrives after its latency, in the order (due, sequence).
 */

#include "apic/apic_message.h"
#include "apic/ioapic.h"
#include "apic/lapic.h"
#include "core/device.h"
#include "core/event.h"

#define APIC_BUS_LAPICS_MAX  256u
#define APIC_BUS_IOAPICS_MAX 4u
#define APIC_BUS_QUEUE_MAX   1024u
#define APIC_BUS_FAULTS_MAX  64u
#define APIC_BUS_SOURCES_MAX (APIC_BUS_LAPICS_MAX + APIC_BUS_IOAPICS_MAX)
#define APIC_BUS_MSI         APIC_BUS_SOURCES_MAX /* source number of MSIs */

struct apic_bus_config {
    uint64_t ipi_cycles;    /* from a local APIC to another */
    uint64_t ioapic_cycles; /* from an I/O APIC or an MSI to a local APIC */
    unsigned capacity;      /* deliveries in flight: number of local APICs .. APIC_BUS_QUEUE_MAX */
};

/* A fault of the test: the delivery with this number (0 is the machine's first) is late or lost. */
struct apic_bus_fault {
    uint64_t sequence;
    uint64_t delay_cycles;
    bool lost;
};

struct apic_delivery_entry {
    uint64_t due_cycles, sequence;
    struct apic_message message;
    unsigned source, lapic;
};

struct apic_bus {
    struct apic_bus_config config;
    struct event_queue *events;
    unsigned timer;
    struct lapic *lapics[APIC_BUS_LAPICS_MAX];
    unsigned lapic_count;
    struct ioapic *ioapics[APIC_BUS_IOAPICS_MAX];
    unsigned ioapic_count;

    /* state */
    struct apic_delivery_entry queue[APIC_BUS_QUEUE_MAX]; /* ascending by (due, sequence) */
    unsigned count;
    uint64_t sequence;                      /* number of the next delivery */
    unsigned waiters[APIC_BUS_SOURCES_MAX]; /* sources that found no room, first come first */
    unsigned waiter_count;
    unsigned last_lowest; /* winner of the last lowest-priority arbitration */
    struct apic_bus_fault faults[APIC_BUS_FAULTS_MAX];
    unsigned fault_count;

    /* derived, or meaningful only within one call */
    bool serving;                                 /* a waiter is being served: it goes before the others */
    unsigned in_flight[APIC_BUS_SOURCES_MAX + 1]; /* deliveries in queue, by source */
};

void apic_bus_init(struct apic_bus *b, const struct apic_bus_config *config, struct event_queue *events);

/* Adds in board order; the index of a local APIC is its vCPU's number. Sets the APIC's port. */
void apic_bus_add_lapic(struct apic_bus *b, struct lapic *l);
void apic_bus_add_ioapic(struct apic_bus *b, struct ioapic *io);

/* Is nothing on its way? */
static inline bool apic_bus_is_idle(const struct apic_bus *b)
{
    return b->count == 0;
}

/* Number of the next delivery, as faults count them. */
static inline uint64_t apic_bus_next_delivery(const struct apic_bus *b)
{
    return b->sequence;
}

void apic_bus_visit(struct apic_bus *b, struct visitor *v); /* the bus only, not the APICs */

/* A message-signalled interrupt: a 32-bit write of data to FEEx_xxxx by a device. Returns false when the bus
 * has no room: the device must try again. */
bool apic_bus_msi(struct apic_bus *b, uint64_t address, uint32_t data, uint64_t now_cycles);

/* Adds a fault for a delivery yet to come. Fails (false) when the table is full or the number has passed. */
bool apic_bus_add_fault(struct apic_bus *b, const struct apic_bus_fault *fault);

/* The register page of all local APICs (dev is the apic_bus): bus_cx.cpu selects one. For LAPIC_BASE,
 * 4096 bytes. An access in LAPIC_DISABLED or LAPIC_X2APIC mode finds nothing: all ones. */
extern const struct device_ops apic_bus_mmio_ops;

#endif
