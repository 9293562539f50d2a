#ifndef TESTS_UNIT_OS_FAKE_FAKE_ARCH_H
#define TESTS_UNIT_OS_FAKE_FAKE_ARCH_H

/*
 * A pretended machine for host tests of the kernel: bodies of arch/arch.h, arch/arch_pt.h and panic.h, RAM of
 * 8 GiB, and a frame manager over a given map. Included once by each test program. The metadata tables are
 * inaccessible except where frame_metadata_spans says that they must be backed, so any stray access dies.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "arch/arch_pt.h"
#include "arch/x86_64/clock.h"
#include "mm/frame.h"
#include "mm/region.h"
#include "panic.h"

#define FAKE_RAM_BYTES (8ull << 30)
#define MIB            (1ull << 20)

static unsigned fake_cpu;                           /* what arch_cpu_id answers */
static bool fake_irqs_off;                          /* interrupt flag of the pretended CPU */
__attribute__((unused)) static uint64_t fake_clock; /* advances by one a reading */
static char *fake_ram;                              /* physical address 0 */
static jmp_buf fake_panic_exit;
static bool fake_panic_expected;
static char fake_panic_text[512];

uint64_t arch_irq_save(void)
{
    bool before = fake_irqs_off;
    fake_irqs_off = true;
    return before;
}

void arch_irq_restore(uint64_t state)
{
    fake_irqs_off = state != 0;
}

void arch_step16(uint16_t *number)
{
    __atomic_store_n(number, (uint16_t)(*number + 1), __ATOMIC_RELEASE);
}

void arch_step32(uint32_t *number)
{
    __atomic_store_n(number, *number + 1, __ATOMIC_RELEASE);
}

void arch_pause(void)
{
}

unsigned arch_cpu_id(void)
{
    return fake_cpu;
}

void *arch_phys_to_virt(paddr_t address)
{
    return fake_ram + address.number;
}

paddr_t arch_virt_to_phys(const void *pointer)
{
    return paddr_make((uint64_t)((const char *)pointer - fake_ram));
}

/* One cycle is a nanosecond. */
uint64_t clock_cycles_from_ns(uint64_t ns)
{
    return ns;
}

uint64_t arch_pt_load(const uint64_t *entry)
{
    return *entry;
}

void arch_pt_store(uint64_t *entry, uint64_t value)
{
    *entry = value;
}

bool arch_pt_cmpxchg(uint64_t *entry, uint64_t *expected, uint64_t value)
{
    if (*entry != *expected) {
        *expected = *entry;
        return false;
    }
    *entry = value;
    return true;
}

_Noreturn void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fake_panic_text, sizeof fake_panic_text, format, arguments);
    va_end(arguments);
    if (!fake_panic_expected) {
        fprintf(stderr, "panic: %s\n", fake_panic_text);
        abort();
    }
    fake_irqs_off = false;
    longjmp(fake_panic_exit, 1);
}

/* Runs a statement that must panic with a text that contains `part`. */
#define assert_panics(part, statement)                  \
    do {                                                \
        fake_panic_expected = true;                     \
        if (setjmp(fake_panic_exit) == 0) {             \
            statement;                                  \
            fail_msg("no panic");                       \
        }                                               \
        fake_panic_expected = false;                    \
        assert_non_null(strstr(fake_panic_text, part)); \
    } while (0)

#define assert_ok(status) assert_int_equal((status), STATUS_OK)

/* A small generator (xorshift64*) so that every run is the same. */
static inline uint64_t fake_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

/* ---- frame manager over a map ---- */

struct fake_range {
    uint64_t base;
    uint64_t size;
    enum region_type type;
};

__attribute__((unused)) static struct region_list fake_regions;
static char *fake_tables[2];
static const uint64_t fake_table_bytes[2] = {FRAME_PFN_LIMIT * sizeof(struct page_frame),
                                             (FRAME_PFN_LIMIT >> 9) * sizeof(struct frame_block)};

static inline void *fake_reserve(uint64_t bytes, int protection)
{
    char *at = mmap(NULL, bytes + (2 * MIB), protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(at != MAP_FAILED);
    return (void *)(((uintptr_t)at + 2 * MIB - 1) & ~(uintptr_t)(2 * MIB - 1));
}

static inline status_t fake_back(void *context, int table, const struct frame_metadata_span *span)
{
    (void)context;
    int error = mprotect(fake_tables[table] + span->offset, span->size, PROT_READ | PROT_WRITE);
    return error == 0 ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

static inline uint64_t fake_now(void)
{
    return fake_clock++;
}

/* Fresh RAM and metadata, and a manager that is built but not published. numa and zones may be null. */
static inline void fake_build(const struct fake_range *ranges, size_t count, const struct frame_numa *numa,
                              const struct frame_zone_layout *zones, unsigned cpus)
{
    if (fake_ram) {
        munmap(fake_ram, FAKE_RAM_BYTES);
        munmap(fake_tables[0], fake_table_bytes[0]);
        munmap(fake_tables[1], fake_table_bytes[1]);
    }
    fake_ram = fake_reserve(FAKE_RAM_BYTES, PROT_READ | PROT_WRITE);
    fake_tables[0] = fake_reserve(fake_table_bytes[0], PROT_NONE);
    fake_tables[1] = fake_reserve(fake_table_bytes[1], PROT_NONE);
    fake_cpu = 0;
    fake_irqs_off = false;
    region_list_init(&fake_regions);
    for (size_t i = 0; i < count; i++) {
        assert_ok(region_list_add(&fake_regions, ranges[i].base, ranges[i].size, ranges[i].type));
    }
    assert_ok(frame_metadata_spans(&fake_regions, fake_back, NULL));
    struct frame_manager_config config = {.regions = &fake_regions,
                                          .numa = numa,
                                          .zones = zones,
                                          .frame_table = (void *)fake_tables[0],
                                          .block_table = (void *)fake_tables[1],
                                          .cpu_count = cpus};
    assert_ok(frame_manager_init(&config));
}

/* The usual test machine: `mib` of memory, frame 0 kept, firmware hole below 1 MiB, one node. */
static inline void fake_machine(uint64_t mib, unsigned cpus)
{
    const struct fake_range ranges[] = {{0, 0x1000, REGION_SLIVER},
                                        {0x1000, 0x9e000, REGION_USABLE},
                                        {0xa0000, 0x60000, REGION_MMIO},
                                        {MIB, (mib - 1) * MIB, REGION_USABLE}};
    fake_build(ranges, 4, NULL, NULL, cpus);
    frame_manager_publish();
}

static inline void fake_print_line(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
}

__attribute__((unused)) static const struct text_sink fake_stderr = {fake_print_line, NULL};

/* Every invariant of the frame manager holds, interrupts are back on. */
#define assert_frames_sound()                           \
    do {                                                \
        assert_int_equal(frame_check(&fake_stderr), 0); \
        assert_false(fake_irqs_off);                    \
    } while (0)

#endif
