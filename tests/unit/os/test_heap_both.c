/*
 * One list of tests for every allocator of the kernel heap: slab caches (objects of one size), buddy blocks (general sizes),
 * and the entry points kmalloc and kfree, which choose between the two.
 */

#include "fake/fake_arch.h"

#include "mm/heap_buddy.h"
#include "mm/kheap.h"

#define SIZES 5u
#define HELD  64u

/* What the list needs to know of an allocator. */
struct allocator {
    const char *name;
    size_t sizes[SIZES]; /* that it is asked for, ascending */
    size_t too_much;     /* more than it ever gives */
    size_t align;        /* of everything it gives */
    void *(*take)(size_t size);
    void (*give)(void *memory);
    size_t (*usable)(const void *memory); /* bytes that may be touched */
};

/* ---- slab caches ---- */

static const size_t object_sizes[SIZES] = {24, 100, 700, 2048, 9000};
static struct slab_cache caches[SIZES];

static void caches_start(void)
{
    static const char *const names[SIZES] = {"both-24", "both-100", "both-700", "both-2048", "both-9000"};
    for (unsigned i = 0; i < SIZES; i++) {
        assert_ok(slab_cache_init(&caches[i], names[i], (uint32_t)object_sizes[i], 0, 0));
    }
}

static void caches_end(void)
{
    for (unsigned i = 0; i < SIZES; i++) {
        assert_ok(slab_cache_deinit(&caches[i]));
    }
}

static void *slab_take(size_t size)
{
    for (unsigned i = 0; i < SIZES && size != 0; i++) {
        if (size <= object_sizes[i]) {
            return slab_alloc_sized(&caches[i], (uint32_t)size, SLAB_SITE);
        }
    }
    return NULL;
}

static void slab_give(void *object)
{
    slab_free(slab_cache_of(object), object);
}

static size_t slab_usable(const void *object)
{
    return slab_cache_of(object)->debug == HEAP_DEBUG_FULL ? kheap_size(object)
                                                           : slab_cache_of(object)->object_size;
}

/* ---- buddy blocks ---- */

#define BLOCK_ID 7u

static void *buddy_take(size_t size)
{
    unsigned order = 0;
    while (PAGE_SIZE << order < size) {
        order++;
    }
    return size != 0 ? kheap_pages_alloc(order, FRAME_OWNER_TEST, order << 4 | BLOCK_ID) : NULL;
}

/* The order, which the tag of the frames keeps. */
static unsigned buddy_order(const void *block)
{
    const struct page_frame *frame = frame_lookup(paddr_pfn(arch_virt_to_phys(block)));
    assert_int_equal(frame->owner, FRAME_OWNER_TEST);
    assert_int_equal(frame->owner_id & 0xf, BLOCK_ID);
    return frame->owner_id >> 4 & 0xf;
}

static void buddy_give(void *block)
{
    kheap_pages_free(block, buddy_order(block));
}

static size_t buddy_usable(const void *block)
{
    return PAGE_SIZE << buddy_order(block);
}

/* ---- entry points ---- */

static void *heap_take(size_t size)
{
    return kmalloc(size);
}

static void heap_give(void *memory)
{
    kfree(memory);
}

/* The entry points of the heap are those that the allocator before it had. */
#define SIGNATURE(function, type) \
    _Static_assert(_Generic(&(function), type : 1, default : 0), #function " keeps its signature")
SIGNATURE(kheap_alloc, void *(*)(size_t, const char *));
SIGNATURE(kheap_alloc_zero, void *(*)(size_t, const char *));
SIGNATURE(kheap_free, void (*)(void *, const char *));
SIGNATURE(kheap_size, size_t (*)(const void *));

static const struct allocator allocators[] = {
    {"slab", {24, 100, 700, 2048, 9000}, 9001, 16, slab_take, slab_give, slab_usable},
    {"buddy",
     {1, PAGE_SIZE + 1, 20000, 100000, 1u << 20},
     (1u << 20) + 1,
     PAGE_SIZE,
     buddy_take,
     buddy_give,
     buddy_usable},
    {"heap",
     {8, 500, 3000, 100000, 3u << 20},
     FRAME_RUN_MAX *PAGE_SIZE + 1,
     16,
     heap_take,
     heap_give,
     kheap_size},
};

/* ---- the list ---- */

static void fill(void *memory, size_t size, unsigned mark)
{
    memset(memory, (int)mark, size);
}

static void expect_filled(const void *memory, size_t size, unsigned mark)
{
    const unsigned char *bytes = memory;
    size_t step = size > 4096 ? 61 : 1;
    for (size_t i = 0; i < size; i += step) {
        assert_int_equal(bytes[i], mark & 0xff);
    }
    assert_int_equal(bytes[size - 1], mark & 0xff);
}

static void expect_apart(const void *a, size_t a_size, const void *b, size_t b_size)
{
    assert_true((uintptr_t)a + a_size <= (uintptr_t)b || (uintptr_t)b + b_size <= (uintptr_t)a);
}

static void each_size_is_given_aligned_apart_and_keeps_its_bytes(const struct allocator *allocator)
{
    for (unsigned i = 0; i < SIZES; i++) {
        size_t size = allocator->sizes[i];
        void *held[8];
        for (unsigned n = 0; n < 8; n++) {
            held[n] = allocator->take(size);
            assert_non_null(held[n]);
            assert_int_equal((uintptr_t)held[n] % allocator->align, 0);
            assert_true(allocator->usable(held[n]) >= size);
            for (unsigned m = 0; m < n; m++) {
                expect_apart(held[m], size, held[n], size);
            }
            fill(held[n], size, n + 1);
        }
        for (unsigned n = 0; n < 8; n++) {
            expect_filled(held[n], size, n + 1);
            allocator->give(held[n]);
        }
    }
}

static void nothing_and_too_much_are_refused(const struct allocator *allocator)
{
    assert_null(allocator->take(0));
    assert_null(allocator->take(allocator->too_much));
}

static void what_was_given_back_is_given_out_again(const struct allocator *allocator)
{
    for (unsigned i = 0; i < SIZES; i++) {
        void *first = allocator->take(allocator->sizes[i]);
        assert_non_null(first);
        allocator->give(first);
        uint64_t free_frames = frame_free_count();
        for (unsigned n = 0; n < 100; n++) {
            void *again = allocator->take(allocator->sizes[i]);
            assert_ptr_equal(again, first);
            allocator->give(again);
        }
        assert_int_equal(frame_free_count(), free_frames);
    }
}

/* Takes until nothing is left, chained through the first words. */
static unsigned take_all(const struct allocator *allocator, size_t size, void **first)
{
    unsigned count = 0;
    for (void **memory = allocator->take(size); memory != NULL; memory = allocator->take(size)) {
        *memory = *first;
        *first = memory;
        count++;
        assert_true(count <= (64u << 20) / size);
    }
    return count;
}

static void exhaustion_is_told_and_passes(const struct allocator *allocator)
{
    size_t size = allocator->sizes[2];
    unsigned counts[2];
    for (unsigned round = 0; round < 2; round++) {
        void *first = NULL;
        counts[round] = take_all(allocator, size, &first);
        assert_int_equal(kheap_check(), 0);
        while (first != NULL) {
            void *next = *(void **)first;
            allocator->give(first);
            first = next;
        }
        assert_int_equal(kheap_check(), 0);
    }
    assert_true(counts[0] > 100);
    assert_int_equal(counts[0], counts[1]);
}

struct held {
    void *memory;
    size_t size;
    unsigned mark;
};

static void give_one(const struct allocator *allocator, struct held *held, unsigned *count, unsigned at)
{
    expect_filled(held[at].memory, held[at].size, held[at].mark);
    allocator->give(held[at].memory);
    held[at] = held[--*count];
}

static void a_random_run_on_four_cpus_loses_and_mixes_nothing(const struct allocator *allocator)
{
    struct held held[HELD];
    unsigned count = 0;
    uint64_t seed = 23;
    for (unsigned i = 0; i < 3000; i++) {
        fake_cpu = (unsigned)(fake_random(&seed) % 4);
        if (count < HELD && fake_random(&seed) % 2) {
            size_t size = 1 + fake_random(&seed) % allocator->sizes[fake_random(&seed) % SIZES];
            void *memory = allocator->take(size);
            if (memory != NULL) {
                held[count] = (struct held){memory, size, i};
                for (unsigned n = 0; n < count; n++) {
                    expect_apart(memory, size, held[n].memory, held[n].size);
                }
                fill(memory, size, i);
                count++;
            }
        } else if (count > 0) {
            give_one(allocator, held, &count, (unsigned)(fake_random(&seed) % count));
        }
    }
    assert_int_equal(kheap_check(), 0);
    while (count > 0) {
        give_one(allocator, held, &count, 0);
    }
    fake_cpu = 0;
}

static void (*const list[])(const struct allocator *allocator) = {
    each_size_is_given_aligned_apart_and_keeps_its_bytes,
    nothing_and_too_much_are_refused,
    what_was_given_back_is_given_out_again,
    exhaustion_is_told_and_passes,
    a_random_run_on_four_cpus_loses_and_mixes_nothing,
};

/* After every test of the list all memory is back where it was. */
static void run_one(const struct allocator *allocator, unsigned number, enum heap_debug debug)
{
    struct kheap_stats stats;
    fake_machine(64, 4);
    slab_set_report_hook(NULL);
    assert_ok(kheap_init(&(struct kheap_config){.debug = debug}));
    caches_start();
    (void)kheap_trim();
    uint64_t free_frames = frame_free_count();
    list[number](allocator);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        slab_drain_cpu(cpu);
    }
    (void)kheap_trim();
    kheap_stats_read(&stats);
    assert_int_equal(stats.live_objects, 0);
    assert_int_equal(stats.large_count, 0);
    assert_int_equal(stats.allocs, stats.frees);
    assert_int_equal(stats.splits, stats.merges);
    assert_int_equal(frame_free_count(), free_frames);
    assert_int_equal(kheap_check(), 0);
    assert_frames_sound();
    caches_end();
}

/* covers: HP-01 */
static void one_list_of_tests_holds_for_slab_buddy_and_the_entry_points(void **state)
{
    (void)state;
    for (unsigned a = 0; a < sizeof allocators / sizeof allocators[0]; a++) {
        for (unsigned number = 0; number < sizeof list / sizeof list[0]; number++) {
            for (unsigned debug = HEAP_DEBUG_OFF; debug <= HEAP_DEBUG_FULL; debug++) {
                print_message("%s: test %u, debug level %u\n", allocators[a].name, number, debug);
                run_one(&allocators[a], number, (enum heap_debug)debug);
            }
        }
    }
}

static unsigned owner_of(const void *memory)
{
    return frame_lookup(paddr_pfn(arch_virt_to_phys(memory)))->owner;
}

/* Which allocator serves which size. covers: HP-01 */
static void common_objects_come_from_slabs_and_general_sizes_from_the_buddy(void **state)
{
    (void)state;
    fake_machine(64, 4);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_OFF}));
    static const struct {
        size_t size;
        unsigned owner;
    } sizes[] = {{1, FRAME_OWNER_SLAB},
                 {2048, FRAME_OWNER_SLAB},
                 {2049, FRAME_OWNER_HEAP},
                 {1u << 20, FRAME_OWNER_HEAP},
                 {(1u << 20) + 1, FRAME_OWNER_HEAP_LARGE}};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory = kmalloc(sizes[i].size);
        assert_non_null(memory);
        assert_int_equal(owner_of(memory), sizes[i].owner);
        kfree(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_list_of_tests_holds_for_slab_buddy_and_the_entry_points),
        cmocka_unit_test(common_objects_come_from_slabs_and_general_sizes_from_the_buddy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
