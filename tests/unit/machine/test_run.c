/* The strict order, how runs end, hooks and effects, on guests of a few instructions. */

#include "base/bits.h"
#include "guest_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOREVER UINT64_MAX

/* ---- how runs end ---- */

GUEST_CODE(debug_exit_code, ".code32\n movb $21, %al\n outb %al, $0xf4\n 1: jmp 1b\n.code64");

static void a_debug_exit_stops_with_its_value_and_stays_stopped(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, debug_exit_code, debug_exit_code_end);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(s), 21);
    assert_int_equal(sim_instructions(s), 2);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_instructions(s), 2);
    sim_destroy(s);
}

GUEST_CODE(halt_code, ".code32\n cli\n hlt\n.code64");

static void halting_with_interrupts_off_is_no_progress(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, halt_code, halt_code_end);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_NO_PROGRESS);
    sim_destroy(s);
}

GUEST_CODE(fault_code, ".code32\n lidt 0x200000 + 1f - fault_code\n ud2\n 1: .word 0\n .long 0\n.code64");

static void a_fault_without_an_idt_is_a_triple_fault(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, fault_code, fault_code_end);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_TRIPLE_FAULT);
    assert_non_null(strstr(sim_stop_text(s), "triple fault at cpu 0"));
    sim_destroy(s);
}

/* IRET to virtual-8086 mode. */
GUEST_CODE(unmodelled_code,
           ".code32\n movl $0x6000, %esp\n pushl $0x20002\n pushl $8\n pushl $0\n iret\n.code64");

static void what_is_not_modelled_stops_with_its_bytes(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, unmodelled_code, unmodelled_code_end);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_NOT_MODELLED);
    assert_non_null(strstr(sim_stop_text(s), "bytes cf"));
    sim_destroy(s);
}

GUEST_CODE(loop_code, ".code32\n 1: inc %ecx\n jmp 1b\n.code64");

static void a_run_ends_exactly_at_its_cycle_wherever_it_is_cut(void **state)
{
    (void)state;
    struct sim *whole = guest_create(NULL, loop_code, loop_code_end);
    struct sim *cut = guest_create(NULL, loop_code, loop_code_end);
    assert_int_equal(sim_run(whole, 100003), SIM_STOP_CYCLES);
    for (uint64_t at = 0; at < 100003; at += 997) {
        assert_int_equal(sim_run(cut, at), SIM_STOP_CYCLES);
        assert_int_equal(sim_cycles(cut), at);
    }
    assert_int_equal(sim_run(cut, 100003), SIM_STOP_CYCLES);
    assert_int_equal(sim_instructions(cut), sim_instructions(whole));
    assert_true(digest_equal(sim_state_hash(cut), sim_state_hash(whole)));
    sim_destroy(whole);
    sim_destroy(cut);
}

GUEST_CODE(late_exit_code,
           ".code32\n movl $1000, %ecx\n 1: loop 1b\n movb $1, %al\n outb %al, $0xf4\n.code64");

static void the_cycle_of_the_end_does_not_depend_on_the_slices(void **state)
{
    (void)state;
    struct sim *whole = guest_create(NULL, late_exit_code, late_exit_code_end);
    struct sim *cut = guest_create(NULL, late_exit_code, late_exit_code_end);
    assert_int_equal(sim_run(whole, FOREVER), SIM_STOP_DEBUG_EXIT);
    uint64_t at = 0;
    while (sim_run(cut, at) == SIM_STOP_CYCLES) {
        at += 77;
    }
    assert_int_equal(sim_cycles(cut), sim_cycles(whole));
    assert_true(sim_cycles(whole) > 1000);
    assert_true(digest_equal(sim_state_hash(cut), sim_state_hash(whole)));
    sim_destroy(whole);
    sim_destroy(cut);
}

/* Writes, calls and divides for a while; no interrupts, no clock. */
GUEST_CODE(work_code, ".code32\n movl $0x6000, %esp\n movl $5000, %ecx\n xorl %eax, %eax\n"
                      " 1: call 2f\n movl %eax, 0x3000(,%ecx,4)\n loop 1b\n"
                      " movb $1, %al\n outb %al, $0xf4\n"
                      " 2: leal 7(%eax,%ecx,2), %eax\n movl $17, %ebx\n xorl %edx, %edx\n divl %ebx\n"
                      " addl %edx, %eax\n pushfl\n popl %esi\n ret\n.code64");

static void engines_and_memory_models_agree_on_the_architectural_state(void **state)
{
    (void)state;
    struct digest first = {0, 0};
    for (unsigned i = 0; i < 8; i++) {
        struct sim_config c;
        sim_config_init(&c);
        c.engine = i & 1 ? ENGINE_TIMED : ENGINE_FAST;
        c.memory_model = i & 2 ? MODEL_TSO : MODEL_SC;
        c.single_step_blocks = i & 4;
        struct sim *s = guest_create(&c, work_code, work_code_end);
        assert_int_equal(sim_run(s, FOREVER), SIM_STOP_DEBUG_EXIT);
        struct digest d = sim_digest(s, VISIT_ARCH);
        first = i == 0 ? d : first;
        assert_true(digest_equal(d, first));
        sim_destroy(s);
    }
}

/* ---- stalls and interrupts at instructions, two CPUs ---- */

/* Enables the local APIC, a 32-bit IDT gate for vector 0x40 whose handler counts at 0x4000, and at 0x4100
 * how often each byte from the nops on was its return address; then loops over 4 nops. */
GUEST_CODE(range_code,
           ".code32\n"
           " movl $0x6000, %esp\n"
           " movl $(0x200000 + 2f - range_code), %eax\n"
           " movw %ax, 0x5200\n movw $8, 0x5202\n movw $0x8e00, 0x5204\n shrl $16, %eax\n movw %ax, 0x5206\n"
           " movw $0x7ff, 0x4ff0\n movl $0x5000, 0x4ff2\n lidt 0x4ff0\n"
           " movw $0x27, 0x4fe0\n movl $0x5f00, 0x4fe2\n"
           " movl $0x0000ffff, 0x5f08\n movl $0x00cf9b00, 0x5f0c\n"
           " movl $0x0000ffff, 0x5f10\n movl $0x00cf9300, 0x5f14\n lgdt 0x4fe0\n"
           " movl $0x1ff, 0xfee000f0\n sti\n"
           " 3: nop\n nop\n nop\n nop\n incl 0x4004\n jmp 3b\n"
           " 2: incl 0x4000\n movl (%esp), %eax\n incl 0x4100 - 4 * (0x200000 + 3b - range_code)(,%eax,4)\n"
           "  movl $0, 0xfee000b0\n iret\n"
           ".code64");

/* Copies an AP start-up routine to 0x8000, starts CPU 1 by INIT and SIPI, then counts at 0x3000 while CPU 1 counts at
 * 0x3008 (real mode). */
GUEST_CODE(two_cpus_code, ".code32\n"
                          " movl $0x200000, %esi\n"
                          " addl $(2f - two_cpus_code), %esi\n"
                          " movl $0x8000, %edi\n movl $(3f - 2f), %ecx\n cld\n rep movsb\n"
                          " movl $0x01000000, 0xfee00310\n movl $0x4500, 0xfee00300\n"
                          " movl $1000, %ecx\n 4: loop 4b\n"
                          " movl $0x01000000, 0xfee00310\n movl $0x4608, 0xfee00300\n"
                          " 5: incl 0x3000\n jmp 5b\n"
                          ".code16\n"
                          " 2: xorw %ax, %ax\n movw %ax, %ds\n 6: incl 0x3008\n jmp 6b\n"
                          " 3:\n.code64");

static uint64_t word_at(struct sim *s, uint64_t address)
{
    uint8_t bytes[4];
    assert_true(sim_read_physical(s, phys(address), bytes, 4));
    return load_le32(bytes);
}

static struct sim *start_two(void)
{
    struct sim_config c;
    sim_config_init(&c);
    c.cpus = 2;
    return guest_create(&c, two_cpus_code, two_cpus_code_end);
}

static void two_cpus_advance_in_step(void **state)
{
    (void)state;
    struct sim *s = start_two();
    struct sim_regs r[2];
    assert_int_equal(sim_run(s, 200000), SIM_STOP_CYCLES);
    sim_get_regs(s, 0, &r[0]);
    sim_get_regs(s, 1, &r[1]);
    assert_int_equal(r[1].code_bits, 16);
    assert_true(word_at(s, 0x3008) > 90000);
    uint64_t difference = r[0].clock_cycles > r[1].clock_cycles ? r[0].clock_cycles - r[1].clock_cycles
                                                                : r[1].clock_cycles - r[0].clock_cycles;
    assert_true(difference <= 1);
    sim_destroy(s);
}

static void a_stall_holds_one_cpu_back_by_its_cycles(void **state)
{
    (void)state;
    struct sim *s = start_two();
    assert_int_equal(sim_run(s, 100000), SIM_STOP_CYCLES);
    uint64_t before = word_at(s, 0x3000);
    struct sim_regs r;
    sim_get_regs(s, 0, &r);
    struct effect f = {.kind = EFFECT_STALL, .cpu = 0, .arg = {r.retired + 10, 50000}};
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(sim_run(s, 140000), SIM_STOP_CYCLES);
    assert_true(word_at(s, 0x3000) - before <= 6);
    assert_int_equal(sim_run(s, 160000), SIM_STOP_CYCLES);
    assert_in_range(word_at(s, 0x3000) - before, 4900, 5100); /* two instructions a round */
    assert_int_equal(sim_effect_count(s), 1);
    assert_int_equal(sim_effect_get(s, 0)->at_cycles, 100000);
    sim_destroy(s);
}

/* Where the only CPU stands during a stall before the instruction that has so many behind it. */
static struct sim_regs stalled_at(uint64_t step, bool single_step_blocks)
{
    struct sim_config c;
    sim_config_init(&c);
    c.single_step_blocks = single_step_blocks;
    struct sim *s = guest_create(&c, range_code, range_code_end);
    struct effect f = {.kind = EFFECT_STALL, .cpu = 0, .arg = {step, 50000}};
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(sim_run(s, 10000), SIM_STOP_CYCLES);
    struct sim_regs r;
    sim_get_regs(s, 0, &r);
    sim_destroy(s);
    return r;
}

static void a_stall_comes_before_its_instruction_whatever_the_blocks(void **state)
{
    (void)state;
    for (uint64_t step = 0; step < 60; step++) {
        struct sim_regs whole = stalled_at(step, false), single = stalled_at(step, true);
        assert_int_equal(whole.retired, step);
        assert_int_equal(single.retired, step);
        assert_int_equal(whole.rip, single.rip);
        assert_int_equal(whole.clock_cycles, single.clock_cycles);
        assert_true(whole.clock_cycles >= 50000);
    }
}

static void a_lost_start_up_message_leaves_the_second_cpu_waiting(void **state)
{
    (void)state;
    struct sim *s = start_two();
    struct effect f = {.kind = EFFECT_IPI_LOSS, .arg = {1}}; /* 0 is INIT, 1 the SIPI */
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(sim_run(s, 100000), SIM_STOP_CYCLES);
    assert_int_equal(word_at(s, 0x3008), 0);
    assert_true(word_at(s, 0x3000) > 1000);
    sim_destroy(s);
}

static void a_late_start_up_message_starts_the_second_cpu_late(void **state)
{
    (void)state;
    struct sim *s = start_two();
    struct effect f = {.kind = EFFECT_IPI_DELAY, .arg = {1, 150000}};
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(sim_run(s, 150000), SIM_STOP_CYCLES);
    assert_int_equal(word_at(s, 0x3008), 0);
    assert_int_equal(sim_run(s, 170000), SIM_STOP_CYCLES);
    assert_true(word_at(s, 0x3008) > 1000);
    sim_destroy(s);
}

static void count_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    (void)cpu;
    (void)now_cycles;
    ++*(uint64_t *)arg;
}

/* A probe in the range comes after the interrupt, once an execution. */
static void an_interrupt_comes_before_every_instruction_of_a_range(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, range_code, range_code_end);
    uint64_t probed = 0;
    const uint8_t *nops = range_code;
    while (memcmp(nops, "\x90\x90\x90\x90", 4) != 0) {
        nops++;
    }
    uint64_t first = GUEST_BASE + (uint64_t)(nops - range_code);
    assert_int_equal(sim_run(s, 1000), SIM_STOP_CYCLES);
    assert_int_equal(word_at(s, 0x4000), 0);
    struct effect f = {.kind = EFFECT_INTERRUPT_RANGE, .cpu = 0, .arg = {first, first + 3, 0x40}};
    assert_true(sim_effect(s, &f, NULL));
    assert_true(sim_probe_add(s, lin(first + 2), count_probe, &probed) >= 0);
    uint64_t rounds = word_at(s, 0x4004);
    assert_int_equal(sim_run(s, 100000), SIM_STOP_CYCLES);
    rounds = word_at(s, 0x4004) - rounds;
    assert_true(rounds > 100);
    assert_in_range(word_at(s, 0x4000), 4 * rounds - 4, 4 * rounds + 4);
    for (unsigned nop = 0; nop < 4; nop++) {
        assert_in_range(word_at(s, 0x4100 + 4 * nop), rounds - 1, rounds + 1);
    }
    assert_int_equal(word_at(s, 0x4110), 0);
    assert_in_range(probed, rounds, rounds + 1);
    f.arg[0] = 1;
    f.arg[1] = 0;
    assert_true(sim_effect(s, &f, NULL));
    uint64_t handled = word_at(s, 0x4000);
    assert_int_equal(sim_run(s, 110000), SIM_STOP_CYCLES);
    assert_in_range(word_at(s, 0x4000), handled, handled + 1);
    sim_destroy(s);
}

/* As range_code, but with a self-IPI pending when STI; HLT comes; the handler ends the run. */
GUEST_CODE(halt_pending_code, ".code32\n"
                              " movl $0x6000, %esp\n"
                              " movl $(0x200000 + 2f - halt_pending_code), %eax\n"
                              " movw %ax, 0x5200\n movw $8, 0x5202\n movw $0x8e00, 0x5204\n shrl $16, %eax\n"
                              " movw %ax, 0x5206\n"
                              " movw $0x7ff, 0x4ff0\n movl $0x5000, 0x4ff2\n lidt 0x4ff0\n"
                              " movw $0x27, 0x4fe0\n movl $0x5f00, 0x4fe2\n"
                              " movl $0x0000ffff, 0x5f08\n movl $0x00cf9b00, 0x5f0c\n lgdt 0x4fe0\n"
                              " movl $0x1ff, 0xfee000f0\n"
                              " movl $0x44040, 0xfee00300\n" /* to self, vector 0x40 */
                              " movl $1000, %ecx\n 4: loop 4b\n"
                              " sti\n hlt\n 1: jmp 1b\n"
                              " 2: movb $3, %al\n outb %al, $0xf4\n.code64");

static void halting_with_an_interrupt_pending_wakes_at_once(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, halt_pending_code, halt_pending_code_end);
    assert_int_equal(sim_run(s, 100000), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(s), 3);
    sim_destroy(s);
}

/* The PIT's interrupt as an NMI through I/O APIC pin 2; the handler ends the run. */
GUEST_CODE(nmi_timer_code, ".code32\n"
                           " movl $0x6000, %esp\n"
                           " movl $(0x200000 + 2f - nmi_timer_code), %eax\n"
                           " movw %ax, 0x5010\n movw $8, 0x5012\n movw $0x8e00, 0x5014\n shrl $16, %eax\n"
                           " movw %ax, 0x5016\n"
                           " movw $0x7ff, 0x4ff0\n movl $0x5000, 0x4ff2\n lidt 0x4ff0\n"
                           " movw $0x27, 0x4fe0\n movl $0x5f00, 0x4fe2\n"
                           " movl $0x0000ffff, 0x5f08\n movl $0x00cf9b00, 0x5f0c\n lgdt 0x4fe0\n"
                           " movl $0x1ff, 0xfee000f0\n"
                           " movl $0x14, 0xfec00000\n movl $0x400, 0xfec00010\n"
                           " movb $0x34, %al\n outb %al, $0x43\n movb $100, %al\n outb %al, $0x40\n"
                           " movb $0, %al\n outb %al, $0x40\n"
                           " cli\n hlt\n 1: jmp 1b\n"
                           " 2: movb $7, %al\n outb %al, $0xf4\n.code64");

static void a_timer_wired_as_nmi_wakes_a_cpu_that_takes_no_interrupts(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, nmi_timer_code, nmi_timer_code_end);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_exit_value(s), 7);
    sim_destroy(s);
}

/* ---- probes and effects ---- */

struct probe_log {
    struct sim *sim;
    unsigned count;
    uint64_t cycle;
};

static void on_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct probe_log *log = arg;
    struct sim_regs r;
    sim_get_regs(log->sim, cpu, &r);
    assert_int_equal(r.rip, GUEST_BASE);
    log->count++;
    log->cycle = now_cycles;
    if (log->count == 3) {
        struct effect f = {.kind = EFFECT_REGISTER, .cpu = 0, .arg = {1, 0x1000}};
        assert_true(sim_effect(log->sim, &f, NULL));
        sim_stop_ask(log->sim);
    }
}

static void a_probe_sees_every_execution_and_may_write_registers(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, loop_code, loop_code_end);
    struct probe_log log = {.sim = s};
    int id = sim_probe_add(s, lin(GUEST_BASE), on_probe, &log);
    assert_true(id >= 0);
    assert_int_equal(sim_run(s, FOREVER), SIM_STOP_ASKED);
    assert_int_equal(log.count, 3);
    assert_int_equal(sim_instructions(s), 4);
    sim_probe_remove(s, id);
    assert_int_equal(sim_run(s, 1000), SIM_STOP_CYCLES);
    struct sim_regs r;
    sim_get_regs(s, 0, &r);
    assert_true(r.gpr[1] > 0x1000);
    sim_destroy(s);
}

static void a_probe_changes_no_hash(void **state)
{
    (void)state;
    struct sim *plain = guest_create(NULL, loop_code, loop_code_end);
    struct sim *probed = guest_create(NULL, loop_code, loop_code_end);
    struct probe_log log = {.sim = probed, .count = 1000};
    sim_probe_add(probed, lin(GUEST_BASE), on_probe, &log);
    sim_run(plain, 5000);
    sim_run(probed, 5000);
    assert_true(log.count > 2000);
    assert_true(digest_equal(sim_state_hash(plain), sim_state_hash(probed)));
    sim_destroy(plain);
    sim_destroy(probed);
}

static void bad_effects_are_refused_and_not_logged(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, loop_code, loop_code_end);
    struct error e;
    const struct effect bad[] = {
        {.kind = EFFECT_REGISTER, .cpu = 1},
        {.kind = EFFECT_REGISTER, .arg = {99}},
        {.kind = EFFECT_MEMORY, .arg = {UINT64_C(1) << 40}, .byte_count = 4},
        {.kind = EFFECT_SERIAL_INPUT, .arg = {2}, .byte_count = 1},
        {.kind = EFFECT_INTERRUPT, .arg = {3}},
        {.kind = EFFECT_KIND_COUNT},
        {.kind = EFFECT_MEMORY, .byte_count = EFFECT_BYTES_MAX + 1},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        e.text[0] = 0;
        assert_false(sim_effect(s, &bad[i], &e));
        assert_true(e.text[0] != 0);
    }
    assert_int_equal(sim_effect_count(s), 0);
    sim_destroy(s);
}

GUEST_CODE(store_code, ".code32\n movl $0x1234, 0x3000\n 1: jmp 1b\n.code64");

static void a_pending_store_is_seen_through_its_own_cpu_only(void **state)
{
    (void)state;
    struct sim_config c;
    uint8_t bytes[4];
    sim_config_init(&c);
    c.memory_model = MODEL_TSO;
    struct sim *s = guest_create(&c, store_code, store_code_end);
    struct sim_regs r;
    sim_get_regs(s, 0, &r);
    assert_int_equal(sim_run(s, r.clock_cycles + 5), SIM_STOP_CYCLES);
    assert_int_equal(word_at(s, 0x3000), 0);
    assert_true(sim_read_linear(s, 0, lin(0x3000), bytes, 4));
    assert_int_equal(load_le32(bytes), 0x1234);
    assert_int_equal(sim_run(s, r.clock_cycles + 100), SIM_STOP_CYCLES);
    assert_int_equal(word_at(s, 0x3000), 0x1234);
    sim_destroy(s);
}

static void the_first_difference_of_two_machines_has_a_name(void **state)
{
    (void)state;
    struct sim *a = guest_create(NULL, loop_code, loop_code_end);
    struct sim *b = guest_create(NULL, loop_code, loop_code_end);
    struct state_buffer saved = {0};
    char where[200];
    sim_run(a, 1000);
    sim_run(b, 1000);
    sim_save(a, VISIT_ARCH, &saved);
    assert_false(sim_differs(b, VISIT_ARCH, &saved, where, sizeof where));
    struct effect f = {.kind = EFFECT_REGISTER, .arg = {3, 77}};
    assert_true(sim_effect(b, &f, NULL));
    assert_true(sim_differs(b, VISIT_ARCH, &saved, where, sizeof where));
    assert_non_null(strstr(where, "cpu0."));
    assert_non_null(strstr(where, "gpr[3]"));
    state_buffer_deinit(&saved);
    sim_destroy(a);
    sim_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_debug_exit_stops_with_its_value_and_stays_stopped),
        cmocka_unit_test(halting_with_interrupts_off_is_no_progress),
        cmocka_unit_test(a_fault_without_an_idt_is_a_triple_fault),
        cmocka_unit_test(what_is_not_modelled_stops_with_its_bytes),
        cmocka_unit_test(a_run_ends_exactly_at_its_cycle_wherever_it_is_cut),
        cmocka_unit_test(the_cycle_of_the_end_does_not_depend_on_the_slices),
        cmocka_unit_test(engines_and_memory_models_agree_on_the_architectural_state),
        cmocka_unit_test(two_cpus_advance_in_step),
        cmocka_unit_test(a_stall_holds_one_cpu_back_by_its_cycles),
        cmocka_unit_test(a_stall_comes_before_its_instruction_whatever_the_blocks),
        cmocka_unit_test(a_lost_start_up_message_leaves_the_second_cpu_waiting),
        cmocka_unit_test(a_late_start_up_message_starts_the_second_cpu_late),
        cmocka_unit_test(an_interrupt_comes_before_every_instruction_of_a_range),
        cmocka_unit_test(halting_with_an_interrupt_pending_wakes_at_once),
        cmocka_unit_test(a_timer_wired_as_nmi_wakes_a_cpu_that_takes_no_interrupts),
        cmocka_unit_test(a_probe_sees_every_execution_and_may_write_registers),
        cmocka_unit_test(a_probe_changes_no_hash),
        cmocka_unit_test(bad_effects_are_refused_and_not_logged),
        cmocka_unit_test(a_pending_store_is_seen_through_its_own_cpu_only),
        cmocka_unit_test(the_first_difference_of_two_machines_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
