#!/usr/bin/env bash
# The writable globals of the kernel are those of docs/design/globals.md, each with what keeps it; those that are said to be
# written in the boot only are so.
# covers: ER-08 (D)
source "$(dirname "$0")/lib.sh"

page=docs/design/globals.md

# rows [KEPT-BY]: "FILE GLOBAL" of each row of the page, or of those kept by that alone
rows() {
    sed -nE "s/^\| \`(os[^\`]+)\` \| ([^|]+) \| (${1-}.*) \|\$/\1 \2/p" "$page" |
        awk '{for (i = 2; i <= NF; i++) print $1, $i}' | LC_ALL=C sort
}

# linked IMAGE: "FILE GLOBAL ADDRESS BYTES" of what an image has in writable sections; names that the linker script makes,
# and stacks, are left out
linked() {
    nm -lS "$1" | awk 'NF >= 4 && $3 ~ /^[dDbB]$/ {
        place = $5; sub(/:[0-9]+$/, "", place); sub(/.*\/os\//, "os/", place); sub(/^\.\//, "", place); sub(/\.[0-9]+$/, "", $4)
        print place, $4, $1, $2}' | LC_ALL=C sort
    nm "$1" | awk 'NF == 3 && $2 ~ /^[dDbB]$/ && $3 ~ /^boot_/ && $3 !~ /^boot_(stack_top|memory)$/ {print "os/boot/entry.S", $3, $1, 1}'
}

linked "$kernel" >"$work/linked"
awk '{print $1, $2}' "$work/linked" | LC_ALL=C sort >"$work/globals"
rows >"$work/rows"
[ "$(wc -l <"$work/rows")" -gt 50 ] && ok "the page has rows" || fail "the page has rows" "$(head "$work/rows")"
expect_same "every writable global is in $page, and nothing else" "none" \
    "$(diff "$work/rows" "$work/globals" | grep '^[<>]' || echo none)"

# places KEPT-BY: "NAME:ADDRESS:BYTES,..." for the scenario
places() {
    rows "$1" | while read -r file name; do awk -v f="$file" -v n="$name" '$1 == f && $2 == n {print n ":" $3 ":" $4}' "$work/linked"; done | paste -sd,
}
kept=$(places boot)
gone=$(places init)
expect_status "what the boot has written stays" 0 "$orrery" run tests/e2e/globals.lua --set "kept=$kept" --set "gone=$gone"

# The check can fail: an image with a global more, one that changes.
expect_status "a global that changes is told from those of the boot" 1 "$orrery" run tests/e2e/globals.lua \
    --set "gone=$gone" --set "kept=$kept,$(awk '$2 == "last_pid" {print $2 ":" $3 ":" $4}' "$work/linked")"
grep -q 'last_pid' <(grep -v again "$work/out" | grep -v FAIL) && ok "by its name" || fail "by its name" "$(cat "$work/out")"

finish
