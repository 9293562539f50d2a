/*
 * Entry of the fidelity guest by the PVH protocol: page tables, descriptors, 64-bit mode; and the way to ring 3 and back.
 */
#include "guest.h"
#include "../../guest/long_mode.inc"

    PVH_ENTRY guest_entry
    SILENCE_CONTROLLERS

    movl $(table_low + PRESENT + WRITABLE + USER), top_table
    movl $(table_direct + PRESENT + WRITABLE), top_table + 256 * 8
    movl $(pages_low + PRESENT + WRITABLE + USER), table_low
    mov $pages_low, %edi
    mov $(PRESENT + WRITABLE + LARGE), %eax
    mov $(LOW_END / 0x200000), %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $table_direct, %edi     /* 512 GiB in pages of 1 GiB */
    mov $(PRESENT + WRITABLE + LARGE), %eax
    xor %edx, %edx
    mov $512, %ecx
2:  mov %eax, (%edi)
    mov %edx, 4(%edi)
    add $0x40000000, %eax
    adc $0, %edx
    add $8, %edi
    loop 2b

    FILL_GATES
    orl $0x6000, idt + VECTOR_FINISHED * 16 + 4 /* from ring 3, too */
    mov $task_state, %eax
    mov %ax, gdt + TASK_STATE + 2
    shr $16, %eax
    mov %al, gdt + TASK_STATE + 4
    mov %ah, gdt + TASK_STATE + 7

    ENTER_LONG_MODE top_table, 0x6a0 /* PAE, PGE, OSFXSR, OSXMMEXCPT */
    mov $TASK_STATE, %eax
    ltr %ax
    mov %ebp, %edi
    call guest_main

    .macro STUBS from, to
    .set vector, \from
    .rept (\to) - (\from)
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    .else
    push $0
    .endif
    push $vector
    jmp trapped
    .set vector, vector + 1
    .endr
    .endm
    .balign 16
stubs:
    STUBS 0, VECTOR_FINISHED
    .balign 16
    jmp finished
    STUBS VECTOR_FINISHED + 1, 256

trapped:
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    push %\register
    .endr
    mov %rsp, %rdi
    cld
    call guest_trap
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    pop %\register
    .endr
    add $16, %rsp
    iretq

/* void enter_user(rip, rsp, first, second) */
    .globl enter_user
enter_user:
    .irp register, rbx, rbp, r12, r13, r14, r15
    push %\register
    .endr
    mov %rsp, stack_kept
    mov %rdi, %rax
    mov %rsi, %rbx
    mov %rdx, %rdi
    mov %rcx, %rsi
    push $USER_DATA
    push %rbx
    push $2
    push $USER_CODE
    push %rax
    iretq

finished:
    mov stack_kept, %rsp
    mov $DATA, %eax
    mov %eax, %ss
    cld
    .irp register, r15, r14, r13, r12, rbp, rbx
    pop %\register
    .endr
    ret

    .data
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 64-bit code */
    .quad 0x00cf93000000ffff    /* data */
    .quad 0x00cff3000000ffff    /* data of ring 3 */
    .quad 0x00affb000000ffff    /* code of ring 3 */
    .quad 0x0000890000000067    /* the task state */
    .quad 0
gdtr:
    .word gdtr - gdt - 1
    .long gdt, 0
idtr:
    .word 256 * 16 - 1
    .long idt, 0
    .balign 16
task_state:
    .long 0
    .quad trap_stack_top
    .skip 104 - 12
stack_kept: .quad 0

    .bss
    .balign 4096
    .globl top_table
top_table: .skip 4096
table_low: .skip 4096
table_direct: .skip 4096
pages_low: .skip 4096
idt: .skip 4096
    .skip 32768
stack_top:
    .skip 32768
trap_stack_top:

    .section .note.GNU-stack, "", @progbits
