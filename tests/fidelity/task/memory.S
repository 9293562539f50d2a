/*
 * Tier 2: caches, translations, streams, predictions, stores that loads wait for. Figures are cycles a load, a line of 64
 * bytes, a branch, or a store with its load.
 */
#include "jobs.inc"

    .data
    .balign 64
    .globl chase_at
chase_at: .quad 0
pattern_at: .quad 0
targets:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .quad target_\number
    .endr

/* Sixteen loads a repetition. */
    .text
    .balign 64
    .globl chase
chase:
    mov chase_at(%rip), %rax
    .balign 64
1:  .rept 16
    mov (%rax), %rax
    .endr
    dec %rdi
    jnz 1b
    mov %rax, chase_at(%rip)
    ret

    .irp kib, 4, 8, 16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 768, 1024, 1536, 2048
    JOB 2, "chase_4K_\kib", chase, prepare_chase, (\kib * 1024), 0, 400, 16, 2, 0
    .endr
    .irp kib, 3072, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576
    JOB 2, "chase_4K_\kib", chase, prepare_chase, (\kib * 1024), 0, 200, 16, 2, 0
    .endr
    .irp kib, 4, 8, 16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 768, 1024, 1536, 2048
    JOB 2, "chase_2M_\kib", chase, prepare_chase, (\kib * 1024), 1, 400, 16, 2, 0
    .endr
    .irp kib, 3072, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576
    JOB 2, "chase_2M_\kib", chase, prepare_chase, (\kib * 1024), 1, 200, 16, 2, 0
    .endr

/* One line in each page: what translation adds. */
    .irp pages, 8, 16, 24, 32, 40, 48, 56, 64, 68, 72, 76, 80, 88, 96, 104, 112, 128, 160, 192, 256, 384, 512, 768, \
        1024, 1536, 2048, 3072, 4096, 8192
    JOB 2, "tlb_4K_\pages", chase, prepare_pages, (\pages * 4096), 0, 300, 16, 2, 0
    .endr
    .irp pages, 8, 32, 64, 128, 256, 512, 1024, 2048
    JOB 2, "tlb_2M_\pages", chase, prepare_pages, (\pages * 4096), 1, 300, 16, 2, 0
    .endr

/* Streams: RDX lines, all of them in each repetition. */
    .macro STREAM label, lines_of, body
    .text
    .balign 64
\label:
    mov %rdx, %r14
    \lines_of
    mov %rsi, %r13
1:  mov %r13, %rsi
    lea (%r13,%r14), %r12
    mov %r14, %rcx
    .balign 64
2:  \body
    add $64, %rsi
    sub $64, %rcx
    jnz 2b
    dec %rdi
    jnz 1b
    ret
    .endm
    STREAM stream_read, "shl $6, %r14", "movaps (%rsi), %xmm0; movaps 16(%rsi), %xmm1; movaps 32(%rsi), %xmm2; \
        movaps 48(%rsi), %xmm3"
    STREAM stream_read8, "shl $6, %r14", "add (%rsi), %rax; add 8(%rsi), %rbx; add 16(%rsi), %r8; add 24(%rsi), %r9; \
        add 32(%rsi), %r10; add 40(%rsi), %r11; add 48(%rsi), %rbp; add 56(%rsi), %r15"
    STREAM stream_write, "shl $6, %r14", "movaps %xmm0, (%rsi); movaps %xmm0, 16(%rsi); movaps %xmm0, 32(%rsi); \
        movaps %xmm0, 48(%rsi)"
    STREAM stream_copy, "shl $5, %r14", "movaps (%rsi), %xmm0; movaps 16(%rsi), %xmm1; movaps 32(%rsi), %xmm2; \
        movaps 48(%rsi), %xmm3; movaps %xmm0, (%r12); movaps %xmm1, 16(%r12); movaps %xmm2, 32(%r12); \
        movaps %xmm3, 48(%r12); add $64, %r12"

    .macro STREAMS kib, passes
    JOB 2, "read_\kib", stream_read, prepare_lines, (\kib * 1024), 1, \passes, (\kib * 16), 2, 0
    JOB 2, "read8_\kib", stream_read8, prepare_lines, (\kib * 1024), 1, \passes, (\kib * 16), 2, 0
    JOB 2, "write_\kib", stream_write, prepare_lines, (\kib * 1024), 1, \passes, (\kib * 16), 2, 0
    JOB 2, "copy_\kib", stream_copy, prepare_lines, (\kib * 1024), 1, \passes, (\kib * 8), 2, 0
    .endm
    STREAMS 16, 20
    STREAMS 256, 2
    STREAMS 4096, 1
    STREAMS 32768, 1

/* One branch a repetition, taken as the bytes say, beside the one that repeats. RDX bytes. */
    .text
    .balign 64
branch_pattern:
    mov pattern_at(%rip), %rcx
    xor %r8d, %r8d
    cmp %rdx, %rcx
    cmovae %r8, %rcx
    .balign 64
1:  movzbl (%rsi,%rcx), %eax
    inc %rcx
    cmp %rdx, %rcx
    cmove %r8, %rcx
    test %al, %al
    jz 2f
    add $3, %rbx
2:  dec %rdi
    jnz 1b
    mov %rcx, pattern_at(%rip)
    ret

    .irp period, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384
    JOB 2, "branch_period_\period", branch_pattern, prepare_pattern, 65536, 0, 8192, 1, 48, \period
    .endr
    .irp chance, 0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 100
    JOB 2, "branch_chance_\chance", branch_pattern, prepare_chance, 262144, 1, 8192, 1, 48, \chance
    .endr

/* One indirect jump a repetition, to one of 16 places. */
    .text
    .balign 64
branch_target:
    mov pattern_at(%rip), %rcx
    xor %r8d, %r8d
    cmp %rdx, %rcx
    cmovae %r8, %rcx
    lea targets(%rip), %r9
    .balign 64
target_loop:
    movzbl (%rsi,%rcx), %eax
    inc %rcx
    cmp %rdx, %rcx
    cmove %r8, %rcx
    jmp *(%r9,%rax,8)
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .balign 16
target_\number:
    add $\number, %rbx
    dec %rdi
    jnz target_loop
    jmp target_done
    .endr
target_done:
    mov %rcx, pattern_at(%rip)
    ret

    .irp count, 1, 2, 4, 8, 16
    JOB 2, "indirect_\count", branch_target, prepare_targets, 65536, 0, 8192, 1, 48, \count
    .endr

/* Calls RDX deep, and back: where the return stack ends. A repetition counts for one. */
    .macro DEPTH depth
    .text
    .balign 64
call_depth_\depth:
    mov $\depth, %ecx
    call 1f
    dec %rdi
    jnz call_depth_\depth
    ret
    .balign 16
1:  dec %ecx
    jz 2f
    call 1b
2:  ret
    JOB 2, "call_depth_\depth", call_depth_\depth, 0, 4096, 0, 100, \depth, 8, 0
    .endm
    DEPTH 4
    DEPTH 8
    DEPTH 16
    DEPTH 24
    DEPTH 32
    DEPTH 48
    DEPTH 64

/* A store, and a load that needs all or a part of it and gives the next store its value. */
    .macro FORWARD name, body
    LOOP "k2_\name", "xor %eax, %eax; pxor %xmm0, %xmm0", "\body", 32
    JOB 2, "\name", "k2_\name", prepare_page, 8192, 0, 40, 32, 2, 0
    .endm
    FORWARD forward_8_8, "mov %rax, (%rsi); mov (%rsi), %rax"
    FORWARD forward_4_4, "mov %eax, (%rsi); mov (%rsi), %eax"
    FORWARD forward_1_1, "mov %al, (%rsi); movzbl (%rsi), %eax"
    FORWARD forward_8_4_low, "mov %rax, (%rsi); mov (%rsi), %eax"
    FORWARD forward_8_4_high, "mov %rax, (%rsi); mov 4(%rsi), %eax"
    FORWARD forward_8_1_inner, "mov %rax, (%rsi); movzbl 5(%rsi), %eax"
    FORWARD forward_4_8_wide, "mov %eax, (%rsi); mov (%rsi), %rax"
    FORWARD forward_44_8_two, "mov %eax, (%rsi); mov %eax, 4(%rsi); mov (%rsi), %rax"
    FORWARD forward_8_8_overlap, "mov %rax, (%rsi); mov 4(%rsi), %rax"
    FORWARD forward_8_8_cross, "mov %rax, 60(%rsi); mov 60(%rsi), %rax"
    FORWARD forward_8_8_page, "mov %rax, 4092(%rsi); mov 4092(%rsi), %rax"
    FORWARD forward_16_16, "movaps %xmm0, (%rsi); movaps (%rsi), %xmm0"
    FORWARD forward_16_8_low, "movaps %xmm0, (%rsi); movq (%rsi), %xmm0"
    FORWARD forward_16_8_high, "movaps %xmm0, (%rsi); movq 8(%rsi), %xmm0"
    FORWARD forward_8_8_integer_vector, "mov %rax, (%rsi); movq (%rsi), %xmm0; movq %xmm0, %rax"
    FORWARD alias_4096, "mov %rax, 4096(%rsi); mov (%rsi), %rcx; and $0, %ecx; add %rcx, %rax"
    FORWARD load_cross_line, "mov 60(%rsi,%rax), %rax; and $0, %eax"
    FORWARD load_cross_page, "mov 4092(%rsi,%rax), %rax; and $0, %eax"

    .section .note.GNU-stack, "", @progbits
