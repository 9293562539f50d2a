/*
 * The loader from its entry to the kernel's. Source: UEFI Specification 2.10, "UEFI Images". Deviations: the kernel is
 * not relocated; a firmware that uses the memory at 1 MiB itself is told so.
 */
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/types.h"
#include "uefi/loader.h"

#define MESSAGE_MAX 200u
#define BELOW_4_GIB 0xffffffffull

unsigned loader_error(efi_status status)
{
    return (unsigned)(status & ~EFI_ERROR_BIT);
}

bool loader_fail(struct loader *l, const char *format, ...)
{
    static const char prefix[] = "orrery: ";
    char text[sizeof(prefix) + MESSAGE_MAX];
    efi_char wide[sizeof(text) + 2];
    size_t count = 0;
    va_list arguments;
    memcpy(text, prefix, sizeof(prefix));
    va_start(arguments, format);
    kvsnprintf(text + sizeof(prefix) - 1, MESSAGE_MAX, format, arguments);
    va_end(arguments);
    for (; text[count] != '\0'; count++) {
        wide[count] = (efi_char)text[count];
    }
    wide[count++] = '\r';
    wide[count++] = '\n';
    wide[count] = 0;
    l->system->console_out->output_string(l->system->console_out, wide);
    return false;
}

bool loader_pages(struct loader *l, enum efi_memory_type type, uint64_t bytes, const char *what,
                  uint64_t *address)
{
    size_t pages = (size_t)(align_up(bytes, PAGE_SIZE) / PAGE_SIZE);
    *address = BELOW_4_GIB;
    efi_status status = l->boot->allocate_pages(EFI_ALLOCATE_MAX_ADDRESS, (uint32_t)type, pages, address);
    if (status != EFI_SUCCESS) {
        return loader_fail(l, "no memory for %s: %llu KiB (EFI error %u)", what,
                           (unsigned long long)(bytes / 1024), loader_error(status));
    }
    memset((void *)(uintptr_t)*address, 0, pages * PAGE_SIZE);
    return true;
}

/* A trailing line end is the editor's, not the command line's. */
static void trim(struct handoff_span *line)
{
    const char *text = (const char *)(uintptr_t)line->base;
    while (line->size_bytes != 0 &&
           (text[line->size_bytes - 1] == '\n' || text[line->size_bytes - 1] == '\r')) {
        line->size_bytes--;
    }
}

static bool make_block(struct loader *l, const struct handoff_span *initrd, const struct kernel_image *image,
                       struct handoff *block)
{
    uint64_t heap;
    if (!loader_pages(l, EFI_LOADER_DATA, HANDOFF_MIN_TEMPORARY_HEAP, "the temporary heap", &heap)) {
        return false;
    }
    memset(block, 0, sizeof(*block));
    block->magic = HANDOFF_MAGIC;
    block->size = sizeof(*block);
    block->version = HANDOFF_VERSION;
    block->kernel_image = image->span;
    block->temporary_heap = (struct handoff_span){heap, HANDOFF_MIN_TEMPORARY_HEAP};
    if (initrd->size_bytes != 0) {
        block->module_count = 1;
        block->modules[0].span = *initrd;
        memcpy(block->modules[0].name, "initrd", sizeof("initrd"));
    }
    return platform_describe(l, block);
}

/* The order: what can be wrong with the files first, the kernel's place last, so that a failure leaves nothing there. */
static bool load(struct loader *l, uint64_t *entry, uint64_t *block_address)
{
    struct handoff_span file;
    struct handoff_span initrd;
    struct handoff_span command_line;
    struct kernel_image image;
    uint64_t block;
    if (!volume_open(l) || !file_read(l, "\\orrery\\kernel.elf", true, &file) ||
        !image_check(l, &file, &image) || !file_read(l, "\\orrery\\initrd.cpio", false, &initrd) ||
        !file_read(l, "\\orrery\\cmdline.txt", false, &command_line)) {
        return false;
    }
    trim(&command_line);
    if (!loader_pages(l, EFI_LOADER_DATA, sizeof(struct handoff), "the handoff block", &block) ||
        !make_block(l, &initrd, &image, (struct handoff *)(uintptr_t)block) ||
        !image_place(l, &file, &image)) {
        return false;
    }
    *entry = image.entry;
    return firmware_leave(l, (const struct handoff *)(uintptr_t)block, &command_line, block_address);
}

efi_status EFIAPI efi_main(efi_handle image, struct efi_system_table *system)
{
    struct loader l = {.image = image, .system = system, .boot = system->boot_services};
    uint64_t entry;
    uint64_t block;
    if (!load(&l, &entry, &block)) {
        return EFI_LOAD_ERROR;
    }
    cpu_enter_kernel(entry, block);
}
