#ifndef ORRERY_TESTS_UNIT_CPU_MEM_ONE_H
#define ORRERY_TESTS_UNIT_CPU_MEM_ONE_H

/* What the tests of one vCPU's memory path share: the fixture, made anew for each test and checked at its end, and accesses
 * that must succeed. */

#include "mem_fixture.h"

#define RW  (PTE_P | PTE_W)
#define RWU (PTE_P | PTE_W | PTE_U)

static struct fixture f;
static struct cpu *cpu; /* its vCPU 0 */

static inline int setup(void **state)
{
    (void)state;
    fixture_init(&f, 0, 0);
    cpu = f.cpu[0];
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    fixture_check_host_entries(cpu);
    fixture_deinit(&f);
    return 0;
}

static inline uint64_t read_ok(uint64_t a, unsigned size_bytes)
{
    uint64_t value = 0;
    assert_true(mem_read(cpu, lin(a), size_bytes, &value));
    return value;
}

static inline void write_ok(uint64_t a, unsigned size_bytes, uint64_t value)
{
    assert_true(mem_write(cpu, lin(a), size_bytes, value));
}

static inline void expect_fault(bool result, unsigned vector, uint64_t error, uint64_t cr2)
{
    assert_false(result);
    assert_int_equal(cpu->fault.vector, vector);
    assert_true(cpu->fault.has_error);
    assert_int_equal(cpu->fault.error, error);
    assert_int_equal(cpu->fault.cr2, cr2);
}

static inline uint64_t pte(uint64_t a)
{
    return fixture_word(&f, fixture_entry_at(&f, cpu->cr3, a, 1));
}

#endif
