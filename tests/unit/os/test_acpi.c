/*
 * NUMA topology from ACPI tables (ACPI Specification 6.4, "System Resource Affinity Table", "System Locality Information
 * Table"): a corpus of tables that a firmware may write and of such that are damaged, each with what is to be taken from
 * it; each cut at every length; and random wounds. Every table lies in memory of its exact size, so that AddressSanitizer
 * sees what is read behind it. SEED=n replays one run, CASES=n is how many wounded sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/acpi.h"

#define RSDP_AT    0xe1000u
#define TABLE_AT   0x100000u /* of the root; the others follow in steps of TABLE_STEP */
#define TABLE_STEP 0x100000u
#define TABLES     4u /* XSDT, MADT, SRAT, SLIT */
#define BYTES_MAX  8192u
#define CPUS       6u /* APIC identifiers 0 to 3, 300 and 301 */
#define GIB        (1ull << 30)

enum { ROOT, MADT, SRAT, SLIT };

/* ---- making tables ---- */

struct table {
    uint8_t bytes[BYTES_MAX];
    uint32_t length;
};

static struct table tables[TABLES];
static uint8_t rsdp[36];
static uint8_t *in_memory[TABLES]; /* copies of the exact size, for one parse */

static void put(uint8_t *at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static void begin(struct table *t, const char *signature, uint8_t revision, uint32_t header)
{
    memset(t, 0, sizeof(*t));
    memcpy(t->bytes, signature, 4);
    t->bytes[8] = revision;
    t->length = header;
}

static uint8_t *add(struct table *t, unsigned type, unsigned bytes)
{
    uint8_t *entry = t->bytes + t->length;
    assert_true(t->length + bytes <= BYTES_MAX);
    entry[0] = (uint8_t)type;
    entry[1] = (uint8_t)bytes;
    t->length += bytes;
    return entry;
}

static void seal_bytes(uint8_t *bytes, uint32_t length, unsigned sum_at)
{
    uint8_t sum = 0;
    bytes[sum_at] = 0;
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[sum_at] = (uint8_t)-sum;
}

static void seal(struct table *t)
{
    put(t->bytes + 4, 4, t->length);
    seal_bytes(t->bytes, t->length, 9);
}

static uint32_t apic_id_of(unsigned cpu)
{
    return cpu < 4 ? cpu : 296 + cpu;
}

static void srat_cpu(uint32_t domain, uint32_t apic_id, uint32_t flags)
{
    uint8_t *entry = add(&tables[SRAT], 0, 16);
    entry[2] = (uint8_t)domain;
    entry[3] = (uint8_t)apic_id;
    put(entry + 4, 4, flags);
    put(entry + 9, 3, domain >> 8);
}

static void srat_x2apic(uint32_t domain, uint32_t apic_id, uint32_t flags)
{
    uint8_t *entry = add(&tables[SRAT], 2, 24);
    put(entry + 4, 4, domain);
    put(entry + 8, 4, apic_id);
    put(entry + 12, 4, flags);
}

static void srat_memory(uint32_t domain, uint64_t base, uint64_t size, uint32_t flags)
{
    uint8_t *entry = add(&tables[SRAT], 1, 40);
    put(entry + 2, 4, domain);
    put(entry + 8, 8, base);
    put(entry + 16, 8, size);
    put(entry + 28, 4, flags);
}

static void slit(uint64_t localities, const uint8_t *distances)
{
    begin(&tables[SLIT], "SLIT", 1, 44);
    put(tables[SLIT].bytes + 36, 8, localities);
    memcpy(add(&tables[SLIT], distances[0], (unsigned)(localities * localities)), distances,
           localities * localities);
}

/* RSDP, root, six processors, and an SRAT and a SLIT in which there is nothing. */
static void make_set(void)
{
    memset(rsdp, 0, sizeof(rsdp));
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put(rsdp + 20, 4, sizeof(rsdp));
    put(rsdp + 24, 8, TABLE_AT);
    seal_bytes(rsdp, 20, 8);
    seal_bytes(rsdp, sizeof(rsdp), 32);
    begin(&tables[ROOT], "XSDT", 1, 36 + 8 * (TABLES - 1));
    for (unsigned i = 1; i < TABLES; i++) {
        put(tables[ROOT].bytes + 28 + 8 * i, 8, TABLE_AT + i * TABLE_STEP);
    }
    begin(&tables[MADT], "APIC", 4, 44);
    for (unsigned i = 0; i < CPUS; i++) {
        uint8_t *entry = add(&tables[MADT], i < 4 ? 0 : 9, i < 4 ? 8 : 16);
        put(entry + (i < 4 ? 3 : 4), i < 4 ? 1 : 4, apic_id_of(i));
        put(entry + (i < 4 ? 4 : 8), 4, 1);
    }
    begin(&tables[SRAT], "SRAT", 3, 48);
    begin(&tables[SLIT], "SLIT", 1, 44);
}

/* ---- parsing them ---- */

static const void *reach(uint64_t address, uint64_t bytes)
{
    if (address == RSDP_AT) {
        return bytes <= sizeof(rsdp) ? rsdp : NULL;
    }
    uint64_t i = address < TABLE_AT ? TABLES : (address - TABLE_AT) / TABLE_STEP;
    uint64_t offset = (address - TABLE_AT) % TABLE_STEP;
    bool inside = i < TABLES && offset <= tables[i].length && bytes <= tables[i].length - offset;
    return inside ? in_memory[i] + offset : NULL;
}

/* Parses what there is, from memory of the exact size. */
static status_t parse_as_is(void)
{
    for (unsigned i = 0; i < TABLES; i++) {
        in_memory[i] = malloc(tables[i].length != 0 ? tables[i].length : 1);
        assert_non_null(in_memory[i]);
        memcpy(in_memory[i], tables[i].bytes, tables[i].length);
    }
    status_t status = acpi_parse(RSDP_AT, reach);
    for (unsigned i = 0; i < TABLES; i++) {
        free(in_memory[i]);
    }
    return status;
}

static const struct acpi_info *parse(void)
{
    for (unsigned i = 0; i < TABLES; i++) {
        seal(&tables[i]);
    }
    assert_int_equal(parse_as_is(), STATUS_OK);
    return acpi_info();
}

/* What the kernel goes on with, whatever the tables were: the rules of the handoff block and of the frame manager. */
static void check_rules(const struct acpi_info *info)
{
    assert_in_range(info->cpu_count, 1, HANDOFF_MAX_CPUS);
    assert_in_range(info->node_count, 1, ACPI_MAX_NODES);
    assert_true(info->affinity_count <= HANDOFF_MAX_AFFINITIES);
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        assert_true(info->cpus[i].node < info->node_count);
    }
    for (uint32_t i = 0; i < info->affinity_count; i++) {
        const struct handoff_affinity *a = &info->affinities[i];
        assert_true(a->node < info->node_count && a->span.size_bytes != 0);
        assert_true(a->span.base < HANDOFF_MAX_PHYSICAL &&
                    a->span.size_bytes <= HANDOFF_MAX_PHYSICAL - a->span.base);
    }
    for (uint32_t i = 0; i < ACPI_MAX_NODES; i++) {
        for (uint32_t j = 0; j < ACPI_MAX_NODES; j++) {
            uint8_t d = info->distance[i][j];
            bool sound = i < info->node_count && j < info->node_count && (i == j ? d == 10 : d > 10);
            assert_true(d == 0 || sound);
        }
        for (uint32_t j = 0; j < i && i < info->node_count; j++) {
            assert_int_not_equal(info->node_domain[i], info->node_domain[j]);
        }
    }
}

/* ---- the corpus ---- */

static const uint8_t two_by_two[] = {10, 21, 22, 10};

/* As a board with two sockets has it: low memory, a hole, the rest of node 0, node 1; two APIC identifiers beyond 255. */
static void two_sockets(void)
{
    srat_cpu(0, 0, 1);
    srat_cpu(0, 1, 1);
    srat_cpu(1, 2, 1);
    srat_cpu(1, 3, 1);
    srat_x2apic(0, 300, 1);
    srat_x2apic(1, 301, 1);
    srat_memory(0, 0, 640 << 10, 1);
    srat_memory(0, 1 << 20, 3 * GIB - (1 << 20), 1);
    srat_memory(0, 4 * GIB, GIB, 1);
    srat_memory(1, 5 * GIB, 4 * GIB, 1);
    slit(2, two_by_two);
}

static void empty_tables(void)
{
}

/* Nodes are numbered as they appear; rows and columns of the SLIT go by domain. */
static void domains_in_another_order(void)
{
    static const uint8_t distances[] = {10, 30, 40, 31, 10, 20, 41, 21, 10};
    srat_cpu(2, 0, 1);
    srat_cpu(0, 1, 1);
    srat_memory(2, 0, GIB, 1);
    srat_memory(0, GIB, GIB, 1);
    slit(3, distances);
}

static void large_domains(void)
{
    srat_cpu(0xabcdef01, 0, 1);
    srat_cpu(0x00cdef01, 1, 1);
    srat_memory(0xabcdef01, 0, GIB, 1);
    srat_x2apic(UINT32_MAX, 300, 1);
    slit(2, two_by_two);
}

/* Revision 1 has domains of 8 bits, and whatever there is beside them is no part of them. */
static void first_revision(void)
{
    tables[SRAT].bytes[8] = 1;
    srat_cpu(0x55aa5500, 0, 1);
    srat_cpu(0x1234ff01, 1, 1);
    srat_memory(0xdead0000, 0, GIB, 1);
    srat_memory(0xbeef0001, GIB, GIB, 1);
    slit(2, two_by_two);
}

/* Not enabled, without bytes, or of a kind that is not known. */
static void what_does_not_count(void)
{
    srat_cpu(7, 1, 0);
    srat_x2apic(7, 300, 0xfffffffe);
    srat_memory(7, 0, GIB, 0);
    srat_memory(7, 0, GIB, 6); /* hot-pluggable and not there */
    srat_memory(7, 0, 0, 1);
    (void)add(&tables[SRAT], 3, 18); /* an ARM processor */
    (void)add(&tables[SRAT], 5, 32); /* a generic initiator */
    (void)add(&tables[SRAT], 200, 2);
    srat_cpu(1, 99, 1); /* a processor that there is not: its node counts */
    srat_memory(3, GIB, GIB, 3);
    srat_cpu(3, 2, 1);
}

static void entries_too_short(void)
{
    put(add(&tables[SRAT], 0, 15) + 4, 4, 1);
    put(add(&tables[SRAT], 2, 23) + 12, 4, 1);
    uint8_t *memory = add(&tables[SRAT], 1, 39);
    put(memory + 16, 8, GIB);
    put(memory + 28, 4, 1);
    srat_cpu(5, 0, 1);
}

/* What comes after an entry that claims less than its own head, or more than there is, is not known. */
static void an_entry_of_length_0(void)
{
    srat_cpu(4, 0, 1);
    (void)add(&tables[SRAT], 0, 0);
    tables[SRAT].length += 2;
    srat_cpu(5, 1, 1);
}

static void an_entry_beyond_the_end(void)
{
    srat_cpu(4, 0, 1);
    uint32_t at = tables[SRAT].length;
    srat_cpu(5, 1, 1);
    tables[SRAT].bytes[at + 1] = 17;
}

/* Memory beyond the 52 bits of an address, or around them. */
static void memory_out_of_range(void)
{
    srat_memory(1, 1ull << 52, GIB, 1);
    srat_memory(1, (1ull << 52) - GIB, GIB + 1, 1);
    srat_memory(1, GIB, UINT64_MAX, 1);
    srat_memory(1, UINT64_MAX, 2, 1);
    srat_memory(2, (1ull << 52) - GIB, GIB, 1);
    srat_cpu(2, 0, 1);
}

static void more_domains_than_nodes(void)
{
    for (uint32_t i = 0; i < ACPI_MAX_NODES + 3; i++) {
        srat_memory(100 + i, i * GIB, GIB, 1);
    }
    srat_cpu(100 + ACPI_MAX_NODES - 1, 1, 1);
    srat_cpu(100 + ACPI_MAX_NODES, 2, 1);
}

static void more_memory_than_is_kept(void)
{
    for (uint32_t i = 0; i < HANDOFF_MAX_AFFINITIES + 10; i++) {
        srat_memory(i % 2, i * GIB, GIB, 1);
    }
}

/* The later entry counts. */
static void a_processor_twice(void)
{
    srat_cpu(1, 0, 1);
    srat_cpu(2, 1, 1);
    srat_cpu(2, 0, 1);
}

static void with_slit(const uint8_t *distances)
{
    two_sockets();
    slit(2, distances);
}

static void slit_with_a_self_that_is_not_10(void)
{
    with_slit((const uint8_t[]){10, 21, 22, 11});
}

static void slit_with_another_as_near_as_itself(void)
{
    with_slit((const uint8_t[]){10, 10, 22, 10});
}

static void slit_with_a_reserved_distance(void)
{
    with_slit((const uint8_t[]){10, 9, 22, 10});
}

static void slit_of_zeros(void)
{
    with_slit((const uint8_t[]){0, 0, 0, 0});
}

static void slit_with_what_cannot_be_reached(void)
{
    with_slit((const uint8_t[]){10, 255, 255, 10});
}

static void slit_of_one(void)
{
    two_sockets();
    slit(1, two_by_two);
}

static void slit_that_claims(uint64_t localities)
{
    two_sockets();
    put(tables[SLIT].bytes + 36, 8, localities);
}

static void slit_of_none(void)
{
    slit_that_claims(0);
}

static void slit_of_three_with_bytes_for_two(void)
{
    slit_that_claims(3);
}

static void slit_whose_square_wraps_around(void)
{
    slit_that_claims(1ull << 32);
}

static void slit_of_all_ones(void)
{
    slit_that_claims(UINT64_MAX);
}

static void slit_without_a_count(void)
{
    two_sockets();
    tables[SLIT].length = 43;
}

#define NONE 0xffu

struct expected {
    const char *name;
    void (*make)(void);
    uint32_t nodes;
    uint8_t node[CPUS];
    uint32_t affinities;
    uint8_t first, last; /* nodes of the first and the last of them, NONE: there are none */
    uint8_t there, back; /* distances between nodes 0 and 1; 0: not told */
};

#define CASE(function, ...)              \
    {                                    \
#function, function, __VA_ARGS__ \
    }
static const struct expected corpus[] = {
    CASE(two_sockets, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 21, 22),
    CASE(empty_tables, 1, {0}, 0, NONE, NONE, 0, 0),
    CASE(domains_in_another_order, 2, {0, 1}, 2, 0, 1, 41, 40),
    CASE(large_domains, 3, {0, 1, 0, 0, 2}, 1, 0, 0, 0, 0),
    CASE(first_revision, 2, {0, 1}, 2, 0, 1, 21, 22),
    CASE(what_does_not_count, 2, {0, 0, 1}, 1, 1, 1, 0, 0),
    CASE(entries_too_short, 1, {0}, 0, NONE, NONE, 0, 0),
    CASE(an_entry_of_length_0, 1, {0}, 0, NONE, NONE, 0, 0),
    CASE(an_entry_beyond_the_end, 1, {0}, 0, NONE, NONE, 0, 0),
    CASE(memory_out_of_range, 1, {0}, 1, 0, 0, 0, 0),
    CASE(more_domains_than_nodes, ACPI_MAX_NODES, {0, ACPI_MAX_NODES - 1}, ACPI_MAX_NODES + 3, 0, 0, 0, 0),
    CASE(more_memory_than_is_kept, 2, {0}, HANDOFF_MAX_AFFINITIES, 0, 1, 0, 0),
    CASE(a_processor_twice, 2, {1, 1}, 0, NONE, NONE, 0, 0),
    CASE(slit_with_a_self_that_is_not_10, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_with_another_as_near_as_itself, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_with_a_reserved_distance, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_of_zeros, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_with_what_cannot_be_reached, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 255, 255),
    CASE(slit_of_one, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_of_none, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_of_three_with_bytes_for_two, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_whose_square_wraps_around, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_of_all_ones, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
    CASE(slit_without_a_count, 2, {0, 0, 1, 1, 0, 1}, 4, 0, 1, 0, 0),
};
#define CORPUS (sizeof(corpus) / sizeof(corpus[0]))

static void make_case(const struct expected *e)
{
    make_set();
    e->make();
}

static void check_case(const struct expected *e)
{
    make_case(e);
    const struct acpi_info *info = parse();
    print_message("%s\n", e->name);
    check_rules(info);
    assert_int_equal(info->cpu_count, CPUS);
    assert_int_equal(info->node_count, e->nodes);
    assert_int_equal(info->affinity_count, e->affinities);
    for (unsigned i = 0; i < CPUS; i++) {
        assert_int_equal(info->cpus[i].apic_id, apic_id_of(i));
        assert_int_equal(info->cpus[i].node, e->node[i]);
    }
    if (e->affinities != 0) {
        assert_int_equal(info->affinities[0].node, e->first);
        assert_int_equal(info->affinities[info->affinity_count - 1].node, e->last);
    }
    assert_int_equal(info->distance[0][1], e->there);
    assert_int_equal(info->distance[1][0], e->back);
}

/* covers: SM-10 */
static void each_table_of_the_corpus_gives_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < CORPUS; i++) {
        check_case(&corpus[i]);
    }
}

static void processors_beyond_the_limit_are_left_out_and_counted(void **state)
{
    (void)state;
    make_set();
    for (unsigned i = CPUS; i < HANDOFF_MAX_CPUS + 3; i++) {
        uint8_t *entry = add(&tables[MADT], 9, 16);
        put(entry + 4, 4, 1000 + i);
        put(entry + 8, 4, 1);
    }
    const struct acpi_info *info = parse();
    check_rules(info);
    assert_int_equal(info->cpu_count, HANDOFF_MAX_CPUS);
    assert_int_equal(info->cpus_dropped, 3);
    assert_int_equal(info->cpus[HANDOFF_MAX_CPUS - 1].apic_id, 1000 + HANDOFF_MAX_CPUS - 1);
}

static void spans_and_domains_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct handoff_affinity wanted[] = {{{0, 640 << 10}, 0, 0},
                                                     {{1 << 20, 3 * GIB - (1 << 20)}, 0, 0},
                                                     {{4 * GIB, GIB}, 0, 0},
                                                     {{5 * GIB, 4 * GIB}, 1, 0}};
    make_case(&corpus[0]);
    const struct acpi_info *info = parse();
    assert_memory_equal(info->affinities, wanted, sizeof(wanted));
    make_case(&corpus[3]);
    info = parse();
    assert_int_equal(info->node_domain[0], 0xabcdef01);
    assert_int_equal(info->node_domain[1], 0x00cdef01);
    assert_int_equal(info->node_domain[2], UINT32_MAX);
}

/* Cut between two entries or within one, with a right sum: the whole entries count, and nothing else. */
static void a_cut_table_gives_its_whole_entries(void **state)
{
    (void)state;
    for (size_t i = 0; i < CORPUS; i++) {
        make_case(&corpus[i]);
        uint32_t whole = tables[SRAT].length;
        for (uint32_t length = 36; length <= whole; length++) {
            make_case(&corpus[i]);
            tables[SRAT].length = length;
            check_rules(parse());
        }
    }
    for (uint32_t length = 48; length < 48 + 4 * 16; length++) {
        make_case(&corpus[0]);
        tables[SRAT].length = length;
        const struct acpi_info *info = parse();
        uint32_t entries = (length - 48) / 16;
        assert_int_equal(info->node_count, entries > 2 ? 2 : 1);
        assert_int_equal(info->cpus[2].node, entries > 2 ? 1 : 0);
        assert_int_equal(info->cpus[3].node, 0);
    }
    for (uint32_t length = 36; length < 48; length++) {
        make_case(&corpus[0]);
        tables[SLIT].length = length;
        assert_int_equal(parse()->distance[0][1], 0);
    }
}

/* A wrong sum, a length that is not that of what is there, another name: as if there were no such table. */
static void a_table_that_is_not_sound_is_left_out(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 160; at++) {
        make_case(&corpus[0]);
        for (unsigned i = 0; i < TABLES; i++) {
            seal(&tables[i]);
        }
        tables[SRAT].bytes[at] = (uint8_t)(tables[SRAT].bytes[at] + 1);
        assert_int_equal(parse_as_is(), STATUS_OK);
        check_rules(acpi_info());
        assert_int_equal(acpi_info()->affinity_count, 0);
        assert_int_equal(acpi_info()->node_count, 1);
        assert_int_equal(acpi_info()->distance[0][0], 0);
        assert_int_equal(acpi_info()->cpu_count, CPUS);
    }
}

/* ---- wounds ---- */

static uint64_t state_of_random;

static uint64_t random_next(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random;
}

static void wound(struct table *t)
{
    static const uint64_t edges[] = {0,   1,    2,          8,          10,         16,         24,        40,
                                     255, 1024, 1ull << 31, 1ull << 32, 1ull << 52, 1ull << 63, UINT64_MAX};
    for (uint64_t left = 1 + random_next() % 4; left != 0; left--) {
        uint64_t at = random_next() % (t->length != 0 ? t->length : 1);
        uint64_t value = edges[random_next() % (sizeof(edges) / sizeof(edges[0]))] + random_next() % 3 - 1;
        switch (random_next() % 4) {
        case 0:
            t->bytes[at] ^= (uint8_t)(1u << random_next() % 8);
            break;
        case 1:
            t->bytes[at] = (uint8_t)value;
            break;
        case 2:
            put(t->bytes + at / 4 * 4, 8, value);
            break;
        default:
            t->length = random_next() % 8 == 0 ? (uint32_t)(at > 36 ? at : 36) : t->length;
            break;
        }
    }
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* covers: SM-10 */
static void wounded_tables_are_left_out_or_obey_the_rules(void **state)
{
    (void)state;
    uint64_t seed = setting("SEED", 0x9e3779b97f4a7c15);
    uint64_t cases = setting("CASES", 20000);
    uint64_t with_nodes = 0;
    uint64_t with_distances = 0;
    state_of_random = seed;
    print_message("SEED=%#llx\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < cases; i++) {
        make_case(&corpus[random_next() % CORPUS]);
        struct table *hurt = &tables[MADT + random_next() % 3];
        wound(hurt);
        uint32_t length = hurt->length;
        for (unsigned t = 0; t < TABLES; t++) {
            seal(&tables[t]);
        }
        if (random_next() % 8 == 0) {
            put(hurt->bytes + 4, 4, length + random_next() % 64 - 32);
        }
        if (parse_as_is() == STATUS_OK) {
            check_rules(acpi_info());
            with_nodes += acpi_info()->node_count > 1;
            with_distances += acpi_info()->distance[0][1] != 0;
        }
    }
    print_message("%llu with nodes, %llu with distances\n", (unsigned long long)with_nodes,
                  (unsigned long long)with_distances);
    assert_in_range(with_nodes, cases / 10, cases - cases / 10); /* both ways were gone */
    assert_in_range(with_distances, cases / 50, cases - cases / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_table_of_the_corpus_gives_what_it_says),
        cmocka_unit_test(processors_beyond_the_limit_are_left_out_and_counted),
        cmocka_unit_test(spans_and_domains_are_those_of_the_table),
        cmocka_unit_test(a_cut_table_gives_its_whole_entries),
        cmocka_unit_test(a_table_that_is_not_sound_is_left_out),
        cmocka_unit_test(wounded_tables_are_left_out_or_obey_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
