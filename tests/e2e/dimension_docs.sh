#!/usr/bin/env bash
# The examples of docs/dimension-store.md compile, run, and do what the page says; what it says of sizes is so.
# covers: DS-37, DC-06, DS-21 (D: the page), DS-01 (D)
source "$(dirname "$0")/lib.sh"
page=docs/dimension-store.md

# block LANGUAGE N: the N-th block of that language, "text" for one without
block() {
    awk -v language="$1" -v wanted="$2" '/^```/ { if (inside) { inside = 0; next } inside = 1; name = substr($0, 4)
        if (name == "") name = "text"; count += name == language; show = name == language && count == wanted; next }
        inside && show' "$page"
}

example() {
    block c "$1" >"$work/example$1.c"
    expect_status "example $1 of the page compiles without a warning" 0 gcc -std=c17 -Wall -Wextra -Wpedantic -Wconversion -Werror \
        -Ios -Ios/kernel "$work/example$1.c" os/dimension/*.c os/tools/dimtool/host_platform.c os/kernel/lib/format.c \
        os/kernel/lib/status.c -o "$work/example$1"
}

example 1
build/rel/dimtool init os/dimension/dimensions.json "$work/files" --fill 1000
expect_status "the first reads a layer" 0 "$work/example1" "$work/files"
grep -qE '^9[0-9][0-9] bytes, the first is [fstw]$' "$work/out" && ok "of almost 1000 bytes" || fail "of almost 1000 bytes" "$(cat "$work/out")"
expect_status "and says what is wrong without files" 1 "$work/example1" "$work"
grep -qx 'dimension 3: there is no file, and the catalog has no keywords for it (dimension: neither file nor keywords)' "$work/out" &&
    ok "in these words" || fail "in these words" "$(cat "$work/out")"
example 2
expect_status "the second allocates a block" 0 "$work/example2"
expect_same "and prints what the page says" "$(grep -o 'It prints `[^`]*' "$page" | cut -d'`' -f2)" "$(cat "$work/out")"

block text 2 >"$work/text.txt"
expect_status "the text form of the page is valid" 0 build/rel/dimtool validate "$work/text.txt"
block json 1 >"$work/catalog.json"
expect_status "and so is its JSON" 0 build/rel/dimtool validate "$work/catalog.json"
sed -n '/^## When/,$p' "$page" | grep -o '^| `[^`]*' | cut -d'`' -f2 | sed 's/ \.\.\..*//; s/N %.*//' >"$work/messages"
expect_same "the page has messages" yes "$([ "$(wc -l <"$work/messages")" -gt 12 ] && echo yes)"
missing=$(while IFS= read -r message; do grep -rqF "$message" os/dimension/*.c || echo "$message"; done <"$work/messages")
expect_same "each message of the page is one of the library" "none" "${missing:-none}"
finish
