/*
 * Bringing up processors. Source: AMD64 APM volume 2, "Multiple Processor Initialization"; Intel SDM volume
 * 3A, "MP Initialization". The second start-up IPI is sent only when the first one brought no sign of life
 * within 200 us: a lost one costs that, not a CPU. Waits are bounded; nothing waits longer than the processor
 * needs.
 */
#include "smp/ap_start.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/switch.h"
#include "console.h"
#include "lib/string.h"
#include "mm/frame_cache.h"
#include "mm/kheap.h"
#include "mm/pagetable.h"
#include "must.h"
#include "panic.h"
#include "probe.h"
#include "sched/sched.h"

#define STARTUP_RETRY_NS 200000ull
#define STARTUP_LIMIT_NS 500000000ull
#define RESTART_LIMIT_NS 10000000000ull /* it has run before: a machine whose host is busy takes long */
#define INIT_SETTLE_NS   10000ull
#define TRAMPOLINE_LIMIT 0xa0000ull

extern const char trampoline_start[];
extern const char trampoline_end[];
extern const char trampoline_cr3[];
extern const char trampoline_stack[];
extern const char trampoline_cpu[];
extern const char trampoline_apic_id[];
extern const char trampoline_entry[];

struct cpu cpu_boot_area = {.self = &cpu_boot_area, .state = CPU_STATE_ONLINE};
struct cpu *cpu_table[ARCH_MAX_CPUS];
static unsigned cpus_present;
static unsigned cpus_online;
static uint64_t online_mask;

unsigned cpu_count_present(void)
{
    return cpus_present;
}

unsigned cpu_count_online(void)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_RELAXED);
}

uint64_t cpu_online_mask(void)
{
    return __atomic_load_n(&online_mask, __ATOMIC_SEQ_CST);
}

void cpu_mark_online(struct cpu *cpu)
{
    __atomic_or_fetch(&online_mask, 1ull << cpu->id, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&cpus_online, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->state, CPU_STATE_ONLINE, __ATOMIC_RELEASE);
}

void cpu_mark_leaving(struct cpu *cpu)
{
    __atomic_and_fetch(&online_mask, ~(1ull << cpu->id), __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&cpus_online, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->state, CPU_STATE_LEAVING, __ATOMIC_RELEASE);
}

void cpu_table_init(void)
{
    cpu_table[0] = &cpu_boot_area;
    run_queue_init(&cpu_boot_area.queue, "sched.queue");
    cpu_mark_online(&cpu_boot_area);
    cpus_present = 1;
}

/* All or none. */
static status_t ist_stacks_alloc(struct cpu *cpu)
{
    for (unsigned i = 0; i < IST_COUNT; i++) {
        status_t status = kmap_stack_alloc(&cpu->ist_top[i]);
        if (status != STATUS_OK) {
            kmap_stacks_free(cpu->ist_top, i);
            return status;
        }
    }
    return STATUS_OK;
}

status_t cpu_prepare_boot(void)
{
    status_t status = ist_stacks_alloc(&cpu_boot_area);
    if (status == STATUS_OK) {
        descriptors_set_ist(&cpu_boot_area);
    }
    return status;
}

/* False when the state is another one by now. */
static bool state_change(struct cpu *cpu, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&cpu->state, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* A processor that was given up on meanwhile stops here for ever. */
static void step_or_halt(struct cpu *cpu, uint32_t from, uint32_t to)
{
    if (!state_change(cpu, from, to)) {
        arch_stop_for_ever();
    }
}

/* First C code of an application processor, on its idle thread's stack. */
static _Noreturn void ap_main(struct cpu *cpu)
{
    descriptors_set_ist(cpu);
    descriptors_load(cpu);
    step_or_halt(cpu, CPU_STATE_STARTING, CPU_STATE_CLAIMED);
    probe_point("processor");
    features_enable_on_this_cpu();
    msr_write(MSR_PAT, PAT_MSR_VALUE);
    cr3_write(paddr_number(kmap_table()->root));
    lapic_enable_on_this_cpu();
    clock_enable_on_this_cpu();
    sched_init_this_cpu(cpu->idle, cpu->idle->stack_top);
    step_or_halt(cpu, CPU_STATE_CLAIMED, CPU_STATE_ARRIVED);
    cpu_mark_online(cpu);
    sched_idle();
}

static void parameter_set(void *page, const char *symbol, uint64_t value)
{
    memcpy((char *)page + (symbol - trampoline_start), &value, sizeof(value));
}

static status_t low_table_alloc(void *context, paddr_t *table)
{
    (void)context;
    pfn_t pfn;
    status_t status = frame_cache_alloc(FRAME_CACHE_PAGE_TABLE, 1, FRAME_DMA | FRAME_ZERO, 0, &pfn);
    *table = paddr_from_pfn(status == STATUS_OK ? pfn : 0);
    return status;
}

static void low_table_free(void *context, paddr_t table)
{
    (void)context;
    if (frame_cache_free(FRAME_CACHE_PAGE_TABLE, 1, paddr_pfn(table)) != STATUS_OK) {
        panic("page table at 0x%llx could not be freed", (unsigned long long)table.number);
    }
}

/* CR3 is loaded by 32-bit code. */
static const struct pt_allocator low_allocator = {.alloc = low_table_alloc, .free = low_table_free};

/* The tables an application processor turns paging on with: the kernel half, and the trampoline page mapped
 * 1:1. */
static status_t boot_tables_make(struct page_table *tables, uint64_t page)
{
    status_t status = pt_init_user(tables, &low_allocator, kmap_table());
    if (status != STATUS_OK) {
        return status;
    }
    status = pt_map(tables, vaddr_make(page), paddr_make(page), PAGE_4K, PAGE_FLAGS(PAGE_DEVICE));
    if (status != STATUS_OK) {
        pt_deinit(tables);
    }
    return status;
}

static struct cpu *cpu_area_make(unsigned id, const struct handoff_cpu *told)
{
    void *memory = kzalloc(sizeof(struct cpu) + 64);
    if (memory == NULL) {
        return NULL;
    }
    struct cpu *cpu = (struct cpu *)align_up((uint64_t)(uintptr_t)memory, 64);
    cpu->self = cpu;
    cpu->id = id;
    cpu->apic_id = told->apic_id;
    cpu->acpi_id = told->acpi_id;
    cpu->node = told->node;
    run_queue_init(&cpu->queue, "sched.queue");
    status_t status = ist_stacks_alloc(cpu);
    if (status == STATUS_OK) {
        status = thread_create(&cpu->idle, &sched_background, NULL, NULL);
        if (status == STATUS_OK) {
            return cpu;
        }
        kmap_stacks_free(cpu->ist_top, IST_COUNT);
    }
    kfree(memory);
    return NULL;
}

static bool wait_online(const struct cpu *cpu, uint64_t limit_ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(limit_ns);
    while (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) != CPU_STATE_ONLINE) {
        if (clock_cycles() > end) {
            return false;
        }
        arch_pause();
    }
    return true;
}

static bool cpu_start(struct cpu *cpu, void *page, uint64_t page_address, uint64_t limit_ns)
{
    parameter_set(page, trampoline_stack, cpu->idle->stack_top);
    parameter_set(page, trampoline_cpu, (uint64_t)(uintptr_t)cpu);
    parameter_set(page, trampoline_apic_id, cpu->apic_id & 0xff); /* as CPUID leaf 1 tells it */
    __atomic_store_n(&cpu->state, CPU_STATE_STARTING, __ATOMIC_SEQ_CST);
    cpu_table[cpu->id] = cpu;
    lapic_send_init(cpu->apic_id);
    clock_delay_ns(INIT_SETTLE_NS);
    lapic_send_startup(cpu->apic_id, (uint8_t)(page_address >> PAGE_SHIFT));
    if (wait_online(cpu, STARTUP_RETRY_NS)) {
        return true;
    }
    lapic_send_startup(cpu->apic_id, (uint8_t)(page_address >> PAGE_SHIFT));
    if (wait_online(cpu, limit_ns) ||
        (!state_change(cpu, CPU_STATE_STARTING, CPU_STATE_OFFLINE) && wait_online(cpu, limit_ns))) {
        return true;
    }
    if (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_STATE_OFFLINE ||
        state_change(cpu, CPU_STATE_CLAIMED, CPU_STATE_OFFLINE)) {
        return false;
    }
    while (!wait_online(cpu, limit_ns)) { /* it has arrived: nothing it does from there on can fail */
    }
    return true;
}

/* True when every CPU came up. */
static bool start_each(void *page, uint64_t page_address)
{
    bool all = true;
    const struct acpi_info *acpi = acpi_info();
    for (uint32_t i = 0; i < acpi->cpu_count; i++) {
        if (acpi->cpus[i].apic_id == cpu_boot_area.apic_id) {
            continue;
        }
        struct cpu *cpu = cpu_area_make(cpus_present, &acpi->cpus[i]);
        if (cpu == NULL) {
            console_printf("cpu: no memory for cpu %u\n", cpus_present);
            return all;
        }
        /* Present counts only CPUs that run, so that no loop over CPUs meets one that never came. */
        if (cpu_start(cpu, page, page_address, STARTUP_LIMIT_NS)) {
            cpus_present++;
        } else {
            cpu_table[cpu->id] = NULL;
            all = false;
            console_printf("cpu: the processor with APIC number %u does not start\n", cpu->apic_id);
        }
    }
    return all;
}

/* A frame the start-up IPI can name, reserved. */
static status_t trampoline_page(pfn_t *out)
{
    for (*out = 1; *out < TRAMPOLINE_LIMIT >> PAGE_SHIFT; (*out)++) {
        if (frame_reserve(*out, 1, FRAME_OWNER_BOOT) == STATUS_OK) {
            return STATUS_OK;
        }
    }
    return STATUS_ERR_NO_MEMORY;
}

static void trampoline_page_free(pfn_t pfn)
{
    must(frame_unreserve(pfn, 1, FRAME_OWNER_BOOT), "trampoline page");
}

/* The page an application processor starts in, and the tables it turns paging on with. */
struct trampoline {
    pfn_t pfn;
    uint64_t address;
    void *page;
    struct page_table tables;
};

static status_t trampoline_make(struct trampoline *t)
{
    status_t status = trampoline_page(&t->pfn);
    if (status != STATUS_OK) {
        return status;
    }
    t->address = paddr_number(paddr_from_pfn(t->pfn));
    t->page = arch_phys_to_virt(paddr_from_pfn(t->pfn));
    status = boot_tables_make(&t->tables, t->address);
    if (status != STATUS_OK) {
        trampoline_page_free(t->pfn);
        return status;
    }
    memcpy(t->page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    parameter_set(t->page, trampoline_cr3, paddr_number(t->tables.root));
    parameter_set(t->page, trampoline_entry, (uint64_t)(uintptr_t)ap_main);
    return STATUS_OK;
}

static void trampoline_free(struct trampoline *t)
{
    if (pt_unmap(&t->tables, vaddr_make(t->address), NULL, NULL) != STATUS_OK) {
        panic("the trampoline is not mapped");
    }
    pt_deinit(&t->tables);
    trampoline_page_free(t->pfn);
}

/* When one does not start, it may still run through the page later: that is never used again. */
status_t ap_start_all(void)
{
    struct trampoline t;
    if (acpi_info()->cpus_dropped != 0) {
        console_printf("cpu: %u processors are left out, there are more than %u\n", acpi_info()->cpus_dropped,
                       HANDOFF_MAX_CPUS);
    }
    if (acpi_info()->cpu_count <= 1) {
        return STATUS_OK;
    }
    status_t status = trampoline_make(&t);
    if (status == STATUS_OK && start_each(t.page, t.address)) {
        trampoline_free(&t);
    }
    return status;
}

status_t ap_restart(struct cpu *cpu)
{
    struct trampoline t;
    status_t status = trampoline_make(&t);
    if (status != STATUS_OK) {
        return status;
    }
    if (!cpu_start(cpu, t.page, t.address, RESTART_LIMIT_NS)) {
        return STATUS_ERR_TIMEOUT;
    }
    trampoline_free(&t);
    return STATUS_OK;
}
