/*
 * The banner: the figures are taken first, then printed line by line with nothing held, so that a slow console holds up
 * nobody.
 */
#include "sys/banner.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/features.h"
#include "boot_memory.h"
#include "console.h"
#include "sys/stats.h"

static void print_features(void)
{
    const struct cpu_features *f = features();
    console_printf("cpu: features%s%s%s%s%s%s%s%s\n", f->smep ? " smep" : "", f->smap ? " smap" : "",
                   f->umip ? " umip" : "", f->pcid ? " pcid" : "", f->invpcid ? " invpcid" : "",
                   f->x2apic ? " x2apic" : "", f->tsc_deadline ? " tsc-deadline" : "",
                   f->xsave ? " xsave" : "");
}

void banner_print(void)
{
    static struct system_stats stats;
    stats_snapshot(&stats);
    print_features();
    console_printf("cpu: %u of %u online\n", stats.cpus_online, acpi_info()->cpu_count);
    console_printf("memory: %u nodes\n", acpi_info()->node_count);
    console_printf("memory: %llu MiB managed\n", (unsigned long long)(stats.frames_managed >> 8));
    console_printf("memory: %llu frames free\n", (unsigned long long)stats.frames_free);
    if (boot_memory.screen.span.size_bytes != 0) {
        console_printf("screen: %u x %u at 0x%llx\n", boot_memory.screen.width, boot_memory.screen.height,
                       (unsigned long long)boot_memory.screen.span.base);
    }
    console_printf("clock: %s, %llu MHz\n", clock_source(), (unsigned long long)(stats.clock_hz / 1000000));
    console_printf("threads: %u\n", stats.threads);
}
