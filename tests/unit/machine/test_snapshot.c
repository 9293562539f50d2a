/* A machine that is restored goes on as the one it was taken from would have, and nothing else is ever restored. */

#include "base/bits.h"
#include "guest_busy.h"
#include "guest_image.h"
#include "machine/machine.h"
#include "script/machine_file.h"
#include "small_timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CUTS        100u
#define CUT_CYCLES  1499u
#define FIRST_CYCLE 12000u

/* What the cuts of a run have met. */
struct met {
    unsigned user, kernel, halted, repeating, storing, messages, pending;
};

static bool is_repeating(struct sim *s, unsigned cpu)
{
    uint8_t byte = 0;
    uint64_t at = s->cpus[cpu].seg[SEG_CS].base + s->cpus[cpu].rip;
    return sim_read_linear(s, cpu, lin(at), &byte, 1) && byte == 0xf3 && s->cpus[cpu].gpr[RCX] % 50 != 0;
}

static void look_at(struct sim *s, struct met *met)
{
    for (unsigned i = 0; i < s->config.cpus; i++) {
        const struct cpu *cpu = &s->cpus[i];
        met->user += cpu->cpl == 3;
        met->kernel += cpu->cpl == 0;
        met->halted += cpu->activity == CPU_HALTED;
        met->repeating += cpu->activity == CPU_ACTIVE && is_repeating(s, i);
        met->storing += cpu->stores.count > 0;
        met->pending += cpu->lapic->pending_vector != LAPIC_NO_VECTOR;
    }
    met->messages += s->apic_bus.count > 0;
}

static void assert_alike(struct sim *a, struct sim *b, const char *when)
{
    struct state_buffer state = {0};
    char where[200];
    sim_save(a, VISIT_MODEL, &state);
    if (sim_differs(b, VISIT_MODEL, &state, where, sizeof where)) {
        fail_msg("%s, at cycle %llu: %s", when, (unsigned long long)sim_cycles(a), where);
    }
    assert_true(digest_equal(sim_state_hash(a), sim_state_hash(b)));
    state_buffer_deinit(&state);
}

/* What no digest holds, since it follows from what it holds. */
static void assert_derived_alike(const struct sim *a, const struct sim *b)
{
    for (unsigned i = 0; i < a->config.cpus; i++) {
        const struct cpu *x = &a->cpus[i], *y = &b->cpus[i];
        assert_int_equal(x->mode, y->mode);
        assert_int_equal(x->mem_mode, y->mem_mode);
        assert_int_equal(x->step_hook != NULL, y->step_hook != NULL);
        assert_int_equal(a->lapics[i].pending_vector, b->lapics[i].pending_vector);
        assert_int_equal(a->lapics[i].intr, b->lapics[i].intr);
    }
    assert_memory_equal(a->apic_bus.in_flight, b->apic_bus.in_flight, sizeof a->apic_bus.in_flight);
}

static void restore(struct sim *from, struct sim *to)
{
    struct state_buffer snapshot = {0};
    struct error e = {""};
    sim_snapshot(from, &snapshot);
    if (!sim_restore(to, &snapshot, &e)) {
        fail_msg("%s", e.text);
    }
    assert_derived_alike(from, to);
    state_buffer_deinit(&snapshot);
}

/* a goes on uninterrupted; b becomes a at each cut and is compared at the next. Every eighth b is a new machine. */
static void run_in_snapshots(const struct sim_config *c, struct met *met)
{
    struct sim *a = guest_busy_create(c), *b = NULL, *unseen = guest_busy_create(c);
    uint64_t at = FIRST_CYCLE;
    assert_int_equal(sim_run(a, at), SIM_STOP_CYCLES);
    for (unsigned i = 0; i < CUTS; i++) {
        if (i % 8 == 0) {
            sim_destroy(b);
            b = guest_busy_create(c);
        }
        look_at(a, met);
        restore(a, b);
        assert_alike(a, b, "restored");
        at += CUT_CYCLES;
        assert_int_equal(sim_run(b, at), SIM_STOP_CYCLES);
        assert_int_equal(sim_run(a, at), SIM_STOP_CYCLES);
        assert_alike(a, b, "gone on");
        assert_int_equal(sim_position(a).kind, sim_position(b).kind);
    }
    sim_run(unseen, at);
    assert_alike(unseen, a, "never looked at");
    sim_destroy(a);
    sim_destroy(b);
    sim_destroy(unseen);
}

/* The same under the timing model: what is in flight in its pipeline, queues and caches is state. */
static void a_restored_reference_machine_goes_on_like_the_uninterrupted_one(void **state)
{
    static const char *const machines[] = {"inorder", "zen4-like"};
    (void)state;
    for (unsigned variant = 0; variant < 8; variant++) {
        struct sim_config c;
        struct timing_params timing;
        struct met met = {0};
        struct error e = {""};
        sim_config_init(&c);
        c.memory_bytes = SIM_MEMORY_MIN;
        c.cpus = variant & 1 ? 4 : 1;
        c.engine = ENGINE_TIMED;
        c.memory_model = variant & 4 ? MODEL_TSO : MODEL_SC;
        c.machine = machines[variant >> 1 & 1];
        if (!machine_file_resolve(&c, &timing, &e)) {
            fail_msg("%s", e.text);
        }
        run_in_snapshots(&c, &met);
        assert_true(met.user > 0 && met.kernel > 0);
    }
}

static void a_restored_machine_goes_on_like_the_uninterrupted_one(void **state)
{
    struct met met = {0};
    (void)state;
    for (unsigned variant = 0; variant < 8; variant++) {
        struct sim_config c;
        sim_config_init(&c);
        c.memory_bytes = SIM_MEMORY_MIN;
        c.cpus = variant & 1 ? 4 : 1;
        c.engine = variant & 2 ? ENGINE_TIMED : ENGINE_FAST;
        c.memory_model = variant & 4 ? MODEL_TSO : MODEL_SC;
        run_in_snapshots(&c, &met);
    }
    assert_true(met.user > 50 && met.kernel > 50 && met.halted > 20);
    assert_true(met.repeating > 20 && met.storing > 20 && met.messages > 20 && met.pending > 20);
}

/* Hooks that are armed, messages that are to be late or lost. */
static void arm(struct sim *s)
{
    struct error e;
    struct effect f = {.kind = EFFECT_INTERRUPT_RANGE, .cpu = 0, .arg = {0, 0, 0x40}};
    guest_busy_user(&f.arg[0], &f.arg[1]);
    assert_true(sim_effect(s, &f, &e));
    for (unsigned i = 0; i < 20; i++) {
        f = (struct effect){
            .kind = EFFECT_STALL, .cpu = i % 4, .arg = {s->cpus[i % 4].retired + 300 * i, 1000 + i}};
        assert_true(sim_effect(s, &f, &e));
        f = (struct effect){.kind = i % 3 ? EFFECT_IPI_DELAY : EFFECT_IPI_LOSS, .arg = {i, 777}};
        assert_true(sim_effect(s, &f, &e));
    }
}

static void armed_stalls_ranges_and_message_faults_are_restored(void **state)
{
    struct sim_config c;
    (void)state;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = 4;
    struct sim *a = guest_busy_create(&c), *plain = guest_busy_create(&c);
    sim_run(a, FIRST_CYCLE);
    sim_run(plain, FIRST_CYCLE);
    arm(a);
    for (uint64_t at = FIRST_CYCLE + 100; at < 40000; at += 4001) {
        struct sim *b = guest_busy_create(&c);
        restore(a, b);
        assert_alike(a, b, "restored");
        sim_run(a, at);
        sim_run(b, at);
        assert_alike(a, b, "gone on");
        sim_destroy(b);
    }
    sim_run(plain, sim_cycles(a));
    assert_false(digest_equal(sim_state_hash(a), sim_state_hash(plain)));
    sim_destroy(a);
    sim_destroy(plain);
}

GUEST_CODE(exit_code,
           ".code32\n movl $100, %ecx\n 1: loop 1b\n movb $21, %al\n outb %al, $0xf4\n 2: jmp 2b\n.code64");
GUEST_CODE(crash_code, ".code32\n movl $100, %ecx\n 1: loop 1b\n lidt 0x1000\n ud2\n.code64");

static void the_end_of_a_run_is_restored(void **state)
{
    (void)state;
    for (unsigned crash = 0; crash < 2; crash++) {
        const uint8_t *code = crash ? crash_code : exit_code, *end = crash ? crash_code_end : exit_code_end;
        struct sim *a = guest_create(NULL, code, end), *b = guest_create(NULL, code, end);
        enum sim_stop stop = sim_run(a, UINT64_MAX);
        assert_int_equal(stop, crash ? SIM_STOP_TRIPLE_FAULT : SIM_STOP_DEBUG_EXIT);
        restore(a, b);
        assert_int_equal(sim_run(b, UINT64_MAX), stop);
        assert_int_equal(sim_exit_value(b), sim_exit_value(a));
        assert_int_equal(sim_cycles(b), sim_cycles(a));
        assert_string_equal(sim_stop_text(b), sim_stop_text(a));
        assert_int_equal(sim_instructions(b), sim_instructions(a));
        sim_destroy(a);
        sim_destroy(b);
    }
}

GUEST_CODE(loop_code, ".code32\n 1: inc %ecx\n jmp 1b\n.code64");

static void count_and_stop(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct sim *s = arg;
    (void)cpu;
    (void)now_cycles;
    sim_stop_ask(s);
}

static void a_probe_that_was_passed_is_not_met_again(void **state)
{
    (void)state;
    struct sim *a = guest_create(NULL, loop_code, loop_code_end),
               *b = guest_create(NULL, loop_code, loop_code_end);
    sim_probe_add(a, lin(GUEST_BASE), count_and_stop, a);
    sim_probe_add(b, lin(GUEST_BASE), count_and_stop, b);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sim_run(a, UINT64_MAX), SIM_STOP_ASKED);
    }
    restore(a, b);
    assert_int_equal(sim_position(b).kind, sim_position(a).kind);
    assert_int_equal(sim_position(b).at, sim_position(a).at);
    assert_int_equal(sim_run(a, UINT64_MAX), SIM_STOP_ASKED);
    assert_int_equal(sim_run(b, UINT64_MAX), SIM_STOP_ASKED);
    assert_int_equal(sim_instructions(b), sim_instructions(a));
    sim_destroy(a);
    sim_destroy(b);
}

static void the_position_of_a_run_is_restored(void **state)
{
    (void)state;
    struct sim_config c;
    sim_config_init(&c);
    c.cpus = 4;
    struct sim *a = guest_busy_create(&c), *b = guest_busy_create(&c);
    for (unsigned i = 0; i < 2; i++) {
        a->at = (struct position){.kind = POSITION_BEFORE_STEP, .cpu = 2, .at = 1234, .retired = 5, .rcx = 6};
        a->stepped = i ? &a->cpus[3] : NULL;
        restore(a, b);
        struct position x = sim_position(a), y = sim_position(b);
        assert_int_equal(x.cpu, i ? 3 : 2);
        assert_true(x.kind == y.kind && x.cpu == y.cpu && x.at == y.at && x.retired == y.retired &&
                    x.rcx == y.rcx);
    }
    sim_destroy(a);
    sim_destroy(b);
}

GUEST_CODE(mwait_code,
           ".code32\n movl $0x300000, %eax\n xorl %ecx, %ecx\n xorl %edx, %edx\n monitor\n xorl %eax, %eax\n"
           " mwait\n movb $9, %al\n outb %al, $0xf4\n 1: jmp 1b\n.code64");

static void a_restored_monitor_sees_stores(void **state)
{
    (void)state;
    struct sim *a = guest_create(NULL, mwait_code, mwait_code_end);
    struct sim *b = guest_create(NULL, mwait_code, mwait_code_end);
    assert_int_equal(sim_run(a, 1000), SIM_STOP_NO_PROGRESS);
    restore(a, b);
    struct effect f = {.kind = EFFECT_MEMORY, .arg = {0x300010}, .byte_count = 1, .bytes = {1}};
    assert_true(sim_effect(b, &f, NULL));
    assert_int_equal(sim_run(b, 2000), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(b), 9);
    sim_destroy(a);
    sim_destroy(b);
}

static void code_of_before_is_forgotten(void **state)
{
    (void)state;
    struct sim *a = guest_create(NULL, exit_code, exit_code_end),
               *b = guest_create(NULL, loop_code, loop_code_end);
    sim_run(b, 5000);
    restore(a, b);
    assert_int_equal(sim_run(b, 10000), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(b), 21);
    sim_destroy(a);
    sim_destroy(b);
}

/* Maps linear 4 MiB by the entry at 0x300ffc, then reads there for a while and exits with what it read. */
GUEST_CODE(map_code,
           ".code32\n movl $0x87, 0x300000\n movl 0x300ffc, %eax\n movl %eax, 0x300004\n"
           " movl $0x300000, %eax\n movl %eax, %cr3\n movl %cr4, %eax\n orl $0x10, %eax\n movl %eax, %cr4\n"
           " movl %cr0, %eax\n orl $0x80000000, %eax\n movl %eax, %cr0\n movl $20000, %ecx\n"
           "1: movl 0x400000, %eax\n loop 1b\n outb %al, $0xf4\n2: jmp 2b\n.code64");

static struct sim *make_mapped(uint64_t page, uint8_t value)
{
    struct sim *s = guest_create(NULL, map_code, map_code_end);
    struct effect entry = {.kind = EFFECT_MEMORY, .arg = {0x300ffc}, .byte_count = 4};
    struct effect content = {.kind = EFFECT_MEMORY, .arg = {page}, .byte_count = 1, .bytes = {value}};
    store_le32(entry.bytes, (uint32_t)page | 0x87);
    assert_true(sim_effect(s, &entry, NULL) && sim_effect(s, &content, NULL));
    assert_int_equal(sim_run(s, 10000), SIM_STOP_CYCLES);
    return s;
}

static void host_pointers_of_before_are_forgotten(void **state)
{
    (void)state;
    struct sim *a = make_mapped(0x400000, 33), *b = make_mapped(0x800000, 44);
    restore(a, b);
    assert_int_equal(sim_run(b, 100000), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(b), 33);
    sim_destroy(a);
    sim_destroy(b);
}

/* ---- what is refused ---- */

static void assert_refused(struct sim *s, const struct state_buffer *b, const char *why)
{
    struct error e = {""};
    struct digest before = sim_state_hash(s);
    assert_false(sim_restore(s, b, &e));
    if (!strstr(e.text, why)) {
        fail_msg("'%s' is not about '%s'", e.text, why);
    }
    assert_true(digest_equal(sim_state_hash(s), before));
}

static void a_damaged_snapshot_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct sim *a = guest_busy_create(NULL), *b = guest_busy_create(NULL);
    struct state_buffer whole = {0};
    sim_run(a, 20000);
    sim_run(b, 15000);
    sim_snapshot(a, &whole);
    for (size_t i = 0; i < whole.size; i += i < 64 ? 1 : whole.size / 61) {
        whole.bytes[i] ^= 0x10;
        assert_refused(b, &whole, "damaged");
        whole.bytes[i] ^= 0x10;
        struct state_buffer part = {.bytes = whole.bytes, .size = i};
        assert_refused(b, &part, "damaged");
    }
    struct error e;
    assert_true(sim_restore(b, &whole, &e));
    state_buffer_deinit(&whole);
    sim_destroy(a);
    sim_destroy(b);
}

/* Makes another machine of the default one; returns what a refusal calls the difference, or NULL when there is no n-th. */
static const char *make_other(struct sim_config *c, unsigned n)
{
    switch (n) {
    case 0:
        c->cpus = 2;
        return "cpus";
    case 1:
        c->memory_bytes = SIM_MEMORY_MIN * 2;
        return "memory[";
    case 2:
        c->memory_limit_bytes = SIM_MEMORY_MIN;
        return "memory limit";
    case 3:
        c->board = BOARD_MICROVM;
        return "board";
    case 4:
        c->engine = ENGINE_TIMED;
        c->memory_model = MODEL_SC;
        return "engine";
    case 5:
        c->memory_model = MODEL_TSO;
        return "store capacity";
    case 6:
        c->seed = 7;
        return "seed";
    case 7:
        c->rtc_start++;
        return "RTC start";
    case 8:
        c->cpu_model = "tcg72";
        return "CPU model";
    case 9:
        c->instant_serial = !c->instant_serial;
        return "instant serial ports";
    default:
        return NULL;
    }
}

static void assert_other_refused(const struct sim_config *one, const struct sim_config *other,
                                 const char *name)
{
    struct sim *a = guest_busy_create(one), *b = guest_busy_create(other);
    struct state_buffer snapshot = {0};
    sim_snapshot(a, &snapshot);
    assert_refused(b, &snapshot, name);
    state_buffer_deinit(&snapshot);
    sim_destroy(a);
    sim_destroy(b);
}

static void a_snapshot_of_another_machine_is_refused_by_name(void **state)
{
    struct sim_config one, other;
    const char *name;
    unsigned n = 0;
    (void)state;
    sim_config_init(&one);
    for (other = one; (name = make_other(&other, n)) != NULL; n++) {
        assert_other_refused(&one, &other, name);
        other = one;
    }
    assert_int_equal(n, 10);
    one.cpus = other.cpus = 2;
    other.numa_nodes = 2;
    assert_other_refused(&one, &other, "NUMA nodes");
}

static void a_snapshot_of_other_timing_parameters_is_refused(void **state)
{
    struct timing_params one, other[6];
    struct sim_config c[2];
    (void)state;
    small_timing(&one);
    for (unsigned i = 0; i < 6; i++) {
        small_timing(&other[i]);
    }
    other[0].value[TIMING_l2_cycles]++;
    other[1].capacity[0]++;
    other[2].load_ports = 0;
    other[3].store_ports = 1;
    other[4].classes[COST_ALU].latency++;
    strcpy(other[5].name, "the same by another name");
    sim_config_init(&c[0]);
    c[0].engine = ENGINE_TIMED;
    c[1] = c[0];
    c[1].timing = &one;
    assert_other_refused(&c[0], &c[1], "timing parameters");
    for (unsigned i = 0; i < 5; i++) {
        c[0].timing = &other[i];
        assert_other_refused(&c[0], &c[1], "timing parameters");
    }
    assert_true(digest_equal(timing_params_digest(&one), timing_params_digest(&other[5])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_machine_goes_on_like_the_uninterrupted_one),
        cmocka_unit_test(a_restored_reference_machine_goes_on_like_the_uninterrupted_one),
        cmocka_unit_test(armed_stalls_ranges_and_message_faults_are_restored),
        cmocka_unit_test(the_end_of_a_run_is_restored),
        cmocka_unit_test(a_probe_that_was_passed_is_not_met_again),
        cmocka_unit_test(the_position_of_a_run_is_restored),
        cmocka_unit_test(a_restored_monitor_sees_stores),
        cmocka_unit_test(code_of_before_is_forgotten),
        cmocka_unit_test(host_pointers_of_before_are_forgotten),
        cmocka_unit_test(a_damaged_snapshot_is_refused_and_changes_nothing),
        cmocka_unit_test(a_snapshot_of_another_machine_is_refused_by_name),
        cmocka_unit_test(a_snapshot_of_other_timing_parameters_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
