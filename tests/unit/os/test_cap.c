/* Host tests of capability spaces: handles, checks, rights, generations, growth, inheritance, audit, cache. */

#include "fake/fake_cap.h"

/* The widest values that a capability's word has room for, and an object where the kernel's are. */
#define RIGHTS_BITS    10u
#define LAST_TYPE      ((enum cap_type)31)
#define ALL_FLAGS      0x1fu
#define KERNEL_ADDRESS 0xffff812345678ab0ull

#define BEYOND_GENERATION (1ull << 48) /* of a handle, that no handle has */

#define OTHER_PID 8u    /* of a space beside the first */
#define SCRIPT    7u    /* records of what a test of the audit ring does */
#define DENIALS   1000u /* more than the ring keeps */

/* ---- layout and lookups ---- */

/* covers: CP-01 CP-12 */
static void a_record_is_32_bytes_and_holds_id_object_rights_and_generation(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct capability), 32);
    assert_int_equal(sizeof(((struct capability *)NULL)->id), 8);
    assert_int_equal(sizeof(((struct capability *)NULL)->generation), 2);
    cap_handle_t handle;
    struct cap_space *space = space_with(RIGHT_READ | RIGHT_GRANT, &handle);
    struct cap_view view;
    assert_ok(look(space, handle, CAP_CONSOLE, RIGHT_READ, &view));
    assert_ptr_equal(view.object, &thing.object);
    assert_int_equal(view.rights, RIGHT_READ | RIGHT_GRANT);
    assert_int_equal(view.type, CAP_CONSOLE);
    const struct capability *record = slot_record(space, (uint32_t)handle.word);
    assert_int_equal(record->id, view.id);
    assert_int_equal(record->generation, handle.word >> 32);
    for (unsigned bit = 0; bit < RIGHTS_BITS; bit++) {
        uint64_t word = cap_word_make(&thing.object, LAST_TYPE, 1u << bit, ALL_FLAGS);
        assert_ptr_equal(cap_word_object(word), &thing.object);
        assert_int_equal(cap_word_rights(word), 1u << bit);
        assert_int_equal(cap_word_type(word), LAST_TYPE);
        assert_int_equal(word & WORD_FLAGS, ALL_FLAGS);
    }
    struct object *high = (struct object *)(uintptr_t)KERNEL_ADDRESS;
    assert_ptr_equal(cap_word_object(cap_word_make(high, CAP_MEMORY, 1, 0)), high);
    end_space(space);
}

/* covers: CP-04 CP-22 */
static void each_step_of_the_check_fails_with_its_own_status(void **state)
{
    (void)state;
    cap_handle_t handle;
    cap_handle_t child;
    struct cap_view view;
    struct cap_space *space = space_with(RIGHT_READ | RIGHT_GRANT, &handle);
    assert_int_equal(usable(space, cap_handle(0)), STATUS_ERR_CAP_INVALID);
    assert_int_equal(usable(space, cap_handle(handle.word + 1)), STATUS_ERR_CAP_INVALID);
    assert_int_equal(usable(space, cap_handle(CAP_MAX_SLOTS)), STATUS_ERR_CAP_INVALID);
    assert_int_equal(usable(space, cap_handle(UINT64_MAX)), STATUS_ERR_CAP_INVALID);
    assert_int_equal(usable(space, cap_handle(handle.word | BEYOND_GENERATION)), STATUS_ERR_CAP_INVALID);
    assert_int_equal(usable(space, handle_make((uint32_t)handle.word, 1)), STATUS_ERR_CAP_GENERATION);
    assert_int_equal(look(space, handle, CAP_DRIVER, 0, &view), STATUS_ERR_CAP_TYPE);
    assert_int_equal(look(space, handle, CAP_CONSOLE, RIGHT_READ | RIGHT_WRITE, &view),
                     STATUS_ERR_CAP_RIGHTS);
    assert_ok(cap_derive(space, handle, space, RIGHT_READ, 0, &child));
    assert_ok(cap_revoke(space, handle, NULL));
    assert_int_equal(usable(space, child), STATUS_ERR_CAP_REVOKED);
    assert_int_equal(cap_move(space, handle, space, CAP_DRIVER, &child), STATUS_ERR_CAP_TARGET);
    assert_ok(cap_space_limit(space, 2));
    assert_ok(cap_derive(space, handle, space, RIGHT_READ, 0, &child)); /* in the place of the revoked one */
    assert_int_equal(cap_derive(space, handle, space, RIGHT_READ, 0, &child), STATUS_ERR_CAP_QUOTA);
    end_space(space);
}

/* Every status of the group is distinct, has a name and a text of its own, and is told from every other. covers: CP-22, ER-01 (distinct) */
static void capability_errors_are_seven_and_keep_their_meaning(void **state)
{
    (void)state;
    static const status_t errors[] = {
        STATUS_ERR_CAP_INVALID, STATUS_ERR_CAP_REVOKED,    STATUS_ERR_CAP_TYPE,  STATUS_ERR_CAP_RIGHTS,
        STATUS_ERR_CAP_QUOTA,   STATUS_ERR_CAP_GENERATION, STATUS_ERR_CAP_TARGET};
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(errors[i] / 16, STATUS_ERR_CAP_INVALID / 16);
        assert_string_not_equal(status_name(errors[i]), "STATUS_UNKNOWN");
        assert_non_null(strstr(status_text(errors[i]), "capability: "));
        int64_t result = errors[i]; /* as it crosses the system-call boundary */
        assert_int_equal((status_t)(int64_t)(uint64_t)result, errors[i]);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(errors[i], errors[k]);
            assert_string_not_equal(status_name(errors[i]), status_name(errors[k]));
        }
    }
    for (int value = STATUS_ERR_CAP_TARGET - 1; value > STATUS_ERR_CAP_TARGET - 10; value--) {
        assert_string_equal(status_name((status_t)value), "STATUS_UNKNOWN");
    }
}

/* covers: CP-23 */
static void a_well_known_slot_is_named_by_its_number_alone(void **state)
{
    (void)state;
    start_caps();
    struct cap_space *space = cap_space_create((struct pid){1});
    struct cap_view view;
    cap_handle_t handle;
    assert_ok(cap_insert_boot_set(space));
    unsigned kinds = 0;
    for (enum cap_type type = CAP_NONE + 1; type < CAP_TYPE_COUNT; type++) {
        if (object_singleton(type) != NULL) {
            kinds++;
            assert_ok(look(space, cap_well_known(type), type, RIGHTS_ALL, &view));
            assert_ptr_equal(view.object, object_singleton(type));
        }
    }
    assert_int_equal(kinds, 8);
    cap_handle_t low = cap_well_known(CAP_POWER);
    assert_ok(cap_derive(space, low, space, RIGHT_EXECUTE, 0, &handle));
    assert_ok(cap_delete(space, low));
    assert_int_equal(usable(space, low), STATUS_ERR_CAP_INVALID);
    assert_ok(cap_move(space, handle, space, CAP_POWER, &handle));
    assert_int_equal(handle.word, handle_make(CAP_POWER, 1).word);
    assert_ok(look(space, low, CAP_POWER, RIGHT_EXECUTE, &view));
    assert_ok(usable(space, handle));
    assert_int_equal(usable(space, handle_make(CAP_POWER, 2)), STATUS_ERR_CAP_GENERATION);
    assert_int_equal(cap_move(space, cap_well_known(CAP_DRIVER), space, CAP_POWER, &handle),
                     STATUS_ERR_EXISTS);
    cap_space_destroy(space);
    end_caps();
}

/* ---- rights ---- */

/* For every pair of sets: deriving works exactly for subsets, and no chain of derivations adds a right. covers: CP-03 */
static void rights_only_ever_shrink(void **state)
{
    (void)state;
    for (uint32_t had = 0; had <= RIGHTS_ALL; had++) {
        cap_handle_t handle;
        struct cap_space *space = space_with(had, &handle);
        for (uint32_t wanted = 0; wanted <= RIGHTS_ALL; wanted++) {
            cap_handle_t child;
            struct cap_view view;
            status_t status = cap_derive(space, handle, space, wanted, 0, &child);
            bool subset = (had & wanted) == wanted && (wanted & ~had) == 0; /* meet and difference agree */
            assert_int_equal(status, subset ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
            for (uint32_t asked = 0; subset && asked <= RIGHTS_ALL; asked++) {
                status = look(space, child, CAP_CONSOLE, asked, &view);
                assert_int_equal(status, (asked & ~wanted) == 0 ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
                cap_handle_t grandchild;
                status = cap_derive(space, child, space, asked & had, 0, &grandchild);
                assert_int_equal(status, (asked & had & ~wanted) == 0 ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
            }
        }
        end_space(space);
    }
}

static void another_space_takes_the_right_to_grant(void **state)
{
    (void)state;
    cap_handle_t handle;
    cap_handle_t out;
    struct cap_space *space = space_with(RIGHT_READ, &handle);
    struct cap_space *other = cap_space_create((struct pid){8});
    assert_int_equal(cap_derive(space, handle, other, RIGHT_READ, 0, &out), STATUS_ERR_CAP_RIGHTS);
    assert_int_equal(cap_move(space, handle, other, 0, &out), STATUS_ERR_CAP_RIGHTS);
    assert_int_equal(cap_copy(space, handle, &out), STATUS_ERR_CAP_RIGHTS);
    assert_ok(cap_insert(space, &thing.object, RIGHT_READ | RIGHT_GRANT, 0, &handle));
    assert_ok(cap_copy(space, handle, &out));
    assert_ok(cap_derive(space, handle, other, RIGHT_READ, 0, &out));
    assert_ok(usable(other, out));
    assert_ok(cap_move(space, handle, other, 0, &out));
    assert_ok(usable(other, out));
    assert_int_equal(usable(space, handle), STATUS_ERR_CAP_GENERATION);
    cap_space_destroy(other);
    end_space(space);
}

/* ---- generations and growth ---- */

/* covers: CP-01 */
static void a_slot_is_retired_before_its_generation_wraps(void **state)
{
    (void)state;
    cap_handle_t handle;
    cap_handle_t next;
    struct cap_space *space = space_with(RIGHT_READ, &handle);
    uint32_t slot = (uint32_t)handle.word;
    for (unsigned i = 1; i < LAST_GENERATION; i++) {
        assert_ok(cap_delete(space, handle));
        assert_int_equal(usable(space, handle), STATUS_ERR_CAP_GENERATION);
        assert_ok(cap_insert(space, &thing.object, RIGHT_READ, 0, &next));
        assert_int_equal(next.word, handle_make(slot, i).word);
        handle = next;
    }
    assert_ok(cap_delete(space, handle));
    for (uint32_t generation = 0; generation <= LAST_GENERATION; generation++) {
        assert_int_not_equal(usable(space, handle_make(slot, generation)), STATUS_OK);
    }
    for (unsigned i = 0; i < 300; i++) {
        assert_ok(cap_insert(space, &thing.object, RIGHT_READ, 0, &next));
        assert_int_not_equal((uint32_t)next.word, slot);
    }
    end_space(space);
}

/* covers: CP-12 CP-13 CP-10 */
static void a_space_grows_to_all_its_slots_and_gives_their_memory_back(void **state)
{
    (void)state;
    static cap_handle_t handles[CAP_MAX_SLOTS];
    cap_handle_t first;
    struct cap_space *space = space_with(RIGHT_READ, &first);
    uint32_t count = 0;
    assert_int_equal(leaf_count(), 1);
    status_t status;
    while ((status = cap_insert(space, &thing.object, RIGHT_READ, 0, &handles[count])) == STATUS_OK) {
        count++;
    }
    assert_int_equal(status, STATUS_ERR_CAP_QUOTA);
    assert_int_equal(count, CAP_MAX_SLOTS - CAP_WELL_KNOWN_SLOTS - 1);
    assert_int_equal(leaf_count(), SPACE_LEAVES);
    double bytes = leaf_count() * (double)PAGE_SIZE + SPACE_LEAVES * sizeof(root_word_t);
    double leaves = leaf_count() * (double)(sizeof(struct cap_leaf) + sizeof(struct cap_leaf *));
    print_message(
        "%u capabilities in %.0f bytes: %.2f bytes each, with their leaves and those' directory %.2f\n",
        count, bytes, bytes / count, (bytes + leaves) / count);
    for (uint32_t i = 0; i < count; i++) {
        assert_ok(usable(space, handles[i]));
        assert_ok(cap_delete(space, handles[i]));
    }
    rcu_barrier();
    assert_true(leaf_count() <= 4);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_not_equal(usable(space, handles[i]), STATUS_OK);
    }
    for (uint32_t i = 0; i < 2000; i++) { /* slots of leaves that went and came again */
        cap_handle_t handle;
        assert_ok(cap_insert(space, &thing.object, RIGHT_READ, 0, &handle));
        for (uint32_t k = 0; k < count; k += 997) {
            assert_int_not_equal(handles[k].word, handle.word);
        }
        assert_int_not_equal(usable(space, handles[(uint32_t)handle.word % count]), STATUS_OK);
    }
    end_space(space);
}

/* covers: CP-13 */
static void the_limit_of_a_space_goes_down_only(void **state)
{
    (void)state;
    cap_handle_t handle;
    struct cap_space *space = space_with(RIGHT_READ, &handle);
    assert_int_equal(cap_space_limit(space, 0), STATUS_ERR_RANGE);
    assert_ok(cap_space_limit(space, 3));
    assert_int_equal(cap_space_limit(space, 4), STATUS_ERR_RANGE);
    assert_ok(cap_insert(space, &thing.object, 0, 0, &handle));
    assert_ok(cap_insert(space, &thing.object, 0, 0, &handle));
    assert_int_equal(cap_insert(space, &thing.object, 0, 0, &handle), STATUS_ERR_CAP_QUOTA);
    assert_int_equal(cap_space_limit(space, 2), STATUS_ERR_RANGE);
    assert_ok(cap_delete(space, handle));
    assert_ok(cap_insert(space, &thing.object, 0, 0, &handle));
    end_space(space);
}

/* ---- revocation ---- */

/* covers: CP-06 CP-07 */
static void revocation_takes_a_thousand_deep_and_ten_thousand_wide(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t handle;
    uint64_t count;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    struct cap_space *other = cap_space_create((struct pid){8});
    handle = root;
    struct cap_space *at = space;
    for (unsigned depth = 0; depth < 1000; depth++) {
        struct cap_space *to = depth % 2 == 0 ? other : space;
        assert_ok(cap_derive(at, handle, to, RIGHTS_ALL, 0, &handle));
        at = to;
    }
    assert_ok(usable(at, handle));
    assert_ok(cap_revoke(space, root, &count));
    assert_int_equal(count, 1000);
    assert_int_equal(usable(at, handle), STATUS_ERR_CAP_REVOKED);
    assert_int_equal(thing.removed, 1000);
    assert_int_equal(thing.why, STATUS_ERR_CAP_REVOKED);
    for (unsigned i = 0; i < 10000; i++) {
        assert_ok(cap_derive(space, root, i % 2 == 0 ? other : space, RIGHT_READ, 0, &handle));
    }
    unsigned before = fake_grace_periods;
    assert_ok(cap_revoke(space, root, &count));
    assert_int_equal(count, 10000);
    assert_int_equal(fake_grace_periods, before + 1);
    assert_int_equal(thing.grace_periods, before + 1); /* told after it, not before */
    assert_ok(cap_delete(space, handle));              /* a revoked one: told already */
    assert_int_equal(thing.removed, 11000);
    assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &handle));
    assert_ok(cap_delete(space, handle));
    assert_int_equal(thing.removed, 11001);
    assert_int_equal(thing.grace_periods, before + 2);
    assert_ok(usable(space, root));
    assert_ok(cap_revoke(space, root, &count));
    assert_int_equal(count, 0);
    cap_space_destroy(other);
    end_space(space);
}

/* covers: CP-07 */
static void a_deleted_capability_s_children_stay_below_its_parent(void **state)
{
    (void)state;
    cap_handle_t a;
    cap_handle_t b;
    cap_handle_t c;
    cap_handle_t sibling;
    uint64_t count;
    struct cap_space *space = space_with(RIGHTS_ALL, &a);
    assert_ok(cap_derive(space, a, space, RIGHTS_ALL, 0, &sibling));
    assert_ok(cap_derive(space, a, space, RIGHTS_ALL, 0, &b));
    assert_ok(cap_derive(space, b, space, RIGHTS_ALL, 0, &c));
    assert_ok(cap_delete(space, b));
    assert_ok(cap_revoke(space, sibling, &count));
    assert_int_equal(count, 0);
    assert_ok(usable(space, c));
    assert_ok(cap_revoke(space, a, &count));
    assert_int_equal(count, 2);
    assert_int_equal(usable(space, c), STATUS_ERR_CAP_REVOKED);
    end_space(space);
}

/* covers: CP-10 */
static void revoked_slots_are_told_first_and_collected_later(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t child;
    struct cap_info info;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    unsigned wakes = fake_collector_wakes;
    assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &child));
    assert_ok(cap_revoke(space, root, NULL));
    assert_int_equal(fake_collector_wakes, wakes + 1);
    assert_int_equal(usable(space, child), STATUS_ERR_CAP_REVOKED);
    assert_ok(cap_read(space, child, &info));
    assert_int_equal(info.flags, CAP_FLAG_REVOKED);
    assert_int_equal(info.rights, RIGHT_READ);
    collector_pass(false); /* sees it for the first time */
    assert_int_equal(usable(space, child), STATUS_ERR_CAP_REVOKED);
    collector_pass(false);
    assert_int_equal(usable(space, child), STATUS_ERR_CAP_GENERATION);
    assert_true(collector_idle());
    assert_int_equal(space->used, 1);
    /* the holder need not wait for it */
    assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &child));
    assert_ok(cap_revoke(space, root, NULL));
    assert_ok(cap_delete(space, child));
    assert_int_equal(space->used, 1);
    collector_pass(true);
    assert_true(collector_idle());
    end_space(space);
}

/* A space that ends while it holds revoked ones and while others' trees reach into it. */
static void a_space_ends_with_everything_in_it(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t in_other;
    cap_handle_t below;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    struct cap_space *other = cap_space_create((struct pid){8});
    for (unsigned i = 0; i < 300; i++) {
        assert_ok(cap_derive(space, root, other, RIGHTS_ALL, 0, &in_other));
        if (i == 150) {
            assert_ok(cap_revoke(space, root, NULL));
        }
    }
    assert_ok(cap_derive(other, in_other, space, RIGHT_READ, 0, &below));
    cap_space_get(other);
    unsigned grace_periods = fake_grace_periods;
    cap_space_destroy(other);
    assert_int_equal(fake_grace_periods, grace_periods + 1); /* somebody else held it */
    assert_int_equal(cap_derive(space, root, other, RIGHT_READ, 0, &in_other), STATUS_ERR_DEAD);
    cap_space_put(other);
    uint64_t count;
    assert_ok(usable(space, below));
    assert_ok(cap_revoke(space, root, &count));
    assert_int_equal(count, 1);
    end_space(space);
}

/* ---- inheritance ---- */

struct policy {
    uint32_t flags;
    bool inherited;
    bool kept_by_exec;
    bool revoked_with_parent;
};

/* covers: CP-18 */
static void fork_and_exec_follow_the_policy_of_each_capability(void **state)
{
    (void)state;
    static const struct policy policies[] = {
        {0, true, false, true},
        {CAP_FLAG_KEEP_ON_EXEC, true, true, true},
        {CAP_FLAG_INHERIT_COPY, true, false, false},
        {CAP_FLAG_INHERIT_COPY | CAP_FLAG_KEEP_ON_EXEC, true, true, false},
        {CAP_FLAG_INHERIT_NONE, false, false, false},
        {CAP_FLAG_INHERIT_NONE | CAP_FLAG_KEEP_ON_EXEC, false, true, false},
    };
    for (unsigned i = 0; i < 6; i++) {
        const struct policy *policy = &policies[i];
        cap_handle_t first;
        cap_handle_t handle;
        struct cap_view ours;
        struct cap_view theirs;
        struct cap_space *space = space_with(RIGHTS_ALL, &first);
        assert_ok(cap_insert(space, &thing.object, RIGHT_READ | RIGHT_GRANT, policy->flags, &handle));
        struct cap_space *child = cap_space_clone(space, (struct pid){9});
        assert_non_null(child);
        assert_ok(look(space, handle, CAP_CONSOLE, RIGHT_READ, &ours));
        status_t status = look(child, handle, CAP_CONSOLE, RIGHT_READ, &theirs);
        assert_int_equal(status, policy->inherited ? STATUS_OK : STATUS_ERR_CAP_GENERATION);
        if (policy->inherited) {
            assert_int_equal(theirs.rights, ours.rights);
            assert_int_equal(theirs.flags, ours.flags);
            assert_int_not_equal(theirs.id, ours.id);
        }
        cap_space_exec(space);
        assert_int_equal(usable(space, handle) == STATUS_OK, policy->kept_by_exec);
        if (policy->kept_by_exec && policy->inherited) {
            assert_ok(cap_revoke(space, handle, NULL));
            status = policy->revoked_with_parent ? STATUS_ERR_CAP_REVOKED : STATUS_OK;
            assert_int_equal(usable(child, handle), status);
        }
        cap_space_destroy(child);
        end_space(space);
    }
}

/* covers: CP-18 CP-02 */
static void a_clone_keeps_generations_so_that_dead_handles_stay_dead(void **state)
{
    (void)state;
    cap_handle_t root;
    static cap_handle_t handles[1000];
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    for (unsigned i = 0; i < 1000; i++) {
        assert_ok(
            cap_derive(space, root, space, RIGHT_READ, i % 3 == 0 ? CAP_FLAG_INHERIT_NONE : 0, &handles[i]));
    }
    for (unsigned i = 0; i < 1000; i += 2) {
        assert_ok(cap_delete(space, handles[i]));
    }
    struct cap_space *child = cap_space_clone(space, (struct pid){9});
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            assert_int_equal(usable(child, handles[i]) == STATUS_OK, i % 2 != 0 && i % 3 != 0);
        }
        for (unsigned i = 0; i < 1500 && round == 0; i++) { /* the same slots in use again */
            cap_handle_t fresh;
            assert_ok(cap_insert(child, &thing.object, RIGHT_READ, 0, &fresh));
        }
    }
    cap_space_destroy(child);
    end_space(space);
}

/* ---- iteration ---- */

/* covers: CP-19 */
static void iteration_meets_what_stays_exactly_once(void **state)
{
    (void)state;
    cap_handle_t root;
    static cap_handle_t handles[500];
    static unsigned met[500];
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    for (unsigned i = 0; i < 500; i++) {
        assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &handles[i]));
        met[i] = 0;
    }
    cap_handle_t at = {0};
    cap_handle_t extra;
    uint64_t seed = 3;
    for (unsigned step = 0; cap_next(space, at, &at) == STATUS_OK; step++) {
        for (unsigned i = 0; i < 500; i++) {
            met[i] += handles[i].word == at.word;
        }
        unsigned victim = (unsigned)(fake_random(&seed) % 500);
        if (victim % 2 == 1) { /* the odd ones come and go */
            (void)(cap_delete(space, handles[victim]) == STATUS_OK);
            assert_ok(cap_insert(space, &thing.object, 0, 0, &extra));
        }
        assert_true(step < 2000);
    }
    for (unsigned i = 0; i < 500; i += 2) {
        assert_int_equal(met[i], 1);
    }
    assert_int_equal(cap_next(space, cap_handle(UINT64_MAX), &at), STATUS_ERR_NOT_FOUND);
    end_space(space);
}

/* ---- cache ---- */

/* covers: CP-20 */
static void the_cache_hits_and_never_tells_what_is_gone(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t child;
    cap_handle_t moved;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    uint64_t *hits = &fake_cap_cpus[0].counters[CAP_COUNT_HIT];
    assert_ok(usable(space, root));
    uint64_t before = *hits;
    for (unsigned i = 0; i < 100; i++) {
        assert_ok(usable(space, root));
    }
    assert_int_equal(*hits, before + 100);
    /* deleted, moved and revoked ones on another CPU that has them in its cache */
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &child));
        fake_cpu = 1;
        assert_ok(usable(space, child));
        assert_ok(usable(space, child));
        fake_cpu = 0;
        if (i == 0) {
            assert_ok(cap_delete(space, child));
        } else if (i == 1) {
            assert_ok(cap_move(space, child, space, 0, &moved));
        } else {
            assert_ok(cap_revoke(space, root, NULL));
        }
        fake_cpu = 1;
        assert_int_not_equal(usable(space, child), STATUS_OK);
        fake_cpu = 0;
    }
    /* the same handle in two spaces, in turns */
    struct cap_space *other = cap_space_create((struct pid){8});
    cap_handle_t same;
    assert_ok(cap_insert(other, &thing.object, RIGHT_READ, 0, &same));
    assert_int_equal((uint32_t)same.word, (uint32_t)root.word);
    for (unsigned i = 0; i < 4; i++) {
        struct cap_view view;
        assert_ok(look(i % 2 == 0 ? space : other, same, CAP_CONSOLE, RIGHT_READ, &view));
        assert_int_equal(view.rights, i % 2 == 0 ? RIGHTS_ALL : RIGHT_READ);
    }
    cap_space_destroy(other);
    end_space(space);
}

/* ---- audit ---- */

/* covers: CP-14 */
static void the_audit_ring_tells_what_was_done(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t child;
    struct cap_audit records[2 * SCRIPT];
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    uint64_t from = 0;
    while (cap_audit_read(from, records, 1) == 1) {
        from = records[0].sequence + 1;
    }
    struct cap_space *other = cap_space_create((struct pid){OTHER_PID});
    assert_ok(cap_insert(space, &thing.object, RIGHTS_ALL, 0, &root));
    assert_ok(cap_derive(space, root, space, RIGHT_READ | RIGHT_GRANT, 0, &child));
    assert_ok(cap_derive(space, child, other, RIGHT_READ, 0, &child));
    assert_int_equal(usable(other, root), STATUS_ERR_CAP_INVALID);
    assert_ok(cap_revoke(space, root, NULL));
    assert_ok(cap_delete(space, root));
    static const struct {
        enum cap_event event;
        uint32_t actor;
        uint32_t holder;
        status_t status;
    } script[SCRIPT] = {
        {CAP_EVENT_CREATE, FAKE_PID, FAKE_PID, STATUS_OK},
        {CAP_EVENT_DERIVE, FAKE_PID, FAKE_PID, STATUS_OK},
        {CAP_EVENT_TRANSFER, FAKE_PID, OTHER_PID, STATUS_OK},
        {CAP_EVENT_DENY, OTHER_PID, OTHER_PID, STATUS_ERR_CAP_INVALID},
        {CAP_EVENT_REVOKE, FAKE_PID, FAKE_PID, STATUS_OK},
        {CAP_EVENT_REVOKE, FAKE_PID, OTHER_PID, STATUS_OK},
        {CAP_EVENT_DELETE, FAKE_PID, FAKE_PID, STATUS_OK},
    };
    assert_int_equal(cap_audit_read(from, records, 2 * SCRIPT), SCRIPT);
    for (unsigned i = 0; i < SCRIPT; i++) {
        assert_int_equal(records[i].sequence, from + i);
        assert_int_equal(records[i].event, script[i].event);
        assert_int_equal(records[i].actor, script[i].actor);
        assert_int_equal(records[i].holder, script[i].holder);
        assert_int_equal(records[i].status, script[i].status);
    }
    assert_int_equal(records[1].parent, records[0].id);
    assert_int_equal(records[2].parent, records[1].id);
    assert_int_equal(records[4].id, records[1].id);
    struct cap_stats stats;
    cap_stats_read(&stats);
    uint64_t lost = stats.audit_lost;
    for (unsigned i = 0; i < DENIALS; i++) {
        assert_int_not_equal(usable(other, root), STATUS_OK);
    }
    cap_stats_read(&stats);
    assert_int_equal(stats.audit_lost - lost, DENIALS - AUDIT_RECORDS);
    assert_int_equal(cap_audit_read(0, records, 1), 1);
    assert_int_equal(records[0].sequence, from + SCRIPT + DENIALS - AUDIT_RECORDS);
    cap_space_destroy(other);
    end_space(space);
}

/* ---- objects ---- */

static void an_object_lives_as_long_as_its_last_reference_and_a_grace_period(void **state)
{
    (void)state;
    struct cap_view view;
    cap_handle_t handle;
    struct cap_space *space = space_with(RIGHT_READ, &handle);
    object_put(&thing.object);
    assert_ok(cap_get(space, handle, CAP_CONSOLE, RIGHT_READ, &view));
    assert_ok(cap_delete(space, handle));
    rcu_barrier();
    assert_false(thing.released);
    object_put(view.object);
    assert_false(thing.released);
    assert_false(object_try_get(view.object));
    rcu_barrier();
    assert_true(thing.released);
    struct object *console = object_singleton(CAP_CONSOLE);
    object_put(console);
    object_put(console);
    assert_true(object_try_get(console));
    assert_null(object_singleton(CAP_NONE));
    cap_space_destroy(space);
    end_caps();
}

/* Every allocation that a fork of a large space makes may fail; nothing is left behind. */
static void a_clone_without_memory_leaves_nothing(void **state)
{
    (void)state;
    cap_handle_t root;
    cap_handle_t handle;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    for (unsigned i = 0; i < 1000; i++) {
        assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &handle));
    }
    uint32_t leaves = leaf_count();
    static pfn_t taken[1 << 14];
    unsigned count = 0;
    while (frame_alloc(0, FRAME_OWNER_TEST, 0, &taken[count]) == STATUS_OK) {
        count++;
    }
    bool cloned = false;
    for (unsigned left = 0; left < 40; left++) {
        struct cap_space *child = cap_space_clone(space, (struct pid){9});
        if (child != NULL) {
            cloned = true;
            cap_space_destroy(child);
        }
        rcu_barrier();
        assert_int_equal(leaf_count(), leaves);
        assert_ok(frame_free(taken[--count]));
    }
    assert_true(cloned);
    while (count != 0) {
        assert_ok(frame_free(taken[--count]));
    }
    uint64_t revoked;
    assert_ok(cap_revoke(space, root, &revoked));
    assert_int_equal(revoked, 1000);
    end_space(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_32_bytes_and_holds_id_object_rights_and_generation),
        cmocka_unit_test(each_step_of_the_check_fails_with_its_own_status),
        cmocka_unit_test(capability_errors_are_seven_and_keep_their_meaning),
        cmocka_unit_test(a_well_known_slot_is_named_by_its_number_alone),
        cmocka_unit_test(rights_only_ever_shrink),
        cmocka_unit_test(another_space_takes_the_right_to_grant),
        cmocka_unit_test(a_slot_is_retired_before_its_generation_wraps),
        cmocka_unit_test(a_space_grows_to_all_its_slots_and_gives_their_memory_back),
        cmocka_unit_test(the_limit_of_a_space_goes_down_only),
        cmocka_unit_test(revocation_takes_a_thousand_deep_and_ten_thousand_wide),
        cmocka_unit_test(a_deleted_capability_s_children_stay_below_its_parent),
        cmocka_unit_test(revoked_slots_are_told_first_and_collected_later),
        cmocka_unit_test(a_space_ends_with_everything_in_it),
        cmocka_unit_test(fork_and_exec_follow_the_policy_of_each_capability),
        cmocka_unit_test(a_clone_keeps_generations_so_that_dead_handles_stay_dead),
        cmocka_unit_test(iteration_meets_what_stays_exactly_once),
        cmocka_unit_test(the_cache_hits_and_never_tells_what_is_gone),
        cmocka_unit_test(the_audit_ring_tells_what_was_done),
        cmocka_unit_test(an_object_lives_as_long_as_its_last_reference_and_a_grace_period),
        cmocka_unit_test(a_clone_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
