#ifndef ORRERY_TESTS_UNIT_CPU_MEM_FIXTURE_H
#define ORRERY_TESTS_UNIT_CPU_MEM_FIXTURE_H

/* A vCPU with RAM and one device, and page tables made by hand, for the tests of the memory path. Nothing
 * here runs an instruction. */

#include "cpu/mem.h"
#include "cpu/mem_internal.h"
#include "cpu/store_queue.h"
#include "mmu/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_RAM    0x4000000u /* 64 MiB from 0 */
#define FIXTURE_DEVICE UINT64_C(0xfee00000)
#define FIXTURE_CPUS   2u

struct fixture {
    struct bus bus;
    struct cpu *cpu[FIXTURE_CPUS];
    uint64_t next_table; /* page tables are taken from 32 MiB upwards */
    /* what the device saw */
    unsigned device_reads, device_writes, device_size, device_cpu;
    uint64_t device_offset, device_value, device_now;
    unsigned device_pending; /* stores queued on vCPU 0 at that moment */
    /* special writes */
    unsigned special_writes, special_size;
    uint64_t special_at;
    unsigned write_pointer_drops;
};

static inline uint64_t fixture_device_read(void *dev, const struct bus_cx *cx, uint64_t offset,
                                           unsigned size_bytes)
{
    struct fixture *f = dev;
    f->device_reads++;
    f->device_offset = offset;
    f->device_size = size_bytes;
    f->device_cpu = cx->cpu;
    f->device_now = cx->now_cycles;
    f->device_pending = f->cpu[0]->stores.count;
    return UINT64_C(0x1122334455667788) + offset;
}

static inline void fixture_device_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                                        unsigned size_bytes)
{
    struct fixture *f = dev;
    f->device_writes++;
    f->device_offset = offset;
    f->device_size = size_bytes;
    f->device_cpu = cx->cpu;
    f->device_now = cx->now_cycles;
    f->device_value = value;
    f->device_pending = f->cpu[0]->stores.count;
}

static const struct device_ops fixture_device = {
    .name = "test", .mmio_read = fixture_device_read, .mmio_write = fixture_device_write, .stateless = true};

static inline void fixture_special(void *target, phys_t a, unsigned size_bytes)
{
    struct fixture *f = target;
    f->special_writes++;
    f->special_at = a.v;
    f->special_size = size_bytes;
}

static inline void fixture_drop_write_pointers(void *target)
{
    struct fixture *f = target;
    f->write_pointer_drops++;
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        mem_drop_host_entries(f->cpu[i]);
    }
}

static inline void fixture_entry(struct fixture *f, uint64_t at, uint64_t entry)
{
    uint8_t bytes[8];
    store_le64(bytes, entry);
    assert_true(bus_load(&f->bus, phys(at), bytes, 8));
}

static inline uint64_t fixture_word(const struct fixture *f, uint64_t at)
{
    return load_le64(ram_at(&f->bus.ram, phys(at)));
}

static inline uint64_t fixture_table(struct fixture *f)
{
    f->next_table += PAGE_SIZE_BYTES;
    return f->next_table - PAGE_SIZE_BYTES;
}

/* Address of the entry of a level (4..1) for a linear address; missing tables are made, with every right. */
static inline uint64_t fixture_entry_at(struct fixture *f, uint64_t root, uint64_t a, unsigned level)
{
    uint64_t table = root;
    for (unsigned l = 4;; l--) {
        uint64_t at = table + 8 * bits_get(a, 11 + 9 * l, 3 + 9 * l);
        if (l == level) {
            return at;
        }
        if (!(fixture_word(f, at) & PTE_P)) {
            fixture_entry(f, at, fixture_table(f) | PTE_P | PTE_W | PTE_U);
        }
        table = fixture_word(f, at) & PTE_ADDRESS;
    }
}

/* Maps one 4 KiB page of vCPU 0's address space. */
static inline void fixture_map(struct fixture *f, uint64_t a, uint64_t physical, uint64_t flags)
{
    fixture_entry(f, fixture_entry_at(f, f->cpu[0]->cr3 & PTE_ADDRESS, a, 1), physical | flags);
}

/* A vCPU in 64-bit mode at CPL 0, with mode and table chosen as cpu_update_mode chooses them. */
static inline void fixture_update(struct cpu *cpu)
{
    bool was_user = cpu->host == &cpu->host_tables[MEM_USER];
    cpu->mode = MODE_LONG64;
    cpu->mem_mode = cpu->cpl == 3                    ? MEM_USER
                    : (cpu->rflags & RFLAGS_AC) != 0 ? MEM_SUPERVISOR_AC
                                                     : MEM_SUPERVISOR;
    cpu->host = &cpu->host_tables[cpu->mem_mode];
    cpu->fetch.valid &= was_user == (cpu->cpl == 3);
    mem_mode_changed(cpu);
}

static inline void fixture_cpl(struct cpu *cpu, unsigned cpl)
{
    cpu->cpl = (uint8_t)cpl;
    fixture_update(cpu);
}

static inline void fixture_init(struct fixture *f, uint32_t store_capacity, uint32_t drain_cycles)
{
    const struct ram_range range = {phys(0), FIXTURE_RAM};
    *f = (struct fixture){.next_table = 0x2000000};
    bus_init(&f->bus);
    assert_true(ram_init(&f->bus.ram, &range, 1, NULL));
    bus_add_mmio(&f->bus, phys(FIXTURE_DEVICE), PAGE_SIZE_BYTES, &fixture_device, f);
    f->bus.on_special_write = fixture_special;
    f->bus.on_special_write_target = f;
    uint64_t root = fixture_table(f);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        struct cpu *cpu = f->cpu[i] = calloc(1, sizeof *cpu);
        assert_non_null(cpu);
        cpu->number = i;
        cpu->bus = &f->bus;
        cpu->cr0 = CR0_PE | CR0_PG | CR0_WP;
        cpu->cr3 = root;
        cpu->cr4 = CR4_PAE | CR4_PGE;
        cpu->efer = EFER_LME | EFER_LMA | EFER_NXE;
        cpu->msrs.pat = UINT64_C(0x0007040600070406);
        cpu->deadline_cycles = 1000;
        cpu->stores.capacity = store_capacity;
        cpu->stores.drain_cycles = drain_cycles;
        cpu->drop_all_write_pointers = fixture_drop_write_pointers;
        cpu->machine_target = f;
        mem_init(cpu);
        fixture_update(cpu);
    }
}

static inline void fixture_deinit(struct fixture *f)
{
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        free(f->cpu[i]);
    }
    bus_deinit(&f->bus);
}

static inline void fixture_check_host_entry(struct cpu *cpu, unsigned mode, bool write,
                                            const struct host_entry *e)
{
    unsigned page_shift;
    const struct tlb_entry *t = tlb_lookup(&cpu->tlb, lin(e->tag), mem_pcid(cpu), &page_shift);
    assert_non_null(t);
    phys_t page = walk_physical(t->data, page_shift, lin(e->tag));
    assert_ptr_equal((uint8_t *)(e->addend + e->tag), ram_at(&cpu->bus->ram, page));
    struct paging p = mem_paging(cpu);
    unsigned access = (write ? ACCESS_WRITE : 0) | (mode == MEM_USER ? ACCESS_USER : 0) |
                      (mode == MEM_SUPERVISOR_AC ? ACCESS_AC : 0);
    assert_true(walk_allows(&p, access, t->data));
    assert_false(write && cpu->stores.capacity);
    assert_false(write && !(t->data & TLB_D));
    assert_false(write && cpu->bus->ram.flags[page.v >> PAGE_SHIFT] != PAGE_DIRTY);
    assert_false(mem_store_pending(cpu, page));
}

/* Every host-pointer entry must be one that the TLB, the page's flags and the store queue allow. */
static inline void fixture_check_host_entries(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        for (unsigned i = 0; i < HOST_ENTRIES; i++) {
            const struct host_entry *read = &cpu->host_tables[mode].read[i];
            const struct host_entry *write = &cpu->host_tables[mode].write[i];
            if (read->tag != HOST_TAG_NONE) {
                fixture_check_host_entry(cpu, mode, false, read);
            }
            if (write->tag != HOST_TAG_NONE) {
                fixture_check_host_entry(cpu, mode, true, write);
            }
        }
    }
}

#endif
