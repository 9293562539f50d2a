/*
 * The strict order of busy vCPUs: slices taken in turns are the order of one step at a time by (clock, number). The
 * oracle keeps that order itself, one step a call.
 */

#include "base/bits.h"
#include "cpu/mem.h"
#include "guest_image.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CPUS    3u
#define TABLES  0x10000u
#define COUNTER 0x20000u

/* Every vCPU adds to one counter without a lock, logs what it saw, and draws a number from the value: who goes first
 * decides everything. RSI: the counter; RDI: its own log; R8: 2 * (its number) + 1. */
GUEST_CODE(racing_code,
           "1: movl (%rsi), %eax\n addl %r8d, %eax\n imull $1664525, %eax, %ebx\n movl %eax, (%rsi)\n"
           " movl %ebx, (%rdi)\n addq $4, %rdi\n andq $~0x800, %rdi\n testl $0x40, %ebx\n jz 1b\n"
           " xorl %r9d, (%rsi)\n mull %ecx\n addl %edx, %r9d\n jmp 1b\n");

/* Stores a new immediate into code that the others run. */
GUEST_CODE(patching_code, "1: incl %r8d\n movl %r8d, 2f+1-patching_code+0x200000\n 2: movl $0, %eax\n"
                          " addl %eax, (%rsi)\n nop\n nop\n nop\n jmp 1b\n");

/* Puts a vCPU into 64-bit mode at GUEST_BASE, without running any code for it. */
static void enter_64(struct cpu *cpu, uint64_t clock)
{
    const struct segment data = {
        .limit = UINT32_MAX, .selector = 0x10, .attr = SEG_P | SEG_S | 3u | SEG_DB | SEG_G};
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = data;
    }
    cpu->seg[SEG_CS].attr = SEG_P | SEG_S | 0xbu | SEG_L | SEG_G;
    cpu->cr3 = TABLES;
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET;
    cpu->rip = GUEST_BASE;
    cpu->gpr[RSI] = COUNTER;
    cpu->gpr[RDI] = COUNTER + 0x1000 * (cpu->number + 1);
    cpu->gpr[RCX] = 77 + cpu->number;
    cpu->gpr[R8] = 2 * cpu->number + 1;
    cpu->activity = CPU_ACTIVE;
    cpu_set_rflags(cpu, RFLAGS_ONE);
    cpu_update_mode(cpu);
    mem_flush_all(cpu);
    cpu_set_clock(cpu, clock);
}

static struct sim *create(const uint8_t *code, const uint8_t *end, enum sim_engine engine,
                          enum sim_memory_model model)
{
    static const uint64_t clocks[CPUS] = {40, 7, 7};
    struct sim_config c;
    uint8_t entry[8];
    sim_config_init(&c);
    c.cpus = CPUS;
    c.engine = engine;
    c.memory_model = model;
    struct sim *s = guest_create(&c, code, end);
    store_le64(entry, (TABLES + 0x1000) | 3);
    assert_true(bus_load(&s->bus, phys(TABLES), entry, 8));
    store_le64(entry, 0x83);
    assert_true(bus_load(&s->bus, phys(TABLES + 0x1000), entry, 8));
    for (unsigned i = 0; i < CPUS; i++) {
        enter_64(&s->cpus[i], clocks[i]);
    }
    return s;
}

/* The vCPU whose step or drain comes next, and when. */
static struct cpu *first_of(struct sim *s, uint64_t *clock, bool *drains)
{
    struct cpu *first = NULL;
    *clock = UINT64_MAX;
    for (unsigned pass = 0; pass < 2; pass++) { /* at one moment drains go before steps */
        for (unsigned i = 0; i < CPUS; i++) {
            uint64_t at = pass == 0 ? mem_drain_next(&s->cpus[i]) : cpu_now(&s->cpus[i]);
            if (at < *clock) {
                *clock = at;
                first = &s->cpus[i];
                *drains = pass == 0;
            }
        }
    }
    return first;
}

static void run_oracle(struct sim *s, uint64_t until)
{
    uint64_t clock;
    bool drains;
    for (;;) {
        struct cpu *cpu = first_of(s, &clock, &drains);
        if (clock >= until) {
            return;
        }
        if (drains) {
            mem_drain_due(cpu, clock);
        } else {
            cpu_run(cpu, clock + 1);
        }
    }
}

static struct digest memory_digest(struct sim *s)
{
    struct digest d = ram_digest(&s->bus.ram);
    machine_drop_write_pointers(s); /* its pages are no longer dirty */
    return d;
}

static void check_order(const uint8_t *code, const uint8_t *end, enum sim_engine engine,
                        enum sim_memory_model model)
{
    struct sim *turns = create(code, end, engine, model), *oracle = create(code, end, engine, model);
    for (unsigned i = 0; i < CPUS; i++) {
        oracle->cpus[i].single_step_blocks = true;
    }
    for (uint64_t until = 1; until < 6000; until += 1 + until / 3) {
        assert_int_equal(sim_run(turns, until), SIM_STOP_CYCLES);
        run_oracle(oracle, until);
        for (unsigned i = 0; i < CPUS; i++) {
            assert_int_equal(cpu_now(&turns->cpus[i]), cpu_now(&oracle->cpus[i]));
            assert_int_equal(turns->cpus[i].rip, oracle->cpus[i].rip);
            assert_memory_equal(turns->cpus[i].gpr, oracle->cpus[i].gpr, GPR_COUNT * 8);
        }
        assert_true(digest_equal(memory_digest(turns), memory_digest(oracle)));
    }
    assert_true(sim_instructions(turns) > 500);
    sim_destroy(turns);
    sim_destroy(oracle);
}

static void turns_of_racing_cpus_follow_the_keys_of_their_steps(void **state)
{
    (void)state;
    check_order(racing_code, racing_code_end, ENGINE_FAST, MODEL_SC);
    check_order(racing_code, racing_code_end, ENGINE_TIMED, MODEL_SC);
}

static void turns_of_racing_cpus_follow_the_keys_with_store_queues(void **state)
{
    (void)state;
    check_order(racing_code, racing_code_end, ENGINE_FAST, MODEL_TSO);
    check_order(racing_code, racing_code_end, ENGINE_TIMED, MODEL_TSO);
}

static void turns_of_cpus_that_patch_each_others_code_follow_the_keys(void **state)
{
    (void)state;
    check_order(patching_code, patching_code_end, ENGINE_FAST, MODEL_SC);
    check_order(patching_code, patching_code_end, ENGINE_FAST, MODEL_TSO);
}

static struct sim *create_racing(void)
{
    return create(racing_code, racing_code_end, ENGINE_FAST, MODEL_SC);
}

static void turns_end_at_the_cycle_that_was_asked_for(void **state)
{
    (void)state;
    struct sim *whole = create_racing(), *cut = create_racing();
    assert_int_equal(sim_run(whole, 3001), SIM_STOP_CYCLES);
    for (uint64_t at = 41; at <= 3001; at += 37) {
        assert_int_equal(sim_run(cut, at), SIM_STOP_CYCLES);
        assert_int_equal(sim_cycles(cut), at);
    }
    assert_int_equal(sim_run(cut, 3001), SIM_STOP_CYCLES);
    assert_true(digest_equal(sim_state_hash(whole), sim_state_hash(cut)));
    sim_destroy(whole);
    sim_destroy(cut);
}

struct visit_count {
    struct sim *s;
    unsigned hits, stop_after;
    uint64_t clocks[8];
};

static void note_hit(void *arg, unsigned cpu, uint64_t now)
{
    struct visit_count *v = arg;
    (void)cpu;
    if (v->hits < 8) {
        v->clocks[v->hits] = now;
    }
    if (++v->hits == v->stop_after) {
        sim_stop_ask(v->s);
    }
}

static void a_probe_that_asks_for_a_stop_ends_the_turns_there(void **state)
{
    (void)state;
    struct sim *s = create_racing();
    struct visit_count v = {.s = s, .stop_after = 6};
    assert_true(sim_probe_add(s, lin(GUEST_BASE + 5), note_hit, &v) >= 0);
    assert_int_equal(sim_run(s, 100000), SIM_STOP_ASKED);
    assert_int_equal(v.hits, 6);
    for (unsigned i = 1; i < 6; i++) {
        assert_true(v.clocks[i] >= v.clocks[i - 1]);
    }
    assert_true(sim_cycles(s) >= v.clocks[5]);
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_of_racing_cpus_follow_the_keys_of_their_steps),
        cmocka_unit_test(turns_of_racing_cpus_follow_the_keys_with_store_queues),
        cmocka_unit_test(turns_of_cpus_that_patch_each_others_code_follow_the_keys),
        cmocka_unit_test(turns_end_at_the_cycle_that_was_asked_for),
        cmocka_unit_test(a_probe_that_asks_for_a_stop_ends_the_turns_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
