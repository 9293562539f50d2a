/* Host tests of page tables and the TLB gather: a model checker against a flat dictionary, flags, roll-back.
 */

#include "fake/fake_arch.h"

#include "mm/boot_alloc.h"
#include "mm/pagetable.h"
#include "mm/tlb.h"

#define OPERATIONS 1000000u
#define RW_FLAGS   (PAGE_WRITABLE | PAGE_USER | PAGE_NO_EXECUTE)

static struct page_table table;

static void start(void)
{
    fake_machine(64, 1);
    tlb_set_flush(NULL);
    assert_ok(pt_init_user(&table, &pt_frame_allocator, NULL));
}

/* ---- flags ---- */

/* covers: VM-11, ER-07 */
static void every_flag_has_the_bit_of_the_manual(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        unsigned bit;
        const char *name;
    } rows[] = {{PAGE_PRESENT, 0, "PRESENT"},
                {PAGE_WRITABLE, 1, "WRITABLE"},
                {PAGE_USER, 2, "USER"},
                {PAGE_WRITE_THROUGH, 3, "WRITE_THROUGH"},
                {PAGE_CACHE_DISABLE, 4, "CACHE_DISABLE"},
                {PAGE_ACCESSED, 5, "ACCESSED"},
                {PAGE_DIRTY, 6, "DIRTY"},
                {PAGE_HUGE, 7, "HUGE"},
                {PAGE_GLOBAL, 8, "GLOBAL"},
                {PAGE_COPY_ON_WRITE, 9, "COPY_ON_WRITE"},
                {PAGE_DEVICE, 10, "DEVICE"},
                {PAGE_NO_ACCESS, 57, "NO_ACCESS"},
                {PAGE_PAT, 58, "PAT"},
                {PAGE_NO_EXECUTE, 63, "NO_EXECUTE"}};
    uint64_t known = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        page_flags_t flags;
        assert_int_equal(rows[i].value, 1ull << rows[i].bit);
        assert_string_equal(page_flag_name(rows[i].bit), rows[i].name);
        assert_ok(page_flags_from_raw(rows[i].value, &flags));
        assert_true(page_flags_contain(flags, PAGE_FLAGS(rows[i].value)));
        assert_int_equal(page_flags_executable(flags), rows[i].bit != 63);
        known |= rows[i].value;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        page_flags_t flags;
        bool is_flag = (known >> bit) & 1;
        assert_int_equal(page_flags_from_raw(1ull << bit, &flags),
                         is_flag ? STATUS_OK : STATUS_ERR_UNKNOWN_BITS);
        assert_int_equal(page_flag_name(bit) != NULL, is_flag);
    }
    page_flags_t both = page_flags_or(PAGE_FLAGS(PAGE_USER), PAGE_FLAGS(PAGE_DIRTY));
    assert_int_equal(both.bits, PAGE_USER | PAGE_DIRTY);
    assert_false(page_flags_contain(both, PAGE_FLAGS(PAGE_USER | PAGE_GLOBAL)));
    assert_int_equal(page_flags_without(both, PAGE_FLAGS(PAGE_USER)).bits, PAGE_DIRTY);
}

static uint64_t *entry_of(vaddr_t va, unsigned level)
{
    uint64_t *entry = NULL;
    paddr_t at = table.root;
    for (unsigned i = 4; i >= level; i--) {
        entry = (uint64_t *)arch_phys_to_virt(at) + ((va.number >> (12 + 9 * (i - 1))) & 511);
        at = paddr_make(*entry & 0x000ffffffffff000ull);
    }
    return entry;
}

/* covers: VM-06, VM-17 (bits) */
static void every_flag_combination_gives_the_expected_entry(void **state)
{
    (void)state;
    start();
    const vaddr_t va = vaddr_make(0x40000000);
    static const unsigned free_bits[] = {1, 2, 3, 4, 8, 9, 10, 57, 58, 63};
    for (unsigned set = 0; set < 1u << 10; set++) {
        for (enum page_size size = PAGE_4K; size <= PAGE_2M; size++) {
            page_flags_t flags = PAGE_FLAGS(0);
            for (unsigned i = 0; i < 10; i++) {
                flags.bits |= (set >> i) & 1 ? 1ull << free_bits[i] : 0;
            }
            status_t want = STATUS_OK;
            uint64_t present = (flags.bits & PAGE_NO_ACCESS) == 0; /* bit 0 */
            if (size == PAGE_2M && (flags.bits & PAGE_NO_ACCESS)) {
                want = STATUS_ERR_UNKNOWN_BITS;
            } else if ((flags.bits & PAGE_WRITABLE) && !(flags.bits & PAGE_NO_EXECUTE)) {
                want = STATUS_ERR_WRITE_EXECUTE;
            } else if ((flags.bits & PAGE_WRITABLE) && (flags.bits & PAGE_COPY_ON_WRITE)) {
                want = STATUS_ERR_ARGUMENT;
            }
            assert_int_equal(pt_map(&table, va, paddr_make(0x600000), size, flags), want);
            if (want != STATUS_OK) {
                continue;
            }
            uint64_t pat = size == PAGE_2M ? 1ull << 12 : 1ull << 7;
            uint64_t expected = 0x600000 | present | (flags.bits & ~PAGE_PAT) |
                                (flags.bits & PAGE_PAT ? pat : 0) | (size == PAGE_2M ? 1ull << 7 : 0);
            assert_int_equal(*entry_of(va, size == PAGE_2M ? 2 : 1), expected);
            struct pt_leaf leaf;
            assert_ok(pt_query(&table, va, &leaf));
            assert_int_equal(leaf.flags.bits, flags.bits | present);
            assert_int_equal(pt_map(&table, va, paddr_make(0), PAGE_4K, PAGE_FLAGS(0)), STATUS_ERR_EXISTS);
            assert_int_equal(leaf.address.number, 0x600000);
            assert_int_equal(leaf.size, size);
            assert_ok(pt_unmap(&table, va, NULL, NULL));
        }
    }
    assert_int_equal(pt_map(&table, va, paddr_make(0), PAGE_2M, PAGE_FLAGS(PAGE_HUGE)),
                     STATUS_ERR_UNKNOWN_BITS);
    assert_int_equal(pt_map(&table, va, paddr_make(0), PAGE_4K, PAGE_FLAGS(1ull << 11)),
                     STATUS_ERR_UNKNOWN_BITS);
    static const uint64_t index_bits[3] = {PAGE_WRITE_THROUGH, PAGE_CACHE_DISABLE, PAGE_PAT};
    for (unsigned policy = 0; policy < 6; policy++) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < 3; i++) {
            bits |= (policy >> i & 1) != 0 ? index_bits[i] : 0;
        }
        assert_int_equal(cache_policy_flags((enum cache_policy)policy).bits, bits);
    }
    assert_int_equal(PAT_MSR_VALUE & 0xff, 6);         /* entry 0, write-back */
    assert_int_equal((PAT_MSR_VALUE >> 24) & 0xff, 0); /* entry 3, uncacheable */
    assert_int_equal((PAT_MSR_VALUE >> 32) & 0xff, 1); /* entry 4, write-combining */
    pt_deinit(&table);
    assert_frames_sound();
}

/* ---- model checker ---- */

#define PAGES 4096u /* of the model: eight 2 MiB places, spread over the address space */

static vaddr_t page_address(unsigned page)
{
    static const uint64_t places[8] = {0x0,          0x200000,     0x40000000,     0x7fffffc00000,
                                       0x8000000000, 0x8040000000, 0x7f8000000000, 0x7fffbfe00000};
    return vaddr_make(places[page / 512] + (page % 512) * PAGE_SIZE);
}

struct flat {
    uint64_t address; /* of the page, 0: not mapped */
    uint64_t flags;
    bool huge;
};

static struct flat model[PAGES];

static void check_page(unsigned page)
{
    struct pt_leaf leaf;
    paddr_t physical;
    vaddr_t va = vaddr_add(page_address(page), 0x123);
    status_t want = model[page].address ? STATUS_OK : STATUS_ERR_NOT_MAPPED;
    assert_int_equal(pt_query(&table, va, &leaf), want);
    assert_int_equal(pt_translate(&table, va, &physical), want);
    if (want == STATUS_OK) {
        assert_int_equal(physical.number, model[page].address + 0x123);
        assert_int_equal(leaf.flags.bits, model[page].flags | PAGE_PRESENT);
        assert_int_equal(leaf.size, model[page].huge ? PAGE_2M : PAGE_4K);
    }
}

static void model_map(unsigned page, bool huge, uint64_t address, uint64_t flags)
{
    unsigned first = huge ? page / 512 * 512 : page;
    unsigned count = huge ? 512 : 1;
    status_t want = STATUS_OK;
    for (unsigned i = first; i < first + count; i++) {
        want = model[i].address ? STATUS_ERR_EXISTS : want;
    }
    assert_int_equal(
        pt_map(&table, page_address(first), paddr_make(address), huge ? PAGE_2M : PAGE_4K, PAGE_FLAGS(flags)),
        want);
    for (unsigned i = first; i < first + count && want == STATUS_OK; i++) {
        model[i] = (struct flat){address + (i - first) * PAGE_SIZE, flags, huge};
    }
}

static void model_map_frames(unsigned page, unsigned count, uint64_t address, uint64_t flags)
{
    pfn_t frames[64];
    unsigned room = 512 - page % 512;
    unsigned absent = 0;
    while (absent < count && absent < room && model[page + absent].address == 0) {
        absent++;
    }
    assert_int_equal(pt_absent(&table, page_address(page), count), absent);
    for (unsigned i = 0; i < count; i++) {
        frames[i] = address / PAGE_SIZE + 7 * i; /* of no order */
    }
    status_t want = absent == count ? STATUS_OK : STATUS_ERR_EXISTS;
    assert_int_equal(pt_map_frames(&table, page_address(page), frames, count, PAGE_FLAGS(flags)), want);
    for (unsigned i = 0; i < count && want == STATUS_OK; i++) {
        model[page + i] = (struct flat){frames[i] * PAGE_SIZE, flags, false};
    }
}

static void model_unmap(unsigned page)
{
    struct pt_leaf old;
    const struct flat was = model[page];
    status_t want = was.address == 0 ? STATUS_ERR_NOT_MAPPED
                                     : (was.huge && page % 512 != 0 ? STATUS_ERR_UNALIGNED : STATUS_OK);
    assert_int_equal(pt_unmap(&table, page_address(page), NULL, &old), want);
    if (want == STATUS_OK) {
        assert_int_equal(old.address.number, was.address);
        memset(&model[page], 0, (was.huge ? 512 : 1) * sizeof model[0]);
    }
}

/* Takes out what is mapped of `count` pages of 4 KiB, some at a time. */
static void model_take(unsigned page, unsigned count)
{
    unsigned room = 512 - page % 512;
    count = count < room ? count : room;
    for (unsigned i = page; i < page + count; i++) {
        if (model[i].huge) {
            return;
        }
    }
    uint64_t at = page_address(page).number;
    uint64_t end = at + count * PAGE_SIZE;
    unsigned next = page;
    while (at < end) {
        struct tlb_gather gather;
        struct pt_taken taken[16];
        tlb_gather_init(&gather, NULL, table.allocator);
        unsigned got = pt_take(&table, &at, end, 16, &gather, taken);
        assert_int_equal(gather.page_count, got);
        for (unsigned i = 0; i < got; i++) {
            while (model[next].address == 0) {
                next++;
            }
            assert_int_equal(taken[i].frame, model[next].address / PAGE_SIZE);
            assert_int_equal(taken[i].flags.bits, model[next].flags | PAGE_PRESENT);
            assert_int_equal(gather.pages[i].number, page_address(next).number);
            model[next] = (struct flat){0};
        }
        tlb_gather_finish(&gather);
    }
    assert_int_equal(at, end);
    for (unsigned i = page; i < page + count; i++) {
        assert_int_equal(model[i].address, 0);
    }
}

static void model_protect(unsigned page, uint64_t flags)
{
    const struct flat was = model[page];
    status_t want = was.address == 0 ? STATUS_ERR_NOT_MAPPED
                                     : (was.huge && page % 512 != 0 ? STATUS_ERR_UNALIGNED : STATUS_OK);
    assert_int_equal(pt_protect(&table, page_address(page), PAGE_FLAGS(flags), NULL), want);
    for (unsigned i = page; want == STATUS_OK && i < page + (was.huge ? 512 : 1); i++) {
        model[i].flags = flags;
    }
}

static status_t count_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    uint64_t *seen = context;
    assert_true(va.number >= seen[1]);
    seen[1] = va.number + page_size_bytes(leaf->size);
    seen[0] += page_size_bytes(leaf->size) / PAGE_SIZE;
    return STATUS_OK;
}

/* Every mapped page of the places lies in exactly one run, with its flags. */
static void check_runs(void)
{
    for (unsigned place = 0; place < PAGES / 512; place++) {
        uint64_t at = page_address(place * 512).number;
        uint64_t end = at + 512 * PAGE_SIZE;
        unsigned next = place * 512;
        pfn_t frames[20];
        page_flags_t flags;
        if (model[next].huge) {
            continue;
        }
        for (unsigned n; (n = pt_run(&table, &at, end, 20, frames, &flags)) != 0; at += n * PAGE_SIZE) {
            for (; page_address(next).number < at; next++) {
                assert_int_equal(model[next].address, 0);
            }
            for (unsigned i = 0; i < n; i++, next++) {
                assert_int_equal(frames[i], model[next].address / PAGE_SIZE);
                assert_int_equal(flags.bits, model[next].flags | PAGE_PRESENT);
            }
        }
        assert_int_equal(at, end);
        for (; next < (place + 1) * 512; next++) {
            assert_int_equal(model[next].address, 0);
        }
    }
}

/* As model_protect, of what follows each other. */
static void model_protect_run(unsigned page, unsigned most, uint64_t flags)
{
    struct tlb_gather gather;
    pfn_t frames[32];
    page_flags_t old;
    uint64_t at = page_address(page).number;
    if (model[page].huge) {
        return;
    }
    unsigned count = pt_run(&table, &at, at + (512 - page % 512) * PAGE_SIZE, most, frames, &old);
    if (count == 0) {
        return;
    }
    tlb_gather_init(&gather, NULL, table.allocator);
    assert_ok(pt_protect_run(&table, vaddr_make(at), count, PAGE_FLAGS(flags), &gather));
    assert_int_equal(gather.page_count, count);
    page += (unsigned)((at - page_address(page).number) / PAGE_SIZE);
    for (unsigned i = page; i < page + count; i++) {
        model[i].flags = flags;
    }
    tlb_gather_finish(&gather);
}

static void check_everything(void)
{
    check_runs();
    uint64_t wrong;
    uint64_t seen[2] = {0, 0};
    uint64_t mapped = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        check_page(i);
        mapped += model[i].address ? 1 : 0;
    }
    assert_int_equal(pt_count_tables(&table, &wrong), table.tables);
    assert_int_equal(wrong, 0);
    assert_ok(pt_walk(&table, vaddr_make(0), vaddr_make(1ull << 47), count_leaf, seen));
    assert_int_equal(seen[0], mapped);
    assert_int_equal(table.leaves_4k + 512 * table.leaves_2m, mapped);
}

/* covers: VM-01, VM-08 */
static void random_run_equals_a_flat_dictionary(void **state)
{
    (void)state;
    start();
    uint64_t initial = frame_free_count();
    uint64_t seed = 77;
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        /* Phases: sparse, so that tables come and go, and dense. */
        unsigned page = (unsigned)(fake_random(&seed) % PAGES);
        page = i / 100000 % 2 ? page : page & ~0x7fu;
        uint64_t address = (1 + fake_random(&seed) % 1000) * HUGE_PAGE_SIZE;
        uint64_t flags = fake_random(&seed) % 2 ? RW_FLAGS : PAGE_USER;
        switch (fake_random(&seed) % 16) {
        case 0:
            model_map(page, true, address, flags);
            break;
        case 1:
            model_protect(page, flags);
            model_protect_run(page, 1 + i % 32, flags);
            break;
        case 2:
            check_page(page);
            break;
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            model_map_frames(page, 1 + i % 64, address, flags);
            break;
        case 8:
            model_map(page, false, address + PAGE_SIZE * (i % 512), flags);
            break;
        case 9:
            model_take(page, 1 + i % 64);
            break;
        default:
            model_unmap(i % 64 == 0 ? page & ~511u : page);
            break;
        }
        if (i % 50000 == 0) {
            check_everything();
        }
    }
    for (unsigned i = 0; i < PAGES; i++) {
        model_unmap(i);
    }
    check_everything();
    assert_int_equal(table.tables, 1);
    assert_int_equal(frame_free_count(), initial);
    pt_deinit(&table);
    assert_frames_sound();
}

/* covers: VM-08 */
static void bad_addresses_are_refused_by_name(void **state)
{
    (void)state;
    start();
    struct pt_leaf leaf;
    paddr_t pa;
    const page_flags_t flags = PAGE_FLAGS(RW_FLAGS);
    assert_int_equal(pt_map(&table, vaddr_make(0x1001), paddr_make(0), PAGE_4K, flags), STATUS_ERR_UNALIGNED);
    assert_int_equal(pt_map(&table, vaddr_make(0x1000), paddr_make(1), PAGE_4K, flags), STATUS_ERR_UNALIGNED);
    assert_int_equal(pt_map(&table, vaddr_make(0x1000), paddr_make(0), PAGE_2M, flags), STATUS_ERR_UNALIGNED);
    assert_int_equal(pt_map(&table, vaddr_make(1ull << 47), paddr_make(0), PAGE_4K, flags),
                     STATUS_ERR_NON_CANONICAL);
    assert_int_equal(pt_map(&table, vaddr_make(~0xfffull), paddr_make(0), PAGE_4K, flags),
                     STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(pt_map(&table, vaddr_make(0), paddr_make(1ull << 52), PAGE_4K, flags),
                     STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(pt_query(&table, vaddr_make(1ull << 60), &leaf), STATUS_ERR_NON_CANONICAL);
    assert_int_equal(pt_translate(&table, vaddr_make(0x5000), &pa), STATUS_ERR_NOT_MAPPED);
    assert_int_equal(pt_map_range(&table, vaddr_make(0x1000), paddr_make(0), 0x1001, flags, false),
                     STATUS_ERR_UNALIGNED);
    assert_int_equal(table.tables, 1);
    pt_deinit(&table);
}

/* ---- roll-back ---- */

static unsigned budget;
static const uint64_t *not_linked; /* an entry that stays empty while tables are allocated, may be null */

static status_t limited_alloc(void *context, paddr_t *out)
{
    assert_true(not_linked == NULL || *not_linked == 0);
    if (budget == 0) {
        return STATUS_ERR_NO_MEMORY;
    }
    budget--;
    return pt_frame_allocator.alloc(context, out);
}

static void limited_free(void *context, paddr_t at)
{
    pt_frame_allocator.free(context, at);
}

static uint64_t made_from(vaddr_t from, uint64_t bytes)
{
    uint64_t pages = 0;
    struct pt_leaf leaf;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
        bool there = pt_query(&table, vaddr_add(from, at), &leaf) == STATUS_OK;
        assert_true(!there || pages == at / PAGE_SIZE); /* from the start, without a hole */
        pages += there ? 1 : 0;
    }
    return pages;
}

static void unmap_pages(vaddr_t from, uint64_t pages)
{
    for (uint64_t at = 0; at < pages * PAGE_SIZE; at += PAGE_SIZE) {
        assert_ok(pt_unmap(&table, vaddr_add(from, at), NULL, NULL));
    }
}

static void range_map_leaves_what_it_made_for_the_caller_to_flush(void **state)
{
    (void)state;
    fake_machine(64, 1);
    const struct pt_allocator limited = {limited_alloc, limited_free, NULL, NULL, NULL};
    budget = 100;
    assert_ok(pt_init_user(&table, &limited, NULL));
    assert_ok(pt_map(&table, vaddr_make(0x3ffff000), paddr_make(0x5000), PAGE_4K, PAGE_FLAGS(RW_FLAGS)));
    uint64_t free_before = frame_free_count();
    uint64_t tables_before = table.tables;
    const vaddr_t from =
        vaddr_make(0x40000000 - 6 * HUGE_PAGE_SIZE); /* up to the page that is taken, over edges */
    for (unsigned n = 0; n < 20; n++) {
        budget = n;
        status_t status =
            pt_map_range(&table, from, paddr_make(0x1000), 5 * HUGE_PAGE_SIZE, PAGE_FLAGS(RW_FLAGS), true);
        assert_int_equal(status, n < 5 ? STATUS_ERR_NO_MEMORY : STATUS_OK);
        uint64_t pages = made_from(from, 5 * HUGE_PAGE_SIZE);
        assert_int_equal(pages, n < 5 ? n * 512 : 5 * 512);
        unmap_pages(from, pages);
        assert_int_equal(frame_free_count(), free_before);
        assert_int_equal(table.tables, tables_before);
        assert_int_equal(table.leaves_4k, 1);
    }
    budget = 100;
    assert_int_equal(
        pt_map_range(&table, from, paddr_make(0), 6 * HUGE_PAGE_SIZE, PAGE_FLAGS(RW_FLAGS), true),
        STATUS_ERR_EXISTS);
    assert_int_equal(table.leaves_2m, 5);
    for (uint64_t at = 0; at < 5; at++) {
        assert_ok(pt_unmap(&table, vaddr_add(from, at * HUGE_PAGE_SIZE), NULL, NULL));
    }
    assert_int_equal(table.leaves_4k, 1);
    assert_int_equal(table.tables, tables_before);
    not_linked = entry_of(vaddr_make(1ull << 40), 4); /* what a walk may have seen is never taken back */
    for (budget = 0; budget < 3;) {                   /* one page that needs three new tables */
        unsigned had = budget;
        assert_int_equal(pt_map(&table, vaddr_make(1ull << 40), paddr_make(0), PAGE_4K, PAGE_FLAGS(RW_FLAGS)),
                         STATUS_ERR_NO_MEMORY);
        assert_int_equal(table.tables, tables_before);
        assert_int_equal(frame_free_count(), free_before);
        budget = had + 1;
    }
    not_linked = NULL;
    assert_ok(pt_unmap(&table, vaddr_make(0x3ffff000), NULL, NULL));
    pt_deinit(&table);
    assert_frames_sound();
}

/* ---- kernel half, boot tables, gather ---- */

static void user_tables_share_the_kernel_half(void **state)
{
    (void)state;
    fake_machine(64, 1);
    static struct page_table kernel;
    assert_ok(pt_init_kernel(&kernel, &pt_frame_allocator));
    assert_ok(pt_init_user(&table, &pt_frame_allocator, &kernel));
    const vaddr_t va = vaddr_make(0xffffc10000000000);
    const page_flags_t flags = PAGE_FLAGS(PAGE_WRITABLE | PAGE_GLOBAL | PAGE_NO_EXECUTE);
    uint64_t tables = kernel.tables;
    struct pt_leaf leaf;
    assert_ok(pt_map(&kernel, va, paddr_make(0x9000), PAGE_4K, flags));
    assert_ok(pt_query(&table, va, &leaf)); /* mapped after the user table was made, seen all the same */
    assert_int_equal(leaf.address.number, 0x9000);
    assert_int_equal(pt_map(&table, va, paddr_make(0), PAGE_4K, flags), STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(pt_map(&kernel, vaddr_make(0x1000), paddr_make(0), PAGE_4K, flags),
                     STATUS_ERR_BAD_ADDRESS);
    uint64_t seen[2] = {0, 0};
    assert_ok(pt_walk(&kernel, vaddr_make(0xffff800000000000), vaddr_make(~0xfffull), count_leaf, seen));
    assert_int_equal(seen[0], 1);
    assert_ok(pt_unmap(&kernel, va, NULL, NULL));
    assert_int_equal(kernel.tables, tables); /* the level-3 table stays, the lower ones are gone */
    assert_int_equal(pt_query(&table, va, &leaf), STATUS_ERR_NOT_MAPPED);
    assert_ok(pt_map(&kernel, va, paddr_make(0x9000), PAGE_4K, flags));
    assert_ok(pt_query(&table, va, &leaf));
    uint64_t wrong;
    assert_int_equal(pt_count_tables(&kernel, &wrong), kernel.tables);
    assert_int_equal(wrong, 0);
    pt_deinit(&table);
}

static status_t early_table(void *context, paddr_t *out)
{
    (void)context;
    status_t status = boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, out);
    if (status == STATUS_OK) {
        memset(arch_phys_to_virt(*out), 0, PAGE_SIZE);
    }
    return status;
}

/* covers: BT-09 */
static void early_tables_come_from_the_boot_allocator(void **state)
{
    (void)state;
    fake_machine(64, 1);
    static struct region_list list;
    region_list_init(&list);
    assert_ok(region_list_add(&list, 32 * MIB, 8 * MIB, REGION_USABLE));
    boot_alloc_init(&list, 0, 64 * MIB);
    static struct page_table kernel;
    static const struct pt_allocator allocator = {early_table, NULL, NULL, NULL, NULL};
    assert_ok(pt_init_kernel(&kernel, &allocator));
    assert_ok(pt_map_range(&kernel, vaddr_make(0xffff800000000000), paddr_make(0), 64 * MIB,
                           PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE), true));
    assert_int_equal(kernel.leaves_2m, 32);
    assert_int_equal(boot_alloc_used(), kernel.tables);
    assert_int_equal(region_list_bytes(&list, REGION_BOOT_PAGE_TABLE), kernel.tables * PAGE_SIZE);
}

static unsigned flushes;
static struct tlb_gather flushed;
static uint64_t free_at_flush;

static void note_flush(const struct tlb_gather *gather)
{
    flushes++;
    flushed = *gather;
    free_at_flush = frame_free_count();
}

/* covers: VM-02 (host part) */
static void frames_and_tables_are_freed_only_after_the_flush(void **state)
{
    (void)state;
    start();
    uint64_t initial = frame_free_count();
    tlb_set_flush(note_flush);
    struct tlb_gather gather;
    tlb_gather_init(&gather, NULL, table.allocator);
    flushes = 0;
    for (unsigned i = 0; i < 40; i++) {
        pfn_t pfn;
        assert_ok(frame_alloc(0, FRAME_OWNER_USER, 1, &pfn));
        assert_ok(pt_map(&table, vaddr_make(0x1000 + i * PAGE_SIZE), paddr_from_pfn(pfn), PAGE_4K,
                         PAGE_FLAGS(RW_FLAGS)));
    }
    uint64_t held = frame_free_count();
    for (unsigned i = 0; i < 40; i++) {
        struct pt_leaf old;
        assert_ok(pt_unmap(&table, vaddr_make(0x1000 + i * PAGE_SIZE), &gather, &old));
        tlb_gather_frame(&gather, paddr_pfn(old.address));
        assert_int_equal(frame_free_count(), held);
    }
    assert_true(tlb_gather_room(&gather) > 0);
    tlb_gather_finish(&gather);
    assert_int_equal(flushes, 1);
    assert_int_equal(free_at_flush, held);
    assert_true(flushed.full && flushed.tables_freed);
    assert_int_equal(flushed.pages[31].number, 0x1000 + 31 * PAGE_SIZE);
    assert_int_equal(flushed.table_count, 3);
    assert_int_equal(frame_free_count(), initial);
    tlb_gather_finish(&gather);
    assert_int_equal(flushes, 1); /* nothing noted, nothing flushed */
    tlb_set_flush(NULL);
    pt_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_has_the_bit_of_the_manual),
        cmocka_unit_test(every_flag_combination_gives_the_expected_entry),
        cmocka_unit_test(random_run_equals_a_flat_dictionary),
        cmocka_unit_test(bad_addresses_are_refused_by_name),
        cmocka_unit_test(range_map_leaves_what_it_made_for_the_caller_to_flush),
        cmocka_unit_test(user_tables_share_the_kernel_half),
        cmocka_unit_test(early_tables_come_from_the_boot_allocator),
        cmocka_unit_test(frames_and_tables_are_freed_only_after_the_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
