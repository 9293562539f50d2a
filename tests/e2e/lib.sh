# Shared by the end-to-end scripts: each check prints "ok 1 NAME" or "FAIL 1 NAME" with what was seen.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
orrery=$PWD/build/orrery
kernel=$PWD/build/os/orrery.elf
initrd=$PWD/build/os/initrd.cpio
failures=0

ok() {
    echo "ok    1 $1"
}

fail() {
    echo "FAIL  1 $1"
    failures=$((failures + 1))
    shift
    printf '%s\n' "$@" | head -20 | sed 's/^/      /'
}

# expect_status NAME STATUS COMMAND...: standard output and error go to $work/out and $work/err
expect_status() {
    local name=$1 wanted=$2 status
    shift 2
    timeout 300 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq "$wanted" ]; then
        ok "$name"
    else
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

finish() {
    [ $failures -eq 0 ]
    exit
}
