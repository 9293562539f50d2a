#ifndef OS_UEFI_LOADER_H
#define OS_UEFI_LOADER_H

/*
 * The UEFI loader: from the firmware's tables and the files \orrery\kernel.elf, \orrery\initrd.cpio and
 * \orrery\cmdline.txt of its volume (the latter two may be absent) to the kernel's handoff entry (abi/handoff.h).
 * Whatever fails before the firmware is left is told in one line on its console; the functions below then return
 * false. What lies here does not know the machine but for cpu.c, so that tests can stand in for firmware and CPU.
 */

#include <stdbool.h>

#include "uefi/efi.h"

struct loader {
    efi_handle image;
    struct efi_system_table *system;
    struct efi_boot_services *boot;
    struct efi_file *root;
};

/* Prints "orrery: TEXT" as a line on the firmware's console; always false. At most 200 characters. */
bool loader_fail(struct loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For messages: the number of an EFI error without its error bit. */
unsigned loader_error(efi_status status);

/* Zeroed pages of a memory type at any address below 4 GiB. what: for the message. */
bool loader_pages(struct loader *l, enum efi_memory_type type, uint64_t bytes, const char *what,
                  uint64_t *address);

/* ---- file.c ---- */

/* Opens the volume that the loader was started from. */
bool volume_open(struct loader *l);

/*
 * Reads a whole file into pages of its own. An absent one is an error when it is needed, else a span of size 0.
 * Bound: 1 GiB.
 */
bool file_read(struct loader *l, const char *path, bool needed, struct handoff_span *out);

/* ---- image.c ---- */

struct kernel_image {
    struct handoff_span span; /* page aligned */
    uint64_t entry;           /* physical address of the handoff entry */
};

/* Checks the ELF file at `file` and finds where it goes. */
bool image_check(struct loader *l, const struct handoff_span *file, struct kernel_image *out);

/* Claims that place and puts the segments there. */
bool image_place(struct loader *l, const struct handoff_span *file, const struct kernel_image *image);

/* ---- platform.c ---- */

/* ACPI root, processors, affinities and framebuffer into the block. */
bool platform_describe(struct loader *l, struct handoff *block);

/* ---- leave.c ---- */

/*
 * Leaves the firmware: puts the block, the memory map and the command line into pages of their own, fetches the map
 * again for as long as the firmware calls it stale (8 times at most), and returns the block's address. After the first
 * attempt the console is gone: a failure then stops the machine through cpu_die.
 */
bool firmware_leave(struct loader *l, const struct handoff *block, const struct handoff_span *command_line,
                    uint64_t *block_address);

/* ---- cpu.c ---- */

uint32_t cpu_apic_id(void);

/* Interrupts off, RDI = block, jump. */
_Noreturn void cpu_enter_kernel(uint64_t entry, uint64_t block);

/* Prints a text on the first serial port and stops for ever. */
_Noreturn void cpu_die(const char *text);

efi_status EFIAPI efi_main(efi_handle image, struct efi_system_table *system);

#endif
