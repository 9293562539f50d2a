/* Page tables, exhaustively: every state of a few pages that share tables, every operation from each. */
#include "fake/fake_arch.h"

#include "mm/pagetable.h"
#include "mm/tlb.h"

#define SMALL \
    5u /* places of 4 KiB: three in the first 2 MiB, where a large page can lie as well, two in the second */
#define IN_FIRST 3u
#define VALUES   5u /* of a place: nothing, or one of two frames with one of two sets of flags */
#define STATES   15625u
#define RW_FLAGS (PAGE_WRITABLE | PAGE_USER | PAGE_NO_EXECUTE)
#define ADDRESS  0x000ffffffffff000ull
#define FIRST    0x200000ull
#define SECOND   0x40000000ull /* below another level-2 table */
#define IN_PAGE  0x123u

/* What is mapped: of each place, and the large page; 0 nothing, else 1 + frame + 2 * flags. */
struct state {
    uint8_t small[SMALL];
    uint8_t large;
};

enum verb { MAP, MAP_TWO, MAP_LARGE, UNMAP, PROTECT, TAKE, VERBS };

struct step {
    enum verb verb;
    unsigned place; /* of TAKE: which range */
    unsigned value;
};

static const uint64_t places[SMALL] = {FIRST, FIRST + PAGE_SIZE, FIRST + 511 * PAGE_SIZE,
                                       SECOND + 5 * PAGE_SIZE, SECOND + 511 * PAGE_SIZE};
/* The other flags of each place; those of the first one are the large page's, too. */
static const uint64_t others[SMALL] = {PAGE_USER, PAGE_USER | PAGE_NO_ACCESS | PAGE_NO_EXECUTE,
                                       PAGE_USER | PAGE_COPY_ON_WRITE | PAGE_NO_EXECUTE,
                                       PAGE_USER | PAGE_NO_ACCESS, PAGE_USER | PAGE_PAT};
static const uint64_t ranges[4][2] = {{FIRST, FIRST + HUGE_PAGE_SIZE},
                                      {SECOND, SECOND + HUGE_PAGE_SIZE},
                                      {FIRST, SECOND + HUGE_PAGE_SIZE},
                                      {FIRST + PAGE_SIZE, FIRST + 511 * PAGE_SIZE}};

static struct page_table table;
static uint64_t initial_frames; /* free ones while there is only the root */

static uint64_t flags_of(unsigned place, unsigned value)
{
    return value > 2 ? others[place] : RW_FLAGS;
}

static uint64_t frame_of(unsigned place, unsigned value)
{
    return (place + 1) * 0x1001000ull + (value % 2) * 0x5000;
}

static uint64_t large_frame_of(unsigned value)
{
    return 0x40000000ull + (value % 2) * HUGE_PAGE_SIZE;
}

static bool in_range(unsigned place, unsigned range)
{
    return places[place] >= ranges[range][0] && places[place] < ranges[range][1];
}

static unsigned mapped_of(const struct state *s, unsigned from, unsigned to)
{
    unsigned mapped = 0;
    for (unsigned i = from; i < to; i++) {
        mapped += s->small[i] != 0 ? 1 : 0;
    }
    return mapped;
}

/* ---- the model ---- */

/* The same frame with other flags, or nothing. */
static uint8_t changed(unsigned value, const struct step *step)
{
    return (uint8_t)(step->verb == UNMAP ? 0 : 2 - value % 2 + 2 * step->value);
}

static status_t model_change(struct state *s, const struct step *step)
{
    unsigned place = step->place;
    if (s->large != 0 && place < IN_FIRST) {
        if (place != 0) {
            return STATUS_ERR_UNALIGNED;
        }
        s->large = changed(s->large, step);
        return STATUS_OK;
    }
    if (s->small[place] == 0) {
        return STATUS_ERR_NOT_MAPPED;
    }
    s->small[place] = changed(s->small[place], step);
    return STATUS_OK;
}

/* The state after a step, and its status. */
static status_t model_step(struct state *s, const struct step *step)
{
    switch (step->verb) {
    case MAP:
        if ((s->large != 0 && step->place < IN_FIRST) || s->small[step->place] != 0) {
            return STATUS_ERR_EXISTS;
        }
        s->small[step->place] = (uint8_t)step->value;
        return STATUS_OK;
    case MAP_TWO:
        if (s->large != 0 || s->small[0] != 0 || s->small[1] != 0) {
            return STATUS_ERR_EXISTS;
        }
        s->small[0] = s->small[1] = (uint8_t)step->value;
        return STATUS_OK;
    case MAP_LARGE:
        if (s->large != 0 || mapped_of(s, 0, IN_FIRST) != 0) {
            return STATUS_ERR_EXISTS;
        }
        s->large = (uint8_t)step->value;
        return STATUS_OK;
    case UNMAP:
    case PROTECT:
        return model_change(s, step);
    case TAKE:
    case VERBS:
        break;
    }
    for (unsigned i = 0; i < SMALL; i++) {
        s->small[i] = in_range(i, step->place) ? 0 : s->small[i];
    }
    return STATUS_OK;
}

/* Large pages may not lie where pages are taken. */
static bool is_allowed(const struct state *s, const struct step *step)
{
    return step->verb != TAKE || s->large == 0 || step->place == 1;
}

/* ---- the page table ---- */

static void check_old(const struct state *s, unsigned place, const struct pt_leaf *old)
{
    bool large = s->large != 0 && place == 0;
    unsigned value = large ? s->large : s->small[place];
    assert_int_equal(old->size, large ? PAGE_2M : PAGE_4K);
    assert_int_equal(old->address.number, large ? large_frame_of(value) : frame_of(place, value));
}

static status_t take(const struct state *s, unsigned range)
{
    uint64_t at = ranges[range][0];
    unsigned next = 0;
    while (at < ranges[range][1]) {
        struct tlb_gather gather;
        struct pt_taken taken[2];
        tlb_gather_init(&gather, NULL, table.allocator);
        unsigned got = pt_take(&table, &at, ranges[range][1], 2, &gather, taken);
        assert_int_equal(gather.page_count, got);
        for (unsigned i = 0; i < got; i++, next++) {
            while (!in_range(next, range) || s->small[next] == 0) {
                assert_true(++next < SMALL);
            }
            assert_int_equal(gather.pages[i].number, places[next]);
            assert_int_equal(taken[i].frame * PAGE_SIZE, frame_of(next, s->small[next]));
        }
        tlb_gather_finish(&gather);
    }
    assert_int_equal(at, ranges[range][1]);
    return STATUS_OK;
}

static status_t unmap(const struct state *s, unsigned place)
{
    struct tlb_gather gather;
    struct pt_leaf old;
    bool gathered = place % 2 != 0;
    tlb_gather_init(&gather, NULL, table.allocator);
    status_t status = pt_unmap(&table, vaddr_make(places[place]), gathered ? &gather : NULL, &old);
    if (status == STATUS_OK) {
        check_old(s, place, &old);
        assert_int_equal(gather.page_count, gathered ? 1 : 0);
    }
    tlb_gather_finish(&gather);
    return status;
}

static status_t table_step(const struct state *s, const struct step *step)
{
    unsigned place = step->place;
    vaddr_t va = vaddr_make(places[step->verb == TAKE ? 0 : place]);
    page_flags_t flags = PAGE_FLAGS(flags_of(step->verb == TAKE ? 0 : place, step->value));
    switch (step->verb) {
    case MAP:
        return pt_map(&table, va, paddr_make(frame_of(place, step->value)), PAGE_4K, flags);
    case MAP_TWO: {
        const pfn_t two[2] = {frame_of(0, step->value) / PAGE_SIZE, frame_of(1, step->value) / PAGE_SIZE};
        return pt_map_frames(&table, va, two, 2, flags);
    }
    case MAP_LARGE:
        return pt_map(&table, va, paddr_make(large_frame_of(step->value)), PAGE_2M, flags);
    case UNMAP:
        return unmap(s, place);
    case PROTECT:
        return pt_protect(&table, va, PAGE_FLAGS(flags_of(place, step->value == 1 ? 3 : 1)), NULL);
    case TAKE:
    case VERBS:
        break;
    }
    return take(s, place);
}

/* ---- every entry ---- */

struct entry {
    unsigned index;
    uint64_t value;
};

static const uint64_t *table_at(uint64_t entry)
{
    return arch_phys_to_virt(paddr_make(entry & ADDRESS));
}

/* All 512 entries; those that are not named are 0. */
static void check_table(const uint64_t *entries, const struct entry *named, unsigned count)
{
    uint64_t differs = 0;
    unsigned next = 0;
    for (unsigned i = 0; i < 512; i++) {
        bool is_named = next < count && named[next].index == i;
        differs |= entries[i] ^ (is_named ? named[next].value : 0);
        next += is_named ? 1 : 0;
    }
    assert_int_equal(differs, 0);
    assert_int_equal(next, count);
}

/* An entry for a table with so many that are used; its address is the page table's own choice. */
static uint64_t link(uint64_t found, unsigned live)
{
    assert_true((found & ADDRESS) != 0 && (found & ADDRESS) < FAKE_RAM_BYTES);
    return (found & ADDRESS) | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER | (uint64_t)live << 52;
}

static uint64_t leaf(uint64_t frame, uint64_t flags, bool large)
{
    uint64_t pat = (flags & PAGE_PAT) >> PAGE_BIT_PAT << 7;
    uint64_t huge = large ? PAGE_HUGE : 0u;
    if ((flags & PAGE_NO_ACCESS) == 0) {
        flags |= PAGE_PRESENT;
    }
    return frame | (flags & ~PAGE_PAT) | pat | huge;
}

/* The tables of one 2 MiB: places from..to; how many there are. */
static unsigned check_part(const struct state *s, const uint64_t *level3, unsigned from, unsigned to)
{
    unsigned index3 = places[from] >> 30 & 511;
    unsigned index2 = places[from] >> 21 & 511;
    unsigned mapped = mapped_of(s, from, to);
    bool large = from == 0 && s->large != 0;
    struct entry named[SMALL];
    if (mapped == 0 && !large) {
        return 0;
    }
    const uint64_t *level2 = table_at(level3[index3]);
    uint64_t value =
        large ? leaf(large_frame_of(s->large), flags_of(0, s->large), true) : link(level2[index2], mapped);
    check_table(level2, &(struct entry){index2, value}, 1);
    if (large) {
        return 1;
    }
    unsigned count = 0;
    for (unsigned i = from; i < to; i++) {
        if (s->small[i] != 0) {
            named[count++] = (struct entry){places[i] >> 12 & 511,
                                            leaf(frame_of(i, s->small[i]), flags_of(i, s->small[i]), false)};
        }
    }
    check_table(table_at(level2[index2]), named, count);
    return 2;
}

static void check_entries(const struct state *s)
{
    bool first = s->large != 0 || mapped_of(s, 0, IN_FIRST) != 0;
    bool second = mapped_of(s, IN_FIRST, SMALL) != 0;
    const uint64_t *root = arch_phys_to_virt(table.root);
    unsigned tables = 1;
    unsigned count = 0;
    struct entry named[2];
    if (first || second) {
        const uint64_t *level3 = table_at(root[0]);
        check_table(root, &(struct entry){0, link(root[0], first + second)}, 1);
        if (first) {
            named[count++] = (struct entry){0, link(level3[0], 1)};
        }
        if (second) {
            named[count++] = (struct entry){1, link(level3[1], 1)};
        }
        check_table(level3, named, count);
        tables += 1 + check_part(s, level3, 0, IN_FIRST) + check_part(s, level3, IN_FIRST, SMALL);
    } else {
        check_table(root, NULL, 0);
    }
    assert_int_equal(table.tables, tables);
    assert_int_equal(frame_free_count(), initial_frames - (tables - 1));
    assert_int_equal(table.leaves_4k, mapped_of(s, 0, SMALL));
    assert_int_equal(table.leaves_2m, s->large != 0 ? 1 : 0);
}

/* ---- every address: the places, and one in each 2 MiB where nothing small ever is ---- */

static void check_address(uint64_t address, uint64_t frame, uint64_t flags)
{
    struct pt_leaf found;
    paddr_t physical;
    status_t want = frame != 0 ? STATUS_OK : STATUS_ERR_NOT_MAPPED;
    assert_int_equal(pt_query(&table, vaddr_make(address + IN_PAGE), &found), want);
    assert_int_equal(pt_translate(&table, vaddr_make(address + IN_PAGE), &physical), want);
    if (frame != 0) {
        assert_int_equal(physical.number, frame + IN_PAGE);
        assert_int_equal(found.flags.bits, flags | (flags & PAGE_NO_ACCESS ? 0 : PAGE_PRESENT));
    }
}

static void check_addresses(const struct state *s)
{
    uint64_t large = s->large != 0 ? large_frame_of(s->large) : 0;
    uint64_t large_flags = flags_of(0, s->large);
    for (unsigned i = 0; i < SMALL; i++) {
        if (large != 0 && i < IN_FIRST) {
            check_address(places[i], large + (places[i] - FIRST), large_flags);
        } else {
            check_address(places[i], s->small[i] != 0 ? frame_of(i, s->small[i]) : 0,
                          flags_of(i, s->small[i]));
        }
    }
    check_address(FIRST + 7 * PAGE_SIZE, large != 0 ? large + 7 * PAGE_SIZE : 0, large_flags);
    check_address(SECOND + 7 * PAGE_SIZE, 0, 0);
}

/* ---- from every state ---- */

static unsigned number_of(const struct state *s)
{
    unsigned number = s->large;
    for (unsigned i = 0; i < SMALL; i++) {
        number = number * VALUES + s->small[i];
    }
    return number;
}

static void build(const struct state *s)
{
    if (s->large != 0) {
        const struct step step = {MAP_LARGE, 0, s->large};
        assert_ok(table_step(s, &step));
    }
    for (unsigned i = 0; i < SMALL; i++) {
        const struct step step = {MAP, i, s->small[i]};
        if (s->small[i] != 0) {
            assert_ok(table_step(s, &step));
        }
    }
}

static void clear(const struct state *s)
{
    for (unsigned i = 0; i < SMALL; i++) {
        if (s->small[i] != 0 || (i == 0 && s->large != 0)) {
            assert_ok(pt_unmap(&table, vaddr_make(places[i]), NULL, NULL));
        }
    }
    assert_int_equal(table.tables, 1);
}

static unsigned list_steps(struct step *steps)
{
    unsigned count = 0;
    for (unsigned value = 1; value < VALUES; value++) {
        for (unsigned place = 0; place < SMALL; place++) {
            steps[count++] = (struct step){MAP, place, value};
        }
        steps[count++] = (struct step){MAP_LARGE, 0, value};
        steps[count++] = (struct step){TAKE, value - 1, 0};
    }
    steps[count++] = (struct step){MAP_TWO, 0, 1};
    steps[count++] = (struct step){MAP_TWO, 0, 2};
    for (unsigned place = 0; place < SMALL; place++) {
        steps[count++] = (struct step){UNMAP, place, 0};
        steps[count++] = (struct step){PROTECT, place, 0};
        steps[count++] = (struct step){PROTECT, place, 1};
    }
    return count;
}

/* covers: VM-01, TS-12 (D: page tables) */
static void every_operation_from_every_state_gives_the_entries_of_the_model(void **state)
{
    (void)state;
    static struct state queue[STATES];
    static bool reached[STATES];
    struct step steps[64];
    unsigned count = list_steps(steps);
    unsigned states = 1;
    unsigned transitions = 0;
    fake_machine(64, 1);
    tlb_set_flush(NULL);
    assert_ok(pt_init_user(&table, &pt_frame_allocator, NULL));
    initial_frames = frame_free_count();
    reached[0] = true; /* nothing mapped */
    for (unsigned at = 0; at < states; at++) {
        const struct state from = queue[at];
        uint64_t wrong;
        build(&from);
        assert_int_equal(pt_count_tables(&table, &wrong), table.tables);
        assert_int_equal(wrong, 0);
        for (unsigned i = 0; i < count; i++) {
            struct state to = from;
            if (!is_allowed(&from, &steps[i])) {
                continue;
            }
            status_t want = model_step(&to, &steps[i]);
            assert_int_equal(table_step(&from, &steps[i]), want);
            check_entries(&to);
            check_addresses(&to);
            transitions++;
            if (number_of(&to) == number_of(&from)) {
                continue;
            }
            if (!reached[number_of(&to)]) {
                reached[number_of(&to)] = true;
                queue[states++] = to;
            }
            clear(&to);
            build(&from);
        }
        clear(&from);
    }
    print_message("page tables: %u states, %u transitions\n", states, transitions);
    assert_int_equal(states, (125 + 4) * 25); /* three places or the large page, two places */
    assert_int_equal(frame_free_count(), initial_frames);
    pt_deinit(&table);
    assert_frames_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_from_every_state_gives_the_entries_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
