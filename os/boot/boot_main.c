/*
 * The first C code, in the high half on the early tables: handoff block, inventory, final tables, frame
 * manager, heap, scheduler; then it leaves the boot stack for good. docs/boot.md lists the stages in order.
 */
#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/switch.h"
#include "arch/x86_64/uart.h"
#include "boot/heap.h"
#include "boot/pvh.h"
#include "boot/tables.h"
#include "boot_memory.h"
#include "console.h"
#include "lib/string.h"
#include "main.h"
#include "mm/boot_alloc.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "mm/vm.h"
#include "must.h"
#include "panic.h"
#include "proc/process.h"
#include "sched/gate.h"
#include "sched/sched.h"
#include "smp/ap_start.h"
#include "smp/ipi.h"
#include "sys/boot_arguments.h"
#include "sys/stats.h"

#define BOOT_ALLOC_FROM  (1ull << 20) /* served from the top: below 16 MiB only where there is nothing above */
#define BOOT_ALLOC_LIMIT (1ull << 32)

extern const char image_start[];
extern const char image_end[];

#define EARLY_STACK_BYTES 4096u

/* By which entry of entry.S the kernel was entered, and so what boot_main's argument is the address of. */
enum boot_protocol {
    BOOT_PROTOCOL_PVH = 0,     /* struct hvm_start_info */
    BOOT_PROTOCOL_HANDOFF = 1, /* struct handoff */
};

static __attribute__((section(".init.bss"))) struct region_list regions;
/* Exception stacks until there are some with guard pages. */
static __attribute__((section(".init.bss"), aligned(16))) char early_stacks[IST_COUNT][EARLY_STACK_BYTES];

static void start_exceptions(void)
{
    for (unsigned i = 0; i < IST_COUNT; i++) {
        cpu_boot_area.ist_top[i] = (uint64_t)(uintptr_t)early_stacks[i] + EARLY_STACK_BYTES;
    }
    descriptors_set_ist(&cpu_boot_area);
    idt_init();
    descriptors_load(&cpu_boot_area);
}

static const void *reach(void *context, uint64_t base, uint64_t size)
{
    (void)context;
    return boot_reach(base, size);
}

static uint64_t image_physical(const char *symbol)
{
    return (uint64_t)(uintptr_t)symbol - LAYOUT_IMAGE_BASE;
}

/* The block: from a loader as it is, else made here; its address goes to boot_memory. */
static const struct handoff *find_block(uint64_t argument, enum boot_protocol protocol)
{
    struct handoff *made;
    if (protocol == BOOT_PROTOCOL_HANDOFF) {
        boot_memory.block_address = argument;
        return boot_reach(argument, sizeof(*made));
    }
    must(pvh_make_handoff(argument, image_physical(image_start), image_physical(image_end), &made,
                          &boot_memory.block_address),
         "start information");
    return made;
}

/* What only this machine can say of a block: where the kernel really is, who runs it, how far an address reaches. */
static status_t check_block_is_of_this_machine(const struct handoff *block)
{
    uint64_t limit = 1ull << features()->physical_bits;
    uint32_t boot_apic_id = cpuid_read(1, 0).ebx >> 24;
    if (block->kernel_image.base != image_physical(image_start) ||
        block->kernel_image.size_bytes < image_physical(image_end) - image_physical(image_start)) {
        return STATUS_ERR_HANDOFF_SPAN;
    }
    for (uint32_t i = 0; i < block->cpu_count; i++) {
        bool boot = (block->cpus[i].flags & HANDOFF_CPU_BOOT) != 0;
        if (boot != (block->cpus[i].apic_id == boot_apic_id)) {
            return STATUS_ERR_HANDOFF_LIST;
        }
    }
    for (uint32_t i = 0; i < regions.count; i++) {
        const struct region *region = &regions.regions[i];
        if (region_type_class(region->type) != REGION_CLASS_OUTSIDE && region->end > limit) {
            return STATUS_ERR_HANDOFF_MAP;
        }
    }
    return STATUS_OK;
}

/* Frames in which any byte is the kernel's, by the list itself: what the frame manager must account for. */
static uint64_t frames_of_map(void)
{
    uint64_t frames = 0;
    uint64_t counted = 0;
    for (uint32_t i = 0; i < regions.count; i++) {
        const struct region *region = &regions.regions[i];
        uint64_t first = region->base >> PAGE_SHIFT;
        uint64_t end = align_up(region->end, PAGE_SIZE) >> PAGE_SHIFT;
        first = first > counted ? first : counted;
        end = end < FRAME_PFN_LIMIT ? end : FRAME_PFN_LIMIT;
        if (region_type_class(region->type) != REGION_CLASS_OUTSIDE && first < end) {
            frames += end - first;
            counted = end;
        }
    }
    return frames;
}

static const struct handoff *take_inventory(uint64_t argument, enum boot_protocol protocol)
{
    const struct handoff_reader reader = {.reach = reach};
    const struct handoff *block = find_block(argument, protocol);
    console_stage("handoff");
    must(handoff_validate(block, sizeof(*block), &reader), "handoff block");
    must(handoff_check_places(&regions, block, boot_memory.block_address, &reader), "handoff block");
    must(check_block_is_of_this_machine(block), "handoff block");
    if (protocol == BOOT_PROTOCOL_HANDOFF) {
        must(acpi_parse(block->acpi_rsdp, boot_reach), "ACPI tables");
        acpi_use_handoff(block);
    }
    boot_heap_init(&block->temporary_heap);
    must(region_list_build(&regions, block, boot_memory.block_address, &reader), "memory inventory");
    boot_memory.regions = &regions;
    boot_memory.temporary_heap = block->temporary_heap;
    boot_memory.initrd = block->module_count != 0 ? block->modules[0].span : (struct handoff_span){0};
    boot_memory.screen = block->framebuffer;
    if (block->command_line.size_bytes != 0) {
        boot_arguments_set(boot_reach(block->command_line.base, block->command_line.size_bytes),
                           block->command_line.size_bytes);
    }
    stats_precompute(frames_of_map(), acpi_info()->cpu_count);
    console_stage("inventory");
    return block;
}

/* What the frame manager wants to know of the nodes; read by it during its initialisation only. */
static const struct frame_numa *numa_make(void)
{
    const struct acpi_info *acpi = acpi_info();
    struct frame_numa *numa = boot_heap_alloc(sizeof(*numa));
    struct frame_node_range *ranges = boot_heap_alloc(acpi->affinity_count * sizeof(*ranges));
    uint32_t boot_apic_id = cpuid_read(1, 0).ebx >> 24;
    uint32_t id = 1;
    for (uint32_t i = 0; i < acpi->affinity_count; i++) {
        const struct handoff_affinity *told = &acpi->affinities[i];
        ranges[i] =
            (struct frame_node_range){told->span.base, told->span.base + told->span.size_bytes, told->node};
    }
    numa->node_count = acpi->node_count;
    numa->range_count = acpi->affinity_count;
    numa->ranges = ranges;
    memcpy(numa->distance, acpi->distance, sizeof(numa->distance));
    for (uint32_t i = 0; i < acpi->cpu_count && id < MM_MAX_CPUS; i++) {
        uint32_t cpu = acpi->cpus[i].apic_id == boot_apic_id ? 0 : id++;
        numa->cpu_node[cpu] = (uint8_t)acpi->cpus[i].node;
    }
    cpu_boot_area.node = numa->cpu_node[0];
    return numa;
}

_Static_assert(HANDOFF_MAX_NODES == MM_MAX_NODES, "one bound of NUMA nodes");

/* The word heap=track or heap=full of the command line. */
static enum heap_debug heap_debug_wanted(void)
{
    char word[8];
    if (!boot_argument("heap", word, sizeof(word))) {
        return HEAP_DEBUG_OFF;
    }
    return strcmp(word, "full") == 0 ? HEAP_DEBUG_FULL
                                     : (strcmp(word, "track") == 0 ? HEAP_DEBUG_TRACK : HEAP_DEBUG_OFF);
}

/* Every frame of the map is free, allocated or reserved. */
static void check_accounts(void)
{
    struct frame_stats stats;
    frame_stats_read(&stats);
    uint64_t accounted = stats.allocated_frames + stats.free_frames + stats.reserved_frames;
    uint64_t frames = frames_of_map();
    console_printf("memory: frames in the map %llu: allocated %llu, free %llu, reserved %llu\n",
                   (unsigned long long)frames, (unsigned long long)stats.allocated_frames,
                   (unsigned long long)stats.free_frames, (unsigned long long)stats.reserved_frames);
    if (accounted != frames) {
        panic("frame manager: %llu frames accounted for", (unsigned long long)accounted);
    }
}

static void start_memory(const struct handoff *block)
{
    boot_alloc_init(&regions, BOOT_ALLOC_FROM, BOOT_ALLOC_LIMIT);
    features_patch_smap(LAYOUT_PHYSMAP_BASE - LAYOUT_IMAGE_BASE);
    must(boot_tables_build(&regions, block), "page tables");
    console_stage("high half");
    const struct frame_manager_config config = {
        .regions = &regions,
        .numa = numa_make(),
        .frame_table = (void *)FRAME_TABLE_BASE,
        .block_table = (void *)BLOCK_TABLE_BASE,
        .cpu_count = acpi_info()->cpu_count,
        .timestamp = clock_cycles,
    };
    must(frame_manager_init(&config), "frame manager");
    boot_alloc_seal();
    kmap_use_frame_manager();
    console_stage("frame manager");
    frame_manager_publish();
    console_stage("publish");
    check_accounts();
    must(kheap_init(&(struct kheap_config){.debug = heap_debug_wanted()}), "heap");
    console_stage("heap");
}

static void relax(void)
{
    if (arch_irq_enabled()) {
        sched_relax();
    }
    arch_pause();
}

static void start_machine(void)
{
    static const struct vm_hooks hooks = {.relax = relax, .wait = gate_wait, .leave = gate_leave};
    tlb_set_flush(shootdown_flush);
    gate_init();
    must(vm_init(kmap_table(), &hooks), "address spaces");
    must(thread_system_init(), "threads");
    must(process_system_init(), "processes");
    must(lapic_init(acpi_info()->local_apic_address), "local APIC");
    lapic_enable_on_this_cpu();
    cpu_boot_area.apic_id = lapic_id();
    must(ioapic_init(), "I/O APIC");
    clock_init();
    clock_enable_on_this_cpu();
    sched_tunables_init();
    console_stage("clock");
    must(cpu_prepare_boot(), "exception stacks");
}

/* The boot processor's idle thread, on its own stack; the boot stack is never used again. */
static void become_idle(void)
{
    struct thread *starter;
    must(thread_create(&starter, &sched_kernel, main_start, NULL), "first thread");
    sched_start(starter);
    sched_idle();
}

_Noreturn void boot_main(uint64_t argument, enum boot_protocol protocol);

_Noreturn void boot_main(uint64_t argument, enum boot_protocol protocol)
{
    cpu_table_init();
    start_exceptions();
    uart_init(UART_CONSOLE);
    console_printf("Orrery kernel\n");
    console_stage("entry");
    features_detect();
    const struct handoff *block = take_inventory(argument, protocol);
    features_enable_on_this_cpu();
    msr_write(MSR_PAT, PAT_MSR_VALUE);
    start_memory(block);
    start_machine();
    struct thread *idle;
    must(thread_create(&idle, &sched_background, NULL, NULL), "idle thread");
    sched_init_this_cpu(idle, idle->stack_top);
    sched_enable_preemption();
    console_stage("scheduler");
    arch_stack_run(idle->stack_top, become_idle);
}
