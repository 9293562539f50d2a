# Long mode: transfers, descriptors, stacks, double faults, SYSCALL, registers.
# What QEMU's translator (TCG 7.2) is known to get wrong is marked CHECK_NOT_TCG / EXPECT_NOT_TCG with the reason.

.include "long.inc"

.section .text
.code64

# Target of the call gates: looks at its frame, then returns to the caller's level.
gate_entry:
    mov (%rsp), %rax
    mov %rax, gate_rip
    mov 8(%rsp), %rax
    mov %rax, gate_cs
    mov 16(%rsp), %rax
    mov %rax, gate_rsp
    mov 24(%rsp), %rax
    mov %rax, gate_ss
    mov %rsp, gate_frame
    mov %ss, %eax
    mov %eax, gate_now_ss
    lretq

.section .data
gate_rip: .quad 0
gate_cs: .quad 0
gate_rsp: .quad 0
gate_ss: .quad 0
gate_frame: .quad 0
gate_now_ss: .quad 0
saved: .quad 0
saved2: .quad 0
far_compat: .long compat_kernel
    .word CODE32
far_ld: .long compat_kernel
    .word BOTH_LD
far_conforming: .long conforming_kernel
    .word CONFORMING64
far_absent: .long compat_kernel
    .word ABSENT_CODE64
far_data: .long compat_kernel
    .word DATA
far_gate: .long 0
    .word GATE0
far_null: .long 0
    .word 0
idt_backup: .quad 0
far_lss: .long 0x12345678, 0
    .word DATA

.section .text
tests:
    # ---- IRET and interrupts between levels ----
USER
user_int30:
    mov %ds, %eax
    int $0x30
END_USER
    TRY
    ENTER_USER UCODE64, user_int30, 0x202
    TRIED
    EXPECT "IRETQ to user, INT 30 back", 0x30, 0
    CHECK "pushed CS of 64-bit user code", trap_cs, $UCODE64
    CHECK "pushed SS of user code", trap_ss, $UDATA
    CHECK "pushed RSP of user code", trap_rsp, $ustack_top
    CHECK "RIP pushed by INT n is the next one", trap_rip, $(user_int30 + 4)
    CHECK "pushed RFLAGS of INT n", trap_rflags, $0x202
    CHECK "interrupt gate clears IF", trap_now_rflags, $2
    CHECK "SS is null after a change of level", trap_now_ss, $0
    CHECK "frame stands below RSP0", trap_frame, $(rsp0_top - 56)
    CHECK "DS of the kernel is null in user code", trap_rax, $0

    TRY
    mov $rsp0_top - 3, %rsp
    int $0x31
    TRIED
    EXPECT "INT at the same level", 0x31, 0
    CHECK "RSP is pushed as it was", trap_rsp, $(rsp0_top - 3)
    CHECK "RSP is aligned to 16 before the pushes", trap_frame, $(rsp0_top - 16 - 56)
    CHECK "SS stays at the same level", trap_now_ss, $DATA
    TRY
    pushfq
    orq $0x200, (%rsp)
    popfq
    int $0x34
    TRIED
    CHECK "trap gate keeps IF", trap_now_rflags, $0x202
    cli
    TRY
    int $0x33
    TRIED
    CHECK "IST2 is used at the same level", trap_frame, $(ist2_top - 56)

USER
.code32
user_compat:
    mov $0x11223344, %eax
    int $0x30
.code64
END_USER
    TRY
    ENTER_USER UCODE32, user_compat, 0x202
    TRIED
    EXPECT "IRETQ to compatibility mode, INT 30 back", 0x30, 0
    CHECK "pushed CS of compatibility mode", trap_cs, $UCODE32
    CHECK "compatibility code ran", trap_rax, $0x11223344

    # a compatibility-mode kernel, by far jump, and back
    TRY
    ljmp *far_compat
.code32
compat_kernel:
    mov %cs, %eax
    mov %eax, saved
    push $CODE64
    push $1f
    lret
.code64
1:  mov %cs, %eax
    mov %eax, saved2
    TRIED
    EXPECT_NONE "far JMP to compatibility mode, RETF back"
    CHECK "CS in compatibility mode", saved, $CODE32
    CHECK "CS in 64-bit mode again", saved2, $CODE64
    TRY
    ljmp *far_conforming
conforming_kernel:
    mov %cs, %eax
    mov %eax, saved
    pushq $CODE64
    pushq $1f
    lretq
1:
    TRIED
    EXPECT_NONE "far JMP to conforming code"
    CHECK "CS of conforming code", saved, $CONFORMING64
    # IRET with a 32-bit operand in 64-bit mode
    TRY
    sub $20, %rsp
    movl $1f, (%rsp)
    movl $CODE64, 4(%rsp)
    movl $2, 8(%rsp)
    movl $stack_top - 64, 12(%rsp)
    movl $DATA, 16(%rsp)
    iretl
1:  mov %rsp, saved
    TRIED
    EXPECT_NONE "IRETD in 64-bit mode"
    CHECK "IRETD loads RSP", saved, $(stack_top - 64)

    # ---- what far transfers refuse ----
    TRY
    ljmp *far_ld
    TRIED
    EXPECT_NOT_TCG "far JMP to code with L and D", 13, BOTH_LD, "TCG does not check L and D together"
    TRY
    ljmp *far_absent
    TRIED
    EXPECT "far JMP to absent code", 11, ABSENT_CODE64
    TRY
    ljmp *far_data
    TRIED
    EXPECT "far JMP to data", 13, DATA
    TRY
    ljmp *far_null
    TRIED
    EXPECT "far JMP to null", 13, 0
    TRY
    push $DATA
    push $stack_top - 64
    push $2
    push $CODE64
    mov $0x8000000000000000, %rax
    push %rax
    iretq
    TRIED
    EXPECT "IRETQ to a non-canonical RIP", 13, 0
    TRY
    push $DATA
    push $0
    push $2
    push $UCODE64
    push $user_int30
    iretq
    TRIED
    EXPECT "IRETQ to user code with a kernel SS", 13, DATA
    TRY
    push $0
    push $0
    push $2
    push $UCODE64
    push $user_int30
    iretq
    TRIED
    EXPECT "IRETQ to user code with a null SS", 13, 0
    TRY
    push $0
    push $stack_top - 128
    push $2
    push $CODE64
    push $1f
    iretq
1:  mov %ss, %eax
    mov %eax, saved
    mov $DATA, %eax
    mov %eax, %ss
    TRIED
    EXPECT_NONE "IRETQ to the kernel with a null SS"
    CHECK "SS is null then", saved, $0
    TRY
    push $ABSENT_UDATA | 3
    push $ustack_top
    push $2
    push $UCODE64
    push $user_int30
    iretq
    TRIED
    EXPECT_NOT_TCG "IRETQ with an absent SS", 12, ABSENT_UDATA, "TCG raises NP"
    TRY
    pushfq
    orq $0x4000, (%rsp)
    popfq
    iretq
    TRIED
    EXPECT "IRET with NT in long mode", 13, 0

    # ---- call gates ----
USER
.align 4
gate3_pointer: .long 0
    .word GATE3 | 3
gate0_pointer: .long 0
    .word GATE0 | 3
gate_bad_pointer: .long 0
    .word GATE_BAD_UPPER | 3
gate_absent_pointer: .long 0
    .word GATE_ABSENT | 3
gate_to32_pointer: .long 0
    .word GATE_TO_32 | 3
user_gate:
    lcall *gate3_pointer
user_gate_return:
    mov %ss, %ecx
    int $0x30
user_gate0:
    lcall *gate0_pointer
user_gate_bad:
    lcall *gate_bad_pointer
user_gate_absent:
    lcall *gate_absent_pointer
user_gate_to32:
    lcall *gate_to32_pointer
user_gate_jmp:
    ljmp *gate3_pointer
END_USER
    TRY
    ENTER_USER UCODE64, user_gate, 0x202
    TRIED
    EXPECT "CALL through a gate and RETF to user", 0x30, 0
    CHECK "gate pushed RIP", gate_rip, $user_gate_return
    CHECK "gate pushed CS", gate_cs, $UCODE64
    CHECK "gate pushed RSP", gate_rsp, $ustack_top
    CHECK "gate pushed SS", gate_ss, $UDATA
    CHECK "gate used RSP0", gate_frame, $(rsp0_top - 32)
    CHECK "gate made SS null", gate_now_ss, $0
    CHECK "RETF restored SS", trap_rcx, $UDATA
    TRY
    ENTER_USER UCODE64, user_gate0, 0x202
    TRIED
    EXPECT "CALL through a gate of level 0", 13, GATE0
    TRY
    ENTER_USER UCODE64, user_gate_bad, 0x202
    TRIED
    EXPECT "CALL through a gate with a type in its upper half", 13, GATE_BAD_UPPER
    TRY
    ENTER_USER UCODE64, user_gate_absent, 0x202
    TRIED
    EXPECT "CALL through an absent gate", 11, GATE_ABSENT
    TRY
    ENTER_USER UCODE64, user_gate_to32, 0x202
    TRIED
    EXPECT "CALL through a gate to 32-bit code", 13, CODE32
    TRY
    ENTER_USER UCODE64, user_gate_jmp, 0x202
    TRIED
    EXPECT "JMP through a gate to an inner level", 13, CODE64
    TRY
    mov %rsp, saved
    lcall *far_gate
    TRIED
    EXPECT_NONE "CALL through a gate at the same level"
    mov saved, %rax
    sub $16, %eax
    CHECK "frame of a gate at the same level", gate_frame, %eax

    # ---- segment loads ----
.macro LOAD_FAULT name, seg, selector, vector, error
    TRY
    mov $\selector, %eax
    mov %eax, %\seg
    TRIED
    EXPECT "\name", \vector, \error
.endm
    LOAD_FAULT "DS outside the table", ds, 0xfff8, 13, 0xfff8
    LOAD_FAULT "DS absent", ds, ABSENT_UDATA, 11, ABSENT_UDATA
    LOAD_FAULT "DS execute-only code", ds, EXEC_ONLY, 13, EXEC_ONLY
    LOAD_FAULT "DS a system descriptor", ds, TSS, 13, TSS
    LOAD_FAULT "DS with RPL above DPL", ds, DATA|3, 13, DATA
    LOAD_FAULT "SS read-only", ss, RODATA, 13, RODATA
    LOAD_FAULT "SS with RPL 3", ss, UDATA, 13, UDATA&~3
    LOAD_FAULT "SS of another level", ss, UDATA&~3, 13, UDATA&~3
    xor %eax, %eax
    lldt %ax
    LOAD_FAULT "DS from an LDT that is not there", ds, 4, 13, 4
    mov $LDT, %eax
    lldt %ax
    TRY
    mov $4, %eax
    mov %eax, %ds
    TRIED
    EXPECT_NONE "DS from the LDT"
    CHECK "accessed bit is set in memory", ldt + 4, $0x00cff300
    LOAD_FAULT "DS beyond the LDT", ds, 12, 13, 12
    TRY
    mov $TSS, %eax
    ltr %ax
    TRIED
    EXPECT "LTR of a busy TSS", 13, TSS
    TRY
    mov $DATA, %eax
    lldt %ax
    TRIED
    EXPECT "LLDT of a data segment", 13, DATA
    cmpl $0, is_tcg # TCG accepts null and then has no TSS
    jne 1f
    TRY
    xor %eax, %eax
    ltr %ax
    TRIED
    EXPECT "LTR of null", 13, 0
1:
    TRY
    xor %eax, %eax
    mov %eax, %ss
    push %rax
    mov %ss, %eax
    mov %eax, saved
    mov $DATA, %eax
    mov %eax, %ss
    TRIED
    EXPECT_NONE "SS null at level 0"
USER
user_ss0:
    xor %eax, %eax
    mov %eax, %ss
user_ds_kernel:
    mov $DATA, %eax
    mov %eax, %ds
END_USER
    TRY
    ENTER_USER UCODE64, user_ss0, 0x202
    TRIED
    EXPECT "SS null at level 3", 13, 0
    TRY
    ENTER_USER UCODE64, user_ds_kernel, 0x202
    TRIED
    EXPECT "DS of the kernel at level 3", 13, DATA

    # ---- LAR, LSL, VERR, VERW ----
    mov $DATA, %ecx
    lar %ecx, %eax
    mov %eax, saved
    CHECK_NOT_TCG "LAR of data", saved, $0x00cf9300, "TCG clears the limit bits"
    mov $DATA, %ecx
    lsl %ecx, %eax
    mov %eax, saved
    CHECK "LSL of data scales by G", saved, $-1
    mov $TSS, %ecx
    lar %ecx, %eax
    mov %eax, saved
    CHECK "LAR of the busy TSS", saved, $0x00008b00
    mov $TSS, %ecx
    lsl %ecx, %eax
    mov %eax, saved
    CHECK "LSL of the TSS", saved, $TSS_LIMIT
.macro ZF_CHECK name, instruction, want
    xor %eax, %eax
    \instruction
    setz %al
    mov %eax, saved
    CHECK "\name", saved, $\want
.endm
    mov $GATE3, %ecx
    ZF_CHECK "LAR accepts a call gate", "lar %ecx, %edx", 1
    mov $GATE3, %ecx
    ZF_CHECK "LSL refuses a call gate", "lsl %ecx, %edx", 0
    xor %ecx, %ecx
    ZF_CHECK "LAR refuses null", "lar %ecx, %edx", 0
    mov $RODATA, %ecx
    ZF_CHECK "VERR of read-only data", "verr %cx", 1
    mov $RODATA, %ecx
    ZF_CHECK "VERW of read-only data", "verw %cx", 0
    mov $EXEC_ONLY, %ecx
    ZF_CHECK "VERR of execute-only code", "verr %cx", 0
    mov $CODE64, %ecx
    ZF_CHECK "VERW of code", "verw %cx", 0
    mov $TSS, %ecx
    ZF_CHECK "VERR of a system descriptor", "verr %cx", 0
    mov $(DATA | 3), %ecx
    ZF_CHECK "VERR with RPL above DPL", "verr %cx", 0

    # ---- addresses ----
    TRY
    mov $0x8000000000000000, %rax
    mov (%rax), %al
    TRIED
    EXPECT "read of a non-canonical address", 13, 0
    TRY
    mov $0x8000000000000000, %rsp
    push %rax
    TRIED
    EXPECT "push to a non-canonical address, and so does the handler", 8, 0
    TRY
    mov $0x8000000000000000, %rbp
    mov (%rbp), %al
    TRIED
    EXPECT_NOT_TCG "read through RBP of a non-canonical address", 12, 0, "TCG raises GP"
    TRY
    mov $0x8000000000000000, %rax
    jmp *%rax
    TRIED
    EXPECT "jump to a non-canonical address", 13, 0
    TRY
    mov 0x40000000, %al
    TRIED
    EXPECT "read of an unmapped page", 14, 0
    CHECK "CR2 of the page fault", trap_cr2, $0x40000000

    # ---- the IDT ----
USER
user_int31:
    int $0x31
END_USER
    TRY
    ENTER_USER UCODE64, user_int31, 0x202
    TRIED
    EXPECT_NOT_TCG "INT n through a gate of level 0", 13, 0x31*8+2, "TCG takes the vector times 16"
    CHECK "RIP of the fault is the INT itself", trap_rip, $user_int31
    TRY
    int $0x32
    TRIED
    EXPECT_NOT_TCG "INT n through an absent gate", 11, 0x32*8+2, "TCG takes the vector times 16"
    TRY
    int $0xf0
    TRIED
    EXPECT_NOT_TCG "INT n beyond the IDT", 13, 0xf0*8+2, "TCG takes the vector times 16"
    # a fault (#UD is benign) whose gate is absent: EXT is set
    movb $0x0e, idt + 6 * 16 + 5
    TRY
    ud2
    TRIED
    EXPECT_NOT_TCG "#UD through an absent gate", 11, 6*8+3, "TCG leaves EXT clear"
    movb $0x8e, idt + 6 * 16 + 5
    # double fault
    movb $0x0e, idt + 13 * 16 + 5
    TRY
    mov $0xfff8, %eax
    mov %eax, %ds
    TRIED
    EXPECT "#GP through an absent gate is #DF", 8, 0
    CHECK "#DF runs on its IST", trap_frame, $(ist1_top - 56)
    movb $0x8e, idt + 13 * 16 + 5
    movb $0x0e, idt + 14 * 16 + 5
    TRY
    mov 0x40000000, %al
    TRIED
    EXPECT "#PF through an absent gate is #DF", 8, 0
    movb $0x8e, idt + 14 * 16 + 5
    # a stack that cannot be pushed to
    TRY
    mov $0x40000800, %rsp
    mov $0xfff8, %eax
    mov %eax, %ds
    TRIED
    EXPECT "#GP on an unmapped stack is #DF", 8, 0
    CHECK "CR2 of the page fault inside", trap_cr2, $0x400007f8
    CHECK "RIP of the double fault is the first fault's", trap_rsp, $0x40000800
    movl $0, tss + 4
    movl $0x80000000, tss + 8
    TRY
    ENTER_USER UCODE64, user_int30, 0x202
    TRIED
    EXPECT "RSP0 not canonical", 8, 0
    movl $rsp0_top, tss + 4
    movl $0, tss + 8
    # gate to an absent or a user code segment
    movw $ABSENT_CODE64, idt + 0x35 * 16 + 2
    TRY
    int $0x35
    TRIED
    EXPECT "gate to absent code", 11, ABSENT_CODE64
    movw $(UCODE64 & ~3), idt + 0x35 * 16 + 2
    TRY
    int $0x35
    TRIED
    EXPECT "gate to user code from the kernel", 13, UCODE64&~3
    movw $0, idt + 0x35 * 16 + 2
    TRY
    int $0x35
    TRIED
    EXPECT "gate to null", 13, 0
    movw $CODE32, idt + 0x35 * 16 + 2
    TRY
    int $0x35
    TRIED
    EXPECT "gate to 32-bit code", 13, CODE32
    movw $CODE64, idt + 0x35 * 16 + 2
    movb $0x86, idt + 0x35 * 16 + 5
    TRY
    int $0x35
    TRIED
    EXPECT_NOT_TCG "16-bit interrupt gate in long mode", 13, 0x35*8+2, "TCG takes the vector times 16"
    movb $0x8e, idt + 0x35 * 16 + 5
    # RF in the pushed flags
    TRY
    ud2
    TRIED
    EXPECT "#UD", 6, 0
    CHECK_NOT_TCG "RF is set in the image that a fault pushes", trap_rflags, $0x10002, "TCG leaves it clear"

    # ---- SYSCALL ----
    mov $0xc0000081, %ecx
    xor %eax, %eax
    mov $((0x20 << 16) | CODE64), %edx # no RPL in the SYSRET selector
    wrmsr
    mov $0xc0000082, %ecx
    mov $syscall_entry, %eax
    xor %edx, %edx
    wrmsr
    mov $0xc0000083, %ecx
    mov $syscall_entry32, %eax
    wrmsr
    mov $0xc0000084, %ecx
    mov $0x700, %eax
    wrmsr
USER
user_syscall:
    std
    syscall
user_syscall_return:
    pushfq
    pop %r11
    mov %ss, %eax
    mov %cs, %ecx
    int $0x30
.code32
user_syscall32:
    syscall
user_syscall32_return:
    mov %cs, %eax
    mov %ss, %ecx
    int $0x30
.code64
END_USER
    TRY
    ENTER_USER UCODE64, user_syscall, 0x202
syscall_entry:
    mov %rcx, saved
    mov %r11, saved2
    pushfq
    pop %rax
    mov %rax, gate_rip
    mov %cs, %eax
    mov %eax, gate_cs
    mov %ss, %eax
    mov %eax, gate_ss
    sysretq
    TRIED
    EXPECT "SYSCALL and SYSRET", 0x30, 0
    CHECK "RCX is the return address", saved, $user_syscall_return
    CHECK "R11 is RFLAGS", saved2, $0x602
    CHECK "SFMASK clears IF and DF", gate_rip, $2
    CHECK "CS in SYSCALL", gate_cs, $CODE64
    CHECK "SS in SYSCALL", gate_ss, $DATA
    CHECK "SYSRET sets RPL 3 in CS", trap_rcx, $UCODE64
    CHECK "SYSRET restores RFLAGS", trap_r11, $0x602
    CHECK_NOT_TCG "SYSRET leaves the RPL of SS", trap_rax, $0x28, "TCG sets it to 3"
    mov $0xc0000081, %ecx
    xor %eax, %eax
    mov $((0x23 << 16) | CODE64), %edx
    wrmsr
    TRY
    ENTER_USER UCODE32, user_syscall32, 0x202
syscall_entry32:
    mov %rcx, saved
    mov %cs, %eax
    mov %eax, gate_cs
    sysretl
    TRIED
    EXPECT "SYSCALL from compatibility mode and SYSRETL", 0x30, 0
    CHECK "CSTAR was used, in 64-bit mode", gate_cs, $CODE64
    CHECK "ECX is the return address", saved, $user_syscall32_return
    CHECK "SYSRETL makes 32-bit code", trap_rax, $UCODE32
    CHECK "SYSRETL loads SS", trap_rcx, $UDATA
USER
user_syscall_step:
    syscall
user_syscall_stepped:
    nop
END_USER
    TRY
    ENTER_USER UCODE64, user_syscall_step, 0x302
    TRIED
    EXPECT "single step of SYSCALL", 1, 0
    CHECK "not in the kernel, where SFMASK clears TF, but right behind SYSRET", trap_rip, $user_syscall_stepped
    CHECK "the kernel ran", saved2, $0x302
    CHECK "TF is back", trap_rflags, $0x302
    TRY
    mov $0x8000000000000000, %rcx
    mov $2, %r11d
    mov $ustack_top, %esp
    sysretq
    TRIED
    EXPECT "SYSRET to a non-canonical RCX", 13, 0
    CHECK_NOT_TCG "the fault is taken at level 3", trap_cs, $UCODE64, "TCG follows the other vendor"
    TRY
    mov $0xc0000080, %ecx
    rdmsr
    and $~1, %eax
    wrmsr
    syscall
    TRIED
    EXPECT "SYSCALL with SCE clear", 6, 0
    mov $0xc0000080, %ecx
    rdmsr
    or $1, %eax
    wrmsr
USER
user_sysret:
    sysretq
user_hlt:
    hlt
user_sysenter:
    sysenter
END_USER
    TRY
    ENTER_USER UCODE64, user_sysret, 0x202
    TRIED
    EXPECT "SYSRET at level 3", 13, 0
    TRY
    ENTER_USER UCODE64, user_hlt, 0x202
    TRIED
    EXPECT "HLT at level 3", 13, 0
    TRY
    ENTER_USER UCODE64, user_sysenter, 0x202
    TRIED
    EXPECT_NOT_TCG "SYSENTER in long mode", 6, 0, "TCG follows the other vendor"

    # ---- control registers and MSRs ----
.macro WRITE_CR name, cr, set, clear, vector
    TRY
    mov %\cr, %rax
    mov $\set, %rcx
    or %rcx, %rax
    mov $\clear, %rcx
    not %rcx
    and %rcx, %rax
    mov %rax, %\cr
    TRIED
    CHECK "\name: vector", trap_vector, $\vector
.endm
    cmpl $0, is_tcg # TCG accepts what follows and then is in another mode
    jne 1f
    WRITE_CR "CR0 without PE", cr0, 0, 1, 13
    WRITE_CR "CR0 without PG in 64-bit mode", cr0, 0, 0x80000000, 13
    WRITE_CR "CR0 with NW but not CD", cr0, 0x20000000, 0x40000000, 13
    WRITE_CR "CR0 with an upper bit", cr0, 0x100000000, 0, 13
    WRITE_CR "CR0 with a reserved lower bit", cr0, 0x40, 0, -1
    mov %cr0, %rax
    mov %eax, saved
    CHECK "reserved lower bits of CR0 read as zero", saved, $0x80010033
    WRITE_CR "CR4 without PAE", cr4, 0, 0x20, 13
    WRITE_CR "CR4 with a reserved bit", cr4, 0x80000000, 0, 13
    WRITE_CR "CR3 above the physical address", cr3, 0x0010000000000000, 0, 13
    WRITE_CR "CR8 above 15", cr8, 0x10, 0, 13
1:
    WRITE_CR "CR8", cr8, 5, 0, -1
    mov %cr8, %rax
    mov %eax, saved
    CHECK "CR8 reads back", saved, $5
    WRITE_CR "CR8 zero", cr8, 0, 15, -1
.macro WRITE_MSR name, number, high, low, vector
    TRY
    mov $\number, %ecx
    mov $\high, %edx
    mov $\low, %eax
    wrmsr
    TRIED
    CHECK "\name: vector", trap_vector, $\vector
.endm
    cmpl $0, is_tcg # TCG does not look at the values
    jne 1f
    WRITE_MSR "EFER without LME under paging", 0xc0000080, 0, 0x401, 13
    WRITE_MSR "EFER with a reserved bit", 0xc0000080, 0x1, 0x501, 13
    WRITE_MSR "LSTAR not canonical", 0xc0000082, 0x80000000, 0, 13
    WRITE_MSR "FS base not canonical", 0xc0000100, 0x80000000, 0, 13
    WRITE_MSR "KERNEL_GS_BASE not canonical", 0xc0000102, 0x80000000, 0, 13
    WRITE_MSR "PAT with a reserved type", 0x277, 0, 2, 13
1:
    WRITE_MSR "GS base", 0xc0000101, 0xffff8000, 0x1000, -1
    WRITE_MSR "KERNEL_GS_BASE", 0xc0000102, 0, 0x2000, -1
    swapgs
    mov $0xc0000101, %ecx
    rdmsr
    mov %eax, saved
    CHECK "SWAPGS", saved, $0x2000
    TRY
    mov $0xdead, %ecx
    rdmsr
    TRIED
    EXPECT_NOT_TCG "RDMSR of an unknown register", 13, 0, "TCG reads zero"
    # a 16-byte store to CR2 and its neighbours must not be needed: CR2 takes any value
    mov $0x8000000000000001, %rax
    mov %rax, %cr2
    mov %cr2, %rcx
    xor %eax, %eax
    bt $63, %rcx
    setc %al
    mov %eax, saved
    CHECK "CR2 takes any value", saved, $1
    # MOV CR1 does not exist
    TRY
    .byte 0x0f, 0x20, 0xc8
    TRIED
    EXPECT "MOV from CR1", 6, 0
    TRY
    lss far_lss, %eax
    TRIED
    EXPECT_NONE "LSS m16:32"
    jmp finish
