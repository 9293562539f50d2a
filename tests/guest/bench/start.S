/*
 * Entry of the benchmark guest: the PVH protocol (32-bit protected mode, flat segments, EBX = struct hvm_start_info).
 * Makes the page tables and the interrupt table, goes to 64-bit mode and calls bench_main. A loader of a flat image
 * (rom.S) may enter here as well: nothing is expected of the segments but that they are flat.
 */
#include "bench.h"

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18
#define PRESENT_WRITE 0x3
#define LARGE 0x80
#define UNCACHED 0x10
#define PAGES_2M 64 /* 128 MiB */

#include "../long_mode.inc"

    PVH_ENTRY bench_entry
    mov $bss_begin, %edi        /* a flat image brings no cleared memory */
    mov $bss_end, %ecx
    sub %edi, %ecx
    shr $2, %ecx
    xor %eax, %eax
    rep stosl
    SILENCE_CONTROLLERS

    movl $(pdpt_low + PRESENT_WRITE), pml4
    movl $(pdpt_window + PRESENT_WRITE), pml4 + 8
    movl $(pd_low + PRESENT_WRITE), pdpt_low
    movl $(pd_apic + PRESENT_WRITE), pdpt_low + 3 * 8
    movl $(pd_window + PRESENT_WRITE), pdpt_window
    movl $(window_table + PRESENT_WRITE), pd_window
    movl $(pt_apic + PRESENT_WRITE), pd_apic + 0x1f7 * 8
    movl $(APIC_BASE + PRESENT_WRITE + UNCACHED), pt_apic
    mov $pd_low, %edi
    mov $(PRESENT_WRITE + LARGE), %eax
    mov $PAGES_2M, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b

    FILL_GATES
    ENTER_LONG_MODE pml4, 0xa0  /* PAE, PGE */
    mov %ebp, %edi
    call bench_main

/* Another vCPU, by its start-up message: 16-bit mode, the code at 0x8000. It counts itself, and goes to 64-bit mode with the
 * page tables of its number, in which everything is a copy of its own (bench.c). */
    .globl trampoline, trampoline_end
    .code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl 0x8000 + (trampoline_gdtr - trampoline)
    mov $0x11, %eax             /* ET, PE */
    mov %eax, %cr0
    ljmpl $CODE32, $another
trampoline_gdtr:
    .word gdtr - gdt - 1
    .long gdt
trampoline_end:
    .code32
another:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $1, %ebp
    lock xadd %ebp, others_started
    imul $3 * 4096, %ebp, %eax
    add $other_tables, %eax
    ENTER_LONG_MODE_AT another_long, 0xa0
    mov $stack_top, %rsp
    mov %ebp, %edi
    .weak bench_other           /* programs for one vCPU start no other */
    call bench_other

/* One stub a vector: the two that the loops use, and 254 that end the run. */
    .macro STUBS from, to
    .set vector, \from
    .rept (\to) - (\from)
    .balign 16
    push $vector
    jmp unexpected
    .set vector, vector + 1
    .endr
    .endm
    .balign 16
stubs:
    STUBS 0, TIMER_VECTOR
    .balign 16
    jmp timer_interrupt
    STUBS TIMER_VECTOR + 1, INT_VECTOR
    .balign 16
    incq interrupts_taken
    iretq
    STUBS INT_VECTOR + 1, 256

timer_interrupt:
    incq interrupts_taken
    push %rax
    mov $(APIC_BASE + 0xb0), %eax /* end of interrupt */
    movl $0, (%rax)
    pop %rax
    iretq

unexpected:
    pop %rdi
    mov (%rsp), %rsi
    cld
    call bench_fault

    .section .patched, "awx"
    .balign 4096
    .globl patched_function
patched_function:
    .byte 0xb8, 0, 0, 0, 0, 0xc3 /* mov $0, %eax; ret */
    .balign 4096

    .data
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 64-bit code */
    .quad 0x00cf93000000ffff    /* data */
    .quad 0x00cf9b000000ffff    /* 32-bit code */
gdtr:
    .word gdtr - gdt - 1
    .long gdt, 0
idtr:
    .word 256 * 16 - 1
    .long idt, 0

    .bss
    .balign 4096
pml4: .skip 4096
pdpt_low: .skip 4096
pdpt_window: .skip 4096
pd_low: .skip 4096
    .globl pd_apic
pd_apic: .skip 4096
pd_window: .skip 4096
pt_apic: .skip 4096
    .globl window_table
window_table: .skip 4096
    .globl other_tables
other_tables: .skip (VCPUS_MAX - 1) * 3 * 4096 /* PML4, PDPT, PD of each */
idt: .skip 4096
    .skip 65536
stack_top:
    .globl others_started
others_started: .quad 0
    .globl interrupts_taken
interrupts_taken: .quad 0

    .section .note.GNU-stack, "", @progbits
