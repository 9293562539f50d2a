# Long mode: single step, breakpoints, interrupt shadows, I/O permission, and the protections that CR4 switches on.
# What QEMU's translator (TCG 7.2) is known to get wrong is marked CHECK_NOT_TCG / EXPECT_NOT_TCG with the reason.

.include "long.inc"

.set APIC, 0xfee00000

.section .text
.code64
gate_entry:
    lretq

.macro CR4_ON bit
    mov %cr4, %rax
    bts $\bit, %rax
    mov %rax, %cr4
.endm
.macro CR4_OFF bit
    mov %cr4, %rax
    btr $\bit, %rax
    mov %rax, %cr4
.endm
.macro SET_DR reg, value
    mov $\value, %eax
    mov %rax, %\reg
.endm
# DR6 bits that a check looks at, then clears
.macro CHECK_DR6 name, want
    andl $0xe00f, trap_dr6
    CHECK "\name", trap_dr6, $\want
    SET_DR db6, 0
.endm

.section .data
saved: .quad 0
.align 8
watched: .quad 0
break_continue: .quad break_first

.section .text
tests:
    # ---- single step ----
    TRY
    pushfq
    orq $0x100, (%rsp)
    popfq
    nop
step_nop: nop
    TRIED
    EXPECT "single step", 1, 0
    CHECK "one instruction after POPF is done", trap_rip, $step_nop
    CHECK "TF is pushed", trap_rflags, $0x102
    CHECK "TF is clear in the handler", trap_now_rflags, $2
    CHECK_DR6 "DR6.BS", 0x4000
    TRY
    mov $DATA, %eax
    pushfq
    orq $0x100, (%rsp)
    popfq
    mov %eax, %ss
    nop
step_ss: nop
    TRIED
    CHECK "MOV SS holds the trap off for one instruction", trap_rip, $step_ss
    SET_DR db6, 0
USER
user_step:
    mov $1, %eax
user_step2:
    int $0x30
user_int_tf:
    int $0x30
user_icebp:
    .byte 0xf1
user_icebp2:
    nop
user_int3:
    int3
user_int3_after:
    nop
END_USER
    TRY
    ENTER_USER UCODE64, user_step, 0x302
    TRIED
    EXPECT "single step of user code", 1, 0
    CHECK "the instruction after IRET is done", trap_rip, $user_step2
    CHECK_DR6 "DR6.BS of user code", 0x4000
    TRY
    ENTER_USER UCODE64, user_int_tf, 0x302
    TRIED
    EXPECT "INT n under TF enters its handler", 0x30, 0
    SET_DR db6, 0
    TRY
    ENTER_USER UCODE64, user_icebp, 0x202
    TRIED
    EXPECT_NOT_TCG "INT1 needs no gate privilege", 1, 0, "TCG has no INT1"
    CHECK_NOT_TCG "INT1 pushes the next RIP", trap_rip, $user_icebp2, "TCG has no INT1"
    CHECK_DR6 "INT1 sets nothing in DR6", 0
    TRY
    ENTER_USER UCODE64, user_int3, 0x202
    TRIED
    EXPECT "INT3 through a gate of level 3", 3, 0
    CHECK "INT3 pushes the next RIP", trap_rip, $user_int3_after
    andb $0x9f, idt + 3 * 16 + 5
    TRY
    ENTER_USER UCODE64, user_int3, 0x202
    TRIED
    EXPECT_NOT_TCG "INT3 through a gate of level 0", 13, 3*8+2, "TCG takes the vector times 16"

    # ---- breakpoints ----
    SET_DR db0, break_here
    SET_DR db7, 1
    TRY
    nop
break_here:
    nop
    jmp *break_continue
break_first:
    TRIED
    EXPECT "instruction breakpoint", 1, 0
    CHECK "it is a fault", trap_rip, $break_here
    CHECK_DR6 "DR6.B0", 1
    TRY
    mov %rsp, %rax
    push $DATA
    push %rax
    push $0x10002
    push $CODE64
    push $break_here
    movq $break_second, break_continue
    iretq
break_second:
    TRIED
    SET_DR db7, 0
    EXPECT_NONE "RF lets the instruction pass"
    SET_DR db1, watched
    SET_DR db7, (4 | 0xd << 20) # L1, write, 4 bytes
    TRY
    mov watched, %eax
    mov %eax, watched + 4
    mov %eax, watched
watch_after:
    nop
    TRIED
    EXPECT "data breakpoint on a write", 1, 0
    CHECK "it is a trap", trap_rip, $watch_after
    CHECK_DR6 "DR6.B1", 2
    TRY
    movb $1, watched + 3
watch_after2:
    nop
    TRIED
    EXPECT "data breakpoint on its last byte", 1, 0
    SET_DR db6, 0
    SET_DR db7, (4 | 3 << 20) # read or write, 1 byte
    TRY
    mov watched, %rax
watch_after3:
    nop
    TRIED
    EXPECT "data breakpoint on a read", 1, 0
    CHECK "a trap too", trap_rip, $watch_after3
    SET_DR db6, 0
    CR4_ON 3
    SET_DR db2, 0x80
    SET_DR db7, (0x10 | 2 << 24) # L2, I/O, 1 byte
    TRY
    xor %eax, %eax
    out %al, $0x80
io_after:
    nop
    TRIED
    EXPECT "I/O breakpoint", 1, 0
    CHECK "it is a trap as well", trap_rip, $io_after
    CHECK_DR6 "DR6.B2", 4
    # general detect, aliases, values
    SET_DR db7, 0x2000
    TRY
general_detect:
    mov %db0, %rax
    TRIED
    EXPECT_NOT_TCG "DR7.GD", 1, 0, "TCG ignores GD"
    CHECK_NOT_TCG "general detect is a fault", trap_rip, $general_detect, "TCG ignores GD"
    andl $0xe00f, trap_dr6
    CHECK_NOT_TCG "DR6.BD", trap_dr6, $0x2000, "TCG ignores GD"
    mov %db7, %rax
    mov %eax, saved
    CHECK_NOT_TCG "GD is clear in the handler", saved, $0x400, "TCG ignores GD"
    TRY
    .byte 0x0f, 0x21, 0xe0 # mov %dr4, %rax
    TRIED
    EXPECT "DR4 under CR4.DE", 6, 0
    CR4_OFF 3
    SET_DR db7, 0
    mov $-1, %eax
    mov %rax, %db6
    TRY
    .byte 0x0f, 0x21, 0xe0
    mov %eax, saved
    TRIED
    EXPECT_NONE "DR4 is DR6 without CR4.DE"
    CHECK_NOT_TCG "DR6 reads its ones", saved, $0xffffefff, "TCG keeps bit 12"
    SET_DR db6, 0
    TRY
    mov $0x100000000, %rax
    mov %rax, %db7
    TRIED
    EXPECT_NOT_TCG "DR7 with an upper bit", 13, 0, "TCG does not check"

    # ---- interrupt shadow ----
    mov $APIC, %r8d
    movl $0x1ff, 0xf0(%r8)
    TRY
    movl $0x40040, 0x300(%r8) # to itself, vector 40
1:  mov 0x210 + 0x10 * 1(%r8), %eax # IRR bits 40..5f
    test $1, %al
    jz 1b
    sti
    nop
sti_after:
    nop
    TRIED
    EXPECT "interrupt after STI", 0x40, 0
    CHECK "one instruction after STI is done", trap_rip, $sti_after
    mov $APIC, %r8d
    movl $0, 0xb0(%r8)
    cli

    # ---- I/O permission, IOPL ----
USER
user_out:
    out %al, $0x80
    int $0x30
user_inw:
    in $0x80, %ax
    int $0x30
user_far_port:
    mov $0x3fd, %edx
    in %dx, %al
    int $0x30
user_cli:
    cli
    int $0x30
user_popf:
    push $0x3202 ^ 0x200
    popfq
    int $0x30
END_USER
    TRY
    ENTER_USER UCODE64, user_out, 0x202
    TRIED
    EXPECT "OUT that the bitmap allows", 0x30, 0
    orb $2, io_map + 16 # port 81
    TRY
    ENTER_USER UCODE64, user_out, 0x202
    TRIED
    EXPECT "OUT beside a forbidden port", 0x30, 0
    TRY
    ENTER_USER UCODE64, user_inw, 0x202
    TRIED
    EXPECT "IN of a word whose second port is forbidden", 13, 0
    TRY
    ENTER_USER UCODE64, user_inw, 0x3202
    TRIED
    EXPECT "IN at IOPL 3", 0x30, 0
    TRY
    ENTER_USER UCODE64, user_far_port, 0x202
    TRIED
    EXPECT "IN beyond the bitmap", 13, 0
    TRY
    ENTER_USER UCODE64, user_far_port, 0x3202
    TRIED
    EXPECT "IN beyond the bitmap at IOPL 3", 0x30, 0
    TRY
    ENTER_USER UCODE64, user_cli, 0x202
    TRIED
    EXPECT "CLI at level 3", 13, 0
    TRY
    ENTER_USER UCODE64, user_cli, 0x3202
    TRIED
    EXPECT "CLI at IOPL 3", 0x30, 0
    CHECK "CLI cleared IF", trap_rflags, $0x3002
    TRY
    ENTER_USER UCODE64, user_popf, 0x202
    TRIED
    CHECK "POPF at level 3 leaves IF and IOPL", trap_rflags, $0x202

    # ---- CR4 ----
USER
user_data: .quad 0
user_fetch:
    ret
user_sgdt:
    sgdt user_data
user_rdtsc:
    rdtsc
user_unaligned:
    mov user_data + 1, %eax
    int $0x30
END_USER
    CR4_ON 20
    TRY
    call user_fetch
    TRIED
    EXPECT "SMEP: fetch from a user page", 14, 0x11
    CHECK "CR2 of the fetch", trap_cr2, $user_fetch
    CR4_OFF 20
    TRY
    call user_fetch
    TRIED
    EXPECT_NONE "fetch from a user page without SMEP"
    CR4_ON 21
    TRY
    mov user_data, %eax
    TRIED
    EXPECT "SMAP: read of a user page", 14, 1
    TRY
    mov %eax, user_data
    TRIED
    EXPECT "SMAP: write of a user page", 14, 3
    TRY
    stac
    mov user_data, %eax
    clac
    TRIED
    EXPECT_NONE "SMAP: read after STAC"
    TRY
    clac
    mov user_data, %eax
    TRIED
    EXPECT "SMAP: read after CLAC", 14, 1
    CR4_OFF 21
    CR4_ON 11
    TRY
    ENTER_USER UCODE64, user_sgdt, 0x202
    TRIED
    EXPECT "UMIP: SGDT at level 3", 13, 0
    TRY
    sub $16, %rsp
    sgdt (%rsp)
    add $16, %rsp
    TRIED
    EXPECT_NONE "UMIP: SGDT at level 0"
    CR4_OFF 11
    CR4_ON 2
    TRY
    ENTER_USER UCODE64, user_rdtsc, 0x202
    TRIED
    EXPECT "TSD: RDTSC at level 3", 13, 0
    CR4_OFF 2
    mov %cr0, %rax
    bts $18, %rax
    mov %rax, %cr0
    TRY
    ENTER_USER UCODE64, user_unaligned, 0x40202
    TRIED
    EXPECT_NOT_TCG "AC: unaligned read at level 3", 17, 0, "TCG does not check alignment"
    TRY
    ENTER_USER UCODE64, user_unaligned, 0x202
    TRIED
    EXPECT "unaligned read without AC", 0x30, 0
    TRY
    rdfsbase %rax
    TRIED
    EXPECT "RDFSBASE without CR4.FSGSBASE", 6, 0
    CR4_ON 16
    TRY
    mov $0x12345678, %eax
    wrgsbase %rax
    xor %eax, %eax
    rdgsbase %rax
    mov %eax, saved
    TRIED
    EXPECT_NONE "WRGSBASE and RDGSBASE"
    CHECK "the base read back", saved, $0x12345678
    TRY
    mov $0x8000000000000000, %rax
    wrfsbase %rax
    TRIED
    EXPECT_NOT_TCG "WRFSBASE not canonical", 13, 0, "TCG does not check"
    TRY
    xor %ecx, %ecx
    xgetbv
    TRIED
    EXPECT "XGETBV without CR4.OSXSAVE", 6, 0
    CR4_ON 18
    TRY
    xor %ecx, %ecx
    xgetbv
    mov %eax, saved
    TRIED
    EXPECT_NONE "XGETBV"
    CHECK "x87 state is always on", saved, $1
    TRY
    xor %ecx, %ecx
    xor %edx, %edx
    mov $2, %eax
    xsetbv
    TRIED
    EXPECT "XSETBV without x87", 13, 0
    TRY
    xor %ecx, %ecx
    xor %edx, %edx
    mov $3, %eax
    xsetbv
    xgetbv
    mov %eax, saved
    TRIED
    CHECK "XSETBV", saved, $3
    TRY
    mov $APIC, %eax
    mov $1, %ecx
    xor %edx, %edx
    monitor
    TRIED
    EXPECT "MONITOR with an extension", 13, 0
    xor %eax, %eax
    rdrand %rcx
    setc %al
    mov %eax, saved
    CHECK "RDRAND sets CF", saved, $1
    # ---- NM by TS ----
    mov %cr0, %rax
    bts $3, %rax
    mov %rax, %cr0
    TRY
    fnop
    TRIED
    EXPECT "x87 under CR0.TS", 7, 0
    clts
    TRY
    fnop
    TRIED
    EXPECT_NONE "x87 after CLTS"
    jmp finish
