#!/usr/bin/env bash
# GDB and LLDB in a machine: kernel and user code on four CPUs, a watched field, a crash and the way back to what caused it.
source "$(dirname "$0")/lib.sh"

boot=("$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 4 --append '-- forkstorm --processes 20 --depth 2')
forkstorm=build/os/programs/forkstorm
user_main=$(nm "$forkstorm" | awk '$3 == "main" {print "0x" $1}')
value() { sed -n "s/^$1: //p" "$work/machine.out"; }

# debug NAME DEBUGGER ORRERY...: the commands on standard input go to the debugger, with PORT replaced; its output to $work/out
debug() {
    local name=$1 debugger=$2 address='' pid status
    shift 2
    cat >"$work/template"
    timeout 300 "$@" --gdb 0 >"$work/machine.out" 2>"$work/machine.err" </dev/null &
    pid=$!
    for _ in $(seq 300); do
        address=$(sed -n 's/^orrery: waiting for a debugger: target remote //p' "$work/machine.err")
        [ -z "$address" ] || break
        sleep 0.1
    done
    sed "s/ADDRESS/$address/" "$work/template" >"$work/commands"
    case $debugger in
    gdb) timeout 240 gdb -nx -q -batch -x "$work/commands" "$symbols" >"$work/out" 2>&1 </dev/null ;;
    lldb) timeout 240 lldb --no-lldbinit -b -s "$work/commands" "$symbols" >"$work/out" 2>&1 </dev/null ;;
    esac
    status=$?
    wait $pid
    machine_status=$?
    [ $status -eq 0 ] && ok "$name" || fail "$name" "status $status" "$(tail -12 "$work/out")" "$(tail -3 "$work/machine.err")"
}

# expect_line NAME PATTERN [COUNT]: so many lines of the debugger's output have it (at least one)
expect_line() {
    local count
    count=$(grep -cE "$2" "$work/out")
    if [ "$count" -ge 1 ] && [ "$count" -eq "${3:-$count}" ]; then ok "$1"; else fail "$1" "$count lines have $2" "$(tail -30 "$work/out")"; fi
}

expect_status "alone" 33 "${boot[@]}" --hash
hash=$(sed -n 's/^state-hash: //p' "$work/out")
cp "$work/out" "$work/alone"

symbols=$kernel
debug "GDB breaks in kernel and user code on four CPUs" gdb "${boot[@]}" --hash <<GDB
set pagination off
target remote ADDRESS
break process_fork
continue
info threads
print \$efer & 0x400
backtrace 1
stepi
reverse-stepi
finish
delete
hbreak *$user_main
continue
print \$cs & 3
thread 4
info registers rip eflags xmm0 st0
monitor cycle
delete
detach
GDB
expect_line "four threads" '"CPU [0-3]" \((kernel|user|halted)\)' 4
expect_line "in the kernel" '^Thread [1-4] "CPU [0-3]" hit Breakpoint 1, process_fork \(.*\) at os/kernel/proc/' 2
expect_line "long mode" '^\$1 = .*LMA|^\$1 = 1024'
expect_line "a function ends" '^Value returned is \$2 = STATUS_OK'
expect_line "in a program" '^\$3 = 3$'
expect_line "registers" '^rip +0x'
expect_line "where it is" '^cycle [0-9]+, [0-9]+ instructions'
expect_same "the machine ends as it does alone" "$hash" "$(value state-hash)"
expect_same "with its status" 33 "$machine_status"
if cmp -s <(grep -v '^orrery' "$work/alone") "$work/machine.out"; then ok "its console came once"; else fail "its console came once" "$(diff "$work/alone" "$work/machine.out")"; fi

debug "GDB watches a field, and goes back from write to write" gdb "${boot[@]}" <<'GDB'
set pagination off
target remote ADDRESS
watch -location last_tid.number
continue
continue
continue
continue
reverse-continue
reverse-continue
reverse-continue
continue
monitor nothing
kill
GDB
expect_line "eight changes" 'hit Hardware watchpoint 1: -location last_tid.number' 8
grep -A1 '^Old value' "$work/out" | tr -d '\n' | sed 's/--/\n/g' >"$work/values"
expect_same "four up, three down, one up" \
    'Old value = <unreadable>New value = 1 Old value = 1New value = 2 Old value = 2New value = 3 Old value = 3New value = 4 Old value = 4New value = 3 Old value = 3New value = 2 Old value = 2New value = 1 Old value = 1New value = 2' \
    "$(tr '\n' ' ' <"$work/values" | sed 's/ $//')"
expect_line "commands that do not exist are told of" "there is no monitor command 'nothing'"
expect_same "killed" 'by the debugger' "$(sed -n 's/^stopped: interrupted/by the debugger/p' "$work/machine.out")"

# A crash: an object is freed twice; who freed it first?
symbols=build/os/orrery-test.elf
debug "from a crash back to its cause" gdb "$orrery" boot --kernel "$symbols" --initrd "$initrd" --cpus 2 --append 'panic=free@serial' <<'GDB'
set pagination off
target remote ADDRESS
break report_object
continue
set $object = object
delete
set $step = 0
break slab_free_site if object == $object
reverse-continue
backtrace 2
reverse-continue
backtrace 2
delete
continue
monitor stop
reverse-stepi
kill
GDB
expect_line "its second free, and its first" 'hit Breakpoint 2, slab_free_site ' 2
expect_line "the end, and back from there" '^debug exit'

# Recordings
symbols=$kernel
expect_status "recorded" 33 "${boot[@]}" --record "$work/a.orec"
debug "GDB in a recording, to its end and back to its beginning" gdb "$orrery" replay "$work/a.orec" --hash <<'GDB'
set pagination off
target remote ADDRESS
break process_fork
continue
delete
continue
reverse-continue
monitor goto 5000000
monitor cycle
detach
GDB
expect_line "both ends" '^No more reverse-execution history' 2
expect_line "a cycle" '^cycle 5000000, ' 2
expect_same "it ends as it was recorded" "$hash" "$(value state-hash)"

if command -v lldb >/dev/null; then
    debug "LLDB connects, breaks and steps" lldb "${boot[@]}" <<'LLDB'
gdb-remote ADDRESS
breakpoint set --name process_fork
continue
thread list
register read rip
thread step-inst
process detach
LLDB
    expect_line "at the breakpoint" 'stop reason = (breakpoint|instruction step)'
fi

# What is refused
expect_status "no port" 2 "${boot[@]}" --gdb here
expect_status "no such host" 2 "${boot[@]}" --gdb 256.1.1.1:0
expect_status "a recording of it" 2 "${boot[@]}" --gdb 0 --record "$work/b.orec"
finish
