#ifndef ORRERY_DEV_VIRTIO_RNG_H
#define ORRERY_DEV_VIRTIO_RNG_H

/* A virtio entropy source, whose entropy is the run's seed. Virtual I/O Device (VIRTIO) Version 1.2, "Entropy Device". */

#include "base/rng.h"
#include "dev/virtio_mmio.h"

#define VIRTIO_ID_ENTROPY    4u
#define VIRTIO_RNG_BYTES_MAX 4096u /* of a request; more are left as they are */

struct virtio_rng_config {
    struct rng numbers;
    uint64_t request_cycles, byte_cycles;
};

struct virtio_rng {
    struct virtio_rng_config config;
    struct virtio_mmio mmio;

    /* state */
    struct rng numbers;
};

/* Of transport only bus, events, irq and fetch_cycles are taken. */
void virtio_rng_init(struct virtio_rng *r, const struct virtio_rng_config *config,
                     const struct virtio_mmio_config *transport);

#endif
