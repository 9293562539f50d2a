/* Probes, interrupt ranges and reports go by linear addresses: a code segment with a base of its own, and a base that
 * 64-bit mode does not know. */

#include "base/bits.h"
#include "cpu/mem.h"
#include "guest_image.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TABLES  0x10000u
#define CS_BASE 0x150000u

GUEST_CODE(nop_code, "1: nop\n nop\n nop\n nop\n jmp 1b\n");
GUEST_CODE(iret_code, ".code32\n iret\n .code64\n"); /* of a nested task: not modelled */

struct passes {
    struct sim *sim;
    unsigned count;
};

static void count_pass(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct passes *p = arg;
    struct sim_regs r;
    (void)now_cycles;
    sim_get_regs(p->sim, cpu, &r);
    assert_int_equal(r.linear_rip, GUEST_BASE + 2);
    p->count++;
}

/* In 32-bit code at GUEST_BASE with another base of CS; an offset below it wraps around 4 GiB. */
static struct cpu *enter_32(struct sim *s, uint32_t base)
{
    struct cpu *cpu = &s->cpus[0];
    cpu->seg[SEG_CS].base = base;
    cpu->rip = (uint32_t)(GUEST_BASE - base);
    cpu_update_mode(cpu);
    return cpu;
}

/* In 64-bit code there, with a base of CS that counts for nothing. */
static struct cpu *enter_64(struct sim *s)
{
    struct cpu *cpu = &s->cpus[0];
    uint8_t entry[8];
    store_le64(entry, (TABLES + 0x1000) | 3);
    assert_true(bus_load(&s->bus, phys(TABLES), entry, 8));
    store_le64(entry, 0x83);
    assert_true(bus_load(&s->bus, phys(TABLES + 0x1000), entry, 8));
    cpu->cr3 = TABLES;
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET;
    cpu->seg[SEG_CS].attr = SEG_P | SEG_S | 0xbu | SEG_L | SEG_G;
    cpu->seg[SEG_CS].base = CS_BASE;
    cpu->rip = GUEST_BASE;
    cpu_update_mode(cpu);
    mem_flush_all(cpu);
    return cpu;
}

static void check_probe(struct sim *s, const struct cpu *cpu)
{
    struct passes p = {.sim = s};
    sim_run(s, cpu_now(cpu) + 7); /* the block is known when the probe comes */
    sim_probe_add(s, lin(GUEST_BASE + 2), count_pass, &p);
    sim_run(s, cpu_now(cpu) + 1000);
    assert_in_range(p.count, 199, 201);
    sim_destroy(s);
}

static void a_probe_stands_at_a_linear_address_whatever_the_base_of_cs(void **state)
{
    static const uint32_t bases[] = {0, CS_BASE, 0x300000, 0xffff0000};
    (void)state;
    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        struct sim *s = guest_create(NULL, nop_code, nop_code_end);
        check_probe(s, enter_32(s, bases[i]));
    }
}

static void a_probe_in_64_bit_code_does_not_feel_the_base_of_cs(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, nop_code, nop_code_end);
    check_probe(s, enter_64(s));
}

static void check_range(struct sim *s, struct cpu *cpu)
{
    cpu->nmi_blocked = true; /* so that it stays to be seen: there is no handler */
    struct effect f = {.kind = EFFECT_INTERRUPT_RANGE, .arg = {GUEST_BASE + 2, GUEST_BASE + 2, 256}};
    assert_true(sim_effect(s, &f, NULL));
    sim_run(s, cpu_now(cpu) + 2);
    assert_false(cpu->nmi_pending);
    sim_run(s, cpu_now(cpu) + 1);
    assert_true(cpu->nmi_pending);
    sim_destroy(s);
}

static void a_new_range_forgets_who_was_interrupted_in_the_last_one(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, nop_code, nop_code_end);
    struct effect f = {.kind = EFFECT_INTERRUPT_RANGE, .arg = {GUEST_BASE + 2, GUEST_BASE + 2, 256}};
    enter_64(s);
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_TRIPLE_FAULT); /* no handler comes back */
    assert_int_equal(s->interrupted_count, 1);
    assert_true(sim_effect(s, &f, NULL));
    assert_int_equal(s->interrupted_count, 0);
    sim_destroy(s);
}

static void an_interrupt_range_is_one_of_linear_addresses(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, nop_code, nop_code_end);
    check_range(s, enter_32(s, CS_BASE));
    s = guest_create(NULL, nop_code, nop_code_end);
    check_range(s, enter_32(s, 0x300000));
    s = guest_create(NULL, nop_code, nop_code_end);
    check_range(s, enter_64(s));
}

static void what_is_not_modelled_shows_the_bytes_at_its_linear_address(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, iret_code, iret_code_end);
    struct cpu *cpu = enter_32(s, 0x300000);
    cpu_set_rflags(cpu, RFLAGS_ONE | RFLAGS_NT);
    assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_NOT_MODELLED);
    assert_non_null(strstr(sim_stop_text(s), "bytes cf"));
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_stands_at_a_linear_address_whatever_the_base_of_cs),
        cmocka_unit_test(a_probe_in_64_bit_code_does_not_feel_the_base_of_cs),
        cmocka_unit_test(an_interrupt_range_is_one_of_linear_addresses),
        cmocka_unit_test(a_new_range_forgets_who_was_interrupted_in_the_last_one),
        cmocka_unit_test(what_is_not_modelled_shows_the_bytes_at_its_linear_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
