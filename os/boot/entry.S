/*
 * The two entries; both go to long mode in the high half, on the tables below, and call boot_main.
 *   boot_entry          PVH: 32-bit protected mode, paging off, flat segments, EBX = physical address of struct
 *                       hvm_start_info (Xen public headers, "arch-x86/hvm/start_info.h")
 *   boot_entry_handoff  a loader that has made the handoff block itself (abi/handoff.h, "Entry"): 64-bit mode, RDI =
 *                       physical address of struct handoff. It leaves long mode and joins the first, so that nothing
 *                       of the loader's tables, segments and control registers stays.
 *
 * Early tables, all given back once the kernel runs on its own (docs/boot.md):
 *   PML4[0]    -> the 2 MiB pages under this code, identity mapped; left as soon as the high half is reached
 *   PML4[256]  -> physmap of the first 4 GiB, 2 MiB pages, no execute
 *   PML4[511]  -> image window at -2 GiB, first 16 MiB, 2 MiB pages
 */
#include "arch/x86_64/layout.h"

#define PHYS(symbol) ((symbol) - LAYOUT_IMAGE_BASE)

#define PTE_PRESENT_WRITE 0x3
#define PTE_LARGE_WRITE   0x83
#define CR0_PE_PG_WP_NE_MP_ET 0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR4_PAE_PGE       0xa0
#define MSR_EFER          0xc0000080
#define EFER_LME_NXE      0x900
#define MSR_GS_BASE       0xc0000101
#define EFER_LME          0x100
#define CR0_PE_ET         0x11
#define CR4_PAE_LA57      0x1020      /* what 64-bit mode does not let go */
#define PROTOCOL_PVH      0           /* enum boot_protocol */
#define PROTOCOL_HANDOFF  1

    .section .note.pvh, "a", @note
    .balign 4
    .long 4                     /* name size */
    .long 4                     /* descriptor size */
    .long 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYS(boot_entry)
    .long 7                     /* HANDOFF_NOTE_NAME */
    .long 4
    .long 1                     /* HANDOFF_NOTE_ENTRY */
    .asciz "Orrery"
    .balign 4
    .long PHYS(boot_entry_handoff)

    .section .boot.text, "ax", @progbits
    .code64
    .globl boot_entry_handoff
boot_entry_handoff:
    cld
    cli
    movq %rdi, PHYS(boot_argument)
    movl $PROTOCOL_HANDOFF, PHYS(boot_protocol)
    movq %cr4, %rax             /* PCIDE and CET would forbid what follows */
    andl $CR4_PAE_LA57, %eax
    movq %rax, %cr4
    lgdt PHYS(boot_gdt_pointer)
    movl $PHYS(boot_stack_top), %esp
    pushq $0x18
    pushq $PHYS(boot_leave_long_mode)
    lretq

    .code32
boot_leave_long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $CR0_PE_ET, %eax
    movl %eax, %cr0
    movl $MSR_EFER, %ecx
    rdmsr
    andl $~EFER_LME, %eax
    wrmsr
    jmp boot_common

    .globl boot_entry
boot_entry:
    cld
    cli
    movl %ebx, PHYS(boot_argument)
    movl $PROTOCOL_PVH, PHYS(boot_protocol)
boot_common:
    movl $PHYS(boot_stack_top), %esp

    /* Does the processor know long mode and no-execute? */
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb unsupported
    movl $0x80000001, %eax
    cpuid
    andl $0x20100000, %edx      /* bit 29 long mode, bit 20 no-execute */
    cmpl $0x20100000, %edx
    jne unsupported

    /* Physmap: four page directories of 2 MiB pages. */
    movl $PHYS(boot_physmap_pd), %edi
    movl $PTE_LARGE_WRITE, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0x80000000, 4(%edi)   /* no execute */
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $PHYS(boot_physmap_pdpt), %edi
    movl $(PHYS(boot_physmap_pd) + PTE_PRESENT_WRITE), %eax
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b

    /* Image window and identity map: 8 pages of 2 MiB, one directory for both. */
    movl $PHYS(boot_image_pd), %edi
    movl $PTE_LARGE_WRITE, %eax
    movl $8, %ecx
3:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 3b
    movl $(PHYS(boot_image_pd) + PTE_PRESENT_WRITE), %eax
    movl %eax, PHYS(boot_identity_pdpt)
    movl %eax, PHYS(boot_image_pdpt) + 510 * 8

    movl $(PHYS(boot_identity_pdpt) + PTE_PRESENT_WRITE), PHYS(boot_pml4)
    movl $(PHYS(boot_physmap_pdpt) + PTE_PRESENT_WRITE), PHYS(boot_pml4) + 256 * 8
    movl $(PHYS(boot_image_pdpt) + PTE_PRESENT_WRITE), PHYS(boot_pml4) + 511 * 8

    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $CR4_PAE_PGE, %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_PE_PG_WP_NE_MP_ET, %eax
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $0x08, $PHYS(boot_long_mode)

    /* No long mode: say so on the first serial port and through the debug-exit port, then stop. */
unsupported:
    movl $PHYS(unsupported_text), %esi
4:  lodsb
    testb %al, %al
    jz 5f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 4b
5:  movb $17, %al
    outb %al, $0xf4
6:  hlt
    jmp 6b

    .code64
boot_long_mode:
    movabsq $boot_high_half, %rax
    jmp *%rax

    .section .init.text, "ax", @progbits
boot_high_half:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    leaq cpu_boot_area(%rip), %rax      /* the per-CPU area of the boot processor */
    movq %rax, %rdx
    shrq $32, %rdx
    movl $MSR_GS_BASE, %ecx
    wrmsr
    movq boot_argument(%rip), %rdi
    movl boot_protocol(%rip), %esi
    xorl %ebp, %ebp
    call boot_main
7:  hlt
    jmp 7b

    .section .boot.rodata, "a", @progbits
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 64-bit code */
    .quad 0x00cf93000000ffff    /* data */
    .quad 0x00cf9b000000ffff    /* 32-bit code */
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad PHYS(boot_gdt)        /* 32-bit code reads half of it */
unsupported_text:
    .asciz "orrery: this processor has no long mode with no-execute\n"

    .section .init.bss, "aw", @nobits
    .balign 4096
    .globl boot_pml4
boot_pml4:
    .skip 4096
boot_identity_pdpt:
    .skip 4096
boot_physmap_pdpt:
    .skip 4096
boot_image_pdpt:
    .skip 4096
boot_image_pd:
    .skip 4096
boot_physmap_pd:
    .skip 4 * 4096
    .skip 16384
    .globl boot_stack_top
boot_stack_top:
boot_argument:
    .skip 8
boot_protocol:
    .skip 4

    .section .note.GNU-stack, "", @progbits
