/*
 * ELF program headers and the PVH note. Source: System V ABI, "Program Header"; Xen "PVH boot ABI",
 * XEN_ELFNOTE_PHYS32_ENTRY (type 18, name "Xen").
 */

#include "machine/elf.h"

#include "base/bits.h"

#include <string.h>

#define ELF_HEADER_BYTES_32 52u
#define ELF_HEADER_BYTES_64 64u
#define PHDR_BYTES_32       32u
#define PHDR_BYTES_64       56u
#define ELFCLASS32          1u
#define ELFCLASS64          2u
#define ELFDATA2LSB         1u
#define ET_EXEC             2u
#define ET_DYN              3u
#define EM_386              3u
#define EM_X86_64           62u
#define PT_LOAD             1u
#define PT_NOTE             4u
#define NOTE_HEADER_BYTES   12u
#define XEN_PHYS32_ENTRY    18u

struct elf_file {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    bool is_64;
};

bool elf_recognise(const uint8_t *file, size_t size)
{
    return size >= 4 && memcmp(file, "\177ELF", 4) == 0;
}

static bool in_file(const struct elf_file *f, uint64_t offset, uint64_t size)
{
    return offset <= f->size && size <= f->size - offset;
}

struct phdr {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

static struct phdr phdr_read(const struct elf_file *f, uint64_t at)
{
    const uint8_t *p = f->bytes + at;
    if (f->is_64) {
        return (struct phdr){load_le32(p),      load_le64(p + 8),  load_le64(p + 16),
                             load_le64(p + 24), load_le64(p + 32), load_le64(p + 40)};
    }
    return (struct phdr){load_le32(p),      load_le32(p + 4),  load_le32(p + 8),
                         load_le32(p + 12), load_le32(p + 16), load_le32(p + 20)};
}

static bool add_segment(const struct elf_file *f, const struct phdr *h, struct elf_image *out,
                        struct error *e)
{
    if (h->memsz == 0) {
        return true;
    }
    if (out->segment_count == ELF_SEGMENTS_MAX) {
        return error_set(e, "%s: more than %u loadable segments", f->name, ELF_SEGMENTS_MAX);
    }
    if (!in_file(f, h->offset, h->filesz)) {
        return error_set(e, "%s: segment %u lies outside the file", f->name, out->segment_count);
    }
    if (h->filesz > h->memsz || h->paddr + h->memsz < h->paddr || h->vaddr + h->memsz < h->vaddr) {
        return error_set(e, "%s: segment %u has impossible sizes", f->name, out->segment_count);
    }
    out->segments[out->segment_count++] = (struct elf_segment){h->paddr, h->memsz, h->offset, h->filesz};
    return true;
}

/* Looks through one PT_NOTE segment; a malformed one ends the search, it does not fail the file. */
static void scan_notes(const struct elf_file *f, const struct phdr *h, struct elf_image *out)
{
    if (!in_file(f, h->offset, h->filesz)) {
        return;
    }
    for (uint64_t at = h->offset, end = h->offset + h->filesz; end - at >= NOTE_HEADER_BYTES;) {
        uint64_t name_bytes = align_up(load_le32(f->bytes + at), 4);
        uint64_t value_bytes = align_up(load_le32(f->bytes + at + 4), 4);
        uint32_t type = load_le32(f->bytes + at + 8);
        at += NOTE_HEADER_BYTES;
        if (name_bytes + value_bytes > end - at) {
            return;
        }
        bool xen = name_bytes == 4 && memcmp(f->bytes + at, "Xen", 4) == 0;
        if (xen && type == XEN_PHYS32_ENTRY && value_bytes >= 4) {
            out->has_pvh_entry = true;
            out->pvh_entry = load_le32(f->bytes + at + name_bytes);
        }
        at += name_bytes + value_bytes;
    }
}

static bool check_ident(const struct elf_file *f, struct error *e)
{
    const uint8_t *b = f->bytes;
    if (!elf_recognise(b, f->size) || f->size < ELF_HEADER_BYTES_32) {
        return error_set(e, "%s: not an ELF file", f->name);
    }
    if ((b[4] != ELFCLASS32 && b[4] != ELFCLASS64) || b[5] != ELFDATA2LSB) {
        return error_set(e, "%s: not a little-endian 32- or 64-bit ELF file", f->name);
    }
    if (b[4] == ELFCLASS64 && f->size < ELF_HEADER_BYTES_64) {
        return error_set(e, "%s: the ELF header is cut off", f->name);
    }
    uint16_t type = load_le16(b + 16), machine = load_le16(b + 18);
    if (type != ET_EXEC && type != ET_DYN) {
        return error_set(e, "%s: not an executable ELF file (type %u)", f->name, type);
    }
    if (machine != EM_386 && machine != EM_X86_64) {
        return error_set(e, "%s: not an x86 ELF file (machine %u)", f->name, machine);
    }
    return true;
}

bool elf_parse(const char *name, const uint8_t *file, size_t size, struct elf_image *out, struct error *e)
{
    struct elf_file f = {name, file, size, false};
    *out = (struct elf_image){0};
    if (!check_ident(&f, e)) {
        return false;
    }
    f.is_64 = out->is_64 = file[4] == ELFCLASS64;
    out->entry = f.is_64 ? load_le64(file + 24) : load_le32(file + 24);
    uint64_t table = f.is_64 ? load_le64(file + 32) : load_le32(file + 28);
    unsigned entry_bytes = load_le16(file + (f.is_64 ? 54 : 42));
    unsigned count = load_le16(file + (f.is_64 ? 56 : 44));
    if (count && entry_bytes < (f.is_64 ? PHDR_BYTES_64 : PHDR_BYTES_32)) {
        return error_set(e, "%s: program header entries of %u bytes", name, entry_bytes);
    }
    if (!in_file(&f, table, (uint64_t)count * entry_bytes)) {
        return error_set(e, "%s: the program headers lie outside the file", name);
    }
    for (unsigned i = 0; i < count; i++) {
        struct phdr h = phdr_read(&f, table + (uint64_t)i * entry_bytes);
        if (h.type == PT_LOAD && !add_segment(&f, &h, out, e)) {
            return false;
        }
        if (h.type == PT_NOTE) {
            scan_notes(&f, &h, out);
        }
    }
    return out->segment_count > 0 || error_set(e, "%s: nothing to load", name);
}
