/*
 * A virtio entropy source: every buffer is filled with the next numbers of a stream of the seed, so that two runs with one
 * seed see the same entropy.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "Entropy Device", "Device Operation".
 * Deviations: a request gets at most VIRTIO_RNG_BYTES_MAX bytes, which the specification allows; what is left of the last
 * number of 8 bytes is dropped.
 */

#include "dev/virtio_rng.h"

#include "base/bits.h"

static uint64_t served_bytes(const struct virtqueue_chain *c)
{
    return least_of(c->writable_bytes, VIRTIO_RNG_BYTES_MAX);
}

static bool serve(void *device, const struct virtqueue_chain *c, struct bus *b, uint32_t *written)
{
    struct virtio_rng *r = device;
    uint8_t bytes[VIRTIO_RNG_BYTES_MAX];
    uint64_t size = served_bytes(c);
    for (uint64_t done = 0; done < size; done += 8) {
        store_le64(bytes + done, rng_next(&r->numbers));
    }
    virtqueue_write(c, b, 0, bytes, size);
    *written = (uint32_t)size;
    return true;
}

static uint64_t cycles(void *device, const struct virtqueue_chain *c)
{
    const struct virtio_rng *r = device;
    return r->config.request_cycles + served_bytes(c) * r->config.byte_cycles;
}

static void visit(void *device, struct visitor *v)
{
    struct virtio_rng *r = device;
    visit_array(v, "numbers", r->numbers.s, 8, 4);
}

static const struct virtio_type type = {
    .device_id = VIRTIO_ID_ENTROPY,
    .cycles = cycles,
    .serve = serve,
    .visit = visit,
};

void virtio_rng_init(struct virtio_rng *r, const struct virtio_rng_config *config,
                     const struct virtio_mmio_config *transport)
{
    struct virtio_mmio_config own = *transport;
    r->config = *config;
    r->numbers = config->numbers;
    own.type = &type;
    own.device = r;
    own.config_space_bytes = 0;
    virtio_mmio_init(&r->mmio, &own);
}
