/*
 * Changes of a slot in the middle of a lookup, and lookups in the middle of a change: one of them is single-stepped on the
 * host's CPU, the other runs in the handler of the trap, at every instruction. So is every order of stores and loads met
 * that one CPU can show another which keeps its stores in order.
 */

#include "fake/fake_cap.h"

#include <signal.h>
#include <ucontext.h>

#define FLAG_TRAP 0x100ull
#define AT_MOST   2000u

static bool (*at_instruction)(unsigned number); /* false: that was enough */
static unsigned instruction;

static void trapped(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    if (!at_instruction(instruction++)) {
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)FLAG_TRAP;
    }
}

static void step_begin(bool (*what)(unsigned number))
{
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
    at_instruction = what;
    instruction = 0;
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | FLAG_TRAP);
}

static void step_end(void)
{
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~FLAG_TRAP);
}

/* ---- two capabilities that take turns in a slot ---- */

static struct cap_space *space;

static struct player {
    cap_handle_t handle;
    uint64_t id;
    uint64_t word;
} x, y;

#define SLOT ((uint32_t)CAP_CONSOLE) /* well-known, so that a move can be made into it */

static void player_make(struct player *player, uint32_t rights, uint32_t flags)
{
    assert_ok(cap_insert(space, &thing.object, rights, flags, &player->handle));
    const struct capability *record = slot_record(space, (uint32_t)player->handle.word);
    player->id = record->id;
    player->word = record->word;
}

/* slot 0: anywhere */
static void put(struct player *player, uint32_t slot)
{
    assert_ok(cap_move(space, player->handle, space, slot, &player->handle));
}

/* X in the slot, generation 0. */
static void begin(uint32_t flags)
{
    start_caps();
    fake_object_init(&thing);
    space = cap_space_create((struct pid){7});
    assert_non_null(space);
    player_make(&x, RIGHT_READ | RIGHT_GRANT, flags);
    player_make(&y, RIGHT_WRITE | RIGHT_GRANT, flags);
    put(&x, SLOT);
}

static void end(void)
{
    cap_space_destroy(space);
    object_put(&thing.object);
    end_caps();
}

static void x_away_and_y_in(void)
{
    put(&x, 0);
    put(&y, SLOT);
}

static void y_away_and_x_in(void)
{
    put(&y, 0);
    put(&x, SLOT);
}

static void away_and_back(void)
{
    x_away_and_y_in();
    y_away_and_x_in();
}

/* ---- a lookup that is overtaken ---- */

static unsigned first_change;
static unsigned second_change;

static bool change_twice(unsigned number)
{
    if (number == first_change) {
        x_away_and_y_in();
    }
    if (number == second_change) {
        y_away_and_x_in();
    }
    return number != second_change;
}

/* The id is the same before and after, for a move takes it along; what is found must be of one moment all the same. covers: CP-01 CP-04 */
static void an_id_that_comes_back_to_its_slot_does_not_deceive_a_lookup(void **state)
{
    (void)state;
    unsigned lookups = 0;
    unsigned found_y = 0;
    unsigned length = AT_MOST;
    for (first_change = 0; first_change < length; first_change++) {
        for (second_change = first_change; second_change < length; second_change++) {
            struct cap_found found;
            begin(0);
            const struct capability *record = slot_record(space, SLOT);
            step_begin(change_twice);
            record_find(record, &found);
            step_end();
            length = instruction <= second_change ? instruction : length;
            const struct player *who = found.generation == 1 ? &y : &x;
            assert_true(found.generation <= 2);
            assert_true(found.id == 0 || (found.id == who->id && found.word == who->word));
            found_y += found.id == y.id;
            lookups++;
            end();
        }
    }
    print_message("%u lookups of %u instructions, %u found who was there in between\n", lookups, length,
                  found_y);
    assert_true(length >= 8 && length < AT_MOST && found_y != 0);
}

static bool derived_before;

/* Once, at an instruction at which no lock is held. */
static bool change_and_note(unsigned number)
{
    if (number >= first_change && second_change == 0 && !fake_irqs_off) {
        derived_before = fake_cap_cpus[0].counters[CAP_COUNT_MADE] != 0;
        second_change = number;
        away_and_back();
    }
    return second_change == 0;
}

/* covers: CP-02 CP-04 */
static void a_handle_does_not_fit_who_went_and_came_back_before_the_lock(void **state)
{
    (void)state;
    unsigned refused = 0;
    unsigned derived = 0;
    for (first_change = 1, second_change = 1; second_change != 0 && derived < 20;
         first_change = second_change + 4) {
        cap_handle_t out;
        begin(0);
        away_and_back();
        cap_handle_t old = x.handle;
        assert_int_equal(old.word, handle_make(SLOT, 2).word);
        fake_cap_cpus[0].counters[CAP_COUNT_MADE] = 0;
        second_change = 0;
        step_begin(change_and_note);
        status_t status = cap_derive(space, old, space, RIGHT_READ, 0, &out);
        step_end();
        if (second_change != 0) {
            assert_int_equal(status, derived_before ? STATUS_OK : STATUS_ERR_CAP_GENERATION);
            derived += derived_before;
            refused += !derived_before;
        }
        end();
    }
    print_message("%u derivations refused, %u before the change\n", refused, derived);
    assert_true(refused > 50 && derived == 20);
}

/* ---- lookups in the middle of a change ---- */

#define GENERATIONS 4u

static struct player owner[GENERATIONS]; /* of the slot in each generation, id 0: nobody */
static bool has_been[GENERATIONS];
static bool gone[GENERATIONS];

static bool look_at_all(unsigned number)
{
    (void)number;
    for (uint32_t generation = 0; generation < GENERATIONS; generation++) {
        struct cap_found found;
        status_t status = record_read(space, handle_make(SLOT, generation), &found);
        uint32_t met = generation == 0 ? found.generation : generation; /* the bare number fits any */
        if (status == STATUS_OK) {
            assert_true(met < GENERATIONS && found.generation == met && owner[met].id != 0);
            assert_true(found.id == owner[met].id && found.word == owner[met].word);
            assert_false(gone[met]);
            has_been[met] = true;
        } else {
            assert_true(status == STATUS_ERR_CAP_INVALID || status == STATUS_ERR_CAP_GENERATION);
            gone[generation] |= generation != 0 && has_been[generation];
        }
    }
    return true;
}

/* covers: CP-01 CP-04 CP-09 */
static void every_lookup_in_the_middle_of_a_change_finds_one_moment(void **state)
{
    (void)state;
    begin(0);
    owner[0] = x;
    owner[1] = y;
    owner[2] = x;
    owner[3] = (struct player){.id = 0};
    step_begin(look_at_all);
    away_and_back();
    assert_ok(cap_delete(space, x.handle));
    step_end();
    print_message("lookups at %u instructions\n", instruction);
    assert_true(has_been[0] && has_been[1] && has_been[2] && gone[1] && gone[2] && !has_been[3]);
    assert_int_equal(slot_record(space, SLOT)->generation, 3);
    end();
}

static unsigned clones;
static unsigned clones_on_the_way;

/* Where the mover holds no lock that a clone of nothing takes: none, or that of the tree while X is on its way out. */
static bool clone_now(unsigned number)
{
    (void)number;
    const struct capability *record = slot_record(space, SLOT);
    bool on_its_way = record->id == 0 && record->word != 0 && !spin_is_held(&space->lock);
    if (fake_irqs_off && !on_its_way) {
        return true;
    }
    unsigned reading = fake_reading;
    bool irqs_off = fake_irqs_off;
    fake_reading = 0;
    fake_irqs_off = false;
    struct cap_space *child = cap_space_clone(space, (struct pid){9});
    assert_non_null(child);
    assert_true(slot_record(child, SLOT)->id == 0 && slot_record(child, SLOT)->generation > 0);
    cap_space_destroy(child);
    rcu_barrier();
    fake_reading = reading;
    fake_irqs_off = irqs_off;
    clones++;
    clones_on_the_way += irqs_off;
    return true;
}

/* X is not inherited; whenever it goes, the child's empty slot has a generation that no handle of the parent's has. covers: CP-02 CP-18 */
static void a_clone_in_the_middle_of_a_move_gives_no_slot_that_an_old_handle_fits(void **state)
{
    (void)state;
    begin(CAP_FLAG_INHERIT_NONE);
    step_begin(clone_now);
    put(&x, 0);
    step_end();
    print_message("%u clones, %u while it was on its way\n", clones, clones_on_the_way);
    assert_true(clones > 100 && clones_on_the_way > 5);
    end();
}

/* Once, at an instruction at which no lock is held. */
static bool change_once(unsigned number)
{
    if (number >= first_change && !fake_irqs_off) {
        second_change = number;
        x_away_and_y_in();
    }
    return second_change == 0;
}

/* The bare number of a well-known slot finds who is there by then; the child gets it under the handle that it has here. covers: CP-02 CP-18 */
static void a_clone_keeps_the_handle_of_who_came_into_a_slot_meanwhile(void **state)
{
    (void)state;
    unsigned inherited[2] = {0, 0};
    for (first_change = 1, second_change = 1; second_change != 0; first_change = second_change + 997) {
        begin(0);
        second_change = 0;
        step_begin(change_once);
        struct cap_space *child = cap_space_clone(space, (struct pid){9});
        step_end();
        assert_non_null(child);
        const struct capability *record = slot_record(child, SLOT);
        if (record->id != 0) {
            assert_true(record->word == x.word || record->word == y.word);
            assert_int_equal(record->generation, record->word == y.word);
            inherited[record->word == y.word]++;
        }
        cap_space_destroy(child);
        end();
    }
    print_message("%u clones got the first, %u the second\n", inherited[0], inherited[1]);
    assert_true(inherited[0] != 0 && inherited[1] > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_that_comes_back_to_its_slot_does_not_deceive_a_lookup),
        cmocka_unit_test(a_handle_does_not_fit_who_went_and_came_back_before_the_lock),
        cmocka_unit_test(every_lookup_in_the_middle_of_a_change_finds_one_moment),
        cmocka_unit_test(a_clone_in_the_middle_of_a_move_gives_no_slot_that_an_old_handle_fits),
        cmocka_unit_test(a_clone_keeps_the_handle_of_who_came_into_a_slot_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
