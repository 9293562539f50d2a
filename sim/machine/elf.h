#ifndef ORRERY_MACHINE_ELF_H
#define ORRERY_MACHINE_ELF_H

/* Loadable parts of an ELF executable, ELF32 or ELF64, x86. The file is hostile: everything is bounds-checked. */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 32u

struct elf_segment {
    uint64_t physical, memory_bytes, file_offset, file_bytes;
};

struct elf_image {
    bool is_64;
    uint64_t entry;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; /* PT_LOAD with memory_bytes > 0, in file order */
    unsigned segment_count;
    bool has_pvh_entry; /* XEN_ELFNOTE_PHYS32_ENTRY */
    uint32_t pvh_entry;
};

/* True when the bytes start as an ELF file. */
bool elf_recognise(const uint8_t *file, size_t size);

/* Parses the headers; name is for messages. False: the message says what is wrong and where. */
bool elf_parse(const char *name, const uint8_t *file, size_t size, struct elf_image *out, struct error *e);

#endif
