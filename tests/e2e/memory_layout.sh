#!/usr/bin/env bash
# The addresses that docs/memory-layout.md names are those of the headers, of the linked kernel and of the programs.
# covers: MM-22 (D), DC-05 (D), VM-05 (D)
source "$(dirname "$0")/lib.sh"

page=docs/memory-layout.md

# says NAME ADDRESS: the table of the page has a row that begins with the address
says() {
    local address
    address=$(printf '0x%016x' "$2")
    if grep -q "^| \`$address\` |" "$page"; then
        ok "the page has $1 at $address"
    else
        fail "the page has $1 at $address" "$(grep '^| `0x' "$page")"
    fi
}

# constant HEADER NAME: the value of a macro of the kernel
constant() {
    printf '#include <stdio.h>\n#include "%s"\nint main(void) { printf("%%#llx", (unsigned long long)(%s)); return 0; }\n' "$1" "$2" \
        >"$work/value.c"
    "${CC:-gcc}" -Ios -Ios/kernel -o "$work/value" "$work/value.c" && "$work/value"
}

says "the user half" "$(constant mm/layout.h USER_BASE)"
says "the physmap" "$(constant mm/layout.h PHYSMAP_BASE)"
says "the frame table" "$(constant mm/layout.h FRAME_TABLE_BASE)"
says "the block table" "$(constant mm/layout.h BLOCK_TABLE_BASE)"
says "device windows" "$(constant mm/layout.h KERNEL_MAP_BASE)"
says "unplaced memory" "$(constant mm/layout.h MAP_BASE)"
says "the kernel image" "0x$(nm "$kernel" | awk '$3 == "text_start" {print $1}')"
says "programs" "$(readelf -lW build/os/programs/init | awk '$1 == "LOAD" {print $3; exit}')"
for table in frame_table block_table; do
    at=$(nm "$kernel" | awk -v name="$table" '$3 == name {print $1}')
    [ -n "$at" ] && ok "$table is a symbol of the kernel" || fail "$table is a symbol of the kernel"
done

# every file that the pages name is there
missing=$(grep -ohE '`(os/|tests/|mm/|proc/|sys/|boot/|arch/)[a-z0-9_/]+\.[a-zS]+`' docs/design/pmm.md "$page" | tr -d '`' | sort -u |
    while IFS= read -r file; do
        [ -e "$file" ] || [ -e "os/kernel/$file" ] || [ -e "os/$file" ] || echo "$file"
    done)
expect_same "the pages name files that exist" "none" "${missing:-none}"

finish
