/* Ids of capabilities: how wide they are, that none comes twice, and what they do not tell. */

#include "fake/fake_cap.h"

#define BLOCK_SHIFT 16u    /* a CPU takes ids in blocks of so many */
#define IDS         70000u /* more than a block */
#define ELSEWHERE   1000u  /* each such one is made on the other CPU */

/* More than a block of numbers on one CPU, with some on another in between. covers: CP-01 CP-25 (U: identities of CPUs) */
static void identities_never_come_twice_and_tell_nothing_of_another_cpu(void **state)
{
    (void)state;
    cap_handle_t handle;
    struct cap_space *space = space_with(RIGHT_READ, &handle);
    uint64_t last[2] = {0, 0};
    uint64_t seen_on_1 = 0;
    const uint64_t first = cap_id_new();
    for (uint32_t i = 0; i < IDS; i++) {
        fake_cpu = i % ELSEWHERE == ELSEWHERE - 1;
        uint64_t id = cap_id_new();
        assert_true(id != 0 && id > last[fake_cpu] && id >> BLOCK_SHIFT != last[1 - fake_cpu] >> BLOCK_SHIFT);
        if (fake_cpu == 1) { /* as many as were made here, whatever was made there */
            assert_true(seen_on_1 == 0 || id == last[1] + 1);
            seen_on_1++;
        }
        last[fake_cpu] = id;
    }
    assert_int_equal(seen_on_1, IDS / ELSEWHERE);
    assert_int_equal(last[0] >> BLOCK_SHIFT, (first >> BLOCK_SHIFT) + 2); /* behind the other CPU's */
    fake_cpu = 0;
    end_space(space);
}

/* The newest record of the audit ring with that event. */
static struct cap_audit audited(enum cap_event event)
{
    static struct cap_audit records[AUDIT_RECORDS];
    uint32_t count = cap_audit_read(0, records, AUDIT_RECORDS);
    while (count-- > 0) {
        if (records[count].event == event) {
            return records[count];
        }
    }
    fail_msg("no record of event %d", (int)event);
    return (struct cap_audit){0};
}

/* The numbers that this CPU gives next; the tests after this go on behind them. */
static void next_id_is(uint64_t id)
{
    fake_cap_cpus[0].next_id = id;
    fake_cap_cpus[0].ids_left = 16;
}

/* Every way that tells an id tells all of it; the lowest 48 bits of these are 0. covers: CP-01 */
static void an_id_has_64_bits_wherever_it_is_told(void **state)
{
    (void)state;
    const uint64_t first = 0xfedcull << 48;
    cap_handle_t root;
    cap_handle_t child;
    struct cap_view view;
    struct cap_info info;
    struct cap_space *space = space_with(RIGHTS_ALL, &root);
    next_id_is(first);
    assert_ok(cap_insert(space, &thing.object, RIGHTS_ALL, 0, &root));
    assert_int_equal(audited(CAP_EVENT_CREATE).id, first);
    for (unsigned i = 0; i < 2; i++) { /* from the table, from the cache */
        assert_ok(look(space, root, CAP_CONSOLE, 0, &view));
        assert_int_equal(view.id, first);
    }
    assert_ok(cap_read(space, root, &info));
    assert_int_equal(info.id, first);
    assert_ok(cap_move(space, root, space, 0, &root));
    assert_int_equal(audited(CAP_EVENT_MOVE).id, first);
    assert_ok(look(space, root, CAP_CONSOLE, 0, &view));
    assert_int_equal(view.id, first);
    struct cap_space *heir = cap_space_clone(space, (struct pid){9}); /* takes two */
    assert_ok(look(heir, root, CAP_CONSOLE, 0, &view));
    assert_true(view.id == first + 1 || view.id == first + 2);
    cap_space_destroy(heir);
    assert_ok(cap_derive(space, root, space, RIGHT_READ, 0, &child));
    assert_int_equal(audited(CAP_EVENT_DERIVE).id, first + 3);
    assert_int_equal(audited(CAP_EVENT_DERIVE).parent, first);
    assert_int_equal(look(space, child, CAP_CONSOLE, RIGHT_WRITE, &view), STATUS_ERR_CAP_RIGHTS);
    assert_int_equal(audited(CAP_EVENT_DENY).id, first + 3);
    assert_ok(cap_revoke(space, root, NULL));
    assert_int_equal(thing.removed_id, first + 3);
    assert_int_equal(audited(CAP_EVENT_REVOKE).id, first + 3);
    assert_int_equal(audited(CAP_EVENT_REVOKE).parent, first);
    assert_ok(cap_read(space, child, &info));
    assert_int_equal(info.id, first + 3);
    assert_ok(cap_delete(space, root));
    assert_int_equal(thing.removed_id, first);
    assert_int_equal(audited(CAP_EVENT_DELETE).id, first);
    cap_audit_denied((struct pid){7}, UINT64_MAX, STATUS_ERR_CAP_REVOKED);
    assert_int_equal(audited(CAP_EVENT_DENY).id, UINT64_MAX);
    next_id_is(UINT64_MAX);
    assert_ok(cap_insert(space, &thing.object, RIGHTS_ALL, 0, &root));
    assert_ok(look(space, root, CAP_CONSOLE, 0, &view));
    assert_int_equal(view.id, UINT64_MAX);
    fake_cap_cpus[0].ids_left = 0;
    end_space(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_never_come_twice_and_tell_nothing_of_another_cpu),
        cmocka_unit_test(an_id_has_64_bits_wherever_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
