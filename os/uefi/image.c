/*
 * The kernel's ELF file: checked, placed. Source: System V ABI, "ELF Header", "Program Header", "Note Section". The
 * file is hostile input: every offset is checked before use. Deviations: segments may overlap; the later one wins.
 */
#include "kernel/lib/string.h"
#include "kernel/types.h"
#include "uefi/loader.h"

#define KERNEL_NAME  "\\orrery\\kernel.elf"
#define SEGMENTS_MAX 32u
#define BELOW        (1ull << 32)
#define PT_LOAD      1u
#define PT_NOTE      4u

struct elf_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t segments;
    uint64_t sections;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t segment_bytes;
    uint16_t segment_count;
};

struct elf_segment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t alignment;
};

struct elf_note {
    uint32_t name_bytes;
    uint32_t value_bytes;
    uint32_t type;
};

static bool in_file(const struct handoff_span *file, uint64_t offset, uint64_t bytes)
{
    return offset <= file->size_bytes && bytes <= file->size_bytes - offset;
}

static const char *at(const struct handoff_span *file, uint64_t offset)
{
    return (const char *)(uintptr_t)file->base + offset;
}

static struct elf_segment segment_get(const struct handoff_span *file, const struct elf_header *header,
                                      unsigned i)
{
    struct elf_segment segment;
    memcpy(&segment, at(file, header->segments + (uint64_t)i * sizeof(segment)), sizeof(segment));
    return segment;
}

static bool check_header(struct loader *l, const struct handoff_span *file, struct elf_header *header)
{
    static const uint8_t ident[6] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */};
    if (file->size_bytes < 64) {
        return loader_fail(l, KERNEL_NAME ": not an ELF file");
    }
    memcpy(header, at(file, 0), sizeof(*header));
    if (memcmp(header->ident, ident, sizeof(ident)) != 0 || header->type != 2 || header->machine != 62) {
        return loader_fail(l, KERNEL_NAME ": not an x86-64 ELF executable");
    }
    if (header->segment_bytes != sizeof(struct elf_segment) || header->segment_count == 0 ||
        header->segment_count > SEGMENTS_MAX ||
        !in_file(file, header->segments, (uint64_t)header->segment_count * sizeof(struct elf_segment))) {
        return loader_fail(l, KERNEL_NAME ": no usable program headers");
    }
    return true;
}

/* The value of the entry's note in one note segment, or 0. */
static uint64_t note_find(const struct handoff_span *file, const struct elf_segment *segment)
{
    uint64_t offset = segment->offset;
    uint64_t end = segment->offset + segment->file_bytes;
    while (end - offset >= sizeof(struct elf_note)) {
        struct elf_note note;
        memcpy(&note, at(file, offset), sizeof(note));
        offset += sizeof(note);
        uint64_t name_room = align_up(note.name_bytes, 4);
        uint64_t value_room = align_up(note.value_bytes, 4);
        if (name_room + value_room > end - offset) {
            return 0;
        }
        if (note.type == HANDOFF_NOTE_ENTRY && note.name_bytes == sizeof(HANDOFF_NOTE_NAME) &&
            note.value_bytes == 4 &&
            memcmp(at(file, offset), HANDOFF_NOTE_NAME, sizeof(HANDOFF_NOTE_NAME)) == 0) {
            uint32_t entry;
            memcpy(&entry, at(file, offset + name_room), sizeof(entry));
            return entry;
        }
        offset += name_room + value_room;
    }
    return 0;
}

bool image_check(struct loader *l, const struct handoff_span *file, struct kernel_image *out)
{
    struct elf_header header;
    uint64_t low = BELOW;
    uint64_t high = 0;
    if (!check_header(l, file, &header)) {
        return false;
    }
    out->entry = 0;
    for (unsigned i = 0; i < header.segment_count; i++) {
        const struct elf_segment segment = segment_get(file, &header, i);
        if (segment.type != PT_LOAD && segment.type != PT_NOTE) {
            continue;
        }
        if (!in_file(file, segment.offset, segment.file_bytes) || segment.file_bytes > segment.memory_bytes ||
            segment.physical_address >= BELOW || segment.memory_bytes > BELOW - segment.physical_address) {
            return loader_fail(l, KERNEL_NAME ": segment %u is impossible", i);
        }
        if (segment.type == PT_NOTE) {
            uint64_t entry = note_find(file, &segment);
            out->entry = entry != 0 ? entry : out->entry;
        } else if (segment.memory_bytes != 0) {
            uint64_t end = segment.physical_address + segment.memory_bytes;
            low = segment.physical_address < low ? segment.physical_address : low;
            high = end > high ? end : high;
        }
    }
    out->span.base = align_down(low, PAGE_SIZE);
    out->span.size_bytes = high > low ? align_up(high, PAGE_SIZE) - out->span.base : 0;
    if (out->entry < low || out->entry >= high) {
        return loader_fail(l, KERNEL_NAME ": no handoff entry: not a kernel of this system");
    }
    return true;
}

bool image_place(struct loader *l, const struct handoff_span *file, const struct kernel_image *image)
{
    struct elf_header header;
    uint64_t base = image->span.base;
    /* Code, since a firmware may forbid execution of data. */
    efi_status status = l->boot->allocate_pages(EFI_ALLOCATE_ADDRESS, EFI_LOADER_CODE,
                                                (size_t)(image->span.size_bytes / PAGE_SIZE), &base);
    if (status != EFI_SUCCESS) {
        return loader_fail(l, "the kernel's place, %llu KiB at 0x%llx, is taken (EFI error %u)",
                           (unsigned long long)(image->span.size_bytes / 1024),
                           (unsigned long long)image->span.base, loader_error(status));
    }
    memset((void *)(uintptr_t)base, 0, image->span.size_bytes);
    memcpy(&header, at(file, 0), sizeof(header));
    for (unsigned i = 0; i < header.segment_count; i++) {
        const struct elf_segment segment = segment_get(file, &header, i);
        if (segment.type == PT_LOAD) {
            memcpy((void *)(uintptr_t)segment.physical_address, at(file, segment.offset), segment.file_bytes);
        }
    }
    return true;
}
