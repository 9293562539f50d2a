/* Start-up in thread context: other CPUs, serial interrupts, memory that only the boot needed, init. */
#include "main.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/uart.h"
#include "boot/tables.h"
#include "boot_memory.h"
#include "cap/cap.h"
#include "console.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/device_range.h"
#include "mm/frame.h"
#include "must.h"
#include "probe.h"
#include "proc/futex.h"
#include "proc/initrd.h"
#include "proc/process.h"
#include "sched/rcu.h"
#include "sched/reaper.h"
#include "smp/ap_start.h"
#include "sys/balancer.h"
#include "sys/banner.h"
#include "sys/boot_arguments.h"

struct boot_memory boot_memory;

/* "serial2=user": the second port is for a program that drives it, and so nothing of it is touched here. */
static bool is_for_programs(enum uart_id id)
{
    char word[8];
    return id == UART_DRIVER && boot_argument("serial2", word, sizeof(word)) && strcmp(word, "user") == 0;
}

static void start_serial(enum uart_id id)
{
    if (is_for_programs(id)) {
        return;
    }
    if (id != UART_CONSOLE && !uart_init(id)) {
        return;
    }
    if (uart_present(id) && ioapic_route_isa(uart_isa_irq(id), cpu_boot_area.apic_id, false) == STATUS_OK) {
        uart_enable_interrupts(id);
    }
}

/* Boot tables, boot stack and boot lists: part of the image, wanted no more. */
static void release_image_part(void)
{
    extern const char init_bss_start[];
    extern const char init_bss_end[];
    uint64_t start = (uint64_t)(uintptr_t)init_bss_start;
    uint64_t end = (uint64_t)(uintptr_t)init_bss_end;
    for (uint64_t at = start; at < end; at += PAGE_SIZE) {
        must(pt_unmap(kmap_table(), vaddr_make(at), NULL, NULL), "boot tables");
    }
    arch_tlb_flush_all();
    must(frame_unreserve((start - LAYOUT_IMAGE_BASE) >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT,
                         FRAME_OWNER_KERNEL_IMAGE),
         "boot tables");
}

/* Its own mapping, if it has one, is gone; but for the image's part, whose pages are its mapping. */
static void release_part(unsigned part)
{
    enum region_type type = (enum region_type)part;
    uint64_t frames;
    boot_memory.free_frames[part].before = frame_free_count();
    if (part == BOOT_PART_IMAGE) {
        release_image_part();
    } else {
        must(frame_reclaim_type(boot_memory.regions, type, &frames), region_type_name(type));
    }
    boot_memory.free_frames[part].after = frame_free_count();
}

/* What the frame manager counts as free more than before. */
static unsigned long long given_back(unsigned part)
{
    return boot_memory.free_frames[part].after - boot_memory.free_frames[part].before;
}

/* Writes there are interrupts, whoever makes them; the local APICs' page is the first. */
#define MSI_BASE 0xfee00000ull
#define MSI_END  0xfef00000ull

/* What of the physical addresses programs may have as memory of devices: noted before the region list goes. */
static void note_device_ranges(void)
{
    const struct acpi_info *acpi = acpi_info();
    struct device_span own[4 + ACPI_MAX_IO_APICS] = {
        {MSI_BASE, MSI_END}, {acpi->local_apic_address, acpi->local_apic_address + PAGE_SIZE}};
    uint32_t count = 2;
    for (uint32_t i = 0; i < acpi->io_apic_count; i++) {
        own[count++] = (struct device_span){acpi->io_apics[i].address, acpi->io_apics[i].address + PAGE_SIZE};
    }
    if (acpi->hpet_address != 0) {
        own[count++] = (struct device_span){acpi->hpet_address, acpi->hpet_address + PAGE_SIZE};
    }
    if (acpi->sleep_control != 0 && !acpi->sleep_control_is_port) {
        own[count++] = (struct device_span){acpi->sleep_control, acpi->sleep_control + 1};
    }
    must(device_ranges_init(boot_memory.regions, own, count, 1ull << features()->physical_bits),
         "device memory");
}

/* Before the other CPUs start, so that only this CPU's translations matter. */
void boot_memory_release(void)
{
    note_device_ranges();
    must(boot_tables_drop_temporary_heap(boot_memory.temporary_heap.size_bytes), "temporary heap");
    unsigned long long all = 0; /* types */
    for (enum region_type type = 0; type < REGION_TYPE_COUNT; type++) {
        if (region_type_class(type) == REGION_CLASS_RECLAIM) {
            release_part(type);
            all += given_back(type);
        }
    }
    release_part(BOOT_PART_IMAGE);
    boot_memory.regions = NULL; /* the list was in the image's part */
    unsigned long long firmware = all - given_back(REGION_TEMPORARY_HEAP) - given_back(REGION_HANDOFF);
    console_printf("memory: temporary heap gave back %llu frames\n", given_back(REGION_TEMPORARY_HEAP));
    console_printf("memory: handoff block gave back %llu frames\n", given_back(REGION_HANDOFF));
    console_printf("memory: boot tables and stack gave back %llu frames\n", given_back(BOOT_PART_IMAGE));
    console_printf("memory: firmware and loader gave back %llu frames\n", firmware);
}

static void start_init(void)
{
    char chosen[PATH_MAX_BYTES];
    thread_log_set(boot_argument("log", chosen, sizeof(chosen)) && strcmp(chosen, "threads") == 0);
    futex_init();
    const char *path = boot_argument("init", chosen, sizeof(chosen)) ? chosen : "init";
    if (boot_memory.initrd.size_bytes != 0) {
        initrd_set(arch_phys_to_virt(paddr_make(boot_memory.initrd.base)), boot_memory.initrd.size_bytes);
    }
    must(process_start_init(path, NULL), "init");
}

void main_start(void *argument)
{
    (void)argument;
    reaper_prepare();
    boot_memory_release();
    console_stage("reclaim");
    must(ap_start_all(), "processors");
    console_stage("processors");
    rcu_start();
    must(cap_system_init(), "capabilities");
    cap_collector_start();
    must(ipc_init(), "messages");
    start_serial(UART_CONSOLE);
    start_serial(UART_DRIVER);
    console_stage("serial");
    must(balancer_start(), "balancer");
    banner_print();
    probe_point("start");
    console_stage("init");
    start_init();
    reaper_run();
}
