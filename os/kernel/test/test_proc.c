/* Parsers of hostile input, user copies, symbols, process table. */
#include "arch/arch.h"
#include "boot_memory.h"
#include "console.h"
#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "proc/elf.h"
#include "proc/initrd.h"
#include "proc/process.h"
#include "proc/usercopy.h"
#include "symbols.h"
#include "test/ktest.h"
#include "test/random.h"

#define ROUNDS       20000u
#define HEADER_BYTES 512u

/* covers: VM-12 (bad addresses) */
void ktest_user_copies_never_fault_the_kernel(void)
{
    static const uint64_t addresses[] = {
        0, 0x1000, USER_END, PHYSMAP_BASE, 0xffffffff80100000, 0x800000000000, UINT64_MAX};
    char buffer[64];
    uint64_t length;
    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        vaddr_t at = vaddr_make(addresses[i]);
        KEXPECT(user_read(buffer, at, sizeof(buffer)) == STATUS_ERR_BAD_ADDRESS);
        KEXPECT(user_write(at, buffer, sizeof(buffer)) == STATUS_ERR_BAD_ADDRESS);
        KEXPECT(user_write(at, buffer, 7) == STATUS_ERR_BAD_ADDRESS);
        KEXPECT(user_read(buffer, at, UINT64_MAX) == STATUS_ERR_BAD_ADDRESS);
        KEXPECT(user_read_string(buffer, at, sizeof(buffer), &length) == STATUS_ERR_BAD_ADDRESS);
    }
}

static bool initrd_ready(void)
{
    if (boot_memory.initrd.size_bytes == 0) {
        return false;
    }
    initrd_set(arch_phys_to_virt(paddr_make(boot_memory.initrd.base)), boot_memory.initrd.size_bytes);
    return true;
}

/* Damaged headers of a real program: any answer but a fault, and what is accepted obeys the rules. covers:
 * PS-09 (headers) */
void ktest_elf_parser_survives_damage(void)
{
    struct initrd_file file;
    static struct elf_layout layout;
    if (!initrd_ready()) {
        return;
    }
    KEXPECT(initrd_find("init", &file) == STATUS_OK &&
            elf_parse(file.data, file.bytes, &layout) == STATUS_OK);
    static char damaged[HEADER_BYTES];
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(damaged, file.data, sizeof(damaged));
        for (unsigned i = 0; i <= round % 4; i++) {
            damaged[random_next(&seed) % sizeof(damaged)] = (char)random_next(&seed);
        }
        if (elf_parse(damaged, sizeof(damaged), &layout) != STATUS_OK) {
            continue;
        }
        for (unsigned i = 0; i < layout.count; i++) {
            const struct elf_segment *s = &layout.segments[i];
            KEXPECT(s->file_offset + s->file_bytes <= sizeof(damaged) && s->file_bytes <= s->memory_bytes);
            KEXPECT(s->address >= USER_BASE && s->address + s->memory_bytes <= USER_END);
        }
    }
    for (uint64_t bytes = 0; bytes < HEADER_BYTES; bytes++) {
        KEXPECT(elf_parse(file.data, bytes, &layout) != STATUS_OK);
    }
}

/* covers: PS-09 (archive) */
void ktest_archive_reader_survives_damage(void)
{
    if (!initrd_ready()) {
        return;
    }
    const void *archive = arch_phys_to_virt(paddr_make(boot_memory.initrd.base));
    struct initrd_file file;
    uint64_t offset = 0;
    unsigned members = 0;
    while (cpio_next(archive, boot_memory.initrd.size_bytes, &offset, &file) == STATUS_OK) {
        members++;
    }
    KEXPECT(members >= 3);
    static char damaged[HEADER_BYTES];
    uint64_t seed = 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(damaged, archive, sizeof(damaged));
        damaged[random_next(&seed) % 128] = (char)random_next(&seed);
        uint64_t bytes = random_next(&seed) % sizeof(damaged);
        offset = random_next(&seed) % 8;
        if (cpio_next(damaged, bytes, &offset, &file) == STATUS_OK) {
            KEXPECT((const char *)file.data + file.bytes <= damaged + bytes);
        }
    }
}

/* covers: ER-05 (names of the trace) */
void ktest_symbols_name_functions(void)
{
    uint64_t offset;
    const char *name = symbol_lookup((uint64_t)(uintptr_t)console_printf + 1, &offset);
    KEXPECT(name != NULL && strcmp(name, "console_printf") == 0 && offset == 1);
    KEXPECT(symbol_lookup(0, &offset) == NULL && symbol_lookup(UINT64_MAX, &offset) == NULL);
}

/* covers: PS-08 (missing numbers) */
void ktest_process_lookup_of_a_missing_number_fails(void)
{
    KEXPECT(process_get((pid_t){12345}) == NULL && process_get((pid_t){0}) == NULL);
}
