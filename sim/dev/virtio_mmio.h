#ifndef ORRERY_DEV_VIRTIO_MMIO_H
#define ORRERY_DEV_VIRTIO_MMIO_H

/*
 * The memory-mapped transport of virtio devices, register version 2, and the life of a request. What a device does with a
 * request is the business of its type (virtio_blk.h, virtio_rng.h).
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "Virtio Over MMIO".
 */

#include "core/bus.h"
#include "core/device.h"
#include "core/event.h"
#include "dev/virtqueue.h"

#define VIRTIO_MMIO_SIZE_BYTES  0x200u
#define VIRTIO_MMIO_MAGIC       0x74726976u /* "virt" */
#define VIRTIO_MMIO_VERSION     2u
#define VIRTIO_MMIO_VENDOR      0x5952524fu /* "ORRY" */
#define VIRTIO_CONFIG_BYTES_MAX 64u

/* "MMIO Device Register Layout" */
enum virtio_mmio_register {
    VIRTIO_MMIO_MAGIC_VALUE = 0x000,
    VIRTIO_MMIO_VERSION_NUMBER = 0x004,
    VIRTIO_MMIO_DEVICE_ID = 0x008,
    VIRTIO_MMIO_VENDOR_ID = 0x00c,
    VIRTIO_MMIO_DEVICE_FEATURES = 0x010,
    VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014,
    VIRTIO_MMIO_DRIVER_FEATURES = 0x020,
    VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024,
    VIRTIO_MMIO_QUEUE_SEL = 0x030,
    VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034,
    VIRTIO_MMIO_QUEUE_NUM = 0x038,
    VIRTIO_MMIO_QUEUE_READY = 0x044,
    VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,
    VIRTIO_MMIO_INTERRUPT_STATUS = 0x060,
    VIRTIO_MMIO_INTERRUPT_ACK = 0x064,
    VIRTIO_MMIO_STATUS = 0x070,
    VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,
    VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,
    VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,
    VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094,
    VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,
    VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4,
    VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0,
    VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4,
    VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8,
    VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc,
    VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc,
    VIRTIO_MMIO_CONFIG = 0x100
};

/* "Device Status Field" */
enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128
};

enum virtio_interrupt { VIRTIO_INTERRUPT_USED = 1, VIRTIO_INTERRUPT_CONFIG = 2 };

/* "Reserved Feature Bits": what the transport itself offers. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

/* What all devices of a type have in common. device is the one that virtio_mmio_config names. */
struct virtio_type {
    uint32_t device_id;
    uint64_t features; /* offered besides those of the transport */
    /* How long a request takes, from its descriptors on. */
    uint64_t (*cycles)(void *device, const struct virtqueue_chain *c);
    /* Does what a request asks, at the moment it completes; *written as for virtqueue_give. False: the chain cannot be a
     * request of this type, not even one that fails. */
    bool (*serve)(void *device, const struct virtqueue_chain *c, struct bus *b, uint32_t *written);
    void (*visit)(void *device, struct visitor *v);
};

struct virtio_mmio_config {
    const struct virtio_type *type;
    void *device;
    struct bus *bus; /* where rings and buffers are */
    struct event_queue *events;
    struct irq_line irq;   /* level-triggered */
    uint64_t fetch_cycles; /* from a notification to the descriptors */
    uint8_t config_space[VIRTIO_CONFIG_BYTES_MAX];
    unsigned config_space_bytes;
};

/* One request at a time, in the order of the ring. */
enum virtio_stage {
    VIRTIO_IDLE,     /* waits for a notification */
    VIRTIO_FETCHING, /* is about to look into the ring */
    VIRTIO_SERVING   /* is about to complete the request at head */
};

struct virtio_mmio {
    struct virtio_mmio_config config;
    unsigned timer;

    /* state */
    uint64_t driver_features;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t status, interrupt_status;
    struct virtqueue queue; /* number 0, the only one */
    uint8_t stage;          /* enum virtio_stage */
    uint16_t head;          /* serving */
};

void virtio_mmio_init(struct virtio_mmio *m, const struct virtio_mmio_config *config);
void virtio_mmio_visit(struct virtio_mmio *m, struct visitor *v);
extern const struct device_ops virtio_mmio_ops; /* VIRTIO_MMIO_SIZE_BYTES of memory */

#endif
