/*
 * Boot protocols.
 * Source: Xen "x86/HVM direct boot ABI" (PVH, struct hvm_start_info version 1); Multiboot Specification 0.6.96.
 * Deviations: Multiboot video modes are not set (flag bit 2 of the header is refused).
 */

#include "machine/boot.h"

#include "base/bits.h"
#include "machine/elf.h"

#include <string.h>

#define HVM_START_MAGIC 0x336ec578u

/* Inside the boot information area. */
#define INFO_OFFSET    0x000u
#define MAP_OFFSET     0x100u
#define MODULES_OFFSET 0x400u
#define NAME_OFFSET    0x500u
#define COMMAND_OFFSET 0x800u
#define COMMAND_MAX    (BOOT_INFO_BYTES - COMMAND_OFFSET - 1)

#define MULTIBOOT_HEADER_MAGIC 0x1badb002u
#define MULTIBOOT_BOOT_MAGIC   0x2badb002u
#define MULTIBOOT_SEARCH_BYTES 8192u
#define MULTIBOOT_PAGE_ALIGN   BIT(0)
#define MULTIBOOT_MEMORY_INFO  BIT(1)
#define MULTIBOOT_VIDEO_MODE   BIT(2)
#define MULTIBOOT_ADDRESSES    BIT(16)

struct loader {
    struct bus *bus;
    const struct memory_map *map;
    const struct sim_image *image;
    uint64_t kernel_low, kernel_high; /* extent of what was loaded */
    uint64_t initrd_base;             /* 0: none */
    uint8_t info[BOOT_INFO_BYTES];
    struct error *error;
};

static bool overlaps(uint64_t base, uint64_t size, uint64_t from, uint64_t to)
{
    return base < to && from < base + size;
}

/* RAM that holds nothing of the firmware. The upper half of the BIOS area is free: some linkers put the ELF header of
 * an image for 1 MiB right below it. */
static bool usable(const struct loader *l, uint64_t base, uint64_t size)
{
    return ram_contains(&l->bus->ram, phys(base), size) &&
           !overlaps(base, size, BOOT_INFO_BASE, BIOS_BASE + BIOS_TABLES_BYTES) &&
           !overlaps(base, size, l->map->acpi_base, l->map->low_ram_end);
}

static bool load_bytes(struct loader *l, const char *what, uint64_t at, const uint8_t *bytes,
                       uint64_t file_bytes, uint64_t memory_bytes)
{
    if (!usable(l, at, memory_bytes)) {
        return error_set(l->error, "%s: %s at 0x%llx (%llu bytes) does not fit usable RAM",
                         l->image->kernel_name, what, (unsigned long long)at,
                         (unsigned long long)memory_bytes);
    }
    bus_load(l->bus, phys(at), bytes, file_bytes);
    if (at < l->kernel_low) {
        l->kernel_low = at;
    }
    if (at + memory_bytes > l->kernel_high) {
        l->kernel_high = at + memory_bytes;
    }
    return true; /* the rest of memory_bytes is zero: RAM starts so */
}

static bool load_segments(struct loader *l, const struct elf_image *elf)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        for (unsigned j = 0; j < i; j++) {
            const struct elf_segment *o = &elf->segments[j];
            if (s->physical < o->physical + o->memory_bytes && o->physical < s->physical + s->memory_bytes) {
                return error_set(l->error, "%s: segments %u and %u overlap", l->image->kernel_name, j, i);
            }
        }
        if (!load_bytes(l, "a segment", s->physical, l->image->kernel + s->file_offset, s->file_bytes,
                        s->memory_bytes)) {
            return false;
        }
    }
    return true;
}

/* The initrd goes to the top of the low RAM that the map reports, page aligned. */
static bool load_initrd(struct loader *l)
{
    uint64_t size = l->image->initrd_size;
    if (!l->image->initrd || size == 0) {
        return true;
    }
    uint64_t top = memory_map_low_top(l->map);
    uint64_t room = top > BIOS_END ? top - BIOS_END : 0;
    uint64_t base = size <= room ? align_down(top - size, PAGE_SIZE_BYTES) : 0;
    if (base < BIOS_END || (base < l->kernel_high && base + size > l->kernel_low)) {
        return error_set(l->error, "initrd of %llu bytes does not fit into low memory above the kernel",
                         (unsigned long long)size);
    }
    bus_load(l->bus, phys(base), l->image->initrd, size);
    l->initrd_base = base;
    return true;
}

static bool put_command_line(struct loader *l)
{
    const char *text = l->image->command_line ? l->image->command_line : "";
    size_t length = strlen(text);
    if (length > COMMAND_MAX) {
        return error_set(l->error, "kernel command line of %zu bytes: at most %u", length,
                         (unsigned)COMMAND_MAX);
    }
    memcpy(l->info + COMMAND_OFFSET, text, length + 1);
    return true;
}

static void put_info(struct loader *l)
{
    bus_load(l->bus, phys(BOOT_INFO_BASE), l->info, sizeof l->info);
}

static bool load_pvh(struct loader *l, const struct elf_image *elf, struct boot_entry *out)
{
    if (!load_segments(l, elf) || !load_initrd(l) || !put_command_line(l)) {
        return false;
    }
    uint8_t *i = l->info;
    store_le32(i, HVM_START_MAGIC);
    store_le32(i + 4, 1);                    /* version */
    store_le32(i + 12, l->initrd_base != 0); /* nr_modules */
    store_le64(i + 16, BOOT_INFO_BASE + MODULES_OFFSET);
    store_le64(i + 24, BOOT_INFO_BASE + COMMAND_OFFSET);
    store_le64(i + 32, RSDP_BASE);
    store_le64(i + 40, BOOT_INFO_BASE + MAP_OFFSET);
    store_le32(i + 48, l->map->count);
    store_le64(i + MODULES_OFFSET, l->initrd_base);
    store_le64(i + MODULES_OFFSET + 8, l->image->initrd_size);
    for (unsigned n = 0; n < l->map->count; n++) {
        uint8_t *at = i + MAP_OFFSET + n * 24;
        store_le64(at, l->map->entries[n].base);
        store_le64(at + 8, l->map->entries[n].size_bytes);
        store_le32(at + 16, l->map->entries[n].type);
    }
    put_info(l);
    *out = (struct boot_entry){.eip = elf->pvh_entry, .ebx = (uint32_t)BOOT_INFO_BASE};
    return true;
}

/* Offset of the Multiboot header in the file, or SIZE_MAX. */
static size_t multiboot_find(const struct sim_image *image)
{
    size_t end = image->kernel_size < MULTIBOOT_SEARCH_BYTES ? image->kernel_size : MULTIBOOT_SEARCH_BYTES;
    for (size_t at = 0; at + 12 <= end; at += 4) {
        const uint8_t *h = image->kernel + at;
        if (load_le32(h) == MULTIBOOT_HEADER_MAGIC &&
            (uint32_t)(load_le32(h) + load_le32(h + 4) + load_le32(h + 8)) == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

/* An image that says itself where it goes (header fields header_addr, load_addr, load_end, bss_end, entry). */
static bool load_by_addresses(struct loader *l, size_t header, uint32_t *entry)
{
    const uint8_t *h = l->image->kernel + header;
    if (header + 32 > l->image->kernel_size) {
        return error_set(l->error, "%s: the Multiboot header is cut off", l->image->kernel_name);
    }
    uint32_t header_at = load_le32(h + 12), load = load_le32(h + 16);
    uint32_t load_end = load_le32(h + 20), bss_end = load_le32(h + 24);
    uint64_t file_start = (uint64_t)header - (header_at - load);
    if (header_at < load || header_at - load > header) {
        return error_set(l->error, "%s: Multiboot load address above its header", l->image->kernel_name);
    }
    uint64_t rest = l->image->kernel_size - file_start;
    uint64_t file_bytes = load_end ? (uint64_t)load_end - load : rest;
    if ((load_end && load_end < load) || file_bytes > rest || (bss_end && bss_end < load + file_bytes)) {
        return error_set(l->error, "%s: Multiboot addresses contradict the file", l->image->kernel_name);
    }
    *entry = load_le32(h + 28);
    return load_bytes(l, "the image", load, l->image->kernel + file_start, file_bytes,
                      bss_end ? (uint64_t)bss_end - load : file_bytes);
}

static void put_multiboot_info(struct loader *l)
{
    uint8_t *i = l->info;
    uint64_t upper_kib = (l->map->acpi_base - BIOS_END) >> 10;
    store_le32(i, 0x245 | (l->initrd_base ? 8u : 0)); /* memory, command line, map, loader name, modules */
    store_le32(i + 4, (uint32_t)(BASE_RAM_END >> 10));
    store_le32(i + 8, (uint32_t)upper_kib);
    store_le32(i + 16, (uint32_t)BOOT_INFO_BASE + COMMAND_OFFSET);
    store_le32(i + 20, l->initrd_base != 0);
    store_le32(i + 24, (uint32_t)BOOT_INFO_BASE + MODULES_OFFSET);
    store_le32(i + 44, l->map->count * 24);
    store_le32(i + 48, (uint32_t)BOOT_INFO_BASE + MAP_OFFSET);
    store_le32(i + 64, (uint32_t)BOOT_INFO_BASE + NAME_OFFSET);
    memcpy(i + NAME_OFFSET, "orrery", 7);
    store_le32(i + MODULES_OFFSET, (uint32_t)l->initrd_base);
    store_le32(i + MODULES_OFFSET + 4, (uint32_t)(l->initrd_base + l->image->initrd_size));
    store_le32(i + MODULES_OFFSET + 8, (uint32_t)BOOT_INFO_BASE + NAME_OFFSET + 16);
    memcpy(i + NAME_OFFSET + 16, "initrd", 7);
    for (unsigned n = 0; n < l->map->count; n++) {
        uint8_t *at = i + MAP_OFFSET + n * 24;
        store_le32(at, 20); /* size of the rest of the entry */
        store_le64(at + 4, l->map->entries[n].base);
        store_le64(at + 12, l->map->entries[n].size_bytes);
        store_le32(at + 20, l->map->entries[n].type);
    }
    put_info(l);
}

static bool load_multiboot(struct loader *l, size_t header, struct boot_entry *out)
{
    const struct sim_image *image = l->image;
    uint32_t flags = load_le32(image->kernel + header + 4), entry = 0;
    uint32_t known = (uint32_t)(MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO);
    if ((flags & 0xffff) & ~known) {
        return error_set(l->error, "%s: Multiboot flags 0x%x ask for what is not offered", image->kernel_name,
                         flags);
    }
    if (flags & MULTIBOOT_ADDRESSES) {
        if (!load_by_addresses(l, header, &entry)) {
            return false;
        }
    } else {
        struct elf_image elf;
        if (!elf_parse(image->kernel_name, image->kernel, image->kernel_size, &elf, l->error) ||
            !load_segments(l, &elf)) {
            return false;
        }
        entry = (uint32_t)elf.entry;
    }
    if (!load_initrd(l) || !put_command_line(l)) {
        return false;
    }
    put_multiboot_info(l);
    *out = (struct boot_entry){entry, MULTIBOOT_BOOT_MAGIC, (uint32_t)BOOT_INFO_BASE};
    return true;
}

bool boot_load(struct bus *bus, const struct memory_map *map, const struct sim_image *image,
               struct boot_entry *out, struct error *e)
{
    struct loader l = {.bus = bus, .map = map, .image = image, .kernel_low = UINT64_MAX, .error = e};
    struct elf_image elf;
    if (elf_recognise(image->kernel, image->kernel_size)) {
        if (!elf_parse(image->kernel_name, image->kernel, image->kernel_size, &elf, e)) {
            return false;
        }
        if (elf.has_pvh_entry) {
            return load_pvh(&l, &elf, out);
        }
    }
    size_t header = multiboot_find(image);
    if (header == SIZE_MAX) {
        return error_set(e, "%s: neither a PVH ELF file nor a Multiboot image", image->kernel_name);
    }
    return load_multiboot(&l, header, out);
}
