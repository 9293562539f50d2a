#ifndef VIRTIO_GUEST_DRIVER_H
#define VIRTIO_GUEST_DRIVER_H

/* A small driver of virtio devices over MMIO: one queue of QUEUE entries, one request at a time. Register offsets and
 * numbers are from Virtual I/O Device (VIRTIO) Version 1.2, spelled here again. */

#include <stdbool.h>
#include <stdint.h>

#define QUEUE  8u
#define MAGIC  0x74726976u
#define WINDOW 0xfeb00000u
#define SLOTS  8u
#define STRIDE 0x200u

#define ID_BLOCK   2u
#define ID_ENTROPY 4u

#define REG_VERSION          0x004u
#define REG_ID               0x008u
#define REG_FEATURES         0x010u
#define REG_FEATURES_SEL     0x014u
#define REG_DRIVER           0x020u
#define REG_DRIVER_SEL       0x024u
#define REG_QUEUE_SEL        0x030u
#define REG_QUEUE_MAX        0x034u
#define REG_QUEUE_NUM        0x038u
#define REG_QUEUE_READY      0x044u
#define REG_NOTIFY           0x050u
#define REG_INTERRUPT_STATUS 0x060u
#define REG_INTERRUPT_ACK    0x064u
#define REG_STATUS           0x070u
#define REG_DESC             0x080u
#define REG_AVAIL            0x090u
#define REG_USED             0x0a0u
#define REG_CONFIG           0x100u

#define FEATURE_INDIRECT  (1ull << 28)
#define FEATURE_VERSION_1 (1ull << 32)

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

struct desc {
    uint64_t address;
    uint32_t size;
    uint16_t flags, next;
};

struct avail {
    uint16_t flags, idx, ring[QUEUE];
};

struct used {
    uint16_t flags, idx;
    struct {
        uint32_t id, size;
    } ring[QUEUE];
};

struct device {
    uint32_t base;
    unsigned pin; /* of the I/O APIC */
    volatile struct desc desc[QUEUE] __attribute__((aligned(16)));
    volatile struct avail avail;
    volatile struct used used __attribute__((aligned(4)));
};

uint32_t reg_read(const struct device *d, uint32_t offset);
void reg_write(const struct device *d, uint32_t offset, uint32_t value);

/* Finds the n-th device with this ID (from 0), and routes its pin: from now on, of its interrupts alone is told. */
bool device_find(struct device *d, uint32_t id, unsigned n);

uint64_t device_features(const struct device *d);

/* Reset and initialization; false when the device does not accept the features. */
bool device_start(struct device *d, uint64_t features);

void device_describe(struct device *d, unsigned n, const volatile void *p, uint32_t size, uint16_t flags,
                     uint16_t next);

/* Offers chain 0 and notifies. */
void device_offer(struct device *d);

/* Waits, halted, until the device found last has interrupted, and tells with which status. */
uint32_t driver_wait(void);

/* How many interrupts there have been. */
unsigned driver_interrupts(void);

/* Bytes written, as the last item of the used ring tells. */
uint32_t device_written(const struct device *d);

/* Maps the devices, and makes the interrupt controllers ready. */
void driver_init(void);

#endif
