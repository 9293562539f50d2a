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

# record pass|fail ID
record() {
    printf '%s\t%s\n' "$1" "$2" >>"$results"
}

# record_tap ID: the TAP of $work/out is that of tests called ID:NAME
record_tap() {
    sed -nE "/# SKIP/d; s#^ok [0-9]+ - ([^ ]+).*#pass\t$1:\1#p; s#^not ok [0-9]+ - ([^ ]+).*#fail\t$1:\1#p" "$work/out" \
        >>"$results"
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

# expect_status NAME STATUS COMMAND...: standard output and error go to $work/out and $work/err
expect_status() {
    local name=$1 wanted=$2 status
    shift 2
    timeout 300 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq "$wanted" ]; then
        ok "$name"
        record_scenarios pass "$@"
    else
        record_scenarios fail "$@"
        fail "$name" "status $status, expected $wanted: $*" "$(tail -8 "$work/out")" "$(tail -8 "$work/err")"
    fi
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

# expect_same NAME A B
expect_same() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        ok "$1"
    else
        fail "$1" "one:   $2" "other: $3"
    fi
}

# count_tap WHERE: $work/out is the console of the test image; every planned in-kernel test passed
count_tap() {
    local where=$1 planned passed
    record_tap os/kernel/test
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$work/out" | head -1)
    passed=$(grep -c '^ok ' "$work/out")
    if [ -n "$planned" ] && [ "$passed" -eq "$planned" ] && ! grep -q '^not ok' "$work/out"; then
        record pass "$script:in-kernel tests $where"
        echo "ok    $passed in-kernel tests $where"
    else
        fail "in-kernel tests $where" "planned $planned, passed $passed" "$(grep '^not ok' "$work/out")"
    fi
}

# stages_are_documented NAME FILE: the stages of the console in FILE are those of docs/boot.md, in that order
stages_are_documented() {
    sed -nE 's/^\| [0-9]+ \| `([a-z ]+)` \|.*/stage: \1/p' docs/boot.md >"$work/documented"
    grep -o 'stage: [a-z ]*' "$2" >"$work/traced"
    if [ -s "$work/documented" ] && cmp -s "$work/documented" "$work/traced"; then
        ok "the stages of the boot are those of docs/boot.md $1"
    else
        fail "the stages of the boot are those of docs/boot.md $1" "$(diff "$work/documented" "$work/traced")"
    fi
}

# A console, sorted, without what two machines or two runs may tell differently
mask() {
    sed -E -e 's/\r$//' -e '/^(stopped|status)/d' \
        -e '/^forkstorm: latency/s/ +[0-9]+$/ N/' -e '/^clock:/s/[0-9]+ MHz/N MHz/' \
        -e '/^memory:.*frames/s/[0-9]+/N/g' -e '/^memory:.*managed/s/[0-9]+/N/' \
        -e 's/^\[ *[0-9]+\.[0-9]+\]/[T]/' | LC_ALL=C sort
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

finish() {
    [ $failures -eq 0 ] && finished=pass
    [ $finished = pass ]
    exit
}
