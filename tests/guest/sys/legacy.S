# Legacy modes without paging: 32-bit and 16-bit protected mode, real mode, and the way between them; 16- and 32-bit
# gates, stack switches through a 32-bit TSS, segment limits, SYSENTER, SYSCALL in legacy mode.
# What QEMU's translator (TCG 7.2) is known to get wrong is marked CHECK_NOT_TCG / EXPECT_NOT_TCG with the reason.

.set BITS, 32
.set CODE32, 0x08
.set DATA, 0x10
.set CODE32_1, 0x18
.set DATA_1, 0x20
.set UCODE, 0x2b
.set UDATA, 0x33
.set TSS, 0x38
.set CODE16, 0x40
.set DATA16, 0x48
.set CONFORMING, 0x50
.set GATE32, 0x58 # three doublewords
.set GATE16, 0x60 # two words
.set SMALL, 0x68  # expand-up, limit 0xfff
.set DOWN, 0x70   # expand-down, limit 0xfff
.set EXEC_ONLY, 0x78
.set ABSENT_DATA, 0x80
.set GATE_CONF, 0x88
.set REAL_AT, 0x8000

.section .multiboot, "a"
.align 4
.long 0x1badb002, 0, -0x1badb002

.section .data
.align 16
gdt:
.quad 0
.quad 0x00cf9a000000ffff # 08 code32
.quad 0x00cf92000000ffff # 10 data
.quad 0x00cfba000000ffff # 18 code32, level 1
.quad 0x00cfb2000000ffff # 20 data, level 1
.quad 0x00cffa000000ffff # 28 code32, level 3
.quad 0x00cff2000000ffff # 30 data, level 3
gdt_tss: .quad 0x0000890000000067 + 0x20
.quad 0x00009a000000ffff # 40 code16
.quad 0x000092000000ffff # 48 data16
.quad 0x00cf9e000000ffff # 50 conforming code32
gdt_gate32: .quad 0x0000ec0300080000
gdt_gate16: .quad 0x0000e40200400000
gdt_small: .quad 0x0040920000000fff
gdt_down: .quad 0x0040960000000fff
.quad 0x00cf98000000ffff # 78 execute-only code
.quad 0x00cf12000000ffff # 80 absent data
gdt_conf: .quad 0x0000ec0000500000
gdtr: .word gdtr - gdt - 1
.long gdt
idtr: .word 0x42 * 8 - 1
.long idt
real_idtr: .word 0x3ff
.long 0

trap_vector: .long 0
trap_error: .long 0
trap_rip: .long 0
trap_cs: .long 0
trap_rflags: .long 0
trap_rsp: .long 0
trap_ss: .long 0
trap_frame: .long 0
trap_eax: .long 0
trap_ds: .long 0
trap_now_ss: .long 0
resume_rip: .long 0
resume_rsp: .long 0
saved: .long 0
saved2: .long 0
saved3: .long 0
saved4: .long 0

.section .bss
.align 16
idt: .skip 0x42 * 8
tss: .skip 0x68 + 32
.skip 4096
stack_top:
.skip 4096
esp0_top:
.skip 4096
esp1_top:
.skip 4096
ustack_top:

.section .text
.code32
.globl start
start:
    cli
    cld
    mov $stack_top, %esp
    mov $0xff, %al
    out %al, $0x21
    out %al, $0xa1
    mov $tss, %eax
    mov $gdt_tss, %edi
    call set_base
    mov $small_area, %eax
    mov $gdt_small, %edi
    call set_base
    mov $small_area, %eax
    mov $gdt_down, %edi
    call set_base
    mov $gate32_entry, %eax
    mov $gdt_gate32, %edi
    call set_gate
    mov $conforming_entry, %eax
    mov $gdt_conf, %edi
    call set_gate
    movw $REAL_AT + gate16_entry - real_part, gdt_gate16
    movl $esp0_top, tss + 4
    movw $DATA, tss + 8
    movl $esp1_top, tss + 12
    movw $DATA_1 | 1, tss + 16
    movw $0x68, tss + 0x66
    mov $idt, %edi
    mov $stubs, %eax
    mov $0x42, %ecx
1:  mov %eax, %edx
    mov %dx, (%edi)
    movw $CODE32, 2(%edi)
    movw $0x8e00, 4(%edi)
    shr $16, %edx
    mov %dx, 6(%edi)
    add $8, %edi
    add $16, %eax
    loop 1b
    movb $0xee, idt + 0x30 * 8 + 5
    # vector 31: a 16-bit trap gate
    movw $REAL_AT + int16_entry - real_part, idt + 0x31 * 8
    movw $CODE16, idt + 0x31 * 8 + 2
    movw $0x8700, idt + 0x31 * 8 + 4
    movw $0, idt + 0x31 * 8 + 6
    # the 16-bit part lives below 64 KiB
    mov $real_part, %esi
    mov $REAL_AT, %edi
    mov $(real_end - real_part), %ecx
    rep movsb
    mov $0x11, %eax
    mov %eax, %cr0
    lgdt gdtr
    lidt idtr
    ljmp $CODE32, $1f
1:  mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $TSS, %eax
    ltr %ax
    call report_init
    jmp tests

set_base:
    mov %ax, 2(%edi)
    ror $16, %eax
    mov %al, 4(%edi)
    mov %ah, 7(%edi)
    ret

set_gate:
    mov %ax, (%edi)
    ror $16, %eax
    mov %ax, 6(%edi)
    ret

.align 16
stubs:
.set v, 0
.rept 0x42
    .align 16
    .if v == 8 || (v >= 10 && v <= 14) || v == 17
    .else
    push $0
    .endif
    push $v
    jmp trap
    .set v, v + 1
.endr

trap:
    mov %eax, %ss:trap_eax
    mov %ds, %eax
    mov %eax, %ss:trap_ds
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, trap_frame
    pop trap_vector
    pop trap_error
    mov (%esp), %eax
    mov %eax, trap_rip
    mov 4(%esp), %eax
    mov %eax, trap_cs
    mov 8(%esp), %eax
    and $~0x8d5, %eax
    mov %eax, trap_rflags
    mov 12(%esp), %eax
    mov %eax, trap_rsp
    mov 16(%esp), %eax
    mov %eax, trap_ss
    mov %ss, %eax
    mov %eax, trap_now_ss
    mov $DATA, %eax
    mov %eax, %ss
    mov resume_rsp, %esp
    jmp *resume_rip

.macro TRY
    movl $-1, trap_vector
    movl $81f, resume_rip
    mov %esp, resume_rsp
.endm
.macro TRIED
    mov resume_rsp, %esp
81:
.endm
.macro ENTER_LEVEL code, data, stack, label, flags
    push $\data
    push $\stack
    push $\flags
    push $\code
    push $\label
    iret
.endm
.macro EXPECT name, vector, error
    CHECK "\name: vector", trap_vector, $\vector
    CHECK "\name: error code", trap_error, $\error
.endm
.macro EXPECT_NOT_TCG name, vector, error, reason
    CHECK_NOT_TCG "\name: vector", trap_vector, $\vector, "\reason"
    CHECK_NOT_TCG "\name: error code", trap_error, $\error, "\reason"
.endm
.macro EXPECT_NONE name
    CHECK "\name: no fault", trap_vector, $-1
.endm

.include "report.inc"

# ---- code at other levels, targets of gates -----------------------------------------------------------------------

user_int30:
    int $0x30
user_gate32:
    push $0x33333333
    push $0x22222222
    push $0x11111111
    lcall $GATE32 | 3, $0
user_gate32_return:
    mov %esp, %eax
    int $0x30
user_gate_conf:
    lcall $GATE_CONF | 3, $0
    int $0x30
level1_int30:
    mov %cs, %eax
    int $0x30
level1_down: # from level 1 back out to level 3
    push $UDATA
    push $ustack_top
    push $UCODE
    push $user_int30
    lret

gate32_entry:
    mov %ss:(%esp), %eax
    mov %eax, %ss:saved
    mov %ss:8(%esp), %eax # the parameter pushed last
    mov %eax, %ss:saved2
    mov %ss:16(%esp), %eax
    mov %eax, %ss:saved3
    mov %ss:20(%esp), %eax
    mov %eax, %ss:saved4
    lret $12
conforming_entry:
    mov %cs, %eax
    mov %eax, saved
    lret

.section .bss
.align 4096
small_area: .skip 8192

.section .text
tests:
    # ---- interrupts and IRET ----
    TRY
    int $0x30
    TRIED
    EXPECT "INT at the same level", 0x30, 0
    CHECK "CS at the same level", trap_cs, $CODE32
    TRY
    ENTER_LEVEL UCODE, UDATA, ustack_top, user_int30, 0x202
    TRIED
    EXPECT "IRET to level 3, INT back", 0x30, 0
    CHECK "CS of level 3", trap_cs, $UCODE
    CHECK "SS of level 3", trap_ss, $UDATA
    CHECK "ESP of level 3", trap_rsp, $ustack_top
    CHECK "SS0 of the TSS", trap_now_ss, $DATA
    CHECK "ESP0 of the TSS", trap_frame, $(esp0_top - 28)
    CHECK "DS of the kernel is null at level 3", trap_ds, $0
    TRY
    ENTER_LEVEL CODE32_1|1, DATA_1|1, esp1_top-64, level1_int30, 0x2
    TRIED
    EXPECT "IRET to level 1, INT back", 0x30, 0
    CHECK "CS of level 1", trap_cs, $(CODE32_1 | 1)
    TRY
    ENTER_LEVEL CODE32_1|1, DATA_1|1, esp1_top-64, level1_down, 0x2
    TRIED
    EXPECT "RETF from level 1 to level 3", 0x30, 0
    CHECK "CS after RETF", trap_cs, $UCODE
    # ---- 16-bit gate ----
    TRY
    mov $(REAL_AT + low_int - real_part), %eax # a 16-bit gate saves 16 bits of EIP
    call *%eax
    mov %eax, saved
    TRIED
    EXPECT_NONE "INT through a 16-bit gate and IRETW back"
    CHECK "the 16-bit handler ran", saved, $0x1616
    # ---- call gates ----
    TRY
    ENTER_LEVEL UCODE, UDATA, ustack_top, user_gate32, 0x202
    TRIED
    EXPECT "CALL through a 32-bit gate, RETF n back", 0x30, 0
    CHECK "return address", saved, $user_gate32_return
    CHECK "parameters are copied: the last", saved2, $0x11111111
    CHECK "parameters are copied: the first", saved3, $0x33333333
    CHECK "the old ESP stands above them", saved4, $(ustack_top - 12)
    CHECK "RETF n drops them from the outer stack", trap_eax, $ustack_top
    TRY
    ENTER_LEVEL UCODE, UDATA, ustack_top, user_gate_conf, 0x202
    TRIED
    EXPECT_NOT_TCG "conforming code at level 3 with a null DS", 13, 0, "TCG does not check null segments"
    TRY
    mov $(REAL_AT + low_call - real_part), %eax
    call *%eax
    mov %eax, saved
    TRIED
    EXPECT_NONE "CALL through a 16-bit gate"
    CHECK "the 16-bit procedure ran", saved, $0x2626
    TRY
    lcall $CONFORMING, $conforming_entry
    TRIED
    EXPECT_NONE "CALL to conforming code"
    CHECK "CS keeps the level", saved, $CONFORMING
    # ---- segment limits and types ----
.macro FAULT name, vector, error, code:vararg
    TRY
    \code
    TRIED
    EXPECT_NOT_TCG "\name", \vector, \error, "TCG checks no limits or types"
.endm
    mov $SMALL, %eax
    mov %eax, %fs
    mov $DOWN, %eax
    mov %eax, %gs
    TRY
    mov %fs:0xffc, %eax
    TRIED
    EXPECT_NONE "last doubleword of a segment"
    FAULT "read over the limit", 13, 0, mov %fs:0xffd, %eax
    FAULT "read beyond the limit", 13, 0, mov %fs:0x1000, %eax
    FAULT "read below an expand-down segment", 13, 0, mov %gs:0xfff, %eax
    TRY
    mov %gs:0x1000, %eax
    TRIED
    EXPECT_NONE "first byte of an expand-down segment"
    FAULT "write to code", 13, 0, movl $0, %cs:saved
    mov $EXEC_ONLY, %eax
    FAULT "execute-only code as data", 13, EXEC_ONLY, mov %eax, %gs
    xor %eax, %eax
    mov %eax, %gs
    FAULT "read through a null segment", 13, 0, mov %gs:0, %eax
    TRY
    mov $ABSENT_DATA, %eax
    mov %eax, %gs
    TRIED
    EXPECT "absent data segment", 11, ABSENT_DATA
    TRY
    mov $ABSENT_DATA, %eax
    mov %eax, %ss
    TRIED
    EXPECT "absent stack segment", 12, ABSENT_DATA
    TRY
    xor %eax, %eax
    mov %eax, %ss
    TRIED
    EXPECT "null stack segment", 13, 0
    TRY
    ljmp $CONFORMING | 3, $1f
1:  ljmp $CODE32, $1f
1:
    TRIED
    EXPECT_NONE "RPL does not count for conforming code"
    TRY
    ljmp $CODE32 | 3, $1f
1:
    TRIED
    EXPECT "far JMP with RPL above CPL", 13, CODE32
    TRY
    ljmp $UCODE & ~3, $1f
1:
    TRIED
    EXPECT "far JMP to an outer level", 13, UCODE&~3
    # ---- ARPL, LSL ----
    mov $0x1230, %eax
    mov $3, %ecx
    arpl %cx, %ax
    setz %cl
    mov %eax, saved
    mov %ecx, saved2
    CHECK "ARPL raises the RPL", saved, $0x1233
    CHECK "ARPL sets ZF", saved2, $1
    mov $SMALL, %ecx
    lsl %ecx, %eax
    mov %eax, saved
    CHECK "LSL of a byte-granular limit", saved, $0xfff
    # ---- SYSENTER, SYSEXIT ----
    mov $0x174, %ecx
    xor %edx, %edx
    xor %eax, %eax
    wrmsr
    TRY
    sysenter
    TRIED
    EXPECT "SYSENTER with a null selector", 13, 0
    mov $0x174, %ecx
    mov $CODE32, %eax
    wrmsr
    mov $0x175, %ecx
    mov $esp0_top, %eax
    wrmsr
    mov $0x176, %ecx
    mov $sysenter_target, %eax
    wrmsr
    TRY
    ENTER_LEVEL UCODE, UDATA, ustack_top, user_sysenter, 0x202
user_sysenter:
    sysenter
sysenter_target:
    mov %esp, %ss:saved
    mov %cs, %eax
    mov %eax, %ss:saved2
    pushf
    pop %eax
    and $~0x8d5, %eax
    mov %eax, %ss:saved3
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    TRIED
    EXPECT_NONE "SYSENTER"
    CHECK "SYSENTER loads ESP", saved, $esp0_top
    CHECK "SYSENTER loads CS", saved2, $CODE32
    CHECK "SYSENTER clears IF", saved3, $2
    # SYSEXIT to SYSENTER_CS + 16 and + 24: choose a base that lands on the user segments
    mov $0x174, %ecx
    mov $((UCODE & ~3) - 16), %eax
    xor %edx, %edx
    wrmsr
    TRY
    mov $ustack_top, %ecx
    mov $user_int30, %edx
    sysexit
    TRIED
    EXPECT "SYSEXIT and INT back", 0x30, 0
    CHECK "CS after SYSEXIT", trap_cs, $UCODE
    CHECK "SS after SYSEXIT", trap_ss, $UDATA
    CHECK "ESP after SYSEXIT", trap_rsp, $ustack_top
    # ---- real mode and back ----
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %esp, saved4
    movl $0, saved
    ljmp $CODE16, $(REAL_AT + to_real - real_part)
back_from_real:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov saved4, %esp
    lidt idtr
    movl REAL_AT + real_result - real_part, %eax
    mov %eax, saved
    CHECK "INT in real mode went through the table", saved, $0x5a5a
    movl REAL_AT + real_flags - real_part, %eax
    mov %eax, saved
    CHECK "INT in real mode cleared IF and TF", saved, $2
    movl REAL_AT + real_far - real_part, %eax
    mov %eax, saved
    CHECK "far CALL and RETF in real mode", saved, $0x7777
    movl REAL_AT + real_divide - real_part, %eax
    mov %eax, saved
    CHECK "#DE in real mode pushed the fault's IP", saved, $(REAL_AT + real_div - real_part)
    movl REAL_AT + real_msw - real_part, %eax
    and $1, %eax
    mov %eax, saved
    CHECK "SMSW in real mode", saved, $0
    jmp finish

# ---- the 16-bit part, copied to REAL_AT ------------------------------------------------------------------------------

.align 16
real_part:
.code16
int16_entry:
    mov $0x1616, %eax
    iretw
gate16_entry:
    mov $0x2626, %eax
    lretw
.code32
low_int:
    int $0x31
    ret
low_call:
    lcall $GATE16, $0
    ret
.code16
to_real:
    mov $DATA16, %ax # 16-bit segments with 64-KiB limits
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %cr0, %eax
    and $~1, %al
    mov %eax, %cr0
    ljmpw $(REAL_AT >> 4), $(in_real - real_part)
in_real:
    mov %cs, %ax
    mov %ax, %ds
    xor %ax, %ax
    mov %ax, %es
    mov %ax, %ss
    mov $0x7000, %sp
    lidtl %es:(REAL_AT + local_idtr - real_part)
    # a table of its own at 0x7000: vector 60 and #DE
    movw $(real_int - real_part), %es:(0x7000 + 0x60 * 4)
    mov %cs, %es:(0x7000 + 0x60 * 4 + 2)
    movw $(real_de - real_part), %es:0x7000
    mov %cs, %es:0x7002
    sti
    int $0x60
    cli
    lcallw $(REAL_AT >> 4), $(real_proc - real_part)
    xor %cx, %cx
real_div:
    div %cl
real_div_next:
    smsw %ax
    mov %ax, real_msw - real_part
    # back to protected mode
    lgdtl %es:(REAL_AT + local_gdtr - real_part)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $CODE32, $back_from_real
real_int:
    movw $0x5a5a, %cs:(real_result - real_part)
    pushfw
    pop %ax
    and $0x0302, %ax
    mov %ax, %cs:(real_flags - real_part)
    iretw
real_proc:
    movw $0x7777, %cs:(real_far - real_part)
    lretw
real_de:
    push %bp
    mov %sp, %bp
    mov 2(%bp), %ax
    add $REAL_AT, %ax
    mov %ax, %cs:(real_divide - real_part)
    movw $(real_div_next - real_part), 2(%bp)
    pop %bp
    iretw
.align 4
local_idtr: .word 0x3ff
.long 0x7000
local_gdtr: .word gdtr - gdt - 1
.long gdt
real_result: .long 0
real_flags: .long 0
real_far: .long 0
real_divide: .long 0
real_msw: .long 0
real_end:
.code32
