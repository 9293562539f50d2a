#!/usr/bin/env bash
# Counters of the timing model: a guest that does one thing more than another one counts so much more, as said by hand; and those
# that need pages or several vCPUs, of the kernel.
source "$(dirname "$0")/lib.sh"

# What is compared stands at `thing`, alone in its line of code; the assembler does not fill that one up.
cat >"$work/guest.S" <<'ASM'
    .section .multiboot, "a"
    .long 0x1badb002, 0, -0x1badb002
    .text
    .globl _start
_start:
    movl $0x400000, %ebx
    xorl %ecx, %ecx
    jmp thing
    .balign 64
end:
    mfence
    movb $16, %al
    outb %al, $0xf4
    .balign 64
    nop
    nop
thing:
    THING
    jmp next
    .balign 64
next:
    jmp end
ASM

# build NAME THING
build() {
    sed "s~THING~$2~" "$work/guest.S" >"$work/$1.S"
    gcc -m32 -c "$work/$1.S" -o "$work/$1.o" &&
        ld -m elf_i386 -Ttext 0x101000 --section-start=.multiboot=0x100000 -o "$work/$1.elf" "$work/$1.o"
}
counters() {
    "$orrery" boot --kernel "$work/$1.elf" --memory 128M --machine zen4-like --memory-model tso --stats 2>&1 |
        sed -n 's/^\([a-z0-9-]*\): *\([0-9]*\)$/\1 \2/p' | grep -v '^cpu' >"$work/$1.counters"
    grep -q '^branches ' "$work/$1.counters"
}
build nothing nop && counters nothing || fail "the guest that does nothing runs"

# counts WHAT THING COUNTER=MORE...: THING counts so much, and nothing else
counts() {
    local what=$1 thing=$2
    shift 2
    build more "$thing" && counters more || fail "$what: the guest runs"
    awk 'NR == FNR { was[$1] = $2; next } $2 != was[$1] { print $1 "=" $2 - was[$1] }' "$work/nothing.counters" \
        "$work/more.counters" | grep -v -E '^(cycles|instructions|interrupts-off-cycles|events|memory-touched-bytes)=' |
        sort >"$work/found"
    printf '%s\n' "$@" | sort >"$work/wanted"
    cmp -s "$work/found" "$work/wanted" && ok "$what" || fail "$what" "$(diff "$work/wanted" "$work/found")"
}

counts "a load of a line that nobody has" 'movl (%ebx), %eax' loads=1 l1d-misses=1 memory-reads=1
counts "two loads of it" 'movl (%ebx), %eax; movl 8(%ebx), %edx' loads=2 l1d-misses=1 memory-reads=1
counts "a store" 'movl %eax, (%ebx)' stores=1 memory-reads=1
counts "a load of what is stored" 'movl %eax, (%ebx); movl (%ebx), %edx' stores=1 loads=1 store-forwards=1 memory-reads=1
counts "a load of more than is stored" 'movw %ax, (%ebx); movl (%ebx), %edx' stores=1 loads=1 \
    store-forward-stalls=1 memory-reads=1
counts "a load of two lines" 'movl 62(%ebx), %eax' loads=1 line-splits=1 l1d-misses=2 memory-reads=2
counts "a locked operation" 'lock incl (%ebx)' loads=1 memory-reads=1
counts "a branch that is not taken" 'jc end' branches=1
counts "a branch that is taken, which is not foretold" 'jnc 1f; nop; 1:' branches=1 mispredicts=1
counts "a jump that is met for the first time" 'jmp 1f; 1:' branches=1 decode-redirects=1
counts "a line of code more" 'jmp 1f; .balign 64; 1: nop' branches=1 decode-redirects=1 l1i-misses=1 memory-reads=1
# Nine lines of one set of L1D, which has eight ways, and the first again; the same of L2.
counts "a line that L2 has" '.set i, 0; .rept 9; movl i * 4096(%ebx), %eax; .set i, i + 1; .endr; movl (%ebx), %eax' \
    loads=10 l1d-misses=10 l2-hits=1 memory-reads=9
counts "a line that L3 has" '.set i, 0; .rept 9; movl i * 131072(%ebx), %eax; .set i, i + 1; .endr; movl (%ebx), %eax' \
    loads=10 l1d-misses=10 l3-hits=1 memory-reads=9

# 17 lines of one set of L3, and of L2: those that are dropped there are in it, the one written first is written back.
counts "a line that is written back" \
    'movl %eax, (%ebx); 1: addl $0x200000, %ebx; movl (%ebx), %eax; incl %ecx; cmpl $24, %ecx; jb 1b' \
    stores=1 loads=24 l1d-misses=24 memory-reads=25 memory-writes=1 branches=24 mispredicts=2

# With pages and several vCPUs.
expect_status "the kernel counts what needs pages or other vCPUs" 0 "$orrery" run tests/e2e/counters.lua

finish
