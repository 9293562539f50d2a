/*
 * The guest of scripts/fuzz-timing: brings up to four vCPUs into 64-bit mode, with pages of 4 KiB, 2 MiB and 1 GiB, and lets each
 * run its own body (body.inc, made by scripts/timingfuzz). Every page is a user page too; accessed and dirty bits of all entries are
 * clear at first, and all vCPUs have the same tables.
 *
 *   0x200000   code of the bodies, pages of 4 KiB          0x800000   stacks, 64 KiB each, of ring 0 and for interrupts
 *   0xf00000   memory that all share (r14)                 0x1000000  own memory, 2 MiB each (r15)
 *   0x42000000 a page of 1 GiB (rbx)                       0x80000000 pages of 4 KiB, 2 MiB each, some not present (r13)
 */
    .intel_syntax noprefix
    .set CODE64, 0x08
    .set DATA, 0x10
    .set USER, 0x1b             /* of SYSRET: data 0x20, code 0x28 */
    .set TSS, 0x30
    .set APIC, 0xfee00000
    .set IOAPIC, 0xfec00000
    .set STACKS, 0x800000
    .set PAGE, 7                /* present, writable, user */
    .set LARGE, 0x80
    .set FEATURES, 0x70620      /* OSXSAVE, PCIDE, FSGSBASE, OSXMMEXCPT, OSFXSR, PAE */

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long entry

    .section .start, "ax"
    .code32
entry:
    cli
    cld
    mov al, 0xff                /* both interrupt controllers silent */
    out 0x21, al
    out 0xa1, al
    mov esi, OFFSET trampoline
    mov edi, 0x8000
    mov ecx, OFFSET trampoline_end - trampoline
    rep movsb
    mov edi, OFFSET idt
    xor ecx, ecx
1:  mov eax, [handlers + ecx * 4]
    mov edx, eax
    and eax, 0xffff
    or eax, CODE64 << 16
    mov [edi], eax
    and edx, 0xffff0000
    or edx, 0xee00
    mov [edi + 4], edx
    add edi, 16
    inc ecx
    cmp ecx, 256
    jb 1b
    xor ecx, ecx
2:  imul eax, ecx, 104          /* the task states, and their descriptors */
    add eax, OFFSET states
    mov edx, ecx
    shl edx, 16
    add edx, STACKS + 0x88000
    mov [eax + 4], edx
    mov edx, eax
    and edx, 0xffff
    shl edx, 16
    or edx, 103
    mov edi, ecx
    shl edi, 4
    mov [gdt + TSS + edi], edx
    mov edx, eax
    shr edx, 16
    or edx, 0x8900
    mov [gdt + TSS + edi + 4], edx
    inc ecx
    cmp ecx, 4
    jb 2b
    .irp pin, 3, 4              /* of two UARTs: to the first vCPU, to the second */
    mov DWORD PTR [IOAPIC], 0x11 + 2 * \pin
    mov DWORD PTR [IOAPIC + 0x10], (\pin - 3) * (CPUS > 1) * -0x1000000
    mov DWORD PTR [IOAPIC], 0x10 + 2 * \pin
    mov DWORD PTR [IOAPIC + 0x10], 0x40
    .endr
    mov al, 8                   /* OUT2, or they interrupt nobody */
    mov dx, 0x2fc
    out dx, al
    mov dx, 0x3fc
    out dx, al
    mov DWORD PTR [APIC + 0xf0], 0x1ff
    mov DWORD PTR [APIC + 0x300], 0xc4500 /* INIT to all others */
    rdtsc
    lea ecx, [eax + 6000]       /* INIT has arrived, as every machine of the fuzzer has it */
3:  pause
    rdtsc
    cmp eax, ecx
    jb 3b
    mov DWORD PTR [APIC + 0x300], 0xc4608
to_long:
    mov eax, FEATURES & ~0x20000
    mov cr4, eax
    mov eax, OFFSET pml4_a
    mov cr3, eax
    mov ecx, 0xc0000080         /* EFER: LME, SCE */
    rdmsr
    or eax, 0x101
    wrmsr
    mov eax, 0x80010033
    mov cr0, eax
    lgdt [gdtr]
    lidt [idtr]
    ljmp CODE64, OFFSET long_mode

    .code16
trampoline:
    cli
    lgdt [cs:gdtr_16 - trampoline]
    mov eax, 0x33
    mov cr0, eax
    .byte 0x66, 0xea            /* a far jump of 32 bits */
    .long other
    .word 0x18
gdtr_16:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:
    .code32
other:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    jmp to_long

    .code64
long_mode:
    mov eax, FEATURES
    mov cr4, rax
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov ebp, 1
    lock xadd [next], ebp       /* the number of this vCPU */
    mov esp, ebp
    shl esp, 16
    add esp, STACKS + 0xf000
    lea eax, [rbp * 8]
    lea eax, [rax * 2 + TSS]
    ltr ax
    mov eax, APIC
    mov DWORD PTR [rax + 0xf0], 0x1ff
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, USER << 16 | CODE64
    wrmsr
    inc ecx
    mov eax, OFFSET from_user
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084
    xor eax, eax
    wrmsr
    xor ecx, ecx
    xor edx, edx
    mov eax, 3
    xsetbv
    fninit
    mov eax, ebp
    shl eax, 21
    lea r13d, [rax + 0x40000000]
    add r13d, 0x40000000
    lea r15d, [rax + 0x1000000]
    mov r14d, 0xf00000
    mov ebx, 0x42000000
    lea r8d, [rbp + SEED]
    lock inc DWORD PTR [arrived]
1:  pause
    cmp DWORD PTR [arrived], CPUS
    jb 1b
    cmp ebp, CPUS
    jae 3f
    mov eax, [bodies + rbp * 4]
    push rbp
    call rax
    pop rbp
    lock inc DWORD PTR [done]
    test ebp, ebp
    jnz 3f
2:  pause
    cmp DWORD PTR [done], ENOUGH
    jb 2b
    mov eax, 16
    out 0xf4, eax
3:  cli
    hlt
    jmp 3b

from_user:                      /* SYSCALL: goes on in ring 0 */
    jmp rcx

invalid:                        /* UD2 goes on behind it; every other one ends the run */
    push rax
    mov rax, [rsp + 8]
    cmp WORD PTR [rax], 0x0b0f
    jne bad
    add QWORD PTR [rsp + 8], 2
    pop rax
    iretq
absent:                         /* a page of the window that is not present yet: it is now */
    push rax
    mov rax, cr2
    sub eax, 0x40000000         /* in two steps: 0x80000000 is negative in an instruction */
    sub eax, 0x40000000
    cmp eax, 0x800000
    jae bad
    shr rax, 12
    or BYTE PTR [window + rax * 8], 1
    pop rax
    add rsp, 8
    iretq
message:
    push rax
    mov eax, APIC
    mov DWORD PTR [rax + 0xb0], 0
    pop rax
just_return:
    iretq
bad:
    mov eax, 17
    out 0xf4, eax
    jmp bad

    .data
    .balign 64
next: .long 0
    .balign 64
arrived: .long 0
    .balign 64
done: .long 0
    .balign 64
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* code, 64 bits */
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff    /* code, 32 bits */
    .quad 0x00cff3000000ffff    /* of ring 3: data, code */
    .quad 0x00affb000000ffff
    .skip 64
gdt_end:
gdtr:
    .word gdt_end - gdt - 1
    .long gdt, 0
idtr:
    .word 256 * 16 - 1
    .long idt, 0
handlers:
    .long bad, just_return, bad, just_return, bad, bad, invalid
    .rept 7
    .long bad
    .endr
    .long absent
    .rept 49
    .long bad
    .endr
    .long message               /* 0x40 */
    .rept 63
    .long bad
    .endr
    .long just_return           /* 0x80 */
    .rept 127
    .long bad
    .endr

    .balign 4096
pml4_a: .quad pdpt + PAGE
    .skip 4088
pml4_b: .quad pdpt + PAGE
    .skip 4088
pdpt: .quad pd + PAGE, LARGE + PAGE, pd_window + PAGE, pd_apic + PAGE
    .skip 4064
pd: .quad LARGE + PAGE, pt_code + PAGE
    .set at, 0x400000
    .rept 126
    .quad at + LARGE + PAGE
    .set at, at + 0x200000
    .endr
    .skip 8 * 384
pd_window: .quad window + PAGE, window + 4096 + PAGE, window + 8192 + PAGE, window + 12288 + PAGE
    .skip 4064
pd_apic: .skip 8 * 502
    .quad IOAPIC + LARGE + PAGE + 0x10
    .quad APIC + LARGE + PAGE + 0x10
    .skip 8 * 8
pt_code:
    .set at, 0x200000
    .rept 512
    .quad at + PAGE
    .set at, at + 4096
    .endr
window:
    .set at, 0
    .rept 2048                  /* in another order in memory; each 16th is not there */
    .quad 0x4000000 + (at * 1021 % 2048) * 4096 + PAGE + ((at % 16) == 5)
    .set at, at + 1
    .endr
    .bss
    .balign 4096
idt: .skip 4096
states: .skip 104 * 4

    .section .body, "awx"
    .include "body.inc"
    .section .note.GNU-stack, "", @progbits
