#!/usr/bin/env bash
# The command line: help, versions, and one clear line with status 2 for what cannot be used.
source "$(dirname "$0")/lib.sh"

expect_status "help ends with 0" 0 "$orrery" --help
expect_status "boot help ends with 0" 0 "$orrery" boot --help
expect_status "run help ends with 0" 0 "$orrery" run --help
expect_status "info ends with 0" 0 "$orrery" info
expect_status "version ends with 0" 0 "$orrery" --version

expect_one_line "an unknown command" 2 "$orrery" explode
expect_one_line "an unknown option" 2 "$orrery" boot --kernle x
expect_one_line "an option given twice" 2 "$orrery" boot --kernel x --kernel y
expect_one_line "a scenario's parameter given twice" 2 "$orrery" run scenarios/fork-storm.lua --set processes=1 --set processes=2
cp "$kernel" "$work/own.elf"
expect_one_line "a console that would replace the kernel" 2 "$orrery" boot --kernel "$work/own.elf" --serial "$work/own.elf"
cmp -s "$kernel" "$work/own.elf" && ok "and it is as it was" || fail "the kernel was replaced"
expect_one_line "an empty feature" 2 "$orrery" boot --kernel "$kernel" --cpu orrery,
expect_one_line "a version of something" 2 "$orrery" --version extra
expect_one_line "a parameter given twice" 2 "$orrery" boot --kernel x --cpus 1 --cpus 2
expect_one_line "a parameter given twice, in both forms" 2 "$orrery" boot --cpus=1 --cpus 2
expect_one_line "an unknown option with a value" 2 "$orrery" boot --kernle=x
expect_one_line "a value for an option that has none" 2 "$orrery" boot --kernel "$kernel" --hash=yes
expect_one_line "an option whose value is empty" 2 "$orrery" boot --kernel "$kernel" --cpus=
expect_one_line "two scenarios, one behind --" 2 "$orrery" run scenarios/fork-storm.lua -- --hash
echo 'assert(tostring(orrery.args.value) == "7")' >"$work/-dash.lua"
expect_status "a value in the option's own word, a scenario whose name begins with -" 0 \
    bash -c 'cd "$1" && "$2" run --set=value=7 -- -dash.lua' - "$work" "$orrery"
mkfifo "$work/fifo"
expect_one_line "a pipe for a kernel" 2 "$orrery" boot --kernel "$work/fifo"
echo 'orrery.machine { kernel = "./fifo" }' >"$work/pipe.lua"
expect_one_line "a pipe for a scenario's kernel" 2 "$orrery" run "$work/pipe.lua"
mkfifo "$work/module.lua"
echo 'require("module")' >"$work/pipe.lua"
expect_one_line "a pipe for a module" 2 "$orrery" run "$work/pipe.lua"
# shellcheck disable=SC2016
expect_one_line "memory that the host refuses" 2 \
    bash -c 'ulimit -v 1000000; exec "$0" boot --kernel "$1" --memory 1G' "$orrery" "$kernel"
grep -q "1024 MiB" "$work/err" && ok "and says how much" || fail "and says how much" "$(cat "$work/err")"
expect_one_line "a profile in no known format" 2 "$orrery" boot --kernel "$kernel" --profile "$work/p.txt"
expect_one_line "counters in a profile's format" 2 "$orrery" boot --kernel "$kernel" --profile-counters "$work/p.folded"
expect_one_line "a profile in a table's format" 2 "$orrery" run scenarios/fork-storm.lua --profile "$work/p.tsv"
expect_one_line "a profile that cannot be written" 2 "$orrery" boot --kernel "$kernel" --profile "$work/none/p.json"
expect_one_line "a scenario's profile that cannot be written" 2 "$orrery" run scenarios/fork-storm.lua --profile-counters "$work/none/p.md"
expect_one_line "false sharing where nobody knows accesses" 2 "$orrery" boot --kernel "$kernel" --false-sharing
expect_one_line "stamps of a machine that has none" 2 "$orrery" boot --kernel "$kernel" --timing-trace "$work/trace"
expect_one_line "an option that is not built" 2 "$orrery" boot --gdb 1234
expect_one_line "an option of another command" 2 "$orrery" run --kernel x
expect_one_line "an option without its argument" 2 "$orrery" boot --kernel
expect_one_line "a boot without a kernel" 2 "$orrery" boot
expect_one_line "a kernel that is not there" 2 "$orrery" boot --kernel "$work/none.elf"
expect_one_line "a kernel that is a directory" 2 "$orrery" boot --kernel "$work"
printf 'hello' >"$work/text"
expect_one_line "a kernel that is no kernel" 2 "$orrery" boot --kernel "$work/text"
head -c 300 "$kernel" >"$work/cut.elf"
expect_one_line "a kernel that is cut off" 2 "$orrery" boot --kernel "$work/cut.elf"
expect_one_line "no cpus" 2 "$orrery" boot --kernel "$kernel" --cpus 0
expect_one_line "65 cpus" 2 "$orrery" boot --kernel "$kernel" --cpus 65
expect_one_line "too little memory" 2 "$orrery" boot --kernel "$kernel" --memory 8M
echo >"$work/empty.lua"
expect_one_line "too many cpus for a scenario that makes no machine" 2 "$orrery" run "$work/empty.lua" --cpus 99
expect_one_line "memory that is no size" 2 "$orrery" boot --kernel "$kernel" --memory lots
expect_one_line "more nodes than cpus" 2 "$orrery" boot --kernel "$kernel" --numa 2
expect_one_line "a board that is not there" 2 "$orrery" boot --kernel "$kernel" --board mac
expect_one_line "an engine that is not there" 2 "$orrery" boot --kernel "$kernel" --engine warp
expect_one_line "a CPU feature that is not there" 2 "$orrery" boot --kernel "$kernel" --cpu orrery,+magic
expect_one_line "a seed that is no number" 2 "$orrery" boot --kernel "$kernel" --seed x
expect_one_line "an initrd that is not there" 2 "$orrery" boot --kernel "$kernel" --initrd "$work/none"
expect_one_line "a scenario that is not there" 2 "$orrery" run "$work/none.lua"
expect_one_line "no scenario" 2 "$orrery" run
printf 'local x = = 1\n' >"$work/bad.lua"
expect_one_line "a scenario that is not Lua" 2 "$orrery" run "$work/bad.lua"
printf '\033Lua' >"$work/binary.lua"
expect_one_line "a scenario of Lua byte code" 2 "$orrery" run "$work/binary.lua"
expect_one_line "a serial file that cannot be made" 2 "$orrery" boot --kernel "$kernel" --serial "$work/no/such/file"
expect_one_line "an item that is not traced" 2 "$orrery" boot --kernel "$kernel" --trace ipis,moons
expect_one_line "a counter is no trace point" 2 "$orrery" boot --kernel "$kernel" --trace events
if "$orrery" info >/dev/full 2>"$work/err"; then
    fail "output that cannot be written is an error" "status 0"
else
    expect_same "output that cannot be written is an error" "$(wc -l <"$work/err")" 1
fi
expect_status "a serial device that is full" 2 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --append '-- true' --serial /dev/full
grep -q '^orrery: /dev/full: ' "$work/err" && ok "and says so" || fail "and says so" "$(cat "$work/err")"
for command in boot run info ''; do
    expect_same "$command help fits in 80 columns" "none $("$orrery" $command --help | awk 'length > 80')" "none "
done
expect_one_line "a word that is no engine names the words" 2 "$orrery" boot --kernel "$kernel" --engine slow
grep -q 'fast|timed' "$work/err" && ok "so it does" || fail "so it does" "$(cat "$work/err")"

# machines of the timed engine
expect_status "a machine's numbers with their sources" 0 "$orrery" info --machine zen4-like
expect_same "every one has a tag" "none $(awk 'NR > 3 && !/ (measured|vendor|llvm|assumed)  *[^ ]/' "$work/out")" "none "
expect_status "a machine for programs" 0 "$orrery" info --machine inorder --params
expect_same "is lines of key = value" "none $(grep -vE '^[A-Za-z0-9_.]+ = [a-z0-9 -]+$' "$work/out")" "none "
for line in 'machine = inorder' 'reorder_buffer = 8' 'port.pipe = 1' 'load_ports = pipe' 'class.ALU.ops = 1' 'class.ALU.ports = pipe' \
    'class.DIV64.unit = divider' 'class.DIV64.occupy = 20' 'class.LOCKED.latency = 20'; do
    grep -qxF "$line" "$work/out" && ok "with $line" || fail "with $line"
done
expect_same "and the same for a file" "$("$orrery" info --params --machine machines/inorder.lua)" "$(cat "$work/out")"
expect_status "the flat machine has costs, too" 0 "$orrery" info --machine flat --params
grep -qx 'class.FLAGS.cycles = 1' "$work/out" && ok "a class's" || fail "a class's"
expect_one_line "--params of no machine" 2 "$orrery" info --params
expect_one_line "another parameter of info" 2 "$orrery" info --cpus 1
expect_one_line "a machine that is not there" 2 "$orrery" boot --kernel "$kernel" --machine zen9
grep -q 'flat, inorder, redwood-cove-like, zen4-like' "$work/err" && ok "names those that are" || fail "names those that are" "$(cat "$work/err")"
expect_one_line "a machine whose file is not there" 2 "$orrery" boot --kernel "$kernel" --machine "$work/none.lua"
expect_one_line "a machine whose file is a directory" 2 "$orrery" info --machine "$work/"
expect_one_line "a machine whose file is a pipe" 2 "$orrery" info --machine "$work/fifo"
expect_one_line "a machine of the fast engine" 2 "$orrery" boot --kernel "$kernel" --machine inorder --engine fast
expect_one_line "a machine that is not there, of a scenario that makes none" 2 "$orrery" run "$work/empty.lua" --machine zen9
sed 's/dispatch_width = { 1,/dispatch_width = { 99,/' machines/inorder.lua >"$work/wide.lua"
expect_one_line "a machine with a number out of bounds" 2 "$orrery" boot --kernel "$kernel" --machine "$work/wide.lua"
expect_same "says which" "$(cat "$work/err")" "orrery: $work/wide.lua: dispatch_width = 99: 1 to 16"
expect_one_line "a store buffer that the machine does not have" 2 \
    "$orrery" boot --kernel "$kernel" --machine inorder --store-capacity 4
cp machines/inorder.lua "$work/own.lua"
machine() { # what a scenario's table says of its machine and engine
    echo "orrery.machine { kernel = '$kernel', $1 }" >"$work/machine.lua"
}
machine "machine = './own.lua'"
expect_status "a machine's file beside the scenario" 0 "$orrery" run "$work/machine.lua"
machine "machine = 'wide.lua'"
expect_one_line "a wrong one" 2 "$orrery" run "$work/machine.lua"
grep -q 'wide.lua: dispatch_width = 99' "$work/err" && ok "says so" || fail "says so" "$(cat "$work/err")"
expect_status "the command line's engine wins over it" 0 "$orrery" run "$work/machine.lua" --engine fast
expect_status "the command line's machine, too" 0 "$orrery" run "$work/machine.lua" --machine zen4-like
machine "engine = 'fast'"
expect_status "and over the table's engine" 0 "$orrery" run "$work/machine.lua" --machine zen4-like
machine "engine = 'fast', machine = 'inorder'"
expect_one_line "a table that contradicts itself" 2 "$orrery" run "$work/machine.lua"

# script(1) gives the program a terminal
script -qec "$orrery run scenarios/fork-storm.lua --engine fast" /dev/null >"$work/out" 2>&1
grep -q 'ms simulated, [0-9]* million instructions' "$work/out" && ok "a terminal shows progress" || fail "a terminal shows progress" "$(cat -v "$work/out")"
"$orrery" run scenarios/fork-storm.lua --engine fast >"$work/out" 2>"$work/err"
expect_same "a pipe does not" "none $(cat "$work/err")" "none "

finish
