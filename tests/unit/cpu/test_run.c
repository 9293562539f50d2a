/* The run loop: deadlines, interrupts, shadows, traps, breakpoints, probes, waking. */

#include "cpu/debug_regs.h"

#include "core_fixture.h"

#define NOPS(n) memset_nops(s, (n))

/* n NOPs and a HLT at PROGRAM_AT. */
static void memset_nops(struct sys *s, unsigned n)
{
    uint8_t bytes[256];
    assert_true(n < sizeof bytes);
    memset(bytes, 0x90, n);
    bytes[n] = 0xf4;
    core_load(s, PROGRAM_AT, bytes, n + 1);
    s->cpu.rip = PROGRAM_AT;
}

/* Makes the local APIC ask for a vector now. */
static void raise_vector(struct sys *s, uint8_t vector)
{
    struct apic_message m = {.destination = 0, .vector = vector, .delivery = APIC_FIXED};
    lapic_reset(&s->lapic, cpu_now(&s->cpu));
    lapic_write(&s->lapic, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff, cpu_now(&s->cpu));
    lapic_deliver(&s->lapic, &m, cpu_now(&s->cpu));
    assert_int_equal(lapic_pending(&s->lapic), vector);
}

static void run_stops_at_the_first_boundary_at_or_after_the_deadline(void **state)
{
    struct sys *s = *state;
    NOPS(100);
    for (uint64_t deadline = 1; deadline <= 100; deadline += 3) {
        assert_int_equal(cpu_run(&s->cpu, deadline), CPU_STOP_DEADLINE);
        assert_int_equal(cpu_now(&s->cpu), deadline);
        assert_int_equal(s->cpu.rip, PROGRAM_AT + deadline);
        assert_int_equal(s->cpu.retired, deadline);
    }
}

static void run_overshoots_a_deadline_inside_a_dear_instruction(void **state)
{
    struct sys *s = *state;
    s->cpu.costs = &cost_flat;
    s->cpu.gpr[RCX] = 7;
    s->cpu.gpr[RDX] = 0;
    PROGRAM(s, "\x48\xf7\xf1\x90\xf4"); /* div rcx; nop; hlt */
    assert_int_equal(cpu_run(&s->cpu, 5), CPU_STOP_DEADLINE);
    assert_int_equal(cpu_now(&s->cpu), 20);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 3);
}

static void run_at_a_passed_deadline_does_nothing(void **state)
{
    struct sys *s = *state;
    NOPS(10);
    cpu_set_clock(&s->cpu, 50);
    assert_int_equal(cpu_run(&s->cpu, 50), CPU_STOP_DEADLINE);
    assert_int_equal(s->cpu.rip, PROGRAM_AT);
    assert_int_equal(cpu_now(&s->cpu), 50);
}

/* Its drain has a place among the steps of other vCPUs, that of the moment it is due. */
static void a_store_that_falls_due_inside_a_dear_instruction_waits_for_the_caller(void **state)
{
    struct sys *s = *state;
    s->cpu.costs = &cost_flat;
    s->cpu.stores.capacity = 16;
    s->cpu.stores.drain_cycles = 12;
    s->cpu.gpr[RCX] = 7;
    s->cpu.gpr[RDX] = 0;
    s->cpu.gpr[RBX] = DATA_AT;
    PROGRAM(s, "\x48\x89\x0b\x48\xf7\xf1\xf4"); /* mov [rbx], rcx; div rcx; hlt */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_DEADLINE);
        assert_int_equal(s->cpu.rip, PROGRAM_AT + 6);
        assert_int_equal(s->cpu.stores.count, 1);
        assert_true(mem_drain_next(&s->cpu) < cpu_now(&s->cpu));
    }
    mem_drain_due(&s->cpu, cpu_now(&s->cpu));
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
}

static void stall_moves_the_clock_at_the_next_boundary(void **state)
{
    struct sys *s = *state;
    NOPS(20);
    s->cpu.stall_cycles = 90;
    assert_int_equal(cpu_run(&s->cpu, 95), CPU_STOP_DEADLINE);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 5);
    assert_int_equal(s->cpu.stall_cycles, 0);
}

static void halt_breaks_with_rip_after_it_and_an_interrupt_wakes(void **state)
{
    struct sys *s = *state;
    cpu_set_rflags(&s->cpu, RFLAGS_IF);
    NOPS(3);
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.activity, CPU_HALTED);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 4);
    assert_false(cpu_wake(&s->cpu, 500));
    raise_vector(s, 0x40);
    assert_true(cpu_wake(&s->cpu, 500));
    assert_int_equal(cpu_now(&s->cpu), 500);
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * 0x40 + 1);
}

static void interrupt_is_taken_at_the_boundary_of_its_moment(void **state)
{
    struct sys *s = *state;
    cpu_set_rflags(&s->cpu, RFLAGS_IF);
    NOPS(50);
    assert_int_equal(cpu_run(&s->cpu, 17), CPU_STOP_DEADLINE);
    raise_vector(s, 0x41);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * 0x41 + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 17);
    assert_int_equal(cpu_now(&s->cpu), 17 + 1 + 1); /* the delivery, the handler's HLT */
    assert_int_equal(s->cpu.retired, 18);
}

static void interrupt_waits_while_if_is_clear(void **state)
{
    struct sys *s = *state;
    NOPS(10);
    raise_vector(s, 0x41);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 11);
}

static void sti_holds_an_interrupt_off_for_one_instruction(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x90\xfb\x90\x90\xf4"); /* nop; sti; nop; nop; hlt */
    raise_vector(s, 0x41);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 3);
}

static void sti_before_hlt_wakes_after_the_halt(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\xfb\xf4\x90\xf4"); /* sti; hlt; nop; hlt */
    raise_vector(s, 0x41);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.activity, CPU_HALTED);
    assert_true(cpu_wake(&s->cpu, 0));
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 2);
}

static void popf_that_sets_if_takes_a_waiting_interrupt_at_once(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x68\x02\x02\x00\x00\x9d\x90\x90\xf4"); /* push 202; popf; nop; nop; hlt */
    raise_vector(s, 0x41);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 6);
}

static void mov_ss_holds_an_nmi_off_for_one_instruction(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = SEL_DATA;
    PROGRAM(s, "\x8e\xd0\x90\x90\xf4"); /* mov ss, eax; nop; nop; hlt */
    assert_int_equal(cpu_run(&s->cpu, 1), CPU_STOP_DEADLINE);
    s->cpu.nmi_pending = true;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_NMI + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 3);
    assert_true(s->cpu.nmi_blocked);
}

static void nmi_wakes_a_halted_cpu_with_interrupts_off(void **state)
{
    struct sys *s = *state;
    NOPS(1);
    core_run(s, 1000);
    assert_int_equal(s->cpu.activity, CPU_HALTED);
    s->cpu.nmi_pending = true;
    assert_true(cpu_wake(&s->cpu, 0));
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_NMI + 1);
}

static void trap_flag_traps_after_each_instruction(void **state)
{
    struct sys *s = *state;
    NOPS(5);
    cpu_set_rflags(&s->cpu, RFLAGS_TF);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_DB + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 1);
    assert_true((s->cpu.dr6 & DR6_BS) != 0);
    assert_true((peek(s, s->cpu.gpr[RSP] + 16, 8) & RFLAGS_TF) != 0);
}

static void popf_that_sets_the_trap_flag_traps_after_the_next_instruction(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x68\x02\x01\x00\x00\x9d\x90\x90\xf4"); /* push 102; popf; nop; nop; hlt */
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 7);
}

/* One frame, that of the software interrupt: its delivery leaves no single-step trap for the handler. */
static void assert_one_frame(struct sys *s, uint64_t rsp, unsigned vector, uint64_t rip)
{
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * vector + 1);
    assert_int_equal(s->cpu.gpr[RSP], align_down(rsp, 16) - 40);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), rip);
    assert_int_equal(peek(s, s->cpu.gpr[RSP] + 16, 8) & RFLAGS_RF, 0);
}

static void int1_under_the_trap_flag_is_delivered_once_past_a_gate_of_level_0(void **state)
{
    struct sys *s = *state;
    uint64_t rsp = s->cpu.gpr[RSP];
    PROGRAM(s, "\xf1\x90\xf4");
    cpu_set_rflags(&s->cpu, RFLAGS_TF);
    assert_one_frame(s, rsp, VECTOR_DB, PROGRAM_AT + 1);
    assert_int_equal(s->cpu.dr6, DR6_ONES);
}

static void a_load_of_ss_under_the_trap_flag_leaves_no_trap_for_int3(void **state)
{
    struct sys *s = *state;
    uint64_t rsp = s->cpu.gpr[RSP];
    PROGRAM(s, "\x8e\xd0\xcc\xf4"); /* mov ss, eax; int3; hlt */
    s->cpu.gpr[RAX] = s->cpu.seg[SEG_SS].selector;
    cpu_set_rflags(&s->cpu, RFLAGS_TF);
    assert_one_frame(s, rsp, VECTOR_BP, PROGRAM_AT + 3);
}

static void software_interrupts_push_rf_clear(void **state)
{
    struct sys *s = *state;
    uint64_t rsp = s->cpu.gpr[RSP];
    PROGRAM(s, "\xcc\xf4");
    s->cpu.rflags |= RFLAGS_RF;
    assert_one_frame(s, rsp, VECTOR_BP, PROGRAM_AT + 1);
}

static void trap_flag_traps_between_repeated_iterations(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 5;
    s->cpu.gpr[RDI] = SCRATCH_AT;
    cpu_set_rflags(&s->cpu, RFLAGS_TF);
    PROGRAM(s, "\xf3\xaa\xf4");
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.gpr[RCX], 4);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT);
    assert_int_equal(s->cpu.retired, 1); /* the handler's HLT: the STOS is not complete */
}

static void a_single_step_of_hlt_wakes_it(void **state)
{
    struct sys *s = *state;
    uint64_t rsp = s->cpu.gpr[RSP];
    PROGRAM(s, "\xf4\x90\xf4");
    cpu_set_rflags(&s->cpu, RFLAGS_TF);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 1);
    assert_true(cpu_wake(&s->cpu, cpu_now(&s->cpu)));
    assert_one_frame(s, rsp, VECTOR_DB, PROGRAM_AT + 1);
}

static void an_interrupt_that_ends_mwait_disarms_the_monitor(void **state)
{
    struct sys *s = *state;
    cpu_set_rflags(&s->cpu, RFLAGS_IF);
    PROGRAM(s, "\x0f\x01\xc8\x0f\x01\xc9\xf4"); /* monitor; mwait; hlt */
    s->cpu.gpr[RAX] = DATA_AT;
    s->cpu.gpr[RCX] = s->cpu.gpr[RDX] = 0;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.activity, CPU_MWAIT);
    assert_true(s->cpu.monitor_armed);
    raise_vector(s, 0x40);
    assert_true(cpu_wake(&s->cpu, cpu_now(&s->cpu)));
    assert_false(s->cpu.monitor_armed);
}

static void what_an_instruction_read_before_it_faulted_is_no_trap(void **state)
{
    struct sys *s = *state;
    uint64_t rsp = s->cpu.gpr[RSP];
    PROGRAM(s, "\xa5\xf4"); /* movsd */
    s->cpu.gpr[RSI] = DATA_AT;
    s->cpu.gpr[RDI] = UINT64_C(0x800000000000);
    s->cpu.dr[0] = DATA_AT;
    s->cpu.dr7 = 0x30402;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_GP + 1);
    assert_int_equal(s->cpu.gpr[RSP], align_down(rsp, 16) - 48);
    assert_int_equal(s->cpu.dr6, DR6_ONES);
    assert_int_equal(s->cpu.pending_db, 0);
}

static void instruction_breakpoint_faults_before_and_rf_passes_it(void **state)
{
    struct sys *s = *state;
    NOPS(5);
    s->cpu.dr[2] = PROGRAM_AT + 3;
    s->cpu.dr7 = DR7_ONES | BIT(5);
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_DB + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 3);
    assert_int_equal(s->cpu.dr6 & 15, 4);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.rip = PROGRAM_AT + 3;
    s->cpu.rflags |= RFLAGS_RF;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 6);
    assert_int_equal(s->cpu.rflags & RFLAGS_RF, 0);
}

static void probe_stops_before_the_instruction_and_the_next_run_passes_it(void **state)
{
    struct sys *s = *state;
    NOPS(10);
    assert_int_equal(cpu_run(&s->cpu, 2), CPU_STOP_DEADLINE);
    assert_true(block_cache_probe_add(s->blocks, lin(PROGRAM_AT + 5)));
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_PROBE);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 5);
    assert_int_equal(cpu_now(&s->cpu), 5);
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 11);
    block_cache_probe_remove(s->blocks, lin(PROGRAM_AT + 5));
    NOPS(10);
    s->cpu.activity = CPU_ACTIVE;
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
}

static void probe_in_a_loop_hits_every_time_round(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 5;
    PROGRAM(s, "\x90\x90\xff\xc9\x75\xfa\xf4"); /* 0: nop; nop; dec ecx; jnz 0; hlt */
    assert_true(block_cache_probe_add(s->blocks, lin(PROGRAM_AT + 1)));
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_PROBE);
        assert_int_equal(s->cpu.gpr[RCX], 5 - i);
    }
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.retired, 21);
}

static void count_hook(struct cpu *cpu, void *target)
{
    unsigned *count = target;
    assert_int_equal(cpu->rip, PROGRAM_AT + *count);
    ++*count;
}

static void step_hook_is_called_before_every_instruction(void **state)
{
    struct sys *s = *state;
    unsigned count = 0;
    NOPS(12);
    s->cpu.step_hook = count_hook;
    s->cpu.step_hook_target = &count;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(count, 13);
}

static void soft_interrupt_counts_and_pays_and_returns_behind_itself(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\xcd\x55\x90\xf4");
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 2);
    assert_int_equal(s->cpu.retired, 2);
    assert_int_equal(cpu_now(&s->cpu), 3);
}

static void fault_in_the_middle_of_a_block_gives_back_what_did_not_run(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RBX] = UINT64_C(0x40000000);             /* beyond the mapped GiB */
    PROGRAM(s, "\x90\x90\x48\x8b\x03\x90\x90\x90\xf4"); /* nop; nop; mov rax, [rbx]; ... */
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_PF + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP] + 8, 8), PROGRAM_AT + 2);
    assert_int_equal(s->cpu.cr2, 0x40000000);
    assert_int_equal(s->cpu.retired, 3); /* two NOPs, the handler's HLT */
    assert_int_equal(cpu_now(&s->cpu), 4);
}

static void flags_are_exact_at_a_fault_though_later_ones_overwrite_them(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RBX] = UINT64_C(0x40000000);
    s->cpu.gpr[RAX] = UINT64_MAX;
    PROGRAM(s,
            "\x48\x83\xc0\x01\x48\x8b\x0b\x48\x83\xc0\x01\xf4"); /* add rax, 1; mov rcx, [rbx]; add rax, 1 */
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_PF + 1);
    uint64_t pushed = peek(s, s->cpu.gpr[RSP] + 24, 8);
    assert_int_equal(pushed & RFLAGS_STATUS, RFLAGS_CF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF);
}

static void triple_fault_shuts_down(void **state)
{
    struct sys *s = *state;
    s->cpu.idtr.limit = 0;
    PROGRAM(s, "\x0f\x0b");
    assert_int_equal(core_run(s, 1000), CPU_STOP_SHUTDOWN);
    assert_int_equal(s->cpu.activity, CPU_SHUTDOWN);
    assert_int_equal(cpu_run(&s->cpu, 5000), CPU_STOP_SHUTDOWN);
}

static void instruction_longer_than_15_bytes_is_gp(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90\xf4");
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_GP + 1);
}

static void undefined_bytes_are_ud(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x90\xc5\xf8\x77\xf4"); /* vzeroupper: no AVX here */
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_UD + 1);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 1);
}

static void instruction_that_crosses_pages_runs(void **state)
{
    struct sys *s = *state;
    uint64_t at = PROGRAM_AT + 0xffb;
    core_load(s, at, "\x90\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08\xf4", 12);
    s->cpu.rip = at;
    assert_int_equal(core_run(s, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.gpr[RAX], UINT64_C(0x0807060504030201));
    assert_int_equal(s->cpu.fetch.lin_page, PROGRAM_AT + 0x1000);
}

static void fetch_of_the_second_half_faults_at_its_own_address(void **state)
{
    struct sys *s = *state;
    uint64_t at = 0x1ffffe;     /* the last bytes of the first 2 MiB; what follows is not mapped */
    poke(s, 0x6000, 0x7007, 8); /* a page directory for the first GiB */
    for (unsigned i = 1; i < 512; i++) {
        poke(s, 0x6000 + 8 * i, 0, 8);
    }
    for (unsigned i = 0; i < 512; i++) {
        poke(s, 0x7000 + 8 * i, (i << 12) | 7, 8);
    }
    poke(s, PDPT_AT, 0x6007, 8);
    mem_flush_all(&s->cpu);
    core_load(s, at, "\x48\xb8", 2);
    s->cpu.rip = at;
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_PF + 1);
    assert_int_equal(s->cpu.cr2, 0x200000);
    assert_int_equal(peek(s, s->cpu.gpr[RSP] + 8, 8), at);
}

static void init_resets_and_a_sipi_starts_at_its_vector(void **state)
{
    struct sys *s = *state;
    NOPS(10);
    s->lapic.config.bsp = false;
    s->cpu.xmm[3].u64[0] = 77;
    s->cpu.init_pending = true;
    assert_int_equal(cpu_run(&s->cpu, 100), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.activity, CPU_WAIT_FOR_SIPI);
    assert_int_equal(s->cpu.mode, MODE_REAL);
    assert_int_equal(s->cpu.xmm[3].u64[0], 77);
    assert_false(cpu_wake(&s->cpu, 200));
    s->cpu.sipi_vector = 0x108;
    assert_true(cpu_wake(&s->cpu, 200));
    assert_int_equal(s->cpu.seg[SEG_CS].selector, 0x800);
    assert_int_equal(s->cpu.seg[SEG_CS].base, 0x8000);
    poke(s, 0x8000, 0xf490, 2);
    assert_int_equal(cpu_run(&s->cpu, 300), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, 2);
}

static void reset_state_is_the_manuals(void **state)
{
    struct sys *s = *state;
    cpu_reset(&s->cpu);
    assert_int_equal(s->cpu.rip, 0xfff0);
    assert_int_equal(s->cpu.seg[SEG_CS].base, 0xffff0000);
    assert_int_equal(s->cpu.seg[SEG_CS].selector, 0xf000);
    assert_int_equal(s->cpu.cr0, 0x60000010);
    assert_int_equal(cpu_rflags(&s->cpu), 2);
    assert_int_equal(s->cpu.dr6, 0xffff0ff0);
    assert_int_equal(s->cpu.dr7, 0x400);
    assert_int_equal(s->cpu.mxcsr, 0x1f80);
    assert_int_equal(s->cpu.seg[SEG_DS].limit, 0xffff);
}

static void break_request_ends_the_run_after_the_instruction(void **state)
{
    struct sys *s = *state;
    /* wrmsr to the x2APIC is too much here: MWAIT and HLT ask for a break; a store to MMIO does as well. */
    PROGRAM(s, "\x90\xf4\x90");
    assert_int_equal(cpu_run(&s->cpu, 1000), CPU_STOP_BREAK);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 2);
    assert_int_equal(s->cpu.retired, 2);
}

static void visit_saves_and_loads_a_cpu_that_goes_on_alike(void **state)
{
    struct sys *s = *state;
    struct state_buffer buffer = {0};
    struct buffer_visitor v;
    s->cpu.gpr[RCX] = 100;
    PROGRAM(s, "\x48\x01\xc8\x48\xff\xc9\x75\xf8\xf4"); /* add rax, rcx; dec rcx; jnz; hlt */
    cpu_run(&s->cpu, 50);
    save_visitor_init(&v, VISIT_MACHINE, &buffer);
    cpu_visit(&s->cpu, &v.base);
    core_run(s, 1000);
    struct digest first = core_digest(s);
    assert_int_equal(s->cpu.gpr[RAX], 5050);
    buffer.position = 0;
    load_visitor_init(&v, VISIT_MACHINE, &buffer);
    cpu_visit(&s->cpu, &v.base);
    assert_int_equal(cpu_now(&s->cpu), 50);
    core_run(s, 1000);
    assert_true(digest_equal(first, core_digest(s)));
    state_buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(run_stops_at_the_first_boundary_at_or_after_the_deadline),
        CORE_TEST(run_overshoots_a_deadline_inside_a_dear_instruction),
        CORE_TEST(run_at_a_passed_deadline_does_nothing),
        CORE_TEST(a_store_that_falls_due_inside_a_dear_instruction_waits_for_the_caller),
        CORE_TEST(stall_moves_the_clock_at_the_next_boundary),
        CORE_TEST(halt_breaks_with_rip_after_it_and_an_interrupt_wakes),
        CORE_TEST(interrupt_is_taken_at_the_boundary_of_its_moment),
        CORE_TEST(interrupt_waits_while_if_is_clear),
        CORE_TEST(sti_holds_an_interrupt_off_for_one_instruction),
        CORE_TEST(sti_before_hlt_wakes_after_the_halt),
        CORE_TEST(popf_that_sets_if_takes_a_waiting_interrupt_at_once),
        CORE_TEST(mov_ss_holds_an_nmi_off_for_one_instruction),
        CORE_TEST(nmi_wakes_a_halted_cpu_with_interrupts_off),
        CORE_TEST(trap_flag_traps_after_each_instruction),
        CORE_TEST(popf_that_sets_the_trap_flag_traps_after_the_next_instruction),
        CORE_TEST(int1_under_the_trap_flag_is_delivered_once_past_a_gate_of_level_0),
        CORE_TEST(a_load_of_ss_under_the_trap_flag_leaves_no_trap_for_int3),
        CORE_TEST(software_interrupts_push_rf_clear),
        CORE_TEST(trap_flag_traps_between_repeated_iterations),
        CORE_TEST(a_single_step_of_hlt_wakes_it),
        CORE_TEST(an_interrupt_that_ends_mwait_disarms_the_monitor),
        CORE_TEST(what_an_instruction_read_before_it_faulted_is_no_trap),
        CORE_TEST(instruction_breakpoint_faults_before_and_rf_passes_it),
        CORE_TEST(probe_stops_before_the_instruction_and_the_next_run_passes_it),
        CORE_TEST(probe_in_a_loop_hits_every_time_round),
        CORE_TEST(step_hook_is_called_before_every_instruction),
        CORE_TEST(soft_interrupt_counts_and_pays_and_returns_behind_itself),
        CORE_TEST(fault_in_the_middle_of_a_block_gives_back_what_did_not_run),
        CORE_TEST(flags_are_exact_at_a_fault_though_later_ones_overwrite_them),
        CORE_TEST(triple_fault_shuts_down),
        CORE_TEST(instruction_longer_than_15_bytes_is_gp),
        CORE_TEST(undefined_bytes_are_ud),
        CORE_TEST(instruction_that_crosses_pages_runs),
        CORE_TEST(fetch_of_the_second_half_faults_at_its_own_address),
        CORE_TEST(init_resets_and_a_sipi_starts_at_its_vector),
        CORE_TEST(reset_state_is_the_manuals),
        CORE_TEST(break_request_ends_the_run_after_the_instruction),
        CORE_TEST(visit_saves_and_loads_a_cpu_that_goes_on_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
