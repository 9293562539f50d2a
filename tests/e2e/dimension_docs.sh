#!/usr/bin/env bash
# The examples of docs/dimension-store.md compile, run, and do what the page says; what it says of sizes, options, the log and
# failures is so; every public function has its description.
# covers: DS-37 (D), DC-06 (D), DS-21 (D: the page), DS-01 (D)
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
grep -qxE 'info: dimension 3: energy: 4 layers, [0-9]+ bytes, simulated' "$work/out" && ok "the load is logged as the page says" ||
    fail "the load is logged as the page says" "$(cat "$work/out")"
grep -qE '^9[0-9][0-9] bytes, the first is [fstw]$' "$work/out" && ok "of almost 1000 bytes" || fail "of almost 1000 bytes" "$(cat "$work/out")"
expect_status "and says what is wrong without files" 1 "$work/example1" "$work"
grep -qx 'dimension 3: there is no file, and the catalog has no keywords for it (dimension: neither file nor keywords)' "$work/out" &&
    ok "in these words" || fail "in these words" "$(cat "$work/out")"
example 2
expect_status "the second allocates a block" 0 "$work/example2"
expect_same "and prints what the page says" "$(grep -o 'It prints `[^`]*' "$page" | cut -d'`' -f2)" "$(cat "$work/out")"

block c 3 >"$work/client.c"
expect_status "the client of the page compiles without a warning" 0 gcc -std=c17 -Wall -Wextra -Wpedantic -Wconversion -Werror -ffreestanding \
    -Ios -c "$work/client.c" -o "$work/client.o"
page_table=$(sed -nE 's/^\| ([0-9]+) \| `([A-Z0-9_]+)` .*/\1 \2/p' "$page")
expect_same "the page's table of messages has every operation" "$(sed -nE 's/^DIM_OPERATION\(([0-9]+), ([A-Z0-9_]+),.*/\1 \2/p' \
    os/dimension/operations.def)" "$page_table"
expect_same "as many as there are rows" "$(grep -c '^DIM_OPERATION' os/dimension/operations.def)" "$(grep -c . <<<"$page_table")"
expect_status "with the words of the rows" 0 scripts/make-docs --check

# the guide's row: files that are there, and among them all that are made from the rows
grep '^| a query of the dimension store |' HACKING.md | grep -o '`[^`]*/[^`]*`' | tr -d '`' | sed -E 's/^(.*)\.\[ch\]$/\1.c\n\1.h/' |
    LC_ALL=C sort >"$work/named"
missing=$(while IFS= read -r file; do [ -e "$file" ] || echo "$file"; done <"$work/named")
expect_same "files that HACKING.md names for a query are there" none "${missing:-none}"
expect_same "all that read the rows are named" none \
    "$(grep -rlE 'include "dimension/operations.def"|os/dimension/operations.def' os scripts tests --exclude=house.sh \
        --exclude=scenarios_docs.sh | LC_ALL=C sort | LC_ALL=C comm -23 - "$work/named" | grep . || echo none)"

block text 3 >"$work/text.txt"
expect_status "the text form of the page is valid" 0 build/rel/dimtool validate "$work/text.txt"
block json 1 >"$work/catalog.json"
expect_status "and so is its JSON" 0 build/rel/dimtool validate "$work/catalog.json"
sed -n '/^## When/,$p' "$page" | grep -o '^| `[^`]*' | cut -d'`' -f2 | sed 's/ \.\.\..*//; s/N %.*//' >"$work/messages"
expect_same "the page has messages" yes "$([ "$(wc -l <"$work/messages")" -gt 12 ] && echo yes)"
missing=$(while IFS= read -r message; do grep -qF "$message" os/dimension/*.c os/dimension/system/*.c || echo "$message"; done <"$work/messages")
expect_same "each message of the page is one of the library" "none" "${missing:-none}"

# the other way round: messages of the store's own files
failures() {
    python3 - "$page" os/dimension/store.c os/dimension/version.c os/dimension/reader.c <<'PY'
import re
import sys

page = open(sys.argv[1], encoding="utf-8").read()
told = set(re.findall(r"`([^`]+)`", page[page.index("## When something is wrong"):]))
found = set()
for path in sys.argv[2:]:
    code = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
    found |= set(re.findall(r'"((?:the|there|its|not|accesses) [^"%]*)"', code))
print(len(found), "none" if found <= told else "not on the page: " + "; ".join(sorted(found - told)))
PY
}
failures >"$work/failures"
expect_same "each of the many failures of the store is explained" none "$(cut -d' ' -f2- "$work/failures")"
[ "$(cut -d' ' -f1 "$work/failures")" -gt 30 ] && ok "they were found" || fail "they were found" "$(cat "$work/failures")"

# options: the members of struct dim_config with their standard values
sed -n '/^struct dim_config {/,/^};/p' os/dimension/store.h | sed -nE 's/^ +uint[0-9]+_t (\w+);.*/\1/p' | grep -vx reserved >"$work/members"
expect_same "the page has every option of the configuration" "$(cat "$work/members")" \
    "$(sed -n '/^| `struct dim_config` /,/^$/p' "$page" | sed -nE 's/^\| `([a-z_]+)` \|.*/\1/p')"
sed -n '/^| `struct dim_config` /,/^$/p' "$page" | sed -nE 's/^\| `([a-z_]+)` \| `?([^|`]*[^|` ])`? +\|.*/\1 \2/p' |
    sed -E 's/([0-9]+) MiB/(\1ull << 20)/; s/([0-9]+) KiB/(\1ull << 10)/' >"$work/values"
{
    printf '#include "dimension/store.h"\nint main(void)\n{\n    const struct dim_config *c = &dim_config_standard;\n'
    while read -r name value; do printf '    if (c->%s != %s) {\n        return 1;\n    }\n' "$name" "$value"; done <"$work/values"
    printf '    return 0;\n}\n'
} >"$work/standard.c"
expect_same "and a standard value for each" "$(wc -l <"$work/members")" "$(wc -l <"$work/values")"
expect_status "the values compile" 0 gcc -std=c17 -Ios -Ios/kernel "$work/standard.c" os/dimension/*.c os/kernel/lib/format.c \
    os/kernel/lib/status.c -o "$work/standard"
expect_status "and are those of the standard configuration" 0 "$work/standard"

# covers: DS-32 (D: nothing but the platforms asks the system below)
expect_same "the store asks the system through its platform only" none \
    "$(grep -nE '\b(mmap|munmap|mprotect|malloc|free|sys_[a-z]+) ?\(|^#include <(sys|unistd|fcntl|stdlib|stdio)' os/dimension/*.[ch] || echo none)"
# public functions, and those declared without a comment directly before them
awk '/^[a-zA-Z].*\(/ && !/^static|__attribute__/ { count++; if (previous !~ /\*\/$/) print FILENAME ": " $0 }
    { previous = $0 } END { print count }' os/dimension/{store,pool,file,build,text,json,simulate,lz4,crc32c,name,words}.h >"$work/public"
expect_same "each public function is described where it is declared" "none" "$(sed '$d' "$work/public" | grep . || echo none)"
[ "$(tail -1 "$work/public")" -gt 30 ] && ok "they were found, too" || fail "they were found, too" "$(cat "$work/public")"
finish
