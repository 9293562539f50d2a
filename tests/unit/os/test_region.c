/* Host tests of the handoff validator, the inventory pass and the boot allocator. */

#include "fake/fake_arch.h"

#include "mm/boot_alloc.h"
#include "mm/region.h"

#define MAP_ADDRESS   0x10000u
#define BLOCK_ADDRESS 0x8000u
#define ARENA_BYTES   (1u << 20)

static _Alignas(16) char arena[ARENA_BYTES]; /* the reachable physical memory of these tests: [0, 1 MiB) */

static const void *reach(void *context, uint64_t base, uint64_t size)
{
    (void)context;
    return size <= ARENA_BYTES && base <= ARENA_BYTES - size ? arena + base : NULL;
}

static const struct handoff_reader reader = {reach, NULL};
static struct region_list list;

static struct handoff *good_block(void)
{
    memset(arena, 0, sizeof arena);
    struct handoff *block = (struct handoff *)(void *)(arena + BLOCK_ADDRESS);
    block->magic = HANDOFF_MAGIC;
    block->size = sizeof *block;
    block->version = HANDOFF_VERSION;
    block->memory_map = (struct handoff_memory_map){MAP_ADDRESS, 48, HANDOFF_DESCRIPTOR_VERSION, 0, 0};
    block->kernel_image = (struct handoff_span){0x200000, 0x123456};
    block->temporary_heap = (struct handoff_span){0x400000, 0x100000};
    block->framebuffer = (struct handoff_framebuffer){{0xe0000000, 0x400000}, 1024, 768, 4096, 0};
    block->command_line = (struct handoff_span){0x7000, 20};
    block->cpu_count = 2;
    block->cpus[0] = (struct handoff_cpu){0, 0, 0, HANDOFF_CPU_BOOT | HANDOFF_CPU_ENABLED};
    block->cpus[1] = (struct handoff_cpu){1, 1, 0, HANDOFF_CPU_ENABLED};
    block->module_count = 1;
    block->modules[0] = (struct handoff_module){{0x600000, 0x80000}, "init"};
    return block;
}

static struct efi_memory_descriptor *descriptor(const struct handoff *block, uint32_t i)
{
    return (struct efi_memory_descriptor *)(void *)(arena + MAP_ADDRESS +
                                                    (size_t)i * block->memory_map.stride);
}

static void add(struct handoff *block, uint32_t type, uint64_t base, uint64_t pages)
{
    *descriptor(block, block->memory_map.count++) =
        (struct efi_memory_descriptor){.type = type, .physical_start = base, .number_of_pages = pages};
}

/* The list is sorted, disjoint, merged, without empty regions, and USABLE ones are whole frames. */
static void check_sound(void)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const struct region *region = &list.regions[i];
        assert_true(region->base < region->end);
        assert_true(i == 0 || list.regions[i - 1].end <= region->base);
        assert_false(i > 0 && list.regions[i - 1].end == region->base &&
                     list.regions[i - 1].type == region->type);
        assert_true(region->type != REGION_USABLE ||
                    (region->base % PAGE_SIZE == 0 && region->end % PAGE_SIZE == 0));
    }
}

/* A block that only has a memory map: the other sources are empty. */
static struct handoff *bare_block(void)
{
    struct handoff *block = good_block();
    block->kernel_image = (struct handoff_span){0, 0};
    block->temporary_heap = (struct handoff_span){0, 0};
    block->framebuffer.span = (struct handoff_span){0, 0};
    block->command_line = (struct handoff_span){0, 0};
    block->module_count = 0;
    return block;
}

struct map_row {
    uint32_t type;
    uint64_t base;
    uint64_t pages;
};

struct map_total {
    enum region_type type;
    uint64_t bytes;
};

#define EXPECT(type, bytes)
#define MAP(type, base, pages) {type, base, pages},
static const struct map_row pc_rows[] = {
#include "../../maps/pc_256m.map"
};
static const struct map_row server_rows[] = {
#include "../../maps/server_6g.map"
};
static const struct map_row ragged_rows[] = {
#include "../../maps/ragged.map"
};
#undef MAP
#undef EXPECT
#define MAP(type, base, pages)
#define EXPECT(type, bytes) {REGION_##type, bytes},
static const struct map_total pc_totals[] = {
#include "../../maps/pc_256m.map"
};
static const struct map_total server_totals[] = {
#include "../../maps/server_6g.map"
};
static const struct map_total ragged_totals[] = {
#include "../../maps/ragged.map"
};

#define FAR_AWAY (1ull << 40) /* where these tests pretend that block and map lie: outside of every map */

static const void *reach_far(void *context, uint64_t base, uint64_t size)
{
    return base >= FAR_AWAY ? reach(context, base - FAR_AWAY, size) : NULL;
}

static void check_map(const struct map_row *rows, size_t rows_count, const struct map_total *totals,
                      size_t count)
{
    const struct handoff_reader far_reader = {reach_far, NULL};
    struct handoff *block = bare_block();
    uint64_t sum = 0;
    for (size_t i = 0; i < rows_count; i++) {
        add(block, rows[i].type, rows[i].base, rows[i].pages);
    }
    block->memory_map.address += FAR_AWAY;
    assert_ok(region_list_build(&list, block, FAR_AWAY + BLOCK_ADDRESS, &far_reader));
    check_sound();
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(region_list_bytes(&list, totals[i].type), totals[i].bytes);
        sum += totals[i].bytes;
    }
    uint64_t own_bytes = sizeof *block + (uint64_t)block->memory_map.count * block->memory_map.stride;
    assert_int_equal(region_list_bytes(&list, REGION_HANDOFF), own_bytes);
    assert_int_equal(region_list_total(&list), sum + own_bytes);
}

/* covers: BT-03, MM-15 */
static void inventory_of_each_map_file_has_the_expected_totals(void **state)
{
    (void)state;
    check_map(pc_rows, sizeof pc_rows / sizeof pc_rows[0], pc_totals, sizeof pc_totals / sizeof pc_totals[0]);
    check_map(server_rows, sizeof server_rows / sizeof server_rows[0], server_totals,
              sizeof server_totals / sizeof server_totals[0]);
    check_map(ragged_rows, sizeof ragged_rows / sizeof ragged_rows[0], ragged_totals,
              sizeof ragged_totals / sizeof ragged_totals[0]);
}

#define MODEL_CELLS 4096u /* of 512 bytes: 2 MiB */

/* covers: BT-03 */
static void inventory_equals_the_strongest_claim_of_every_cell(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned round = 0; round < 40; round++) {
        uint8_t cells[MODEL_CELLS];
        memset(cells, 0xff, sizeof cells);
        region_list_init(&list);
        unsigned sources = 1 + (unsigned)(fake_random(&seed) % (round < 30 ? 40 : 500));
        for (unsigned i = 0; i < sources; i++) {
            unsigned first = (unsigned)(fake_random(&seed) % MODEL_CELLS);
            unsigned length = (unsigned)(fake_random(&seed) % (round % 2 ? 64 : 8)) % (MODEL_CELLS - first);
            enum region_type type = (enum region_type)(fake_random(&seed) % REGION_TYPE_COUNT);
            assert_ok(region_list_add(&list, (5ull << 32) + first * 512ull, length * 512ull, type));
            for (unsigned c = first; c < first + length; c++) {
                cells[c] = cells[c] == 0xff || cells[c] < type ? (uint8_t)type : cells[c];
            }
        }
        uint64_t total = 0;
        for (unsigned c = 0; c < MODEL_CELLS; c++) {
            const struct region *region = region_list_find(&list, (5ull << 32) + c * 512ull + 511);
            assert_int_equal(region ? (unsigned)region->type : 0xff, cells[c]);
            total += cells[c] != 0xff ? 512 : 0;
        }
        assert_int_equal(region_list_total(&list), total);
        for (uint32_t i = 1; i < list.count; i++) {
            const struct region *a = &list.regions[i - 1];
            assert_true(a->end < list.regions[i].base ||
                        (a->end == list.regions[i].base && a->type != a[1].type));
        }
    }
}

/* covers: BT-03 */
static void inventory_takes_five_hundred_descriptors_in_any_order(void **state)
{
    (void)state;
    struct handoff *block = bare_block();
    block->memory_map.address = 0x20000;
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t at = i * 263 % 500; /* 263 is prime to 500: every slot once */
        struct efi_memory_descriptor row = {.type =
                                                at % 2 ? EFI_CONVENTIONAL_MEMORY : EFI_RUNTIME_SERVICES_DATA,
                                            .physical_start = (3ull << 32) + at * 0x10000ull,
                                            .number_of_pages = 8 + at % 8};
        memcpy(arena + 0x20000 + i * 48ull, &row, sizeof row);
    }
    block->memory_map.count = 500;
    assert_ok(region_list_build(&list, block, BLOCK_ADDRESS, &reader));
    check_sound();
    assert_int_equal(list.count, 502);
    uint64_t pages = 0;
    for (uint32_t at = 0; at < 500; at++) {
        pages += 8 + at % 8;
    }
    assert_int_equal(region_list_total(&list), pages * PAGE_SIZE + 500 * 48 + sizeof *block);
}

/* covers: BT-03, BT-04 */
static void inventory_paints_every_other_source_over_the_map(void **state)
{
    (void)state;
    struct handoff *block = good_block();
    add(block, EFI_CONVENTIONAL_MEMORY, 0, 0x10000);
    add(block, EFI_MEMORY_MAPPED_IO, 0xe0000000, 0x400);
    assert_ok(handoff_validate(block, sizeof *block, &reader));
    assert_ok(region_list_build(&list, block, BLOCK_ADDRESS, &reader));
    check_sound();
    assert_int_equal(region_list_find(&list, 0)->type, REGION_SLIVER);
    assert_int_equal(region_list_find(&list, BLOCK_ADDRESS)->type, REGION_HANDOFF);
    assert_int_equal(region_list_find(&list, MAP_ADDRESS)->type, REGION_HANDOFF);
    assert_int_equal(region_list_find(&list, 0x7000)->type, REGION_HANDOFF);
    assert_int_equal(region_list_find(&list, 0x7014)->type, REGION_SLIVER);
    assert_int_equal(region_list_find(&list, 0x200000)->type, REGION_KERNEL_IMAGE);
    assert_int_equal(region_list_bytes(&list, REGION_KERNEL_IMAGE), 0x123456);
    assert_int_equal(region_list_find(&list, 0x323456)->type, REGION_SLIVER);
    assert_int_equal(region_list_bytes(&list, REGION_TEMPORARY_HEAP), 0x100000);
    assert_int_equal(region_list_bytes(&list, REGION_MODULE), 0x80000);
    assert_int_equal(region_list_find(&list, 0xe0000000)->type, REGION_FRAMEBUFFER);
    assert_int_equal(region_list_total(&list), 0x10000000 + 0x400000);
}

/* covers: MM-05 */
static void every_efi_type_has_its_class(void **state)
{
    (void)state;
    static const enum region_class want[16] = {
        [EFI_RESERVED_MEMORY] = REGION_CLASS_OUTSIDE,
        [EFI_LOADER_CODE] = REGION_CLASS_RECLAIM,
        [EFI_LOADER_DATA] = REGION_CLASS_RECLAIM,
        [EFI_BOOT_SERVICES_CODE] = REGION_CLASS_RECLAIM,
        [EFI_BOOT_SERVICES_DATA] = REGION_CLASS_RECLAIM,
        [EFI_RUNTIME_SERVICES_CODE] = REGION_CLASS_KEPT,
        [EFI_RUNTIME_SERVICES_DATA] = REGION_CLASS_KEPT,
        [EFI_CONVENTIONAL_MEMORY] = REGION_CLASS_FREE,
        [EFI_UNUSABLE_MEMORY] = REGION_CLASS_OUTSIDE,
        [EFI_ACPI_RECLAIM_MEMORY] = REGION_CLASS_RECLAIM,
        [EFI_ACPI_MEMORY_NVS] = REGION_CLASS_KEPT,
        [EFI_MEMORY_MAPPED_IO] = REGION_CLASS_OUTSIDE,
        [EFI_MEMORY_MAPPED_IO_PORT_SPACE] = REGION_CLASS_OUTSIDE,
        [EFI_PAL_CODE] = REGION_CLASS_OUTSIDE,
        [EFI_PERSISTENT_MEMORY] = REGION_CLASS_OUTSIDE,
        [15] = REGION_CLASS_OUTSIDE,
    };
    for (uint32_t type = 0; type < 16; type++) {
        assert_int_equal(region_type_class(region_type_from_efi(type)), want[type]);
    }
    assert_int_equal(region_type_from_efi(0x80000001), REGION_RESERVED);
}

static void list_refuses_ranges_that_wrap_and_survives_being_full(void **state)
{
    (void)state;
    region_list_init(&list);
    assert_int_equal(region_list_add(&list, ~0ull - 10, 100, REGION_USABLE), STATUS_ERR_OVERFLOW);
    assert_int_equal(region_list_add(&list, 1ull << 51, 1ull << 52, REGION_USABLE), STATUS_ERR_OVERFLOW);
    status_t status = STATUS_OK;
    uint64_t base = 0;
    while (status == STATUS_OK) {
        status = region_list_add(&list, base, 4096, REGION_USABLE);
        base += 8192;
    }
    assert_int_equal(status, STATUS_ERR_LIMIT);
    uint32_t count = list.count;
    assert_int_equal(region_list_add(&list, 0, base, REGION_MMIO), STATUS_ERR_LIMIT);
    assert_int_equal(list.count, count);
}

/* ---- validator ---- */

static void expect_refused(const struct handoff *block, status_t want)
{
    assert_int_equal(handoff_validate(block, sizeof *block, &reader), want);
}

/* covers: BT-01 */
static void validator_names_what_is_wrong(void **state)
{
    (void)state;
    struct handoff *b = good_block();
    add(b, EFI_CONVENTIONAL_MEMORY, 0, 0x10000);
    struct handoff good = *b;
    assert_ok(handoff_validate(b, sizeof *b, &reader));
#define REFUSED(change, want) (*b = good, change, expect_refused(b, want))
    REFUSED(b->magic ^= 1, STATUS_ERR_HANDOFF_MAGIC);
    REFUSED(b->size--, STATUS_ERR_HANDOFF_SIZE);
    REFUSED(b->version++, STATUS_ERR_HANDOFF_VERSION);
    REFUSED(b->memory_map.stride = 32, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.stride = 44, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.address += 4, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.count = 0, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.count = HANDOFF_MAX_DESCRIPTORS + 1, STATUS_ERR_HANDOFF_MAP);
    REFUSED((b->memory_map.count = 0xffffffff, b->memory_map.stride = 0xfffffff8), STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.version = 2, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.address = HANDOFF_MAX_PHYSICAL - 8, STATUS_ERR_HANDOFF_MAP);
    REFUSED(b->memory_map.address = 0xf0000000, STATUS_ERR_HANDOFF_UNREACHABLE);
    REFUSED(b->kernel_image.size_bytes = 0, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->kernel_image.base += 1, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->temporary_heap.size_bytes = ~0ull, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->temporary_heap.size_bytes = HANDOFF_MIN_TEMPORARY_HEAP - 4096, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->temporary_heap.size_bytes = HANDOFF_MAX_TEMPORARY_HEAP + 4096, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->temporary_heap.base += 512, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->framebuffer.height = 100000, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->framebuffer.width = 2000, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->command_line.size_bytes = HANDOFF_MAX_COMMAND_LINE + 1, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->command_line.base = 1ull << 40, STATUS_ERR_HANDOFF_UNREACHABLE);
    REFUSED(b->acpi_rsdp = ~0ull, STATUS_ERR_HANDOFF_SPAN);
    REFUSED(b->cpu_count = 0, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpu_count = 65, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpus[1].flags = 3, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpus[0].flags = HANDOFF_CPU_BOOT, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpus[1].flags = 4, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpus[1].node = HANDOFF_MAX_NODES, STATUS_ERR_HANDOFF_LIST);
    REFUSED((b->affinity_count = 1, b->affinities[0].node = HANDOFF_MAX_NODES), STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->cpus[1].apic_id = 0, STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->module_count = 17, STATUS_ERR_HANDOFF_LIST);
    REFUSED(memset(b->modules[0].name, 'x', 48), STATUS_ERR_HANDOFF_LIST);
    REFUSED(b->affinity_count = 65, STATUS_ERR_HANDOFF_LIST);
    *b = good;
    descriptor(b, 0)->number_of_pages = ~0ull;
    expect_refused(b, STATUS_ERR_HANDOFF_MAP);
    assert_int_equal(handoff_validate(arena + BLOCK_ADDRESS + 4, sizeof *b, &reader),
                     STATUS_ERR_HANDOFF_UNREACHABLE);
    assert_int_equal(handoff_validate(NULL, sizeof *b, &reader), STATUS_ERR_HANDOFF_UNREACHABLE);
    assert_int_equal(handoff_validate(b, sizeof *b - 1, &reader), STATUS_ERR_HANDOFF_UNREACHABLE);
}

static void expect_places(const struct handoff *block, status_t want)
{
    assert_ok(handoff_validate(block, sizeof *block, &reader));
    assert_int_equal(handoff_check_places(&list, block, BLOCK_ADDRESS, &reader), want);
}

/* covers: BT-01, MM-16 */
static void what_the_handoff_speaks_of_lies_in_memory_and_apart(void **state)
{
    (void)state;
    struct handoff *b = good_block();
    add(b, EFI_CONVENTIONAL_MEMORY, 0, 0x400);
    add(b, EFI_LOADER_DATA, 0x400000, 0x200);
    add(b, EFI_BOOT_SERVICES_DATA, 0x600000, 0x100);
    add(b, EFI_RUNTIME_SERVICES_DATA, 0x700000, 0x100);
    add(b, EFI_CONVENTIONAL_MEMORY, 0x1000000, 0x100);
    struct handoff good = *b;
    expect_places(b, STATUS_OK);
#define PLACES(change, want) (*b = good, change, expect_places(b, want))
    PLACES(b->temporary_heap.base = 0x200000, STATUS_ERR_HANDOFF_OVERLAP);
    PLACES(b->temporary_heap.base = 0x323000, STATUS_ERR_HANDOFF_OVERLAP);
    PLACES(b->temporary_heap.base = 0x324000, STATUS_OK);
    PLACES(b->modules[0].span.base = MAP_ADDRESS + 47, STATUS_ERR_HANDOFF_OVERLAP);
    PLACES(b->command_line.base = BLOCK_ADDRESS + sizeof *b - 1, STATUS_ERR_HANDOFF_OVERLAP);
    PLACES(b->framebuffer.span.base = 0x5ff000, STATUS_ERR_HANDOFF_OVERLAP);
    PLACES(b->framebuffer.span.base = 0x1000000, STATUS_OK);
    PLACES(b->modules[0].span.base = 0x6c0000, STATUS_ERR_HANDOFF_NOT_RAM);  /* half in runtime memory */
    PLACES(b->modules[0].span.base = 0x800000, STATUS_ERR_HANDOFF_NOT_RAM);  /* in a hole */
    PLACES(b->modules[0].span.base = 0x10c0000, STATUS_ERR_HANDOFF_NOT_RAM); /* over the end */
    PLACES(b->modules[0].span.base = 0x1080000, STATUS_OK);
    PLACES((b->module_count = 2, b->modules[1] = b->modules[0]), STATUS_ERR_HANDOFF_OVERLAP);
}

/* covers: BT-01 */
static void no_corrupt_handoff_faults_and_no_accepted_one_breaks_the_inventory(void **state)
{
    (void)state;
    uint64_t seed = 99;
    unsigned refused = 0;
    unsigned misplaced = 0;
    for (unsigned round = 0; round < 4000; round++) {
        struct handoff *block = good_block();
        add(block, EFI_CONVENTIONAL_MEMORY, 0, 0x10000);
        add(block, EFI_ACPI_RECLAIM_MEMORY, 0x10000000, 16);
        unsigned changes = 1 + (unsigned)(fake_random(&seed) % 4);
        for (unsigned i = 0; i < changes; i++) {
            /* Mostly the header and the first descriptors, where every byte means something. */
            size_t span = i % 2 ? 200 : sizeof *block;
            char *at = (fake_random(&seed) % 5 == 0 ? arena + MAP_ADDRESS : (char *)block) +
                       fake_random(&seed) % span;
            switch (fake_random(&seed) % 3) {
            case 0:
                *at = (char)(*at ^ (1 << fake_random(&seed) % 8));
                break;
            case 1:
                *at = (char)fake_random(&seed);
                break;
            default:
                *at = (char)(fake_random(&seed) % 2 ? 0xff : 0);
                break;
            }
        }
        if (handoff_validate(block, sizeof *block, &reader) != STATUS_OK) {
            refused++;
        } else if (handoff_check_places(&list, block, BLOCK_ADDRESS, &reader) != STATUS_OK) {
            misplaced++;
        } else if (region_list_build(&list, block, BLOCK_ADDRESS, &reader) == STATUS_OK) {
            check_sound();
        } else {
            fail_msg("an accepted handoff broke the inventory");
        }
    }
    assert_true(refused >= 200);
    assert_true(misplaced >= 20);
}

/* ---- boot allocator ---- */

/* covers: BT-04, BT-09 */
static void boot_allocations_are_painted_into_the_list_until_the_seal(void **state)
{
    (void)state;
    region_list_init(&list);
    assert_ok(region_list_add(&list, 0x1000, 0x9f000, REGION_USABLE));
    assert_ok(region_list_add(&list, 0x100000, 0x1000000, REGION_USABLE));
    assert_ok(region_list_add(&list, 0x400000, 0x100000, REGION_KERNEL_IMAGE));
    boot_alloc_init(&list, 0x100000, 0x1000000);
    uint64_t total = region_list_total(&list);
    paddr_t page;
    paddr_t stack;
    assert_ok(boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, &page));
    assert_int_equal(page.number, 0xfff000);
    assert_ok(boot_alloc_frames(512, 512, REGION_BOOT_ALLOCATION, &stack));
    assert_int_equal(stack.number, 0xc00000);
    assert_int_equal(region_list_find(&list, page.number)->type, REGION_BOOT_PAGE_TABLE);
    assert_int_equal(region_list_bytes(&list, REGION_BOOT_ALLOCATION), 0x200000);
    assert_int_equal(region_list_total(&list), total);
    assert_int_equal(boot_alloc_used(), 513);
    assert_int_equal(boot_alloc_frames(0, 1, REGION_BOOT_PAGE_TABLE, &page), STATUS_ERR_ARGUMENT);
    assert_int_equal(boot_alloc_frames(1, 3, REGION_BOOT_PAGE_TABLE, &page), STATUS_ERR_ARGUMENT);
    assert_int_equal(boot_alloc_frames(1, 1, REGION_USABLE, &page), STATUS_ERR_ARGUMENT);
    assert_int_equal(boot_alloc_frames(0x1000, 1, REGION_BOOT_PAGE_TABLE, &page), STATUS_ERR_NO_MEMORY);
    struct boot_alloc_shortage before;
    boot_alloc_shortage(&before);
    assert_int_equal(before.wanted_frames, 0x1000);
    assert_int_equal(before.used_frames, 513);
    assert_int_equal(before.left_frames, 0xf00 - 0x100 - 513);
    unsigned more = 0;
    while (boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, &page) == STATUS_OK) {
        assert_true(page.number >= 0x100000 && page.number < 0x1000000);
        assert_false(page.number >= 0x400000 && page.number < 0x500000);
        more++;
    }
    assert_int_equal(more + 513 + 0x100, 0xf00);
    struct boot_alloc_shortage short_of;
    boot_alloc_shortage(&short_of);
    assert_int_equal(short_of.wanted_frames, 1);
    assert_int_equal(short_of.used_frames, more + 513);
    assert_int_equal(short_of.left_frames, 0);
    boot_alloc_seal();
    assert_true(boot_alloc_sealed());
    assert_panics("sealed", (void)!boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, &page));
    assert_panics("sealed twice", boot_alloc_seal());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inventory_of_each_map_file_has_the_expected_totals),
        cmocka_unit_test(inventory_equals_the_strongest_claim_of_every_cell),
        cmocka_unit_test(inventory_takes_five_hundred_descriptors_in_any_order),
        cmocka_unit_test(inventory_paints_every_other_source_over_the_map),
        cmocka_unit_test(every_efi_type_has_its_class),
        cmocka_unit_test(list_refuses_ranges_that_wrap_and_survives_being_full),
        cmocka_unit_test(validator_names_what_is_wrong),
        cmocka_unit_test(what_the_handoff_speaks_of_lies_in_memory_and_apart),
        cmocka_unit_test(no_corrupt_handoff_faults_and_no_accepted_one_breaks_the_inventory),
        cmocka_unit_test(boot_allocations_are_painted_into_the_list_until_the_seal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
