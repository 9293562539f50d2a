#!/usr/bin/env bash
# No status is passed over: the compiler warns about each one that a call returns and nobody looks at, of whatever function;
# those that are dropped on purpose are the ones that docs/design/errors.md gives a reason for.
# covers: ER-04 (D)
source "$(dirname "$0")/lib.sh"

page=docs/design/errors.md
copy=$work/tree
mkdir -p "$copy"
cp -a os "$copy/"
flags="-std=c17 -ffreestanding -mgeneral-regs-only -mcmodel=kernel -Ios -Ios/kernel -fsyntax-only -ferror-limit=0 -Wunused-result"

# The type itself, not only functions that say so: clang then warns about calls of static functions and through pointers too.
sed -i 's/^typedef enum status {/typedef enum MUST_CHECK status {/' "$copy/os/abi/status.h"

# ignored FILES...: "FILE:LINE" of every status that is passed over, in the copy; fails when a file does not compile
ignored() {
    # shellcheck disable=SC2086
    (cd "$copy" && for file in "$@"; do clang $flags "$file" 2>&1 || echo "$file:0: ignoring everything"; done) |
        sed -nE 's/^([^:]+:[0-9]+):.*ignoring.*/\1/p' | LC_ALL=C sort -u
}

mapfile -t sources < <(find os/kernel os/boot -name '*.c' | LC_ALL=C sort)
expect_same "nothing in the kernel passes over a status" "none" "$(ignored "${sources[@]}" | grep . || echo none)"

# kept_unread FILES...: the same of every status that is put into a variable which nobody reads
kept_unread() {
    # shellcheck disable=SC2086
    (cd "$copy" && for file in "$@"; do clang $flags -Wunused-variable -Wunused-but-set-variable "$file" 2>&1; done) |
        sed -nE 's/^([^:]+:[0-9]+):.*warning: .*\[-Wunused-(but-set-)?variable\]$/\1/p' | LC_ALL=C sort -u |
        while IFS=: read -r file line; do
            sed -n "${line}p" "$copy/$file" | grep -q '\bstatus_t\b' && echo "$file:$line"
        done
}

# Without the casts to void, of calls and of variables, what is left is what was dropped on purpose.
uncast() {
    (cd "$copy" && sed -i -E 's/^( *)\(void\)([a-z_0-9]+\()/\1\2/; s/\(void\)[a-z_0-9]+;/;/g' "$@")
}
uncast "${sources[@]}"
{ ignored "${sources[@]}" && kept_unread "${sources[@]}"; } | while IFS=: read -r file line; do
    echo "$file $(sed -n "${line}p" "$copy/$file" | sed -E 's/^ *//')"
done >"$work/dropped"
sed -nE 's/^\| `(os[^`]+)` \| `([^`]+\(.*)` \|.*/\1 \2/p' "$page" | LC_ALL=C sort >"$work/reviewed"
LC_ALL=C sort -o "$work/dropped" "$work/dropped"
expect_same "each status that is dropped on purpose has its reason in $page" "$(cat "$work/reviewed")" "$(cat "$work/dropped")"

# Every function of a header says it as well, so that gcc fails the build.
unmarked=$(grep -rnE '^status_t [a-z_0-9]+\(' os/kernel os/boot os/dimension os/lib --include=*.h | sed -E 's/^([^:]+):[0-9]+:status_t ([a-z_0-9]+)\(.*/\1 \2/' | LC_ALL=C sort)
allowed=$(sed -nE 's/^\| `(os[^`]+)` \| `([a-z_0-9]+)` \|.*/\1 \2/p' "$page" | LC_ALL=C sort)
expect_same "every status function of a header must be checked, but for those of $page" "$allowed" "$unmarked"

# The check can fail.
printf '#include "abi/status.h"\nstatic status_t act(void) { return STATUS_OK; }\nvoid planted(void);\nvoid planted(void) { act(); }\n' \
    >"$copy/os/kernel/planted.c"
expect_same "a status that a static function returns is missed" "os/kernel/planted.c:4" "$(ignored os/kernel/planted.c)"
printf '#include "abi/status.h"\nstatus_t act(void);\nvoid planted(void);\nvoid planted(void)\n{\n    status_t status = act();\n    (void)status;\n    status_t other;\n    other = act();\n    (void)other;\n}\n' \
    >"$copy/os/kernel/planted.c"
uncast os/kernel/planted.c
expect_same "a status that a variable hides is missed" "os/kernel/planted.c:6 os/kernel/planted.c:8" \
    "$(kept_unread os/kernel/planted.c | tr '\n' ' ' | sed 's/ $//')"

# unplaced FILES...: "FILE:LINE" of every status that is made there without FAIL, which tells the program where it was
unplaced() {
    grep -nE '(\?|:|[^!=]=|return) STATUS_ERR_' "$@" /dev/null | sed -E 's/^([^:]+:[0-9]+):.*/\1/'
}
# covers: ER-02 (D)
expect_same "what the bodies of the calls refuse they refuse with the place" "none" \
    "$(unplaced os/kernel/sys/call_*.c os/kernel/sys/syscall.c | grep . || echo none)"
sed 's/FAIL(STATUS_ERR_UNALIGNED, [^;]*;/STATUS_ERR_UNALIGNED;/' os/kernel/sys/call_memory.c >"$work/call_memory.c"
expect_same "a status without its place is missed" 1 "$(unplaced "$work/call_memory.c" | wc -l)"

finish
