#!/usr/bin/env bash
# The design pages are true of what can be compared: files, symbols and values that they name; their examples compile, run, and
# print what the page says.
# covers: DC-01 (D), DC-02 (D), DC-03 (D), DC-04 (D), NX-04 (D)
source "$(dirname "$0")/lib.sh"

pages=(docs/design/*.md docs/programs.md docs/syscalls.md)
for page in scheduler ipc process capabilities security vfs pmm errors globals performance; do
    [ -s "docs/design/$page.md" ] || fail "there is docs/design/$page.md"
done

# spans PAGE: what stands between back-ticks, outside blocks
spans() {
    awk '/^```/ {inside = !inside} !inside' "$1" | grep -o '`[^`]*`' | tr -d '`'
}

for page in "${pages[@]}"; do
    # files, from the root or from the kernel's folder
    missing=$(spans "$page" | sed 's/ .*//; s/:$//' | grep -E '^[a-z0-9_/-]+\.(h|c|S|def|md|sh|lua|txt|mk)$|^(os|tests|docs|sim|scripts)/[a-z0-9_/.-]+$' | sort -u |
        while IFS= read -r file; do
            [ -e "$file" ] || [ -e "os/$file" ] || [ -e "os/kernel/$file" ] ||
                [ -n "$(find os -path "*/$file" -print -quit)" ] || echo "$file"
        done)
    expect_same "files that $page names are there" "none" "${missing:-none}"

    # functions, constants and structures
    missing=$(spans "$page" | grep -oE '^(struct )?[a-z][a-z0-9]*(_[a-z0-9]+)+(\(\))?$|^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$' |
        sed 's/()//; s/^struct //' | sort -u | while IFS= read -r name; do
        grep -rqwE "$name|sys_$name|CAP_TYPE\([0-9]+, ${name#CAP_}" os || grep -qE "\b[A-Z]+\([0-9]+, [A-Z_]+, $name," os/abi/syscalls.def || echo "$name"
    done)
    expect_same "names that $page uses exist" "none" "${missing:-none}"
done

# `NAME` = VALUE: the value of a macro, from the header or the source that defines it
cat "${pages[@]}" | tr '\n' ' ' | grep -oE '`[A-Z][A-Z0-9_]+` = [0-9]+' | tr -d '`' | LC_ALL=C sort -u >"$work/said"
[ "$(wc -l <"$work/said")" -gt 20 ] || fail "the pages say values of constants" "$(cat "$work/said")"
while read -r name _; do
    definition=$(grep -rhoE "^#define $name +\(?[0-9a-fA-FxulUL<]+( << [0-9u]+)?\)?" os | head -1 | sed -E "s/#define $name +//; s/[uUlL]+\b//g")
    [ -n "$definition" ] && echo "$name = $((definition))" || echo "$name = ?"
done <"$work/said" >"$work/true"
expect_same "constants have the values that the pages say ($(wc -l <"$work/said"))" "$(cat "$work/said")" "$(cat "$work/true")"

# ---- examples ----

# block PAGE N: the N-th block of C of a page
block() {
    awk -v wanted="$2" '/^```/ {inside = !inside; if (inside) {show = $0 == "```c" && ++count == wanted; next}} inside && show' "$1"
}

flags="-std=c17 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -Wall -Wextra -Wpedantic -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror"
mapfile -t library < <(find build/os/user/lib build/os/user/kernel/lib -name '*.o' | LC_ALL=C sort)
mkdir -p "$work/programs"
cp build/os/programs/init.stripped "$work/programs/"
lines_of() {
    grep -oE '([Ii]t|and) prints `[^`]*`' "$1" | cut -d'`' -f2 | sed 's/\\n//'
}

for page in docs/design/capabilities.md docs/programs.md; do
    number=0
    while IFS= read -r line; do
        number=$((number + 1))
        name=$(basename "$page" .md)$number
        block "$page" $number >"$work/$name.c"
        # shellcheck disable=SC2086
        expect_status "example $number of $page compiles without a warning" 0 "${CC:-gcc}" $flags -Ios -c "$work/$name.c" -o "$work/$name.o"
        "${CC:-gcc}" -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-T,os/lib/program.ld \
            "$work/$name.o" "${library[@]}" -o "$work/programs/$name" 2>"$work/link" || cat "$work/link"
        strip -s "$work/programs/$name" -o "$work/programs/$name.stripped"
        sh os/tools/mkcpio.sh "$work/programs" init "$name" >"$work/$name.cpio"
        expect_status "example $number of $page runs" 33 "$orrery" boot --kernel "$kernel" --initrd "$work/$name.cpio" --cpus 2 \
            --append "-- $name"
        tr -d '\r' <"$work/out" | grep -qxF "$line" && ok "and prints: $line" || fail "and prints: $line" "$(tail -4 "$work/out")"
    done < <(lines_of "$page")
    expect_same "each block of $page is an example that runs" "$(grep -c '^```c$' "$page")" "$number"
done

finish
