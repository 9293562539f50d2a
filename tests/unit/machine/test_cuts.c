/* What random guests once found: results that depended on how a run was cut, or on how its code was grouped. */

#include "guest_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOREVER UINT64_MAX

/* 16-bit code (CS.D = 0, limit 4 GiB) that runs in sequence above 64 KiB. */
GUEST_CODE(high_16_bit_code, ".code32\n lgdt 0x200000 + 3f - high_16_bit_code\n"
                             " .byte 0xea\n .long 0x200000 + 2f - high_16_bit_code\n .word 8\n"
                             ".code16\n 2: nop\n nop\n nop\n movb $33, %al\n outb %al, $0xf4\n 1: jmp 1b\n"
                             " 3: .word 15\n .long 0x200000 + 4f - high_16_bit_code\n"
                             " 4: .quad 0\n .word 0xffff, 0, 0x9b00, 0x008f\n.code64");

static void code_of_16_bits_runs_on_above_64_kib_in_blocks_and_one_by_one(void **state)
{
    (void)state;
    for (unsigned single = 0; single < 2; single++) {
        struct sim_config c;
        sim_config_init(&c);
        c.single_step_blocks = single;
        struct sim *s = guest_create(&c, high_16_bit_code, high_16_bit_code_end);
        assert_int_equal(sim_run(s, 1000), SIM_STOP_DEBUG_EXIT);
        assert_int_equal(sim_exit_value(s), 33);
        sim_destroy(s);
    }
}

GUEST_CODE(exit_code, ".code32\n movl $100, %ecx\n 1: loop 1b\n outb %al, $0xf4\n 2: jmp 2b\n.code64");
GUEST_CODE(halt_code, ".code32\n movl $100, %ecx\n 1: loop 1b\n cli\n hlt\n.code64");
GUEST_CODE(crash_code, ".code32\n movl $100, %ecx\n 1: loop 1b\n lidt 0x1000\n ud2\n.code64");

static uint64_t end_of(const uint8_t *code, const uint8_t *code_end, uint64_t cut_cycles)
{
    struct sim *s = guest_create(NULL, code, code_end);
    enum sim_stop stop = SIM_STOP_CYCLES;
    for (uint64_t at = cut_cycles; stop == SIM_STOP_CYCLES; at += cut_cycles) {
        stop = sim_run(s, at);
    }
    uint64_t end = sim_cycles(s);
    sim_destroy(s);
    return end;
}

static void the_last_cycle_of_a_run_does_not_depend_on_its_cuts(void **state)
{
    static const struct {
        const uint8_t *code, *end;
    } guests[] = {
        {exit_code, exit_code_end},
        {halt_code, halt_code_end},
        {crash_code, crash_code_end},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof guests / sizeof guests[0]; i++) {
        uint64_t whole = end_of(guests[i].code, guests[i].end, FOREVER / 2);
        assert_true(whole > 100);
        assert_int_equal(end_of(guests[i].code, guests[i].end, 7), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_of_16_bits_runs_on_above_64_kib_in_blocks_and_one_by_one),
        cmocka_unit_test(the_last_cycle_of_a_run_does_not_depend_on_its_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
