/* Link map of the kernel: linked at -2 GiB + 1 MiB, loaded at 1 MiB. Run through the C preprocessor. */
#include "arch/x86_64/layout.h"

OUTPUT_FORMAT(elf64-x86-64)
ENTRY(boot_entry)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}

SECTIONS
{
    . = LAYOUT_IMAGE_BASE + 0x100000;
    image_start = .;

    .text : AT(ADDR(.text) - LAYOUT_IMAGE_BASE) {
        text_start = .;
        *(.boot.text)
        *(.init.text .init.text.*)
        *(.text.entry)
        *(.text .text.*)
        text_end = .;
    } :text

    . = ALIGN(4096);
    .note.pvh : AT(ADDR(.note.pvh) - LAYOUT_IMAGE_BASE) {
        rodata_start = .;
        KEEP(*(.note.pvh))
    } :rodata :note
    .rodata : AT(ADDR(.rodata) - LAYOUT_IMAGE_BASE) {
        *(.boot.rodata)
        *(.rodata .rodata.*)
        . = ALIGN(8);
        exception_table_start = .;
        KEEP(*(.exception_table))
        exception_table_end = .;
        smap_sites_start = .;
        KEEP(*(.smap_sites))
        smap_sites_end = .;
        . = ALIGN(8);
        probes_start = .;
        KEEP(*(.probes))
        probes_end = .;
    } :rodata
    .symbols : AT(ADDR(.symbols) - LAYOUT_IMAGE_BASE) {
        KEEP(*(.symbols))
        rodata_end = .;
    } :rodata

    . = ALIGN(4096);
    .data : AT(ADDR(.data) - LAYOUT_IMAGE_BASE) {
        data_start = .;
        *(.data .data.*)
    } :data
    .bss (NOLOAD) : AT(ADDR(.bss) - LAYOUT_IMAGE_BASE) {
        *(.bss .bss.* COMMON)
        . = ALIGN(4096);
        init_bss_start = .;
        *(.init.bss)
        . = ALIGN(4096);
        init_bss_end = .;
    } :data
    . = ALIGN(4096);
    image_end = .;

    /DISCARD/ : { *(.comment) *(.eh_frame) *(.note.GNU-stack) *(.note.gnu.*) }
}
