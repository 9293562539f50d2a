#!/usr/bin/env bash
# The stamps of the bench programs and of the kernel's boot are the golden ones (tests/golden), and a stamp that is not is found.
source "$(dirname "$0")/lib.sh"

make_shared -s oracle guests-bench >"$work/make" 2>&1 || fail "oracle and programs are built" "$(tail -5 "$work/make")"

expect_status "golden stamps" 0 scripts/golden-stamps
sed 's/^/# /' "$work/out"

# changed SED: what is said about hash on inorder when its golden file was changed
changed() {
    mkdir -p "$work/golden"
    sed -E "$1" tests/golden/hash-inorder.txt >"$work/golden/hash-inorder.txt"
    GOLDEN=$work/golden scripts/golden-stamps --only hash-inorder >"$work/out" 2>&1
    echo "$? $(sed -n '1s/.*hash-inorder: //p' "$work/out")"
}

other=$(sed -n 's/^window 1 to \([0-9]*\) .*/\1/p' tests/golden/hash-inorder.txt)
if [[ $(scripts/golden-stamps --only hash-inorder) == *"equal, "* ]]; then
    expect_same "another window is named" "1 DIFFERENT: golden: window 1 to ${other}0" \
        "$(changed 's/^(window 1 to [0-9]*)/\10/' | sed -E 's/ [0-9a-f]{16}$//')"
    expect_same "another step is named" "1 DIFFERENT: golden: step 9" "$(changed '/^step 9 /s/.$/z/' | sed -E 's/(step 9).*/\1/')"
    expect_same "other numbers of the machine are named" "1 machines/inorder.lua has other numbers" "$(changed 's/^machine .*/machine inorder 0/')"
    expect_same "another counter is named" "1 DIFFERENT: golden: end loads 1" "$(changed 's/^end loads .*/end loads 1/')"
fi
expect_same "of another program the oracle judges" "0 the program is not the golden one; the oracle agrees" \
    "$(changed 's/^program .*/program 0/' | sed 's/: [0-9].*//')"
finish
