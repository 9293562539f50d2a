#ifndef ORRERY_TESTS_CORE_FIXTURE_H
#define ORRERY_TESTS_CORE_FIXTURE_H

/* The fixture of the execution core: struct sys in 64-bit mode with the block cache told of writes to code.
 * Programs go to PROGRAM_AT, data to SCRATCH_AT. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "run_alone.h"
#include "sys_fixture.h"

#define PROGRAM_AT 0x40000u
#define SCRATCH_AT 0x100000u

static inline void core_special_write(void *target, phys_t a, unsigned size_bytes)
{
    struct sys *s = target;
    block_cache_invalidate(s->blocks, a, size_bytes);
}

static inline int core_setup(void **state)
{
    sys_setup(state);
    struct sys *s = *state;
    s->bus.on_special_write = core_special_write;
    s->bus.on_special_write_target = s;
    enter_long(s);
    s->cpu.rip = PROGRAM_AT;
    return 0;
}

/* The same with every block translated as soon as it runs, where the host can do that. */
static inline int core_setup_translated(void **state)
{
    core_setup(state);
    struct sys *s = *state;
    block_cache_translate(s->blocks, s->cpu.costs, 1);
    return 0;
}

/* By handlers, and once more in machine code; or by handlers only, when costs are not one. */
#define CORE_TEST_BY_HANDLERS(f) cmocka_unit_test_setup_teardown((f), core_setup, sys_teardown)
#define CORE_TEST(f)                                                          \
    CORE_TEST_BY_HANDLERS(f), (const struct CMUnitTest)                       \
    {                                                                         \
#f "_in_machine_code", (f), core_setup_translated, sys_teardown, NULL \
    }

static inline void core_load(struct sys *s, uint64_t at, const void *bytes, size_t size_bytes)
{
    assert_true(bus_load(&s->bus, phys(at), bytes, size_bytes));
    block_cache_invalidate(s->blocks, phys(at), (unsigned)size_bytes);
}

/* Loads a program at PROGRAM_AT and points rip there. */
#define PROGRAM(s, bytes)                                       \
    do {                                                        \
        core_load((s), PROGRAM_AT, (bytes), sizeof(bytes) - 1); \
        (s)->cpu.rip = PROGRAM_AT;                              \
    } while (0)

/* Runs to HLT or shutdown, at most max_cycles; returns the stop that ended it. */
static inline enum cpu_stop core_run(struct sys *s, uint64_t max_cycles)
{
    uint64_t deadline = cpu_now(&s->cpu) + max_cycles;
    enum cpu_stop stop;
    do {
        stop = run_alone(&s->cpu, deadline);
    } while (stop == CPU_STOP_BREAK && s->cpu.activity == CPU_ACTIVE);
    return stop;
}

/* ARCH and MACHINE state and RAM in one digest. */
static inline struct digest core_digest(struct sys *s)
{
    struct digest_visitor *d = digest_visitor_create(VISIT_MACHINE);
    struct digest ram = ram_digest(&s->bus.ram);
    cpu_drop_write_pointers(&s->cpu);
    cpu_visit(&s->cpu, digest_visitor_base(d));
    visit_u64(digest_visitor_base(d), "ram.hi", &ram.hi);
    visit_u64(digest_visitor_base(d), "ram.lo", &ram.lo);
    return digest_visitor_finish(d);
}

/* Where two CPUs differ first, for messages. */
static inline void core_print_difference(struct sys *a, struct sys *b)
{
    struct state_buffer buffer = {0};
    struct buffer_visitor v;
    save_visitor_init(&v, VISIT_MACHINE, &buffer);
    cpu_visit(&a->cpu, &v.base);
    buffer.position = 0;
    compare_visitor_init(&v, VISIT_MACHINE, &buffer);
    cpu_visit(&b->cpu, &v.base);
    print_message("first difference: %s\n", v.differs ? v.where : "in RAM");
    state_buffer_deinit(&buffer);
}

#endif
