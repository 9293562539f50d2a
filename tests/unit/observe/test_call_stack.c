/* Calls, returns, switches of stacks, traps and copies of address spaces, as the profile follows them. */

#include "observe/call_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum function { DEEP, MAIN, WORK, LEAF, SWITCH, ENTRY, HANDLER, IDLE };

#define STACK_A UINT64_C(0xffff800000010000)
#define STACK_B UINT64_C(0xffff800000020000)

static struct call_slot kernel(uint64_t address)
{
    return (struct call_slot){0, address};
}

static void expect_caller(const struct call_stacks *c, const struct call_place *p, enum function wanted)
{
    assert_int_equal(c->nodes[p->caller].function, wanted);
}

static void a_return_goes_back_to_who_called(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, kernel(STACK_A), 100);
    expect_caller(&c, &p, MAIN);
    call_enter(&c, &p, WORK, kernel(STACK_A - 8), 200);
    expect_caller(&c, &p, WORK);
    assert_int_equal(c.nodes[c.nodes[p.caller].caller].function, MAIN);
    call_return(&c, &p, kernel(STACK_A - 8), 200);
    expect_caller(&c, &p, MAIN);
    call_return(&c, &p, kernel(STACK_A), 100);
    assert_int_equal(p.caller, CALL_ROOT);
    assert_int_equal(p.slot, 0);
    call_return(&c, &p, kernel(STACK_A), 100); /* nobody has called any more */
    assert_int_equal(p.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

/* A thread calls switch_context, which returns on another one's stack; that comes back the same way. */
static void a_return_on_another_stack_goes_back_to_its_thread(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, kernel(STACK_A), 100);
    call_enter(&c, &p, WORK, kernel(STACK_A - 64), 200); /* switch_context(): to a stack that is new */
    call_return(&c, &p, kernel(STACK_B), 300);
    assert_int_equal(p.caller, CALL_ROOT);
    call_enter(&c, &p, IDLE, kernel(STACK_B), 400);
    expect_caller(&c, &p, IDLE);
    call_return(&c, &p, kernel(STACK_A - 64), 200);
    expect_caller(&c, &p, MAIN);
    struct call_place other = {CALL_ROOT, 0}; /* another vCPU takes the second thread */
    call_return(&c, &other, kernel(STACK_B), 400);
    assert_int_equal(other.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

/* Memory of a stack that is gone, used for a new one: what lies there is not what was left. */
static void a_stack_that_is_gone_leads_nowhere(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, kernel(STACK_B), 100);
    call_enter(&c, &p, WORK, kernel(STACK_B - 8), 200);
    struct call_place other = {CALL_ROOT, 0};
    call_enter(&c, &other, IDLE, kernel(STACK_A), 500);
    call_return(&c, &other, kernel(STACK_B - 8), 777);
    assert_int_equal(other.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

/* A thunk calls, puts another address over its own return address, and returns: a jump. */
static void a_return_to_a_changed_address_is_a_jump(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, kernel(STACK_A), 100);     /* call thunk */
    call_enter(&c, &p, WORK, kernel(STACK_A - 8), 200); /* in it: call 1f */
    call_return(&c, &p, kernel(STACK_A - 8), 900);      /* mov %rax, (%rsp); ret */
    expect_caller(&c, &p, MAIN);
    call_return(&c, &p, kernel(STACK_A), 100);
    assert_int_equal(p.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

static void an_interrupt_hangs_on_what_it_interrupts(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, kernel(STACK_A), 100);
    struct call_place before = p;
    call_trap(&c, &p, WORK, ENTRY, kernel(STACK_A - 24), 210);
    expect_caller(&c, &p, ENTRY);
    assert_int_equal(c.nodes[c.nodes[p.caller].caller].function, WORK);
    call_enter(&c, &p, HANDLER, kernel(STACK_A - 80), 600);
    call_return(&c, &p, kernel(STACK_A - 80), 600);
    call_resume(&c, &p, kernel(STACK_A - 24), 215, false); /* a fault that was mended goes on elsewhere */
    assert_int_equal(p.caller, before.caller);
    assert_int_equal(p.slot, before.slot);
    call_resume(&c, &p, kernel(STACK_A - 24), 210, false); /* a second time: a thread that begins */
    assert_int_equal(p.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

static void user_mode_goes_on_where_it_asked_and_nowhere_else(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    struct call_slot stack = {7, 0x7000};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &p, MAIN, (struct call_slot){7, 0x7008}, 100);
    struct call_place before = p;
    call_trap(&c, &p, LEAF, INDEX_NONE, stack, 300);
    expect_caller(&c, &p, LEAF);
    call_resume(&c, &p, stack, 298, true); /* the call is made again */
    assert_int_equal(p.caller, before.caller);
    call_trap(&c, &p, LEAF, INDEX_NONE, stack, 300);
    call_resume(&c, &p, stack, 5000, true); /* another program in the same space */
    assert_int_equal(p.caller, CALL_ROOT);
    call_resume(&c, &p, (struct call_slot){8, 0x7000}, 301, true); /* another space */
    assert_int_equal(p.caller, CALL_ROOT);
    call_stacks_deinit(&c);
}

/* fork: the child returns from the call that the parent made, and from all that called it. */
static void a_copy_of_a_space_has_its_calls(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place parent = {CALL_ROOT, 0}, child = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    call_enter(&c, &parent, MAIN, (struct call_slot){7, 0x7008}, 100);
    call_enter(&c, &parent, WORK, (struct call_slot){7, 0x7000}, 200);
    call_trap(&c, &parent, LEAF, INDEX_NONE, (struct call_slot){7, 0x6ff8}, 300);
    call_resume(&c, &parent, (struct call_slot){7, 0x6ff8}, 300, true);
    call_trap(&c, &parent, LEAF, INDEX_NONE, (struct call_slot){7, 0x6ff8}, 300);
    call_resume(&c, &child, (struct call_slot){9, 0x6ff8}, 300, true);
    expect_caller(&c, &child, WORK);
    call_return(&c, &child, (struct call_slot){9, 0x7000}, 200);
    expect_caller(&c, &child, MAIN);
    call_return(&c, &child, (struct call_slot){9, 0x7008}, 100);
    assert_int_equal(child.caller, CALL_ROOT);
    call_resume(&c, &parent, (struct call_slot){7, 0x6ff8}, 300, true);
    expect_caller(&c, &parent, WORK);
    call_return(&c, &parent, (struct call_slot){7, 0x7000}, 200);
    expect_caller(&c, &parent, MAIN);
    call_stacks_deinit(&c);
}

static void callers_that_are_too_many_are_one_and_come_back(void **state)
{
    (void)state;
    struct call_stacks c;
    struct call_place p = {CALL_ROOT, 0};
    call_stacks_init(&c, DEEP);
    for (unsigned i = 0; i < 100000; i++) {
        call_enter(&c, &p, LEAF, kernel(STACK_A - 8 * (uint64_t)i), 100);
    }
    expect_caller(&c, &p, DEEP);
    assert_int_equal(c.nodes[p.caller].depth, CALL_DEPTH_MAX);
    assert_int_equal(c.node_count, CALL_DEPTH_MAX + 1);
    for (unsigned i = 100000; i-- > 1;) {
        call_return(&c, &p, kernel(STACK_A - 8 * (uint64_t)i), 100);
    }
    expect_caller(&c, &p, LEAF);
    assert_int_equal(c.nodes[p.caller].depth, 1);
    call_stacks_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_return_goes_back_to_who_called),
        cmocka_unit_test(a_return_on_another_stack_goes_back_to_its_thread),
        cmocka_unit_test(a_stack_that_is_gone_leads_nowhere),
        cmocka_unit_test(a_return_to_a_changed_address_is_a_jump),
        cmocka_unit_test(an_interrupt_hangs_on_what_it_interrupts),
        cmocka_unit_test(user_mode_goes_on_where_it_asked_and_nowhere_else),
        cmocka_unit_test(a_copy_of_a_space_has_its_calls),
        cmocka_unit_test(callers_that_are_too_many_are_one_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
