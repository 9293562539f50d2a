/*
 * ELF64 validation. Source: System V ABI, "Object Files" and "Program Loading"; AMD64 supplement. Hostile
 * input: every field is checked before use. Deviations: no interpreter, no dynamic linking, no
 * position-independent executables; W+X segments and segments that share a page are refused.
 */
#include "proc/elf.h"

#include "lib/string.h"
#include "mm/layout.h"
#include "mm/vm.h"

#define HEADER_BYTES         64u
#define PROGRAM_HEADER_BYTES 56u
#define PROGRAM_HEADERS_MAX  32u

#define PT_LOAD    1u
#define PT_DYNAMIC 2u
#define PT_INTERP  3u
#define PT_TLS     7u
#define PF_X       1u
#define PF_W       2u
#define PF_R       4u

struct elf_header {
    uint8_t identification[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_headers;
    uint64_t section_headers;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t program_header_bytes;
    uint16_t program_header_count;
    uint16_t section_header_bytes;
    uint16_t section_header_count;
    uint16_t section_names;
};

struct program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t alignment;
};

_Static_assert(sizeof(struct elf_header) == HEADER_BYTES, "ELF header layout");
_Static_assert(sizeof(struct program_header) == PROGRAM_HEADER_BYTES, "program header layout");

static status_t check_header(const struct elf_header *header, uint64_t bytes)
{
    static const uint8_t identification[] = {0x7f, 'E', 'L', 'F', 2 /* 64-bit */, 1 /* little-endian */, 1};
    if (memcmp(header->identification, identification, sizeof(identification)) != 0) {
        return STATUS_ERR_BAD_IMAGE;
    }
    if (header->type != 2 /* ET_EXEC */ || header->machine != 62 /* EM_X86_64 */ || header->version != 1) {
        return STATUS_ERR_UNSUPPORTED;
    }
    uint64_t table = (uint64_t)header->program_header_count * PROGRAM_HEADER_BYTES;
    if (header->header_bytes != HEADER_BYTES || header->program_header_bytes != PROGRAM_HEADER_BYTES ||
        header->program_header_count == 0 || header->program_header_count > PROGRAM_HEADERS_MAX ||
        header->program_headers > bytes || table > bytes - header->program_headers) {
        return STATUS_ERR_BAD_IMAGE;
    }
    return STATUS_OK;
}

static status_t add_segment(struct elf_layout *out, const struct program_header *header, uint64_t bytes)
{
    if (header->memory_bytes == 0) {
        return STATUS_OK;
    }
    if (header->file_bytes > header->memory_bytes || header->offset > bytes ||
        header->file_bytes > bytes - header->offset || header->virtual_address < USER_BASE ||
        header->virtual_address >= USER_END || header->memory_bytes > USER_END - header->virtual_address) {
        return STATUS_ERR_BAD_IMAGE;
    }
    if ((header->flags & PF_W) && (header->flags & PF_X)) {
        return STATUS_ERR_WRITE_EXECUTE;
    }
    if (out->count == ELF_MAX_SEGMENTS) {
        return STATUS_ERR_LIMIT;
    }
    if (out->count != 0) {
        const struct elf_segment *last = &out->segments[out->count - 1];
        uint64_t last_page = (last->address + last->memory_bytes - 1) >> PAGE_SHIFT;
        if (header->virtual_address >> PAGE_SHIFT <= last_page) {
            return STATUS_ERR_BAD_IMAGE;
        }
    }
    uint32_t protection =
        VM_READ | ((header->flags & PF_W) ? VM_WRITE : 0) | ((header->flags & PF_X) ? VM_EXECUTE : 0);
    out->segments[out->count++] = (struct elf_segment){.address = header->virtual_address,
                                                       .memory_bytes = header->memory_bytes,
                                                       .file_offset = header->offset,
                                                       .file_bytes = header->file_bytes,
                                                       .protection = protection};
    return STATUS_OK;
}

static status_t set_tls(struct elf_layout *out, const struct program_header *header, uint64_t bytes)
{
    uint64_t alignment = header->alignment != 0 ? header->alignment : 1;
    if (header->memory_bytes == 0) {
        return STATUS_OK;
    }
    if (out->tls.memory_bytes != 0 || header->file_bytes > header->memory_bytes || header->offset > bytes ||
        header->file_bytes > bytes - header->offset || (alignment & (alignment - 1)) != 0) {
        return STATUS_ERR_BAD_IMAGE;
    }
    if (header->memory_bytes > ELF_TLS_MAX_BYTES || alignment > ELF_TLS_MAX_ALIGNMENT) {
        return STATUS_ERR_LIMIT;
    }
    out->tls = (struct elf_tls){.file_offset = header->offset,
                                .file_bytes = header->file_bytes,
                                .memory_bytes = header->memory_bytes,
                                .alignment = alignment};
    return STATUS_OK;
}

static bool entry_is_code(const struct elf_layout *layout)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        if ((segment->protection & VM_EXECUTE) && layout->entry >= segment->address &&
            layout->entry - segment->address < segment->memory_bytes) {
            return true;
        }
    }
    return false;
}

status_t elf_parse(const void *image, uint64_t bytes, struct elf_layout *out)
{
    struct elf_header header;
    *out = (struct elf_layout){0};
    if (bytes < HEADER_BYTES) {
        return STATUS_ERR_BAD_IMAGE;
    }
    memcpy(&header, image, sizeof(header)); /* the image need not be aligned */
    status_t status = check_header(&header, bytes);
    for (uint32_t i = 0; status == STATUS_OK && i < header.program_header_count; i++) {
        struct program_header program;
        memcpy(&program, (const char *)image + header.program_headers + (uint64_t)i * PROGRAM_HEADER_BYTES,
               sizeof(program));
        if (program.type == PT_INTERP || program.type == PT_DYNAMIC) {
            status = STATUS_ERR_UNSUPPORTED;
        } else if (program.type == PT_LOAD) {
            status = add_segment(out, &program, bytes);
        } else if (program.type == PT_TLS) {
            status = set_tls(out, &program, bytes);
        }
    }
    out->entry = header.entry;
    if (status == STATUS_OK && !entry_is_code(out)) {
        status = STATUS_ERR_BAD_IMAGE;
    }
    return status;
}
