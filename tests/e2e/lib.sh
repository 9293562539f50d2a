# Shared by the end-to-end scripts: each check prints "ok 1 NAME" or "FAIL 1 NAME" with what was seen, and leaves its result
# in build/rel/results/ (scripts/house/requirements.py).
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
work=$(mktemp -d)
script=tests/e2e/$(basename "$0" .sh)
results=$PWD/build/rel/results/$script.tsv
mkdir -p "${results%/*}"
: >"$results"
trap 'record $finished "$script"; rm -rf "$work"' EXIT
orrery=$PWD/build/orrery
kernel=$PWD/build/os/orrery.elf
initrd=$PWD/build/os/initrd.cpio
failures=0
finished=fail

# the ways into the kernel (docs/boot.md) of what runs now: pvh, uefi, handoff; a result ID of them is ID@WAY as well
ways=pvh

# record pass|fail ID
record() {
    local way
    printf '%s\t%s\n' "$1" "$2" >>"$results"
    for way in $ways; do printf '%s\t%s@%s\n' "$1" "$2" "$way" >>"$results"; done
}

# record_tap ID: the TAP of $work/out is that of tests called ID:NAME
record_tap() {
    local way
    for way in '' $ways; do
        sed -nE "/# SKIP/d; s#^ok [0-9]+ - ([^ ]+).*#pass\t$1:\1${way:+@$way}#p; s#^not ok [0-9]+ - ([^ ]+).*#fail\t$1:\1${way:+@$way}#p" \
            "$work/out"
    done >>"$results"
}

ok() {
    record pass "$script:$1"
    echo "ok    1 $1"
}

fail() {
    record fail "$script:$1"
    echo "FAIL  1 $1"
    failures=$((failures + 1))
    shift
    printf '%s\n' "$@" | head -20 | sed 's/^/      /'
}

# record_scenarios pass|fail COMMAND...: a scenario of the tree has the result of the check that runs it
record_scenarios() {
    local verdict=$1 word
    shift
    for word in "$@"; do
        [[ $word == *.lua && $word != /* ]] && record "$verdict" "$word"
    done
}

# undisturbed NAME COMMAND...: $work/out has no attempt that only a host which takes processors away may spoil (os/lib/tap.h,
# ktest.h), when the command was Orrery. A scenario whose output is no console asks by itself, unless it takes processors away.
undisturbed() {
    local name=$1
    [ "$2" != "$orrery" ] || ! grep '^# disturbed' "$work/out" || fail "no test is disturbed: $name"
}

# expect_status NAME STATUS COMMAND...: standard output and error go to $work/out and $work/err
expect_status() {
    local name=$1 wanted=$2 status
    shift 2
    timeout 600 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq "$wanted" ]; then
        ok "$name"
        record_scenarios pass "$@"
    else
        record_scenarios fail "$@"
        fail "$name" "status $status, expected $wanted: $*" "$(tail -8 "$work/out")" "$(tail -8 "$work/err")"
    fi
    undisturbed "$name" "$1"
}

# ended_well PROGRAM NAME: $work/out is the console of a run of the program: it passed every test that it planned, if any, and
# init got every frame back
ended_well() {
    local planned passed
    sed -i 's/\r$//' "$work/out"
    record_tap "os/programs/$1"
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$work/out")
    passed=$(grep -cE '^ok [0-9]+ - ' "$work/out")
    if [ "${planned:-$passed}" != "$passed" ] || grep -q '^not ok' "$work/out"; then
        fail "all tests of $1 pass: $2" "planned ${planned:-none}, passed $passed" "$(grep -A1 '^not ok' "$work/out")"
    fi
    grep -qx 'init: free frames before minus after: 0' "$work/out" || fail "$1 gives every frame back: $2" "$(tail -3 "$work/out")"
}

# words_before_dashes WORD... -- ...: into the caller's array words
words_before_dashes() {
    words=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
}

# run_program NAME PROGRAM WORD... -- MACHINE...: the program in Orrery, to a good end; its console is in $work/out
run_program() {
    local name=$1 words
    words_before_dashes "${@:2}"
    expect_status "$name" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --max-cycles 1000000000000 \
        "${@:${#words[@]}+3}" --append "-- ${words[*]}"
    ended_well "${words[0]}" "$name"
}

# run_program_in_qemu NAME PROGRAM WORD... -- QEMU-RUN-OPTION...: the same in QEMU (scripts/qemu-run)
run_program_in_qemu() {
    local name=$1 words
    words_before_dashes "${@:2}"
    expect_status "$name" 33 scripts/qemu-run -t 500 -k "$kernel" -i "$initrd" -a "-- ${words[*]}" "${@:${#words[@]}+3}"
    ended_well "${words[0]}" "$name"
}

# run_program_by_handoff NAME NODES PROGRAM WORD...: the same in Orrery as the kernel's loader; expected: ways=handoff
run_program_by_handoff() {
    local name=$1 nodes=$2
    shift 2
    expect_status "$name" 0 "$orrery" run tests/e2e/handoff_boot.lua --set nodes="$nodes" --set line="-- $*"
    grep -qx 'init: program ended with status 0' "$work/out" || fail "$1 ends well: $name" "$(tail -5 "$work/out")"
    ended_well "$1" "$name"
}

# expect_one_line NAME STATUS COMMAND...: fails with this status and exactly one line on standard error, none on output
expect_one_line() {
    local name=$1 wanted=$2 status
    shift 2
    timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq "$wanted" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && [ ! -s "$work/out" ]; then
        ok "$name"
    else
        fail "$name" "status $status, expected $wanted: $*" "$(cat "$work/err")" "$(head -3 "$work/out")"
    fi
}

# Containers may forbid it: then what is compared without ASLR is left out, and that is told.
aslr_goes_off() {
    setarch -R true 2>/dev/null || ! echo "# this host does not switch ASLR off"
}

# expect_same NAME A B
expect_same() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        ok "$1"
    else
        fail "$1" "one:   $2" "other: $3"
    fi
}

# expect_ktests NAME STATUS COMMAND...: boots the test image; every in-kernel test that it plans passes; the console is in $work/out
expect_ktests() {
    local name=$1 wanted=$2 status planned passed
    shift 2
    timeout 600 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    sed -i 's/\r$//' "$work/out"
    record_tap os/kernel/test
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$work/out" | head -1)
    passed=$(grep -c '^ok ' "$work/out")
    if [ $status -eq "$wanted" ] && [ -n "$planned" ] && [ "$passed" -eq "$planned" ] && ! grep -q '^not ok' "$work/out"; then
        record pass "$script:$name"
        record_scenarios pass "$@"
        echo "ok    $passed $name"
    else
        record_scenarios fail "$@"
        fail "$name" "status $status, expected $wanted; planned $planned, passed $passed: $*" "$(grep -A1 '^not ok' "$work/out")" \
            "$(tail -4 "$work/out")" "$(tail -4 "$work/err")"
    fi
    undisturbed "$name" "$1"
}

# expect_stages NAME FILE: the stages of the console in FILE are those of docs/boot.md, in that order
expect_stages() {
    sed -nE 's/^\| [0-9]+ \| `([a-z ]+)` \|.*/stage: \1/p' docs/boot.md >"$work/documented"
    grep -o 'stage: [a-z ]*' "$2" >"$work/traced"
    if [ -s "$work/documented" ] && cmp -s "$work/documented" "$work/traced"; then
        ok "$1"
    else
        fail "$1" "$(diff "$work/documented" "$work/traced")"
    fi
}

# A console, sorted, without what two machines or two runs may tell differently
mask() {
    sed -E -e 's/\r$//' -e '/^(stopped|status)/d' \
        -e '/^forkstorm: latency/s/ +[0-9]+$/ N/' -e '/^clock:/s/[0-9]+ MHz/N MHz/' \
        -e '/^memory:.*frames/s/[0-9]+/N/g' -e '/^memory:.*managed/s/[0-9]+/N/' \
        -e '/^# disturbed/d' -e 's/^\[ *[0-9]+\.[0-9]+\]/[T]/' | LC_ALL=C sort
}

# expect_panics NAME: the panics that say what may not be touched before or after its time (os/kernel/test/test_panic.c); dying
# WORD boots the test image by some way into the kernel, its console goes to $work/out
expect_panics() {
    local word message wrong=
    while read -r word message; do
        dying "$word"
        grep -qE "^panic: $message" "$work/out" && ! grep -q '^TAP' "$work/out" || wrong+="$word "
    done <<'END'
early@highhalf frame manager: used before publication
sealed@publish boot allocator: used after it was sealed
low@highhalf page fault at 0*100000, error 0
heap@serial page fault at ffffc10060000000, error 0
END
    [ -z "$wrong" ] && ok "$1" || fail "$1" "not so: $wrong" "$(tail -3 "$work/out")"
}

# make_shared WORD...: make in build/, which another script may be doing at this moment
make_shared() {
    flock build/make.lock make "$@"
}

# make_disk FILE FIRST: 64 sectors for tests/guest/virtio; sector n holds the words FIRST + n, FIRST + n + 1, ...
make_disk() {
    python3 -c '
import struct, sys
with open(sys.argv[1], "wb") as disk:
    for n in range(64):
        first = int(sys.argv[2]) + n
        disk.write(struct.pack("<128I", *range(first, first + 128)))' "$1" "$2"
}

# make_dimensions: fourteen dimensions in $work; 00 to 04 plain files, 05 to 08 text, 09 to 13 compressed
make_dimensions() {
    local n layer line
    for n in 00 01 02 03 04 05 06 07 08 09 10 11 12 13; do
        {
            printf 'orrery-dimension 1\ndimension %d made-%s\n' "$((10#$n))" "$n"
            for layer in 0 1 2 3; do
                printf 'layer %d part-%d real: one, two\n' "$layer" "$layer"
                for line in 1 2 3 4 5 6 7 8; do printf '> Line %d of layer %d of dimension %s.\n' "$line" "$layer" "$n"; done
            done
        } >"$work/dim$n.txt"
    done
    for n in 00 01 02 03 04; do build/rel/dimtool convert "$work/dim$n.txt" "$work/dim$n.odim" && rm "$work/dim$n.txt"; done
    for n in 09 10 11 12 13; do build/rel/dimtool convert "$work/dim$n.txt" "$work/dim$n.odim" --compress && rm "$work/dim$n.txt"; done
}

finish() {
    [ $failures -eq 0 ] && finished=pass
    [ $finished = pass ]
    exit
}
