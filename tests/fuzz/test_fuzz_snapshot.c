/*
 * Damaged and forged snapshots. A damaged one is refused by its checksum. A forged one has a good checksum: it is refused
 * by the visitors, and the machine is as it was, or it is accepted, and the machine has that state.
 */

#include "fuzz.h"

#include "base/bits.h"
#include "disk_file.h"
#include "guest_busy.h"
#include "machine/machine.h"

#define CHECKSUM_BYTES 16u
#define FRONT_BYTES    40000u
#define RUN_CYCLES     3000u
#define DISK_PAGES     3u

static char disk_name[DISK_FILE_NAME_BYTES];

/* A queue whose request is under way, and a changed page. */
static void use_disk(struct rng *r, struct virtio_blk *d, uint64_t now_cycles)
{
    d->mmio.status = 15;
    d->mmio.queue = (struct virtqueue){8, true, 0x300000, 0x301000, 0x302000, 1, 0};
    d->mmio.stage = VIRTIO_SERVING;
    event_arm(d->mmio.config.events, d->mmio.timer, now_cycles + fuzz_below(r, RUN_CYCLES));
    disk_write(&d->disk, rng_below(r, DISK_PAGES) * DISK_PAGE_BYTES, "changed", 7);
}

static struct sim *make_machine(struct rng *r)
{
    struct sim_config c;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = fuzz_one_in(r, 2) ? 1 : 3;
    c.memory_model = fuzz_one_in(r, 2) ? MODEL_TSO : MODEL_SC;
    c.entropy = fuzz_one_in(r, 2);
    for (unsigned i = fuzz_below(r, SIM_DISKS_MAX); i > 0; i--) {
        c.disks[c.disk_count++] = disk_name;
    }
    struct sim *s = guest_busy_create(&c);
    sim_run(s, 10000 + fuzz_below(r, 20000));
    for (unsigned i = 0; i < c.disk_count; i++) {
        use_disk(r, &s->board.disks[i], sim_cycles(s));
    }
    return s;
}

static void seal(struct state_buffer *b)
{
    struct digest sum = digest_bytes(b->bytes, b->size - CHECKSUM_BYTES);
    store_le64(b->bytes + b->size - CHECKSUM_BYTES, sum.hi);
    store_le64(b->bytes + b->size - CHECKSUM_BYTES + 8, sum.lo);
}

/* State lies at the front, RAM behind it: most damage goes to the front. */
static size_t any_place(struct rng *r, const struct state_buffer *b)
{
    size_t room = b->size - 8;
    return (size_t)rng_below(r, room > FRONT_BYTES && !fuzz_one_in(r, 10) ? FRONT_BYTES : room);
}

static void damage(struct rng *r, struct state_buffer *b)
{
    size_t at = any_place(r, b);
    switch (fuzz_below(r, 5)) {
    case 0:
        b->bytes[at] ^= (uint8_t)(1u << fuzz_below(r, 8));
        break;
    case 1:
        b->bytes[at] = (uint8_t)(b->bytes[at] + 1 + fuzz_below(r, 255));
        break;
    case 2:
        store_le64(b->bytes + at, fuzz_value(r));
        break;
    case 3: /* bytes that are not there */
        b->size = at < CHECKSUM_BYTES ? CHECKSUM_BYTES : at;
        break;
    default:
        memmove(b->bytes + at, b->bytes + at + 1, b->size - at - 1);
        break;
    }
}

static void assert_refused(struct sim *s, const struct state_buffer *b)
{
    struct error e = {""};
    struct digest before = sim_state_hash(s);
    if (sim_restore(s, b, &e) || !e.text[0]) {
        fail_msg("accepted; again with: %s", fuzz_command);
    }
    if (!digest_equal(before, sim_state_hash(s))) {
        fail_msg("changed by what it refused; again with: %s", fuzz_command);
    }
}

static void damaged_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    (void)arg;
    struct sim *s = make_machine(r);
    struct state_buffer b = {0};
    sim_snapshot(s, &b);
    sim_run(s, sim_cycles(s) + 1000);
    for (unsigned i = 0; i < 20; i++) {
        struct digest whole = digest_bytes(b.bytes, b.size);
        size_t size = b.size;
        uint8_t *copy = malloc(size);
        memcpy(copy, b.bytes, size);
        damage(r, &b);
        if (b.size != size || !digest_equal(whole, digest_bytes(b.bytes, b.size))) {
            assert_refused(s, &b);
        }
        memcpy(b.bytes, copy, size);
        b.size = size;
        free(copy);
    }
    state_buffer_deinit(&b);
    sim_destroy(s);
}

/* From where its processors stand: the machine's own clock may be forged. */
static void go_on(struct sim *s)
{
    uint64_t clock = UINT64_MAX - RUN_CYCLES;
    for (unsigned i = 0; i < sim_get_config(s)->cpus; i++) {
        struct sim_regs regs;
        sim_get_regs(s, i, &regs);
        clock = !regs.halted && regs.clock_cycles < clock ? regs.clock_cycles : clock;
    }
    if (clock != UINT64_MAX - RUN_CYCLES) {
        sim_run(s, clock + RUN_CYCLES);
    }
}

static void forged_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    (void)arg;
    struct sim *s = make_machine(r);
    struct state_buffer b = {0}, again = {0};
    struct error e;
    sim_snapshot(s, &b);
    sim_run(s, sim_cycles(s) + 1000);
    for (unsigned i = 1 + fuzz_below(r, 3); i > 0; i--) {
        damage(r, &b);
    }
    seal(&b);
    struct digest before = sim_state_hash(s);
    if (sim_restore(s, &b, &e)) {
        sim_snapshot(s, &again); /* what was accepted can be said again */
        go_on(s);
    } else if (!digest_equal(before, sim_state_hash(s))) {
        fail_msg("changed by what it refused (%s); again with: %s", e.text, fuzz_command);
    }
    state_buffer_deinit(&b);
    state_buffer_deinit(&again);
    sim_destroy(s);
}

static void a_damaged_snapshot_is_refused(void **state)
{
    (void)state;
    fuzz_run("damaged", 20, damaged_case, NULL);
}

static void a_forged_snapshot_does_no_harm(void **state)
{
    (void)state;
    fuzz_run("forged", 400, forged_case, NULL);
}

static int make_disk(void **state)
{
    (void)state;
    disk_file_make(disk_name, DISK_PAGES * DISK_PAGE_BYTES);
    return 0;
}

static int remove_disk(void **state)
{
    (void)state;
    disk_file_remove(disk_name);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_snapshot_is_refused),
        cmocka_unit_test(a_forged_snapshot_does_no_harm),
    };
    return cmocka_run_group_tests(tests, make_disk, remove_disk);
}
