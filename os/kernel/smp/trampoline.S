/*
 * Application processor start-up. Copied to a page below 1 MiB; a start-up IPI enters it in real mode with CS = page
 * address / 16, IP = 0. Source: AMD64 APM volume 2, "Initializing Long Mode", "Multiple Processor Initialization".
 * The parameter words at the end are filled by ap_start.c.
 */
#define MSR_EFER 0xc0000080
#define EFER_LME_NXE 0x900
#define CR0_PG_WP_NE_ET_MP_PE 0x80010033
#define CR4_PAE 0x20

#define AT(symbol) ((symbol) - trampoline_start)

    .section .rodata.trampoline, "a", @progbits
    .balign 16
    .globl trampoline_start
trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %cs, %bx
    shll $4, %ebx               /* EBX = linear address of the page */
    /* Relocate what needs absolute addresses. */
    leal AT(trampoline_gdt)(%ebx), %eax
    movl %eax, AT(trampoline_gdt_pointer) + 2
    leal AT(trampoline_long)(%ebx), %eax
    movl %eax, AT(trampoline_far)
    lgdtl AT(trampoline_gdt_pointer)
    movl AT(trampoline_cr3), %eax
    movl %eax, %cr3
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_PG_WP_NE_ET_MP_PE, %eax
    movl %eax, %cr0             /* long mode, still 16-bit code */
    ljmpl *AT(trampoline_far)

    .code64
trampoline_long:
    movl $0x10, %eax
    movl %eax, %ss
    movl %ebx, %esi
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    cmpl AT(trampoline_apic_id)(%rsi), %ebx
    jne trampoline_late
    movq AT(trampoline_stack)(%rsi), %rsp
    movq AT(trampoline_cpu)(%rsi), %rdi
    movq AT(trampoline_entry)(%rsi), %rax
    xorl %ebp, %ebp
    pushq $0
    jmp *%rax

    /* A processor that was given up on: the parameters are another one's by now. */
trampoline_late:
    cli
    hlt
    jmp trampoline_late

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
trampoline_gdt_pointer:
    .word trampoline_gdt_pointer - trampoline_gdt - 1
    .long 0
trampoline_far:
    .long 0
    .word 0x08
    .balign 8
    .globl trampoline_cr3, trampoline_stack, trampoline_cpu, trampoline_apic_id, trampoline_entry, trampoline_end
trampoline_cr3:
    .quad 0
trampoline_stack:
    .quad 0
trampoline_cpu:
    .quad 0
trampoline_apic_id:
    .quad 0
trampoline_entry:
    .quad 0
trampoline_end:

    .section .note.GNU-stack, "", @progbits
