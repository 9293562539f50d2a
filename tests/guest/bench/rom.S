/*
 * A ROM of 64 KiB with the flat benchmark image in it, for a machine that is started without firmware: from the reset
 * vector to 32-bit protected mode, copies the image to 1 MiB and enters it as a PVH loader would. The command line
 * lies at a fixed place, so that one ROM serves every loop: whoever starts it writes the text there.
 */
#define ROM_BASE 0xf0000
#define INFO_BASE 0x7000
#define START_MAGIC 0x336ec578

    .section .rom, "ax"
    .globl rom
rom:
image:
    .incbin BENCH_IMAGE
image_end:

    .org 0xfd00
command_line:
    .skip 256

    .org 0xfe00
    .code16
real_mode:
    cli
    lgdtl %cs:(gdtr - rom)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $8, $(ROM_BASE + protected - rom)
    .code32
protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    cld
    mov $(ROM_BASE + image - rom), %esi
    mov $0x100000, %edi
    mov $((image_end - image + 3) / 4), %ecx
    rep movsl
    mov $INFO_BASE, %edi        /* struct hvm_start_info, version 1: all zero but magic and command line */
    mov $14, %ecx
    xor %eax, %eax
    rep stosl
    movl $START_MAGIC, INFO_BASE
    movl $1, INFO_BASE + 4
    movl $(ROM_BASE + command_line - rom), INFO_BASE + 24
    mov $INFO_BASE, %ebx
    mov $0x100000, %eax         /* .start comes first in the image */
    jmp *%eax

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdtr:
    .word gdtr - gdt - 1
    .long ROM_BASE + gdt - rom

    .org 0xfff0
    .code16
    ljmp $(ROM_BASE >> 4), $(real_mode - rom)
    .org 0x10000
