/* Trace points of system events: what each tells, on a guest that makes one of each. */

#include "base/bits.h"
#include "guest_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RECORDS_MAX 64u

struct records {
    struct trace_record record[RECORDS_MAX];
    unsigned count;
};

static void keep(void *target, const struct trace_record *r)
{
    struct records *all = target;
    assert_true(all->count < RECORDS_MAX);
    all->record[all->count++] = *r;
}

/* A GDT at 0x300000 (flat code 8, flat data 0x10), an IDT at 0x301000 whose gate 3 leads to an IRET; then SYSENTER, INT3,
 * INVLPG, a load of CR3, an interrupt to APIC 0, itself (nobody takes it: IF is 0), HLT. */
GUEST_CODE(system_code,
           ".code32\n movl $0x310000, %esp\n call 1f\n1: popl %ebx\n"
           " movl $0xffff, 0x300008\n movl $0x00cf9a00, 0x30000c\n movl $0xffff, 0x300010\n movl "
           "$0x00cf9200, 0x300014\n"
           " movw $0xff, 0x300100\n movl $0x300000, 0x300102\n lgdt 0x300100\n"
           " leal 4f-1b(%ebx), %eax\n movw %ax, 0x301018\n movw $8, 0x30101a\n movw $0x8e00, 0x30101c\n"
           " shrl $16, %eax\n movw %ax, 0x30101e\n"
           " movw $0xff, 0x300110\n movl $0x301000, 0x300112\n lidt 0x300110\n"
           " movl $0x174, %ecx\n xorl %edx, %edx\n movl $8, %eax\n wrmsr\n"
           " incl %ecx\n movl $0x310000, %eax\n wrmsr\n incl %ecx\n leal 2f-1b(%ebx), %eax\n wrmsr\n"
           " movl $0x77, %eax\n3: sysenter\n2: int3\n invlpg 0x123000\n xorl %eax, %eax\n movl %eax, %cr3\n"
           " movl $0x1ff, 0xfee000f0\n movl $0x4055, 0xfee00300\n hlt\n4: iret\n.code64");

static const struct trace_record *only(const struct records *all, enum trace_point p)
{
    const struct trace_record *found = NULL;
    for (unsigned i = 0; i < all->count; i++) {
        if (all->record[i].point == p) {
            assert_null(found);
            found = &all->record[i];
        }
    }
    assert_non_null(found);
    return found;
}

static void system_events_tell_what_happened(void **state)
{
    (void)state;
    static struct records all;
    struct sim *s = guest_create(NULL, system_code, system_code_end);
    all.count = 0;
    sim_on_trace(s,
                 BIT(TRACE_SYSCALL) | BIT(TRACE_EXCEPTION) | BIT(TRACE_TLB_INVALIDATION) | BIT(TRACE_HALT) |
                     BIT(TRACE_IPI),
                 keep, &all);
    assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_NO_PROGRESS);
    assert_int_equal(all.count, 6);
    const struct trace_record *call = only(&all, TRACE_SYSCALL);
    assert_int_equal(call->field[0], 0x77);
    assert_true(call->field[1] > GUEST_BASE);
    assert_int_equal(call->field[2], call->field[1] + 2); /* the instruction behind it */
    const struct trace_record *trap = only(&all, TRACE_EXCEPTION);
    assert_int_equal(trap->field[0], 3);
    assert_int_equal(trap->field[3], call->field[2] + 1);
    assert_int_equal(all.record[2].point, TRACE_TLB_INVALIDATION);
    assert_int_equal(all.record[2].field[0], 0x123000);
    assert_int_equal(all.record[2].field[1], 4);
    assert_int_equal(all.record[3].point, TRACE_TLB_INVALIDATION);
    assert_int_equal(all.record[3].field[1], 5);
    assert_int_equal(only(&all, TRACE_IPI)->field[0], 0x55);
    assert_int_equal(all.record[5].point, TRACE_HALT);
    assert_int_equal(sim_counter(s, COUNTER_APIC_MESSAGES, SIM_ALL_CPUS), 1);
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_events_tell_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
