/* Boot protocols: what is loaded where, and that no file, however broken, does harm. */

#include "base/bits.h"
#include "base/rng.h"
#include "machine/boot.h"
#include "machine/elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY_BYTES (UINT64_C(64) << 20)

struct fixture {
    struct bus bus;
    struct memory_map map;
    struct boot_entry entry;
    struct error error;
};

static void setup(struct fixture *f)
{
    struct ram_range ranges[2];
    memset(f, 0, sizeof *f);
    memory_map_init(&f->map, MEMORY_BYTES, 0);
    bus_init(&f->bus);
    assert_true(ram_init(&f->bus.ram, ranges, memory_map_ram(&f->map, ranges), &f->error));
}

static bool load(struct fixture *f, const uint8_t *kernel, size_t size, size_t initrd_size,
                 const char *command)
{
    static const uint8_t initrd[70000] = {[0] = 0x11, [69999] = 0x22};
    struct sim_image image = {"test", kernel, size, initrd_size ? initrd : NULL, initrd_size, command};
    return boot_load(&f->bus, &f->map, &image, &f->entry, &f->error);
}

static const uint8_t *at(struct fixture *f, uint64_t address)
{
    return ram_at(&f->bus.ram, phys(address));
}

/* An ELF64 file with one segment of 16 bytes at 1 MiB (memory size 0x3000) and a PVH note. */
#define PVH_FILE_BYTES 0x200u
static void make_pvh(uint8_t *file)
{
    memset(file, 0, PVH_FILE_BYTES);
    memcpy(file, "\177ELF\2\1\1", 7);
    store_le16(file + 16, 2);
    store_le16(file + 18, 62);
    store_le64(file + 24, 0xffffffff80100000);
    store_le64(file + 32, 64); /* program headers */
    store_le16(file + 54, 56);
    store_le16(file + 56, 2);
    uint8_t *p = file + 64;
    store_le32(p, 1);
    store_le64(p + 8, 0x100);
    store_le64(p + 16, 0xffffffff80100000);
    store_le64(p + 24, 0x100000);
    store_le64(p + 32, 16);
    store_le64(p + 40, 0x3000);
    p += 56;
    store_le32(p, 4);
    store_le64(p + 8, 0x140);
    store_le64(p + 32, 20);
    store_le64(p + 40, 20);
    memcpy(file + 0x100, "segment contents", 16);
    store_le32(file + 0x140, 4);
    store_le32(file + 0x144, 4);
    store_le32(file + 0x148, 18);
    memcpy(file + 0x14c, "Xen", 4);
    store_le32(file + 0x150, 0x100004);
}

static void pvh_gets_segments_modules_and_memory_map(void **state)
{
    struct fixture f;
    uint8_t file[PVH_FILE_BYTES];
    (void)state;
    setup(&f);
    make_pvh(file);
    assert_true(load(&f, file, sizeof file, 70000, "a=1 b"));
    assert_int_equal(f.entry.eip, 0x100004);
    assert_memory_equal(at(&f, 0x100000), "segment contents", 16);
    const uint8_t *info = at(&f, f.entry.ebx);
    assert_int_equal(load_le32(info), 0x336ec578);
    assert_int_equal(load_le32(info + 12), 1);
    const uint8_t *module = at(&f, load_le64(info + 16));
    assert_int_equal(load_le64(module + 8), 70000);
    assert_int_equal(load_le64(module) & 4095, 0);
    assert_int_equal(*at(&f, load_le64(module) + 69999), 0x22);
    assert_string_equal((const char *)at(&f, load_le64(info + 24)), "a=1 b");
    assert_int_equal(load_le32(info + 48), f.map.count);
    bus_deinit(&f.bus);
}

static void the_initrd_lies_in_memory_that_a_limited_map_reports(void **state)
{
    struct fixture f;
    uint8_t file[PVH_FILE_BYTES];
    (void)state;
    setup(&f);
    make_pvh(file);
    memory_map_init(&f.map, MEMORY_BYTES, UINT64_C(3) << 20);
    assert_true(load(&f, file, sizeof file, 70000, ""));
    uint64_t base = load_le64(at(&f, load_le64(at(&f, f.entry.ebx) + 16)));
    assert_int_equal(base, ((memory_map_low_top(&f.map) - 70000) & ~UINT64_C(4095)));
    assert_in_range(memory_map_low_top(&f.map), UINT64_C(3) << 20, (UINT64_C(3) << 20) + 0x100000);
    memory_map_init(&f.map, MEMORY_BYTES, BASE_RAM_END + 0x10000); /* 64 KiB above 1 MiB */
    assert_false(load(&f, file, sizeof file, 70000, ""));
    bus_deinit(&f.bus);
}

/* A Multiboot image with its own addresses, header at file offset 16, loaded at 2 MiB. */
#define MULTIBOOT_FILE_BYTES 0x1000u
static void make_multiboot(uint8_t *file, uint32_t flags)
{
    memset(file, 0x90, MULTIBOOT_FILE_BYTES);
    uint8_t *h = file + 16;
    store_le32(h, 0x1badb002);
    store_le32(h + 4, flags);
    store_le32(h + 8, (uint32_t)(0u - 0x1badb002u - flags));
    store_le32(h + 12, 0x200010);
    store_le32(h + 16, 0x200000);
    store_le32(h + 20, 0);
    store_le32(h + 24, 0x204000);
    store_le32(h + 28, 0x200100);
}

static void multiboot_with_addresses_loads_where_it_says(void **state)
{
    struct fixture f;
    uint8_t file[MULTIBOOT_FILE_BYTES];
    (void)state;
    setup(&f);
    make_multiboot(file, 0x10003);
    assert_true(load(&f, file, sizeof file, 5000, "hello"));
    assert_int_equal(f.entry.eip, 0x200100);
    assert_int_equal(f.entry.eax, 0x2badb002);
    assert_memory_equal(at(&f, 0x200000), file, sizeof file);
    const uint8_t *info = at(&f, f.entry.ebx);
    assert_true(load_le32(info) & 8);
    assert_int_equal(load_le32(info + 20), 1);
    const uint8_t *module = at(&f, load_le32(info + 24));
    assert_int_equal(load_le32(module + 4) - load_le32(module), 5000);
    assert_string_equal((const char *)at(&f, load_le32(info + 16)), "hello");
    bus_deinit(&f.bus);
}

static void multiboot_that_wants_a_video_mode_is_refused(void **state)
{
    struct fixture f;
    uint8_t file[MULTIBOOT_FILE_BYTES];
    (void)state;
    setup(&f);
    make_multiboot(file, 0x10004);
    assert_false(load(&f, file, sizeof file, 0, NULL));
    assert_non_null(strstr(f.error.text, "Multiboot flags"));
    bus_deinit(&f.bus);
}

static void a_segment_over_the_firmware_tables_is_refused(void **state)
{
    struct fixture f;
    uint8_t file[PVH_FILE_BYTES];
    (void)state;
    setup(&f);
    make_pvh(file);
    store_le64(file + 64 + 24, f.map.acpi_base - 0x1000);
    assert_false(load(&f, file, sizeof file, 0, NULL));
    assert_non_null(strstr(f.error.text, "does not fit usable RAM"));
    bus_deinit(&f.bus);
}

static void a_command_line_that_is_too_long_is_refused(void **state)
{
    struct fixture f;
    uint8_t file[PVH_FILE_BYTES];
    char command[9000];
    (void)state;
    setup(&f);
    make_pvh(file);
    memset(command, 'x', sizeof command - 1);
    command[sizeof command - 1] = 0;
    assert_false(load(&f, file, sizeof file, 0, command));
    assert_non_null(strstr(f.error.text, "command line"));
    bus_deinit(&f.bus);
}

/* Random damage: every outcome is "loaded" or a message. ASan builds watch the reads. */
static void damaged_images_get_a_message_and_do_no_harm(void **state)
{
    struct rng r;
    unsigned refused = 0;
    (void)state;
    rng_init(&r, 1, 0);
    for (unsigned round = 0; round < 4000; round++) {
        struct fixture f;
        bool elf = round % 2;
        size_t size = elf ? PVH_FILE_BYTES : MULTIBOOT_FILE_BYTES;
        uint8_t *file = malloc(size);
        setup(&f);
        if (elf) {
            make_pvh(file);
        } else {
            make_multiboot(file, 0x10003);
        }
        for (unsigned i = 0; i < 1 + round % 5; i++) {
            file[rng_below(&r, 0x160)] = (uint8_t)rng_next(&r);
        }
        size_t cut = rng_below(&r, 4) ? size : rng_below(&r, size);
        uint8_t *exact = malloc(cut ? cut : 1); /* so that reading past the end is seen */
        memcpy(exact, file, cut);
        f.error.text[0] = 0;
        if (!load(&f, exact, cut, 0, NULL)) {
            assert_true(f.error.text[0] != 0);
            refused++;
        }
        free(exact);
        free(file);
        bus_deinit(&f.bus);
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pvh_gets_segments_modules_and_memory_map),
        cmocka_unit_test(the_initrd_lies_in_memory_that_a_limited_map_reports),
        cmocka_unit_test(multiboot_with_addresses_loads_where_it_says),
        cmocka_unit_test(multiboot_that_wants_a_video_mode_is_refused),
        cmocka_unit_test(a_segment_over_the_firmware_tables_is_refused),
        cmocka_unit_test(a_command_line_that_is_too_long_is_refused),
        cmocka_unit_test(damaged_images_get_a_message_and_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
