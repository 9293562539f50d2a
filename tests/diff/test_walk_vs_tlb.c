/*
 * Random guests that map, change, invalidate and access memory. A guest that invalidates as the manual asks
 * must never see a difference between the cached translation and a walk of the page tables as they stand; and
 * what it reads and writes must be what a plain array of physical memory holds. SEED=n replays.
 */

#include "unit/cpu/mem_fixture.h"

#include "base/rng.h"

#include <stdio.h>

#define ACCESSES 150000u
#define PAGES    96u /* linear pages in play, spread over tables and TLB sets */
#define FRAMES   64u /* physical pages that they are mapped to, from 8 MiB upwards */
#define FRAME_0  0x800000u
#define PCIDS    3u

struct guest {
    struct fixture f;
    struct cpu *cpu;
    struct rng rng;
    uint64_t roots[PCIDS];
    unsigned pcid;
    uint8_t model[FRAMES * PAGE_SIZE_BYTES]; /* what this vCPU must see */
    unsigned faults, larges;
};

static struct guest g;

static uint64_t below(uint64_t bound)
{
    return rng_below(&g.rng, bound);
}

/* Linear pages: eight clusters, far apart at every level of the tables, and colliding in TLB sets. */
static uint64_t page_address(unsigned n)
{
    static const uint64_t clusters[] = {0,
                                        0x200000,
                                        0x40000000,
                                        UINT64_C(0x8000000000),
                                        UINT64_C(0x7fffffe00000),
                                        UINT64_C(0xffff800000000000),
                                        UINT64_C(0xffffffff80000000),
                                        UINT64_C(0xffffffffffe00000)};
    return clusters[n % 8] + (uint64_t)(n / 8) * PAGE_SIZE_BYTES;
}

static uint64_t random_rights(void)
{
    return (below(10) ? PTE_P : 0) | (below(4) ? PTE_W : 0) | (below(3) ? PTE_U : 0) |
           (below(8) ? 0 : PTE_XD) | (below(2) ? PTE_A : 0) | (below(3) ? 0 : PTE_D);
}

static uint64_t root(void)
{
    return g.roots[g.pcid];
}

/* Global pages lie in the last cluster and are the same in every address space. */
static bool is_global_page(unsigned n)
{
    return n % 8 == 7;
}

static void invalidate(uint64_t a)
{
    if (below(2)) {
        mem_invlpg(g.cpu, lin(a));
    } else {
        mem_invpcid(g.cpu, INVPCID_ALL_GLOBAL, 0, lin(0));
    }
}

static bool is_large(uint64_t a)
{
    return fixture_word(&g.f, fixture_entry_at(&g.f, root(), a, 2)) & PTE_PS;
}

/* Changes what a page is mapped to in the current address space; a guest that does it right invalidates
 * afterwards whatever was mapped before. */
static void remap(void)
{
    unsigned n = (unsigned)below(PAGES);
    uint64_t a = page_address(n);
    uint64_t entry = (FRAME_0 + below(FRAMES) * PAGE_SIZE_BYTES) | random_rights();
    if (is_large(a)) {
        return;
    }
    if (is_global_page(n)) {
        for (unsigned i = 0; i < PCIDS; i++) {
            fixture_entry(&g.f, fixture_entry_at(&g.f, g.roots[i], a, 1), entry | PTE_G);
        }
    } else {
        fixture_entry(&g.f, fixture_entry_at(&g.f, root(), a, 1), entry);
    }
    invalidate(a);
}

/* Takes rights from, or gives them to, a whole region through an entry above its page tables. Regions above
 * global pages are spared: those must have the same rights in every address space. */
static void change_table_rights(void)
{
    uint64_t a = page_address((unsigned)(below(PAGES / 8) * 8 + below(6)));
    uint64_t at = fixture_entry_at(&g.f, root(), a, 2 + (unsigned)below(3));
    uint64_t entry = fixture_word(&g.f, at) & ~(PTE_W | PTE_U | PTE_XD);
    fixture_entry(&g.f, at,
                  entry | (below(3) ? PTE_W : 0) | (below(3) ? PTE_U : 0) | (below(8) ? 0 : PTE_XD));
    mem_invpcid(g.cpu, INVPCID_ALL_GLOBAL, 0, lin(0));
}

/* Turns the second cluster's 2 MiB into a large page over the frames, or back into a table of its own. */
static void toggle_large(void)
{
    uint64_t at = fixture_entry_at(&g.f, root(), 0x200000, 2);
    uint64_t entry = fixture_word(&g.f, at);
    fixture_entry(&g.f, at,
                  (entry & PTE_PS) ? fixture_table(&g.f) | PTE_P | PTE_W | PTE_U
                                   : FRAME_0 | PTE_PS | PTE_P | random_rights());
    mem_invlpg(g.cpu, lin(0x200000 + below(512) * PAGE_SIZE_BYTES));
    for (unsigned i = 0; i < 512; i++) {
        mem_invlpg(g.cpu, lin(0x200000 +
                              (uint64_t)i * PAGE_SIZE_BYTES)); /* the small pages that were there before */
    }
    g.larges++;
}

static void switch_space(void)
{
    g.pcid = (unsigned)below(PCIDS);
    g.cpu->cr3 = g.roots[g.pcid] | (g.pcid + 1);
    mem_cr3_written(g.cpu, below(4) != 0);
}

static void switch_mode(void)
{
    g.cpu->rflags ^= below(2) ? RFLAGS_AC : 0;
    if (below(4) == 0) {
        g.cpu->cr0 ^= CR0_WP;
        mem_drop_host_entries(g.cpu); /* as MOV CR0 does */
    }
    if (below(4) == 0) {
        g.cpu->cr4 ^= below(2) ? CR4_SMAP : CR4_SMEP;
        mem_flush_all(g.cpu); /* as MOV CR4 does */
    }
    fixture_cpl(g.cpu, below(2) ? 3 : 0);
}

static uint64_t fresh_read(void *target, phys_t a, unsigned size_bytes)
{
    uint8_t bytes[8] = {0};
    store_queue_load_bytes(target, a, bytes, size_bytes);
    return load_le64(bytes);
}

/* The walk as the page tables stand, without any cache. */
static bool fresh_walk(uint64_t a, unsigned access, phys_t *at, uint32_t *error)
{
    struct paging p = mem_paging(g.cpu);
    struct walk_result r;
    bool good = walk(&p, &(struct walk_memory){fresh_read, NULL, g.cpu}, lin(a), access, &r);
    *error = r.error;
    *at = good ? walk_physical(r.data, r.page_shift, lin(a)) : phys(0);
    return good;
}

static void expect_fault(uint64_t a, uint32_t error)
{
    g.faults++;
    assert_int_equal(g.cpu->fault.vector, VECTOR_PF);
    assert_true(g.cpu->fault.cr2 == a);
    assert_int_equal(g.cpu->fault.error, error);
}

/* As the interpreter does it: the host pointer if there is one, else the slow path. */
static bool read_any(uint64_t a, unsigned size_bytes, uint64_t *out)
{
    const uint8_t *host = mem_host_read(g.cpu, a, size_bytes);
    if (host) {
        *out = load_le(host, size_bytes);
        return true;
    }
    return mem_read(g.cpu, lin(a), size_bytes, out);
}

static bool write_any(uint64_t a, unsigned size_bytes, uint64_t value)
{
    uint8_t *host = mem_host_write(g.cpu, a, size_bytes);
    if (host) {
        store_le(host, value, size_bytes);
        return true;
    }
    return mem_write(g.cpu, lin(a), size_bytes, value);
}

static void access_data(void)
{
    unsigned size = 1u << below(4);
    unsigned n = (unsigned)below(PAGES);
    uint64_t a = page_address(n) + below(PAGE_SIZE_BYTES / 8) * 8;
    bool write = below(2);
    phys_t at;
    uint32_t error;
    bool good = fresh_walk(a, mem_access(g.cpu, write ? ACCESS_WRITE : 0), &at, &error);
    uint64_t value = rng_next(&g.rng);
    assert_int_equal(write ? write_any(a, size, value) : read_any(a, size, &value), good);
    if (!good) {
        expect_fault(a, error);
        return;
    }
    uint8_t *model = &g.model[at.v - FRAME_0];
    if (write) {
        store_le(model, value, size);
        /* A global page may have got its dirty bit in the tables of another address space. */
        uint64_t entry = fixture_word(&g.f, fixture_entry_at(&g.f, root(), a, is_large(a) ? 2 : 1));
        assert_true(is_global_page(n) || (entry & PTE_D));
    } else {
        assert_int_equal(value, load_le(model, size));
    }
}

static void access_code(void)
{
    uint64_t a = page_address((unsigned)below(PAGES)) + below(PAGE_SIZE_BYTES);
    phys_t at, got;
    uint32_t error;
    bool good = fresh_walk(a, mem_access(g.cpu, ACCESS_FETCH), &at, &error);
    assert_int_equal(mem_fetch_translate(g.cpu, lin(a), &got), good);
    if (good) {
        assert_int_equal(got.v, at.v);
    } else {
        expect_fault(a, error);
    }
}

static void step(void)
{
    uint64_t what = below(1000);
    g.cpu->left_cycles--;
    if (what < 40) {
        remap();
    } else if (what < 44) {
        change_table_rights();
    } else if (what < 46) {
        toggle_large();
    } else if (what < 60) {
        switch_space();
    } else if (what < 80) {
        switch_mode();
    } else if (what < 160) {
        access_code();
    } else {
        access_data();
    }
}

static void run_guest(uint64_t seed, uint32_t capacity)
{
    print_message("SEED=%llu\n", (unsigned long long)seed);
    memset(&g, 0, sizeof g);
    fixture_init(&g.f, capacity, 20);
    rng_init(&g.rng, seed, 0);
    g.cpu = g.f.cpu[0];
    g.cpu->cr4 |= CR4_PCIDE;
    g.cpu->deadline_cycles = 10000000;
    g.cpu->left_cycles = 10000000;
    for (unsigned i = 0; i < PCIDS; i++) {
        g.roots[i] = fixture_table(&g.f);
    }
    switch_space();
    for (unsigned n = 0; n < PAGES * 4; n++) {
        remap();
    }
    for (unsigned i = 0; i < ACCESSES; i++) {
        step();
        if (i % 512 == 0) {
            fixture_check_host_entries(g.cpu);
        }
    }
    mem_drain(g.cpu);
    assert_memory_equal(g.model, ram_at(&g.f.bus.ram, phys(FRAME_0)), sizeof g.model);
    assert_true(g.faults > ACCESSES / 100 && g.faults < ACCESSES * 9 / 10);
    assert_true(g.larges > 0);
    fixture_deinit(&g.f);
}

static uint64_t seed_from_environment(void)
{
    const char *text = getenv("SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

static void a_guest_that_invalidates_correctly_cannot_tell_the_tlb_from_a_walk(void **state)
{
    (void)state;
    run_guest(seed_from_environment(), 0);
}

static void nor_can_it_when_its_stores_are_queued(void **state)
{
    (void)state;
    run_guest(seed_from_environment(), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_invalidates_correctly_cannot_tell_the_tlb_from_a_walk),
        cmocka_unit_test(nor_can_it_when_its_stores_are_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
