/*
 * A million random allocations over maps with every type of UEFI memory: which frames may come out is asked of a table of each
 * frame's type that the tests fill themselves.
 */

#include "fake/fake_arch.h"

#define MAPS        4u
#define MAP_FRAMES  (3u << FRAME_GROUP_SHIFT) /* 3 GiB */
#define ALLOCATIONS 250000u                   /* in each map */
#define PHASE       20000u                    /* calls between growing and shrinking */
#define RUNS        4000u
#define SOME        24u
#define DMA_FRAMES  (uint32_t)(16 * MIB >> PAGE_SHIFT)
#define LOW_FRAMES  (uint32_t)(896 * MIB >> PAGE_SHIFT) /* of the 32-bit configuration: High is above */
#define NODES       4u

enum kept { NEVER, AFTER_BOOT, AT_ONCE };

static const uint8_t uefi_says[EFI_MEMORY_TYPE_COUNT] = {
    [EFI_RESERVED_MEMORY] = NEVER,
    [EFI_LOADER_CODE] = AFTER_BOOT,
    [EFI_LOADER_DATA] = AFTER_BOOT,
    [EFI_BOOT_SERVICES_CODE] = AFTER_BOOT,
    [EFI_BOOT_SERVICES_DATA] = AFTER_BOOT,
    [EFI_RUNTIME_SERVICES_CODE] = NEVER,
    [EFI_RUNTIME_SERVICES_DATA] = NEVER,
    [EFI_CONVENTIONAL_MEMORY] = AT_ONCE,
    [EFI_UNUSABLE_MEMORY] = NEVER,
    [EFI_ACPI_RECLAIM_MEMORY] = AFTER_BOOT,
    [EFI_ACPI_MEMORY_NVS] = NEVER,
    [EFI_MEMORY_MAPPED_IO] = NEVER,
    [EFI_MEMORY_MAPPED_IO_PORT_SPACE] = NEVER,
    [EFI_PAL_CODE] = NEVER,
    [EFI_PERSISTENT_MEMORY] = NEVER,
};

struct run {
    uint32_t pfn;
    uint32_t n;
    bool is_zeroed;
};

static struct {
    uint8_t efi_type[MAP_FRAMES];
    bool held[MAP_FRAMES];
    struct run runs[RUNS];
    uint32_t live;
    uint64_t held_frames;
    bool has_nodes;
    bool has_high;
    bool is_after_boot;
    uint64_t seed;
    uint32_t of_order[BUDDY_ORDERS + 1]; /* runs of 512 << order frames and more; the last: shorter ones */
    uint32_t with[16];                   /* allocations with each flag, with a node (8) and without any (9) */
    uint32_t of_type[EFI_MEMORY_TYPE_COUNT];
} map;

static uint32_t below(uint64_t limit)
{
    return (uint32_t)(fake_random(&map.seed) % limit);
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* The edges are inside blocks, the middle GiB is of one node. */
static const uint32_t node_ends[NODES] = {100100, 240100, 600100, MAP_FRAMES};

static uint32_t node_of_frame(uint64_t pfn)
{
    uint32_t node = 0;
    while (map.has_nodes && pfn >= node_ends[node]) {
        node++;
    }
    return node;
}

/* ---- maps ---- */

static struct fake_range ranges[REGION_MAX];
static size_t range_count;

static void add_range(uint32_t first, uint32_t n, unsigned efi_type)
{
    memset(map.efi_type + first, (int)efi_type, n);
    map.of_type[efi_type] += n;
    ranges[range_count++] = (struct fake_range){(uint64_t)first << PAGE_SHIFT, (uint64_t)n << PAGE_SHIFT,
                                                region_type_from_efi(efi_type)};
}

/* Patches of up to `longest` frames in [first, end): every other one is free memory, the rest are of all types in turn. */
static void add_patches(uint32_t first, uint32_t end, uint32_t longest)
{
    for (unsigned i = below(2 * EFI_MEMORY_TYPE_COUNT); first < end; i++) {
        uint32_t n = 1 + below(longest);
        n = n < end - first ? n : end - first;
        add_range(first, n, i % 2 ? EFI_CONVENTIONAL_MEMORY : i / 2 % EFI_MEMORY_TYPE_COUNT);
        first += n;
    }
}

/* Small patches where DMA is, a whole free GiB in the middle (the largest run), patches of all sizes around it. */
static void build_map(unsigned number)
{
    static const struct frame_zone_layout layout_32bit = {{16 * MIB, 896 * MIB, HANDOFF_MAX_PHYSICAL}};
    static struct frame_node_range node_ranges[NODES];
    struct frame_numa numa = {.node_count = NODES, .range_count = NODES, .ranges = node_ranges};
    for (unsigned i = 0; i < NODES; i++) {
        node_ranges[i].base = i > 0 ? node_ranges[i - 1].end : 0;
        node_ranges[i].end = (uint64_t)node_ends[i] << PAGE_SHIFT;
        node_ranges[i].node = i;
        numa.cpu_node[i] = (uint8_t)i;
    }
    memset(&map, 0, sizeof map);
    map.seed = 77 + number;
    map.has_nodes = number >= 2;
    map.has_high = number == 1;
    range_count = 0;
    add_patches(1, DMA_FRAMES, 60);
    add_patches(DMA_FRAMES, 1u << FRAME_GROUP_SHIFT, 2500);
    add_range(1u << FRAME_GROUP_SHIFT, 1u << FRAME_GROUP_SHIFT, EFI_CONVENTIONAL_MEMORY);
    add_patches(2u << FRAME_GROUP_SHIFT, MAP_FRAMES - 70000, 400);
    add_patches(MAP_FRAMES - 70000, MAP_FRAMES, 20000);
    for (unsigned i = 0; i < EFI_MEMORY_TYPE_COUNT; i++) {
        assert_true(map.of_type[i] > 1000);
    }
    fake_build(ranges, range_count, map.has_nodes ? &numa : NULL, map.has_high ? &layout_32bit : NULL, NODES);
    frame_manager_publish();
}

/* Frames that may be free: those at the edge of a node that share a block with another node's never are. */
static uint64_t count_givable(void)
{
    uint64_t count = 0;
    for (uint32_t pfn = 1; pfn < MAP_FRAMES; pfn++) {
        enum kept kept = (enum kept)uefi_says[map.efi_type[pfn]];
        bool is_edge = node_of_frame(pfn) != node_of_frame(pfn & ~(FRAMES_PER_BLOCK - 1));
        count += !is_edge && (kept == AT_ONCE || (kept == AFTER_BOOT && map.is_after_boot)) ? 1 : 0;
    }
    return count;
}

/* ---- one allocation ---- */

static uint32_t some_flags(void)
{
    uint32_t flags = one_in(8) ? FRAME_DMA : 0;
    flags |= one_in(8) ? FRAME_STRICT : 0;
    flags |= one_in(16) ? FRAME_CRITICAL : 0;
    flags |= one_in(4) ? FRAME_HIGH : 0;
    flags |= one_in(8) ? FRAME_ALIGNED : 0;
    return flags | (one_in(4) ? FRAME_NODE(below(map.has_nodes ? NODES : 1)) : 0);
}

static uint32_t some_length(void)
{
    uint32_t kind = below(1024);
    if (kind < 600 || map.live == RUNS - SOME) {
        return 1;
    }
    if (kind < 980) {
        return 2 + below((2u << below(9)) - 1) % 510;
    }
    return kind < 1005 ? 512 + below(1500) : (512u << below(BUDDY_ORDERS)) - (one_in(2) ? below(512) : 0);
}

static void note(uint32_t n, uint32_t flags)
{
    unsigned order = 0;
    while (n >= 1024u << order) {
        order++;
    }
    map.of_order[n < 512 ? BUDDY_ORDERS : order]++;
    for (unsigned bit = 0; bit < 8; bit++) {
        map.with[bit] += (flags >> bit) & 1;
    }
    map.with[8] += frame_node_wanted(flags) != 0;
    map.with[9] += flags == 0;
}

/* n frames came out for these flags on this CPU: all of memory that may be given, of nobody else, and as it was wanted. */
static void check_frames(uint64_t pfn, uint32_t n, uint32_t flags)
{
    uint32_t wanted =
        frame_node_wanted(flags) != 0 ? frame_node_wanted(flags) - 1 : (map.has_nodes ? fake_cpu : 0);
    bool is_good = pfn > 0 && pfn + n <= MAP_FRAMES;
    uint32_t node = node_of_frame(pfn);
    for (uint32_t i = 0; is_good && i < n; i++) {
        enum kept kept = (enum kept)uefi_says[map.efi_type[pfn + i]];
        is_good = !map.held[pfn + i] && (kept == AT_ONCE || (kept == AFTER_BOOT && map.is_after_boot)) &&
                  node_of_frame(pfn + i) == node && frame_table[pfn + i].node == node;
        map.held[pfn + i] = true;
    }
    is_good = is_good && ((flags & FRAME_STRICT) == 0 || node == wanted);
    is_good = is_good && ((flags & FRAME_DMA) == 0 || pfn + n <= DMA_FRAMES);
    is_good = is_good &&
              (!map.has_high || (flags & (FRAME_HIGH | FRAME_DMA)) == FRAME_HIGH || pfn + n <= LOW_FRAMES);
    uint32_t align = 1;
    while (align < n && align < FRAMES_PER_BLOCK) {
        align *= 2;
    }
    is_good = is_good && (((flags & FRAME_ALIGNED) == 0 && n < FRAMES_PER_BLOCK) || pfn % align == 0);
    if (!is_good) {
        fail_msg("frames %llu+%u of type %u came out for flags 0x%x on CPU %u", (unsigned long long)pfn, n,
                 pfn < MAP_FRAMES ? map.efi_type[pfn] : 99, flags, fake_cpu);
    }
    map.held_frames += n;
    note(n, flags);
}

static void keep(uint64_t pfn, uint32_t n, bool is_zeroed)
{
    map.runs[map.live++] = (struct run){(uint32_t)pfn, n, is_zeroed};
}

/* How many allocations it was: 0 when there was no memory. */
static uint32_t allocate_several(void)
{
    pfn_t several[SOME];
    unsigned got = frame_alloc_some(SOME, 0, FRAME_OWNER_TEST, 0, several);
    for (unsigned i = 0; i < got; i++) {
        check_frames(several[i], 1, 0);
        keep(several[i], 1, false);
    }
    return got;
}

static uint32_t allocate(void)
{
    if (one_in(128) && map.live + SOME <= RUNS) {
        return allocate_several();
    }
    uint32_t flags = one_in(4) ? 0 : some_flags();
    uint32_t n = map.live == 0 && one_in(64) ? FRAME_RUN_MAX : some_length();
    bool is_zeroed = n == 1 && one_in(64);
    flags |= is_zeroed ? FRAME_ZERO : 0;
    pfn_t pfn;
    status_t status = n == 1 ? frame_alloc(flags, FRAME_OWNER_TEST, 0, &pfn)
                             : frame_alloc_contiguous(n, flags, FRAME_OWNER_TEST, 0, &pfn);
    if (status != STATUS_OK) {
        assert_int_equal(status, flags & FRAME_STRICT ? STATUS_ERR_NO_LOCAL_MEMORY : STATUS_ERR_NO_MEMORY);
        return 0;
    }
    check_frames(pfn, n, flags);
    keep(pfn, n, is_zeroed);
    return 1;
}

/* ---- freeing ---- */

/* A run, whole or its end alone; single frames in each of the ways there are. */
static void give_back_one(void)
{
    uint32_t at = below(map.live);
    struct run *run = &map.runs[at];
    uint32_t n = run->n > 1 && one_in(4) ? 1 + below(run->n - 1) : run->n;
    uint64_t pfn = run->pfn + run->n - n;
    memset(map.held + pfn, false, n * sizeof map.held[0]);
    map.held_frames -= n;
    if (run->is_zeroed) {
        assert_ok(frame_free_zeroed(paddr_from_pfn(pfn), FRAME_OWNER_TEST));
    } else if (n == 1 && one_in(2)) {
        assert_true(frame_put(pfn));
    } else {
        assert_ok(n == 1 ? frame_free(pfn) : frame_free_run(pfn, n));
    }
    run->n -= n;
    if (run->n == 0) {
        *run = map.runs[--map.live];
    }
}

/* What only the boot needs comes back by its types; nothing else can. */
static void end_boot(void)
{
    static const enum region_type boot_types[] = {REGION_LOADER, REGION_BOOT_SERVICES, REGION_ACPI_RECLAIM};
    uint64_t before = count_givable();
    uint64_t given = 0;
    uint64_t freed;
    map.is_after_boot = true;
    for (unsigned i = 0; i < sizeof boot_types / sizeof boot_types[0]; i++) {
        assert_ok(frame_reclaim_type(&fake_regions, boot_types[i], &freed));
        given += freed;
    }
    assert_int_equal(given, count_givable() - before);
    for (unsigned type = 0; type < EFI_MEMORY_TYPE_COUNT; type++) {
        if (uefi_says[type] == NEVER) {
            assert_int_equal(frame_reclaim_type(&fake_regions, region_type_from_efi(type), &freed),
                             STATUS_ERR_RESERVED);
        }
    }
}

/* covers: MM-05 */
static void nothing_kept_comes_out_in_a_million_random_allocations(void **state)
{
    (void)state;
    for (unsigned number = 0; number < MAPS; number++) {
        build_map(number);
        uint32_t done = 0;
        for (unsigned call = 0; done < ALLOCATIONS; call++) {
            bool is_growing = call / PHASE % 2 == 0;
            fake_cpu = below(NODES);
            if (map.live == 0 || (map.live <= RUNS - SOME && below(100) < (is_growing ? 65 : 30))) {
                done += allocate();
            } else {
                give_back_one();
            }
            if (!map.is_after_boot && done > ALLOCATIONS / 2) {
                end_boot();
            }
            if (call % (2 * PHASE) == 0) {
                assert_int_equal(frame_free_count(), count_givable() - map.held_frames);
                assert_frames_sound();
            }
        }
        for (unsigned i = 0; i <= BUDDY_ORDERS; i++) {
            assert_true(map.of_order[i] > 0);
        }
        for (unsigned i = 0; i < 10; i++) {
            assert_true(map.with[i] > 100 || i == 6 || i == 7);
        }
        while (map.live > 0) {
            give_back_one();
        }
        assert_int_equal(frame_free_count(), count_givable());
        assert_frames_sound();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_kept_comes_out_in_a_million_random_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
