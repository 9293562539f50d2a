/*
 * Devices under random port and MMIO accesses of every width, line changes and the passing of time, without a CPU: the
 * board's bus and event queue are driven by hand. The same accesses give the same state twice, and what is saved
 * compares equal with itself.
 */

#include "fuzz.h"

#include "machine/machine.h"

#include "disk_file.h"
#include "guest_image.h"

#define ACCESSES 3000u

static char disk[DISK_FILE_NAME_BYTES];

GUEST_CODE(stub, ".code32\n hlt\n.code64");

/* A port that a device claims, each device about as often as another, or a neighbour, or any. */
static uint16_t any_port(const struct bus *b, struct rng *r)
{
    uint8_t device = (uint8_t)(1 + fuzz_below(r, b->device_count - 1));
    const uint8_t *end = b->port_map + sizeof b->port_map, *next = b->port_map, *at = NULL;
    for (unsigned steps = 1 + fuzz_below(r, 16); steps && next; steps--) {
        next = memchr(next, device, (size_t)(end - next));
        at = next ? next++ : at;
    }
    if (!at || fuzz_one_in(r, 32)) { /* memory-mapped only */
        return (uint16_t)rng_next(r);
    }
    return (uint16_t)((unsigned)(at - b->port_map) + (fuzz_one_in(r, 8) ? 1 : 0) -
                      (fuzz_one_in(r, 8) ? 1 : 0));
}

/* Naturally aligned or not, in one page, as the CPU issues them. */
static uint64_t any_address(struct rng *r, unsigned size_bytes)
{
    static const uint64_t bases[] = {LAPIC_BASE, LAPIC_BASE,  IOAPIC_BASE, HPET_BASE, HPET_BASE,
                                     GED_BASE,   VIRTIO_BASE, VIRTIO_BASE, VIDEO_BASE};
    uint64_t base = FUZZ_PICK(r, bases), step = base == LAPIC_BASE ? 16 : 8,
             offset = step * fuzz_below(r, 64);
    if (base == IOAPIC_BASE) {
        offset = 16 * fuzz_below(r, 5);
    } else if (base == GED_BASE) {
        offset = fuzz_one_in(r, 2) ? 0x200 + fuzz_below(r, 3) : fuzz_below(r, 16);
    } else if (base == VIRTIO_BASE) {
        offset = VIRTIO_MMIO_SIZE_BYTES * fuzz_below(r, VIRTIO_SLOTS) + 4 * fuzz_below(r, 80);
    }
    offset += fuzz_one_in(r, 6) ? fuzz_below(r, 8) : 0;
    return base + (offset + size_bytes <= PAGE_SIZE_BYTES ? offset : 0);
}

static uint64_t any_value(struct rng *r)
{
    return fuzz_one_in(r, 2) ? rng_below(r, 256) : fuzz_value(r);
}

/* Time moves on by a little, or by much; everything due fires in order. */
static void pass_time(struct sim *s, struct rng *r, uint64_t *now)
{
    static const uint64_t bounds[] = {2, 100, 10000, 3000000, UINT64_C(3000000000)};
    uint64_t to = *now + rng_below(r, FUZZ_PICK(r, bounds));
    for (unsigned fired = 0; fired < 2000 && event_next(s->events) <= to; fired++) {
        uint64_t due = event_next(s->events);
        *now = due > *now ? due : *now;
        event_fire_one(s->events, *now);
    }
    *now = event_next(s->events) < to ? *now : to;
}

static void access_once(struct sim *s, struct rng *r, uint64_t *now)
{
    static const unsigned sizes[] = {1, 1, 1, 2, 4, 4, 8};
    struct bus_cx cx = {*now, fuzz_below(r, s->config.cpus)};
    unsigned size = FUZZ_PICK(r, sizes);
    uint64_t value = any_value(r), address = any_address(r, size);
    uint16_t port = any_port(&s->bus, r);
    switch (fuzz_below(r, 12)) {
    case 0:
    case 1:
    case 2:
        bus_port_write(&s->bus, &cx, port, size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1),
                       size == 8 ? 4 : size);
        break;
    case 3:
    case 4:
        bus_port_read(&s->bus, &cx, port, size == 8 ? 4 : size);
        break;
    case 5:
    case 6:
    case 7:
        bus_write(&s->bus, &cx, phys(address), size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1),
                  size);
        break;
    case 8:
        bus_read(&s->bus, &cx, phys(address), size);
        break;
    case 9:
        uart_receive(&s->board.uarts[fuzz_below(r, 2)], (uint8_t)value, *now);
        break;
    case 10: { /* the CPU takes an interrupt */
        struct lapic *l = &s->lapics[cx.cpu];
        if (l->intr && lapic_extint(l) && s->config.board == BOARD_PC) {
            pic_acknowledge(&s->board.pic, *now);
            lapic_acknowledge_extint(l, *now);
        } else if (l->intr && !lapic_extint(l)) {
            lapic_acknowledge(l, *now);
        }
        break;
    }
    default:
        pass_time(s, r, now);
        break;
    }
}

static struct digest run_once(const struct sim_config *c, uint64_t seed)
{
    struct sim *s = guest_create(c, stub, stub_end);
    struct state_buffer buffer = {0};
    char where[200];
    struct rng r;
    uint64_t now = 0;
    rng_init(&r, seed, 1);
    for (unsigned i = 0; i < ACCESSES; i++) {
        access_once(s, &r, &now);
    }
    sim_save(s, VISIT_MODEL, &buffer);
    if (sim_differs(s, VISIT_MODEL, &buffer, where, sizeof where)) {
        fail_msg("state differs from itself at %s; again with: %s", where, fuzz_command);
    }
    struct digest d = sim_state_hash(s);
    state_buffer_deinit(&buffer);
    sim_destroy(s);
    return d;
}

static void device_case(struct rng *r, uint64_t seed, void *arg)
{
    struct sim_config c;
    (void)arg;
    sim_config_init(&c);
    c.cpus = 1 + fuzz_below(r, 4);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.board = fuzz_one_in(r, 3) ? BOARD_MICROVM : BOARD_PC;
    c.instant_serial = fuzz_one_in(r, 2);
    c.cpu_model = fuzz_one_in(r, 3) ? "tcg72" : NULL;
    c.entropy = fuzz_one_in(r, 2);
    for (unsigned i = fuzz_below(r, SIM_DISKS_MAX + 1); i > 0; i--) {
        c.disks[c.disk_count++] = disk;
    }
    if (!digest_equal(run_once(&c, seed), run_once(&c, seed))) {
        fail_msg("the same accesses end differently; again with: %s", fuzz_command);
    }
}

static void devices_survive_any_access_and_repeat(void **state)
{
    (void)state;
    fuzz_run("devices", 100, device_case, NULL);
}

static int make_disk(void **state)
{
    (void)state;
    disk_file_make(disk, 3 * DISK_SECTOR_BYTES);
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
        cmocka_unit_test(devices_survive_any_access_and_repeat),
    };
    return cmocka_run_group_tests(tests, make_disk, remove_disk);
}
