/*
 * What the firmware tells of the machine: ACPI root and through it processors and memory affinities, framebuffer.
 * Source: UEFI Specification 2.10, "EFI Configuration Table & Properties Table", "Graphics Output Protocol".
 * Deviations: the ACPI tables are believed to lie where the firmware says, which maps all memory one to one; only a
 * framebuffer of 32-bit xRGB pixels is handed over.
 */
#include "boot/block.h"
#include "kernel/lib/string.h"
#include "uefi/loader.h"

static uint64_t table_find(const struct efi_system_table *system, const struct efi_guid *guid)
{
    for (size_t i = 0; i < system->table_count; i++) {
        if (memcmp(&system->tables[i].guid, guid, sizeof(*guid)) == 0) {
            return (uint64_t)(uintptr_t)system->tables[i].table;
        }
    }
    return 0;
}

static const void *reach(uint64_t address, uint64_t bytes)
{
    return address != 0 && bytes <= UINT64_MAX - address ? (const void *)(uintptr_t)address : NULL;
}

static void describe_screen(struct loader *l, struct handoff *block)
{
    static const struct efi_guid guid = EFI_GRAPHICS_OUTPUT_GUID;
    void *found;
    if (l->boot->locate_protocol(&guid, NULL, &found) != EFI_SUCCESS) {
        return;
    }
    const struct efi_graphics_mode *mode = ((const struct efi_graphics_output *)found)->mode;
    if (mode == NULL || mode->info == NULL || mode->info->pixel_format != EFI_PIXEL_BLUE_GREEN_RED ||
        mode->info->pixels_per_line < mode->info->width || mode->info->pixels_per_line > UINT32_MAX / 4 ||
        (uint64_t)mode->info->pixels_per_line * 4 * mode->info->height > mode->framebuffer_bytes) {
        return;
    }
    block->framebuffer = (struct handoff_framebuffer){.span = {mode->framebuffer, mode->framebuffer_bytes},
                                                      .width = mode->info->width,
                                                      .height = mode->info->height,
                                                      .pitch_bytes = mode->info->pixels_per_line * 4,
                                                      .format = 0};
}

bool platform_describe(struct loader *l, struct handoff *block)
{
    static const struct efi_guid acpi_20 = EFI_ACPI_20_TABLE_GUID;
    static const struct efi_guid acpi_10 = EFI_ACPI_10_TABLE_GUID;
    block->acpi_rsdp = table_find(l->system, &acpi_20);
    if (block->acpi_rsdp == 0) {
        block->acpi_rsdp = table_find(l->system, &acpi_10);
    }
    if (block->acpi_rsdp == 0) {
        return loader_fail(l, "the firmware has no ACPI tables");
    }
    status_t status = acpi_parse(block->acpi_rsdp, reach);
    if (status != STATUS_OK) {
        return loader_fail(l, "ACPI tables at 0x%llx: %s", (unsigned long long)block->acpi_rsdp,
                           status_text(status));
    }
    block_put_processors(block, acpi_info(), cpu_apic_id());
    describe_screen(l, block);
    return true;
}
