#!/usr/bin/env bash
# The profile: a small guest whose cycles are counted by hand, sums that are the vCPUs' clocks, the kernel and its programs.
source "$(dirname "$0")/lib.sh"

# Line numbers are part of what is expected below.
cat >"$work/guest.S" <<'ASM'
    .section .multiboot, "a"
    .long 0x1badb002, 0, -0x1badb002
    .text
    .globl _start
    .type _start, @function
_start:
    movl $stack, %esp
    lgdt gdtr
    lidt idtr
    movl $handler, %eax
    movw %ax, idt + 0x30 * 8
    shrl $16, %eax
    movw %ax, idt + 0x30 * 8 + 6
    call work
    call work
    int $0x30
    call through
    movb $16, %al
    outb %al, $0xf4
    .size _start, . - _start
    .type work, @function
work:
    nop
    call leaf
    ret
    .size work, . - work
    .type leaf, @function
leaf:
    nop
    ret
    .size leaf, . - leaf
    .type through, @function
through:
    jmp leaf
    .size through, . - through
    .type handler, @function
handler:
    call leaf
    iret
    .size handler, . - handler
    .data
    .balign 8
gdt: .quad 0, 0x00cf9b000000ffff
idt: .fill 0x30, 8, 0
    .word 0, 8, 0x8e00, 0
idtr: .word . - idt - 1
    .long idt
gdtr: .word 15
    .long gdt
    .fill 256, 4, 0
stack:
ASM
gcc -m32 -g -c "$work/guest.S" -o "$work/guest.o" &&
    ld -m elf_i386 -Ttext 0x101000 --section-start=.multiboot=0x100000 -o "$work/guest.elf" "$work/guest.o" ||
    fail "the guest builds"
guest=("$orrery" boot --kernel "$work/guest.elf")

# By hand: on the fast engine every instruction takes a cycle, and so does a delivery.
cat >"$work/golden" <<'TEXT'
cpu0;kernel;_start;(exception) 1
cpu0;kernel;_start;(exception);handler;guest.S:38 1
cpu0;kernel;_start;(exception);handler;guest.S:39 1
cpu0;kernel;_start;(exception);handler;leaf;guest.S:29 1
cpu0;kernel;_start;(exception);handler;leaf;guest.S:30 1
cpu0;kernel;_start;guest.S:10 1
cpu0;kernel;_start;guest.S:11 1
cpu0;kernel;_start;guest.S:12 1
cpu0;kernel;_start;guest.S:13 1
cpu0;kernel;_start;guest.S:14 1
cpu0;kernel;_start;guest.S:15 1
cpu0;kernel;_start;guest.S:16 1
cpu0;kernel;_start;guest.S:17 1
cpu0;kernel;_start;guest.S:18 1
cpu0;kernel;_start;guest.S:19 1
cpu0;kernel;_start;guest.S:7 1
cpu0;kernel;_start;guest.S:8 1
cpu0;kernel;_start;guest.S:9 1
cpu0;kernel;_start;leaf;guest.S:29 1
cpu0;kernel;_start;leaf;guest.S:30 1
cpu0;kernel;_start;through;guest.S:34 1
cpu0;kernel;_start;work;guest.S:23 2
cpu0;kernel;_start;work;guest.S:24 2
cpu0;kernel;_start;work;guest.S:25 2
cpu0;kernel;_start;work;leaf;guest.S:29 2
cpu0;kernel;_start;work;leaf;guest.S:30 2
TEXT

# sums FILE: "cpu0-cycles: N" for each vCPU of a folded profile
sums() {
    awk '{ split($0, at, ";"); n[at[1]] += $NF } END { for (c in n) printf "%s-cycles: %.0f\n", c, n[c] }' "$1" | sort
}

# clocks: the same of what --stats has printed to $work/out
clocks() {
    grep -E '^cpu[0-9]+-cycles: ' "$work/out" | sort
}

expect_status "a small guest is profiled" 33 "${guest[@]}" --stats --profile "$work/fast.folded"
expect_same "every line of it has the cycles counted by hand" "$(grep -v '(idle)' "$work/fast.folded")" "$(cat "$work/golden")"
expect_same "with the start phase they are its clock" "$(sums "$work/fast.folded")" "$(clocks)"
for engine in "--engine timed" "--machine inorder" "--machine zen4-like"; do
    # shellcheck disable=SC2086
    expect_status "the small guest on $engine" 33 "${guest[@]}" $engine --stats --profile "$work/timed.folded" --profile-counters "$work/timed.tsv"
    # what retires in a cycle with others before it has none of its own
    expect_same "no other stacks on $engine" 0 \
        "$(comm -13 <(sed 's/ [0-9]*$//' "$work/golden" | sort) <(grep -v '(idle)' "$work/timed.folded" | sed 's/ [0-9]*$//' | sort) | wc -l)"
    expect_same "its clock on $engine" "$(sums "$work/timed.folded")" "$(clocks)"
    expect_same "instructions of its functions on $engine" "4 8 2 1 6" \
        "$(awk -F'\t' '{ n[$3] = $6 } END { print n["handler"] + n["through"] + 1, n["leaf"], n["handler"], n["through"], n["work"] }' "$work/timed.tsv")"
done

# The same of functions that the compiler has inlined, one of them in another one, which also calls. Lines are part of what is expected.
cat >"$work/inline.c" <<'C'
#define INLINE static inline __attribute__((always_inline))
__asm__(".section .multiboot, \"a\"\n .long 0x1badb002, 0, -0x1badb002\n .text\n .globl _start\n _start: movl $stack, %esp\n call work\n"
        "movb $16, %al\n outb %al, $0xf4\n .size _start, . - _start\n .type _start, @function\n .bss\n .skip 256\n stack: .text");
__attribute__((noinline)) void leaf(void) { __asm__ volatile("nop"); }
INLINE void inner(void)
{
    __asm__ volatile("nop; nop; nop");
}
INLINE void middle(void)
{
    __asm__ volatile("nop; nop");
    inner();
    leaf();
    __asm__ volatile("nop");
}
__attribute__((noinline)) void other(void)
{
    inner();
    __asm__ volatile("nop");
}
void work(void)
{
    middle();
    other();
    __asm__ volatile("nop");
}
C
gcc -m32 -g -O1 -ffreestanding -fno-pic -fno-pie -fcf-protection=none -c "$work/inline.c" -o "$work/inline.o" &&
    ld -m elf_i386 -Ttext 0x101000 --section-start=.multiboot=0x100000 -o "$work/inline.elf" "$work/inline.o" ||
    fail "the guest with inlined functions builds"
cat >"$work/golden.inline" <<'TEXT'
cpu0;kernel;_start;work;middle_[i];inline.c:11 2
cpu0;kernel;_start;work;middle_[i];inline.c:14 1
cpu0;kernel;_start;work;middle_[i];inner_[i];inline.c:7 3
cpu0;kernel;_start;work;middle_[i];leaf;inline.c:4 2
cpu0;kernel;_start;work;other;inline.c:19 1
cpu0;kernel;_start;work;other;inner_[i];inline.c:7 3
TEXT
expect_status "a small guest with inlined functions" 33 "$orrery" boot --kernel "$work/inline.elf" --stats --profile "$work/i.folded" \
    --profile-counters "$work/i.tsv"
expect_same "inlined functions stand between who has them and what they call, with the cycles counted by hand" \
    "$(cat "$work/golden.inline")" "$(grep -E ';inline\.c:(4|7|11|14|19) ' "$work/i.folded")"
expect_same "all is its clock" "$(sums "$work/i.folded")" "$(clocks)"

# disputed FOLDED TABLE: of how many functions (those that are there as such, of each vCPU) do they tell other cycles?
disputed() {
    awk -F'\t' '
        NR == FNR { if (FNR > 1 && $5 > 0) sum["cpu" $1 " " $3] += $5; next }
        { at = match($0, / [0-9]+$/); cycles = substr($0, at + 1); n = split(substr($0, 1, at - 1), f, ";")
          while (n > 1 && (f[n] ~ /_\[i\]$/ || f[n] ~ /:[0-9]+$/)) n--
          sum[f[1] " " f[n]] -= cycles }
        END { for (name in sum) { count++; wrong += sum[name] != 0 }; if (count > 3) print wrong + 0 }' "$2" "$1"
}
expect_same "stacks and table agree on every function" 0 "$(disputed "$work/i.folded" "$work/i.tsv")"

fast=("$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 --max-cycles 1000000000000 --serial none
    --append '-- forkstorm --processes 20 --depth 2')
storm=("${fast[@]}" --machine zen4-like)
expect_status "the kernel's fork storm without a profile" 33 "${storm[@]}" --hash
hash=$(grep '^state-hash' "$work/out")
expect_status "and with one" 33 "${storm[@]}" --hash --stats --profile "$work/a.folded" --profile-counters "$work/a.tsv"
expect_same "watching changes nothing" "$hash" "$(grep '^state-hash' "$work/out")"
expect_same "every cycle of both vCPUs belongs to somebody" "$(sums "$work/a.folded")" "$(clocks)"

expect_same "with their inlined parts functions have the cycles of the table" 0 "$(disputed "$work/a.folded" "$work/a.tsv")"

# counters_agree NAME TABLE: every counter of every vCPU, of those that --stats has printed to $work/out, is the sum over its functions
counters_agree() {
    expect_same "$1" "$(awk -F'\t' '
        NR == 1 { for (i = 5; i <= NF; i++) name[i] = $i; n = NF; next }
        { for (i = 5; i <= n; i++) sum[$1, i] += $i }
        END { for (c = 0; c < 2; c++) for (i = 5; i <= n; i++) printf "cpu%d-%s: %.0f\n", c, name[i], sum[c, i] }' "$2" | sort)" \
        "$(head -1 "$2" | tr '\t' '\n' | tail -n +5 | while read -r name; do grep -E "^cpu[01]-$name: " "$work/out"; done | sort)"
}
counters_agree "all counters of functions are the vCPUs' own" "$work/a.tsv"
expect_same "interrupts are those of whom they interrupt: programs and the kernel that idles among them" "forkstorm kernel" \
    "$(awk -F'\t' 'NR > 1 && $7 > 0 { print $2 }' "$work/a.tsv" | sort -u | grep -E '^(forkstorm|kernel|-)$' | tr '\n' ' ' | sed 's/ $//')"
awk -F'\t' 'NR == 1 { exit $NF != "false-sharing" }' "$work/a.tsv" && ok "false sharing is one of them" || fail "false sharing is one of them"
expect_status "false sharing is counted without a profile, too" 33 "${storm[@]}" --hash --stats --false-sharing
expect_same "as much of it" "$(awk -F'\t' 'NR > 1 { n += $NF } END { print n }' "$work/a.tsv")" "$(sed -n 's/^false-sharing: //p' "$work/out")"
expect_same "counting it changes nothing" "$hash" "$(grep '^state-hash' "$work/out")"
expect_status "and is not told where nobody has counted it" 33 "${guest[@]}" --stats
expect_same "no row of it" 0 "$(grep -c false-sharing "$work/out")"

# has NAME PATTERN: a stack
has() {
    if grep -qE "$2" "$work/a.folded"; then ok "$1"; else fail "$1" "$2"; fi
}
has "functions of a program, by the names in the file beside the archive" '^cpu[01];forkstorm;_start;main;run_tree;'
has "what a program asks of the kernel hangs on it" '^cpu[01];forkstorm;_start;main;run_tree;[^ ]*;syscall_entry;syscall_dispatch;'
has "copies of a process have the calls of the first" '^cpu[01];forkstorm;_start;main;run_tree;(child_\[i\];)?run_tree;'
has "a page fault is an exception of the instruction's function" '^cpu[01];forkstorm;[^ ]*run_tree;([a-z_]*_\[i\];)*\(exception\);trap_common;trap_dispatch;([a-z_]*_\[i\];)*vm_fault;'
has "a thread of the kernel begins where it began" '^cpu[01];kernel;thread_first;'
has "waiting is nobody's" '^cpu[01];\(idle\) [0-9]+$'
has "what the compiler has inlined into a program, with what it calls" ';sys_fork;syscall[0-9]_\[i\];syscall_entry;'
has "and into the kernel, one in another" ';vm_clone;clone_pages_\[i\];clone_area_\[i\];'
has "lines of source" ';memset;string\.c:[0-9]+ '
expect_same "all stacks begin in the kernel or in a program" 0 \
    "$(grep -cvE '^cpu[01];(kernel|init|forkstorm|nameserver|\(idle\))[; ]' "$work/a.folded")"
expect_same "no program is unknown" 0 "$(grep -c ';user;' "$work/a.folded")"

expect_status "once more, for speedscope" 33 "${storm[@]}" --stats --profile "$work/b.json" --profile-counters "$work/b.md"
python3 - "$work/b.json" "$work/a.folded" <<'PY' && ok "speedscope gets the same stacks" || fail "speedscope gets the same stacks"
import json, sys
data = json.load(open(sys.argv[1]))
frames = data["shared"]["frames"]
assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
assert all(set(f) <= {"name", "file", "line"} for f in frames)
assert any(f.get("line") and f.get("file", "").endswith("string.c") for f in frames)
assert any(f["name"] == "spin_lock_[i]" and f["line"] and f["file"].endswith("spinlock.h") for f in frames)
lines = {}
for profile in data["profiles"]:
    assert profile["type"] == "sampled" and profile["unit"] == "none" and profile["startValue"] == 0
    assert profile["endValue"] == sum(profile["weights"]) and len(profile["samples"]) == len(profile["weights"])
    for sample, weight in zip(profile["samples"], profile["weights"]):
        key = ";".join([profile["name"]] + [frames[n]["name"] for n in sample])
        lines[key] = lines.get(key, 0) + weight
wanted = {}
for line in open(sys.argv[2]):
    key, weight = line.rsplit(" ", 1)
    wanted[key] = wanted.get(key, 0) + int(weight)
assert lines == wanted
PY
expect_same "the table for people begins with what takes longest" \
    "$(awk -F'\t' 'NR > 1 { n[$3] += $5 } END { for (f in n) printf "%.0f %s\n", n[f], f }' "$work/a.tsv" | sort -rn | head -1)" \
    "$(sed -n '3s/^| `\(.*\)` | [^|]* | \([0-9]*\) .*/\2 \1/p' "$work/b.md")"
expect_status "on the fast engine, which has no model" 33 "${fast[@]}" --stats --profile-counters "$work/f.tsv"
expect_same "its columns" "cpu program function file cycles instructions interrupts interrupts-off-cycles" "$(head -1 "$work/f.tsv" | tr '\t' ' ')"
counters_agree "they are the vCPUs' own" "$work/f.tsv"
expect_status "a second run" 33 "${storm[@]}" --profile "$work/c.folded"
cmp -s "$work/a.folded" "$work/c.folded" && ok "two runs, the same bytes" || fail "two runs, the same bytes"

cat >"$work/two.lua" <<'LUA'
it("is profiled", function()
    local m = orrery.machine { kernel = "orrery", cpus = 2, machine = "inorder" }
    orrery.machine { kernel = "orrery" }:boot()
    m:boot()
    local before = m.counters.cycles
    expect(function() return m.counters.false_sharing end):to_err("count_sharing")
    m:count_sharing()
    expect(m.counters.false_sharing):to_be(0)
    local rows = m:profile_of(function() m:command("selftest"):wait() end)
    expect(rows[1].cycles):to_be_at_least(rows[2].cycles)
    expect(rows[1].program):to_match(".")
    local misses, instructions, shared = 0, 0, 0
    for _, row in ipairs(rows) do
        shared = shared + row.false_sharing
        instructions = instructions + row.instructions
        misses = misses + row.l1d_misses
    end
    expect(instructions):to_be_above(10000)
    expect(misses):to_be_above(0)
    expect(shared):to_be_above(0)
    expect(shared):to_be(m.counters.false_sharing)
    expect(m:profile("folded")):to_contain("selftest;_start;main;")
    expect(m:profile("json")):to_contain('"frames"')
    expect(function() m:profile("xml") end):to_err("folded")
    expect(m.counters.cycles):to_be_above(before)
    expect(function() m:profile_of(function() m:register(0, "rxx") end) end):to_err("rxx")
    m:start_profile() -- the one before it is gone
    m:stop_profile()
    expect(m:profile("folded")):to_be("")
end)
it("has none before it begins", function()
    local m = orrery.machine { kernel = "orrery" }
    expect(function() m:profile("folded") end):to_err("start_profile")
    expect(function() m:stop_profile() end):to_err("start_profile")
    expect(function() m:count_sharing() end):to_err("timing model")
end)
LUA
expect_status "a scenario profiles its machines, and so does the command line" 0 "$orrery" run "$work/two.lua" --profile "$work/s.folded"
for file in s s-2 s-3; do
    [ -s "$work/$file.folded" ] && ok "a profile of the machine: $file" || fail "a profile of the machine: $file"
done
finish
