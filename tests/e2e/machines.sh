#!/usr/bin/env bash
# What docs/machines.md says that numbers become, measured by a guest with the time-stamp counter, and its five instructions
# on inorder, by their stamps.
source "$(dirname "$0")/lib.sh"

# The guest: each test writes its letter and its cycles, in hexadecimal, to port 0xe9. Paging is off, so no TLB has a part.
cat >"$work/start.S" <<'ASM'
.intel_syntax noprefix
.set LINES, 0x440000 /* in a bank of its own */
.section .multiboot, "a"
.align 4
.long 0x1badb002, 0, -0x1badb002
.text
.globl _start
_start:
    mov esp, OFFSET stack_top
    mov ebx, OFFSET data

/* from here to the next stop: the third time, when code and data are in the caches */
.macro start
    mov edi, 3
1:  mov [ebx], ebx
    mov eax, ebx
    xor ecx, ecx
    lfence
    rdtsc
    mov [began], eax
    mov eax, ebx
    lfence
.endm
.macro stop letter
    lfence
    rdtsc
    sub eax, [began]
    mov esi, eax
    dec edi
    jnz 1b
    mov al, \letter
    mov edx, esi
    call tell
.endm
/* a body 64 times, and 192 times */
.macro test one, three, body
    start
    .rept 64
    \body
    .endr
    stop \one
    start
    .rept 192
    \body
    .endr
    stop \three
.endm
/* one instruction, as it is, in a line that has been fetched before it comes */
.macro once letter, body
    .balign 64
    lfence
    rdtsc
    mov [began], eax
    lfence
    \body
    lfence
    rdtsc
    sub eax, [began]
    mov edx, eax
    mov al, \letter
    call tell
.endm
/* so many lines, so far apart: one more than a set has */
.macro touch apart
    mov esi, OFFSET LINES
    .rept 9
    mov eax, [esi]
    add esi, OFFSET \apart
    .endr
.endm

.macro pair_of_registers
    mov [eax], eax
    mov eax, [eax + ecx]
.endm
.macro pair_of_one_address
    mov [ebx], eax
    mov eax, [ebx]
.endm
.macro six
    add eax, 1
    add ecx, 1
    add edx, 1
    add esi, 1
    add ebp, 1
    add esp, 1
.endm
.macro count_down
    mov ecx, 5
2:  dec ecx
    jnz 2b
.endm

    test 'a', 'A', "add eax, eax"
    test 'b', 'B', "imul eax, eax"
    test 'c', 'C', "mov eax, [eax]"
    test 'd', 'D', pair_of_registers
    test 'e', 'E', pair_of_one_address
    test 'f', 'F', "lock xadd [ebx], eax"
    test 'g', 'G', "mfence"
    mov [stack], esp
    test 'h', 'H', six
    mov esp, [stack]

    start
    mov ecx, 1000
2:  dec ecx
    jnz 2b
    stop 'i'
    start
    mov ecx, 2000
2:  dec ecx
    jnz 2b
    stop 'I'

    mov edx, 3
    once 'n', nop
    once 'n', nop
    once 'm', "mov eax, [LINES]"
    touch 0x1000 /* out of L1 */
    once 'k', "mov eax, [LINES]"
    touch 0x20000 /* out of L2 */
    once 'l', "mov eax, [LINES]"

    /* the five instructions */
    mov edi, 3
3:  mov ecx, OFFSET data + 64
    lfence
five:
    mov eax, [ebx]
    add eax, 1
    mov [ecx], eax
    imul edx, edx, 3
    add edx, eax
    lfence
    dec edi
    jnz 3b
    mov eax, 16
    out 0xf4, eax
    hlt

/* al, edx in hexadecimal, a new line */
tell:
    push ecx
    out 0xe9, al
    mov ecx, 8
4:  rol edx, 4
    mov eax, edx
    and al, 15
    add al, '0'
    cmp al, '9'
    jbe 5f
    add al, 39
5:  out 0xe9, al
    dec ecx
    jnz 4b
    mov al, 10
    out 0xe9, al
    pop ecx
    ret
.bss
.align 64
data: .skip 4096
began: .skip 64
stack: .skip 64
    .skip 4096
stack_top:
ASM
gcc -m32 -c "$work/start.S" -o "$work/start.o" &&
    ld -m elf_i386 -Ttext 0x101000 --section-start=.multiboot=0x100000 -o "$work/guest.elf" "$work/start.o" ||
    fail "the guest is built"

machine=("$orrery" boot --kernel "$work/guest.elf" --memory-model tso --machine)

# cycles LETTER: what the guest told last of it
cycles() {
    echo $((16#$(sed -n "s/^$1\([0-9a-f]\{8\}\)$/\1/p" "$work/out" | tail -1)))
}

# documented NAME ROW CYCLES: the page has the row, with these cycles in its last column
documented() {
    expect_same "$1: docs/machines.md" "$(grep -F "$2" docs/machines.md | sed -n '1s/.*| \(.*\) |$/\1/p')" "$3"
}

# each NAME ONE MORE COUNT ROW CYCLES: COUNT more of a thing cost so many cycles each, as the row says
each() {
    local name=$1 count=$4
    expect_same "$name" "$((($(cycles "$3") - $(cycles "$2")) * 10 / count))" "$(awk "BEGIN { print $6 * 10 }")"
    documented "$name" "$5" "$6"
}

expect_status "the guest runs on zen4-like" 33 "${machine[@]}" zen4-like
each "dependent additions" a A 128 '| `add rax, rax` |' 1
each "dependent multiplications" b B 128 '| `imul rax, rax` |' 3
each "a store, and a load of it whose address comes from it" d D 128 '| `mov [rax], rax; mov rax, [rax + rbx]`' 9
each "a store, and a load of the same address" e E 128 '| `mov [rbx], rax; mov rax, [rbx]` |' 1
each "locked operations" f F 128 '| `lock xadd [rbx], rax` |' 8
each "fences" g G 128 '| `mfence` |' 58
each "six additions" h H 128 '| six independent `add` |' 1.5
each "a loop of two instructions" i I 1000 '| `dec rax; jnz` |' 1
loads="$((($(cycles C) - $(cycles c)) / 128)), $(($(cycles k) - $(cycles n))), $(($(cycles l) - $(cycles n)))"
expect_same "loads that L1, L2 and L3 have" "$loads" "4, 14, 50"
documented "loads" '| `mov rax, [rax]` in L1, in L2, in L3 |' "$loads"
documented "a load from memory" '| a load that opens a row |' "$(($(cycles m) - $(cycles n)))"

# Stamps of the five instructions, the third time, from the first one's dispatch: D, C, R of each
expect_status "the guest runs on inorder" 33 "${machine[@]}" inorder --timing-trace "$work/trace"
five=$(nm "$work/guest.elf" | awk '$3 == "five" { print $1 }' | sed 's/^0*//')
stamps=$(python3 - "$work/trace" "$five" <<'PY'
import sys
steps, base = [None] * 5, 0
for line in open(sys.argv[1]):
    words, _, stamps = line.partition(" = ")
    words, stamps = words.split(), [int(s, 16) for s in stamps.split()]
    if words[0] != "S":
        continue
    if words[4] == sys.argv[2]:
        steps, base = [], stamps[0]
    if len(steps) < 5:
        steps.append([stamps[0], stamps[2], stamps[3]])
print(", ".join(" ".join(str(s - base) for s in step) for step in steps))
PY
)
page=$(awk -F'|' '/^\| Instruction \| D \|/ { on = 1; getline; next } on && !/^\|/ { exit }
    on { gsub(/ /, ""); all = all (all ? ", " : "") $3 " " $5 " " $6 } END { print all }' docs/machines.md)
expect_same "five instructions on inorder, dispatch, end and retirement: docs/machines.md" "$page" "$stamps"
finish
