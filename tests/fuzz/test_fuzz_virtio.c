/*
 * virtio devices under a driver that means harm: queues of any size and at any place, rings, descriptors, indirect tables and
 * requests of numbers that are often nearly right, changed while the device works. Nothing outside of RAM is touched, every
 * request ends, the same driver gives the same state twice, that state goes through a snapshot, and the disk's file stays as
 * it is.
 */

#include "fuzz.h"

#include "base/bits.h"
#include "base/file.h"
#include "disk_file.h"
#include "guest_image.h"
#include "machine/machine.h"

#define STEPS       400u
#define ARENA       UINT64_C(0x400000) /* where rings and buffers mostly are */
#define ARENA_BYTES 0x40000u
#define DISK_BYTES  (9u * DISK_SECTOR_BYTES)
#define DEVICES     2u /* a disk and the entropy source */

GUEST_CODE(stub, ".code32\n hlt\n.code64");

static char disk[DISK_FILE_NAME_BYTES];

struct target {
    struct sim *s;
    struct rng *r;
    uint64_t now;
    uint64_t base; /* of the device that is driven */
};

/* In the arena, at the edge of memory, or anywhere. */
static uint64_t any_place(struct rng *r)
{
    static const uint64_t edges[] = {0, SIM_MEMORY_MIN - 16, SIM_MEMORY_MIN, VIRTIO_BASE, UINT64_MAX - 15};
    if (fuzz_one_in(r, 30)) {
        return FUZZ_PICK(r, edges) + fuzz_below(r, 16);
    }
    return ARENA + 16 * fuzz_below(r, ARENA_BYTES / 16) + (fuzz_one_in(r, 20) ? fuzz_below(r, 16) : 0);
}

static uint32_t any_size(struct rng *r)
{
    static const uint32_t sizes[] = {0, 1, 15, 16, 17, 32, 48, 511, 512, 513, 1024, 4096, 0x7000, UINT32_MAX};
    return FUZZ_PICK(r, sizes);
}

static void put(struct target *t, uint64_t at, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    bus_load(&t->s->bus, phys(at), bytes, size);
}

static void set(struct target *t, uint64_t offset, uint32_t value)
{
    struct bus_cx cx = {t->now, 0};
    bus_write(&t->s->bus, &cx, phys(t->base + offset), value, 4);
}

static struct virtio_mmio *device(const struct target *t)
{
    return t->base == VIRTIO_BASE ? &t->s->board.disks[0].mmio : &t->s->board.entropy.mmio;
}

static void start(struct target *t)
{
    uint64_t descriptors = any_place(t->r), available = any_place(t->r), used = any_place(t->r);
    set(t, VIRTIO_MMIO_STATUS, 0);
    set(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(t, VIRTIO_MMIO_DRIVER_FEATURES, fuzz_one_in(t->r, 4) ? 0 : (uint32_t)VIRTIO_F_INDIRECT_DESC);
    set(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(t, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(t, VIRTIO_MMIO_STATUS, 11);
    set(t, VIRTIO_MMIO_QUEUE_NUM,
        fuzz_one_in(t->r, 20) ? (uint32_t)fuzz_value(t->r) : 1u << fuzz_below(t->r, 9));
    set(t, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)descriptors);
    set(t, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(descriptors >> 32));
    set(t, VIRTIO_MMIO_QUEUE_DRIVER_LOW, (uint32_t)available);
    set(t, VIRTIO_MMIO_QUEUE_DRIVER_HIGH, (uint32_t)(available >> 32));
    set(t, VIRTIO_MMIO_QUEUE_DEVICE_LOW, (uint32_t)used);
    set(t, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, (uint32_t)(used >> 32));
    set(t, VIRTIO_MMIO_QUEUE_READY, 1);
    set(t, VIRTIO_MMIO_STATUS, 15);
    put(t, available, 0, 4);
}

static void put_descriptor(struct target *t, uint64_t table, uint32_t n, uint64_t at, uint32_t size,
                           unsigned flags, uint32_t next)
{
    put(t, table + 16 * (uint64_t)n, at, 8);
    put(t, table + 16 * (uint64_t)n + 8, size, 4);
    put(t, table + 16 * (uint64_t)n + 12, flags, 2);
    put(t, table + 16 * (uint64_t)n + 14, next, 2);
}

/* A request that a device can mostly make sense of: header, data, status. */
static void put_request(struct target *t, uint64_t table, uint32_t size)
{
    static const uint32_t types[] = {0, 0, 1, 1, 1, 4, 8, 11, 13, 2};
    uint64_t header = any_place(t->r);
    unsigned in = fuzz_one_in(t->r, 2) ? VIRTQ_DESC_F_WRITE : 0;
    put(t, header, FUZZ_PICK(t->r, types), 8);
    put(t, header + 8, fuzz_one_in(t->r, 10) ? fuzz_value(t->r) : rng_below(t->r, 10), 8);
    put_descriptor(t, table, 0, header, 16, VIRTQ_DESC_F_NEXT, size > 1);
    put_descriptor(t, table, size > 1, any_place(t->r), any_size(t->r), VIRTQ_DESC_F_NEXT | in,
                   size > 2 ? 2 : 0);
    put_descriptor(t, table, size > 2 ? 2 : 0, any_place(t->r), 1, VIRTQ_DESC_F_WRITE, 0);
}

static void offer(struct target *t)
{
    const struct virtqueue *q = &device(t)->queue;
    uint16_t idx = (uint16_t)(q->next_available + 1 + (fuzz_one_in(t->r, 30) ? fuzz_below(t->r, 300) : 0));
    uint64_t item = q->size ? q->next_available % q->size : 0;
    put(t, q->available + VIRTQ_AVAIL_RING + 2 * item, fuzz_one_in(t->r, 30) ? rng_next(t->r) : 0, 2);
    put(t, q->available + VIRTQ_AVAIL_FLAGS, fuzz_one_in(t->r, 4), 2);
    put(t, q->available + VIRTQ_AVAIL_IDX, idx, 2);
    set(t, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void pass_time(struct target *t)
{
    uint64_t to = t->now + rng_below(t->r, 200000);
    while (event_next(t->s->events) <= to) {
        t->now = event_next(t->s->events) > t->now ? event_next(t->s->events) : t->now;
        event_fire_one(t->s->events, t->now);
    }
    t->now = to;
}

static void step(struct target *t)
{
    const struct virtqueue *q = &device(t)->queue;
    uint32_t size = q->size ? q->size : 1;
    uint64_t table;
    if (fuzz_one_in(t->r, device(t)->status & VIRTIO_STATUS_NEEDS_RESET ? 4 : 60)) {
        start(t);
        put_request(t, device(t)->queue.descriptors, device(t)->queue.size);
    }
    switch (fuzz_below(t->r, 12)) {
    case 0:
        t->base = virtio_slot_base(fuzz_one_in(t->r, 2) ? 0 : VIRTIO_SLOT_ENTROPY);
        break;
    case 1:
        put(t, any_place(t->r), fuzz_value(t->r), 8);
        break;
    case 2:
        put_descriptor(t, q->descriptors, fuzz_below(t->r, 4), any_place(t->r), any_size(t->r),
                       fuzz_below(t->r, 8), fuzz_below(t->r, 4));
        break;
    case 3:
    case 4:
        put_request(t, q->descriptors, size);
        break;
    case 5:
        table = any_place(t->r);
        put_request(t, table, 3);
        put_descriptor(t, q->descriptors, 0, table, fuzz_one_in(t->r, 8) ? any_size(t->r) : 48,
                       VIRTQ_DESC_F_INDIRECT, 0);
        break;
    case 6:
    case 7:
    case 8:
        offer(t);
        break;
    default:
        pass_time(t);
        break;
    }
}

/* The state goes through a snapshot into another machine. */
static void assert_restores(struct sim *s, const struct sim_config *c)
{
    struct state_buffer b = {0};
    struct error e;
    struct sim *other = guest_create(c, stub, stub_end);
    sim_snapshot(s, &b);
    if (!sim_restore(other, &b, &e)) {
        fail_msg("%s; again with: %s", e.text, fuzz_command);
    }
    if (!digest_equal(sim_state_hash(s), sim_state_hash(other))) {
        fail_msg("a snapshot loses state; again with: %s", fuzz_command);
    }
    state_buffer_deinit(&b);
    sim_destroy(other);
}

static struct digest run_once(const struct sim_config *c, uint64_t seed, bool restore)
{
    struct rng r;
    struct target t = {guest_create(c, stub, stub_end), &r, 0, VIRTIO_BASE};
    rng_init(&r, seed, 1);
    for (unsigned i = 0; i < DEVICES; i++) {
        t.base = virtio_slot_base(i ? VIRTIO_SLOT_ENTROPY : 0);
        start(&t);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(&t);
    }
    if (restore) {
        assert_restores(t.s, c);
    }
    struct digest d = sim_state_hash(t.s);
    sim_destroy(t.s);
    return d;
}

static void virtio_case(struct rng *r, uint64_t seed, void *arg)
{
    struct sim_config c;
    (void)arg;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.board = fuzz_one_in(r, 2) ? BOARD_MICROVM : BOARD_PC;
    c.entropy = true;
    c.disks[c.disk_count++] = disk;
    if (!digest_equal(run_once(&c, seed, true), run_once(&c, seed, false))) {
        fail_msg("the same driver ends differently; again with: %s", fuzz_command);
    }
}

static void virtio_devices_survive_any_driver_and_repeat(void **state)
{
    struct file_bytes file;
    struct error e;
    (void)state;
    fuzz_run("virtio", 200, virtio_case, NULL);
    assert_true(file_read(disk, DISK_BYTES, &file, &e));
    for (size_t i = 0; i < DISK_BYTES; i++) {
        assert_int_equal(file.bytes[i], disk_file_byte(i));
    }
    file_free(&file);
}

static int make_disk(void **state)
{
    (void)state;
    disk_file_make(disk, DISK_BYTES);
    return 0;
}

static int remove_disk(void **state)
{
    (void)state;
    disk_file_remove(disk);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtio_devices_survive_any_driver_and_repeat),
    };
    return cmocka_run_group_tests(tests, make_disk, remove_disk);
}
