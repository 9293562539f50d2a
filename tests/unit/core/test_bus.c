/* The physical address map: routing, open bus, overlaps, special pages, loader access. */

#define _POSIX_C_SOURCE 200809L

#include "core/bus.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A device that remembers its last access and answers with ones above what was asked for. */
struct probe {
    uint64_t offset, value;
    unsigned size, writes, cpu;
    uint64_t now;
};

static uint64_t probe_mmio_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    struct probe *p = dev;
    p->offset = offset;
    p->size = size_bytes;
    p->cpu = cx->cpu;
    p->now = cx->now_cycles;
    return UINT64_C(0xfffffffffffffff0) | (offset & 15);
}

static void probe_mmio_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                             unsigned size_bytes)
{
    (void)cx;
    struct probe *p = dev;
    *p = (struct probe){.offset = offset, .value = value, .size = size_bytes, .writes = p->writes + 1};
}

static uint64_t probe_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return probe_mmio_read(dev, cx, port, size_bytes);
}

static void probe_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                             unsigned size_bytes)
{
    probe_mmio_write(dev, cx, port, value, size_bytes);
}

static const struct device_ops probe_ops = {
    .name = "probe",
    .port_read = probe_port_read,
    .port_write = probe_port_write,
    .mmio_read = probe_mmio_read,
    .mmio_write = probe_mmio_write,
    .stateless = true,
};

static const struct device_ops mute_ops = {.name = "mute", .stateless = true};

static struct bus b;
static struct probe p[3];
static unsigned special_writes;
static phys_t special_at;
static unsigned special_size;

static const struct bus_cx cx = {1234, 7};

static void on_special(void *target, phys_t a, unsigned size_bytes)
{
    assert_ptr_equal(target, &b);
    special_writes++;
    special_at = a;
    special_size = size_bytes;
}

static int setup(void **state)
{
    (void)state;
    static const struct ram_range ranges[] = {{{0}, 0xa0000}, {{0x100000}, 0x100000}};
    struct error e;
    bus_init(&b);
    memset(p, 0, sizeof p);
    special_writes = 0;
    b.on_special_write = on_special;
    b.on_special_write_target = &b;
    return ram_init(&b.ram, ranges, 2, &e) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    bus_deinit(&b);
    return 0;
}

static void assert_check_fails(void (*act)(void))
{
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void unclaimed_space_reads_as_ones_of_the_width(void **state)
{
    (void)state;
    assert_int_equal(bus_read(&b, &cx, phys(0xa0000), 1), 0xff);
    assert_int_equal(bus_read(&b, &cx, phys(0xa0000), 2), 0xffff);
    assert_int_equal(bus_read(&b, &cx, phys(0xfee00000), 4), 0xffffffff);
    assert_int_equal(bus_read(&b, &cx, phys(0xfee00000), 8), UINT64_MAX);
    bus_write(&b, &cx, phys(0xfee00000), 1, 4);
    assert_int_equal(bus_port_read(&b, &cx, 0x1234, 1), 0xff);
    assert_int_equal(bus_port_read(&b, &cx, 0x1234, 4), 0xffffffff);
    bus_port_write(&b, &cx, 0x1234, 5, 4);
}

static void device_without_a_function_is_open_bus(void **state)
{
    (void)state;
    bus_add_mmio(&b, phys(0xfed00000), 0x1000, &mute_ops, NULL);
    bus_add_ports(&b, 0x60, 1, &mute_ops, NULL);
    assert_int_equal(bus_read(&b, &cx, phys(0xfed00000), 4), 0xffffffff);
    bus_write(&b, &cx, phys(0xfed00000), 1, 4);
    assert_int_equal(bus_port_read(&b, &cx, 0x60, 2), 0xffff);
    bus_port_write(&b, &cx, 0x60, 1, 1);
}

static void ram_reads_back_in_every_width(void **state)
{
    (void)state;
    bus_write(&b, &cx, phys(0x1000), UINT64_C(0x1122334455667788), 8);
    assert_int_equal(bus_read(&b, &cx, phys(0x1000), 8), UINT64_C(0x1122334455667788));
    assert_int_equal(bus_read(&b, &cx, phys(0x1001), 4), 0x44556677);
    assert_int_equal(bus_read(&b, &cx, phys(0x1006), 2), 0x1122);
    bus_write(&b, &cx, phys(0x1003), 0xabcd, 1);
    assert_int_equal(bus_read(&b, &cx, phys(0x1000), 8), UINT64_C(0x11223344cd667788));
    assert_int_equal(b.ram.flags[1], PAGE_DIRTY);
}

static void mmio_goes_to_its_device_with_offset_and_context(void **state)
{
    (void)state;
    bus_add_mmio(&b, phys(0xfed00000), 0x1000, &probe_ops, &p[1]);
    bus_add_mmio(&b, phys(0xfec00000), 0x1000, &probe_ops, &p[0]); /* out of order */
    bus_add_mmio(&b, phys(0xfee00000), 0x1000, &probe_ops, &p[2]);
    assert_int_equal(bus_read(&b, &cx, phys(0xfec00010), 4), 0xfffffff0);
    assert_int_equal(p[0].offset, 0x10);
    assert_int_equal(p[0].cpu, 7);
    assert_int_equal(p[0].now, 1234);
    assert_int_equal(bus_read(&b, &cx, phys(0xfed00fff), 1), 0xff);
    assert_int_equal(p[1].offset, 0xfff);
    bus_write(&b, &cx, phys(0xfee000b0), 0x123456789, 4);
    assert_int_equal(p[2].value, 0x23456789); /* cut to the width */
    assert_null(bus_find_mmio(&b, phys(0xfed01000)));
    assert_null(bus_find_mmio(&b, phys(0xfecfffff)));
    assert_ptr_equal(bus_find_mmio(&b, phys(0xfee00fff))->dev, &p[2]);
}

static void ports_go_to_their_device(void **state)
{
    (void)state;
    bus_add_ports(&b, 0x3f8, 8, &probe_ops, &p[0]);
    bus_add_ports(&b, 0xfffe, 2, &probe_ops, &p[1]);
    assert_int_equal(bus_port_read(&b, &cx, 0x3fd, 1), 0xfd);
    assert_int_equal(p[0].offset, 0x3fd);
    bus_port_write(&b, &cx, 0x3ff, 0x1ff, 1);
    assert_int_equal(p[0].value, 0xff);
    assert_int_equal(bus_port_read(&b, &cx, 0x400, 1), 0xff);
    assert_int_equal(p[0].writes, 1);
    bus_port_write(&b, &cx, 0xffff, 1, 1);
    assert_int_equal(p[1].offset, 0xffff);
}

static void add_overlapping_mmio(void)
{
    bus_add_mmio(&b, phys(0xfed00800), 0x1000, &probe_ops, &p[1]);
}

static void add_mmio_below(void)
{
    bus_add_mmio(&b, phys(0xfecff001), 0x1000, &probe_ops, &p[1]);
}

static void add_mmio_in_ram(void)
{
    bus_add_mmio(&b, phys(0x100000), 0x1000, &probe_ops, &p[1]);
}

static void add_taken_port(void)
{
    bus_add_ports(&b, 0x3f0, 9, &probe_ops, &p[1]);
}

static void add_ports_past_the_end(void)
{
    bus_add_ports(&b, 0xffff, 2, &probe_ops, &p[1]);
}

static void overlaps_are_checks(void **state)
{
    (void)state;
    bus_add_mmio(&b, phys(0xfed00000), 0x1000, &probe_ops, &p[0]);
    bus_add_ports(&b, 0x3f8, 8, &probe_ops, &p[0]);
    assert_check_fails(add_overlapping_mmio);
    assert_check_fails(add_mmio_below);
    assert_check_fails(add_mmio_in_ram);
    assert_check_fails(add_taken_port);
    assert_check_fails(add_ports_past_the_end);
}

static void writes_to_special_pages_are_reported_after_the_bytes_changed(void **state)
{
    (void)state;
    bus_write(&b, &cx, phys(0x2000), 1, 1);
    assert_int_equal(special_writes, 0);
    b.ram.flags[2] |= PAGE_CODE;
    bus_write(&b, &cx, phys(0x2010), 0x55, 4);
    assert_int_equal(special_writes, 1);
    assert_int_equal(special_at.v, 0x2010);
    assert_int_equal(special_size, 4);
}

static void load_and_peek_cross_pages_and_refuse_what_is_not_ram(void **state)
{
    (void)state;
    uint8_t in[10000], out[10000];
    for (unsigned i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i * 7);
    }
    b.ram.flags[3] |= PAGE_MONITOR;
    assert_true(bus_load(&b, phys(0x1800), in, sizeof in));
    assert_int_equal(special_writes, 1);
    assert_int_equal(special_at.v, 0x3000);
    assert_true(bus_peek(&b, phys(0x1800), out, sizeof out));
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(b.ram.lists[SINCE_DIGEST].count, 3);
    assert_false(bus_load(&b, phys(0x9fff0), in, 0x11));
    assert_false(bus_peek(&b, phys(0x9fff0), out, 0x11));
    assert_false(bus_peek(&b, phys(0xfee00000), out, 1));
    assert_int_equal(bus_read(&b, &cx, phys(0x9fff0), 8), 0);
}

/* ---- state ---- */

static void counter_visit(void *dev, struct visitor *v)
{
    visit_u32(v, "count", dev);
}

static const struct device_ops counter_ops = {.name = "counter", .visit = counter_visit};
static const struct device_ops silent_ops = {.name = "silent"};
static const struct device_ops torn_ops = {.name = "torn", .visit = counter_visit, .stateless = true};

static void a_device_is_visited_once_under_its_own_number(void **state)
{
    (void)state;
    uint32_t counters[2] = {0x11, 0x22};
    struct state_buffer buffer = {0};
    struct buffer_visitor v;
    bus_add_ports(&b, 0x10, 1, &counter_ops, &counters[0]);
    bus_add_ports(&b, 0x20, 1, &mute_ops, NULL);
    bus_add_ports(&b, 0x30, 1, &counter_ops, &counters[1]);
    bus_add_mmio(&b, phys(0xfed00000), 0x1000, &counter_ops, &counters[0]);
    save_visitor_init(&v, VISIT_ARCH, &buffer);
    bus_visit(&b, &v.base);
    assert_int_equal(buffer.size, 8);
    counters[1]++;
    compare_visitor_init(&v, VISIT_ARCH, &buffer);
    bus_visit(&b, &v.base);
    assert_true(v.differs);
    assert_string_equal(v.where, "counter1.count[0]");
    state_buffer_deinit(&buffer);
}

static void add_silent(void)
{
    bus_add_ports(&b, 0x10, 1, &silent_ops, &p[0]);
}

static void add_torn(void)
{
    bus_add_mmio(&b, phys(0xfed00000), 0x1000, &torn_ops, &p[0]);
}

static void a_device_visits_its_state_or_declares_that_it_has_none(void **state)
{
    (void)state;
    assert_check_fails(add_silent);
    assert_check_fails(add_torn);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(unclaimed_space_reads_as_ones_of_the_width),
        T(device_without_a_function_is_open_bus),
        T(ram_reads_back_in_every_width),
        T(mmio_goes_to_its_device_with_offset_and_context),
        T(ports_go_to_their_device),
        T(overlaps_are_checks),
        T(a_device_is_visited_once_under_its_own_number),
        T(a_device_visits_its_state_or_declares_that_it_has_none),
        T(writes_to_special_pages_are_reported_after_the_bytes_changed),
        T(load_and_peek_cross_pages_and_refuse_what_is_not_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
