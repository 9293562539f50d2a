#!/usr/bin/env bash
# The design pages are true of what can be compared: files, symbols and values that they name; their examples compile, run, and
# print what the page says.
# covers: DC-01 (D), DC-02 (D), DC-03 (D), DC-04 (D), NX-04 (D), PS-20 (D)
source "$(dirname "$0")/lib.sh"

pages=(docs/design/*.md docs/programs.md docs/syscalls.md)
for page in scheduler ipc process capabilities security vfs library-os pmm errors globals performance comments; do
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

# twice PAGE: paragraphs that stand there more than once, by their beginnings
twice() {
    awk -v RS= 'length > 80 && seen[$0]++ == 1 { print FILENAME ": " substr($0, 1, 60) }' "$1"
}
for page in docs/*.md docs/design/*.md README.md HACKING.md; do
    twice "$page"
done >"$work/twice"
expect_same "no page says a paragraph twice" none "$(grep . "$work/twice" || echo none)"
{
    cat docs/boot.md
    printf '\n'
    cat docs/boot.md
} >"$work/boot.md"
expect_same "a paragraph that does is found" yes "$([ "$(twice "$work/boot.md" | wc -l)" -gt 5 ] && echo yes)"

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
cp build/os/programs/{init,nameserver}.stripped "$work/programs/"
lines_of() {
    tr '\n' ' ' <"$1" | grep -oE '([Ii]t|and) prints `[^`]*`' "$1" | cut -d'`' -f2 | sed 's/\\n//'
}

for page in docs/design/capabilities.md docs/design/library-os.md docs/programs.md; do
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
        sh os/tools/mkcpio.sh "$work/programs" init nameserver "$name" >"$work/$name.cpio"
        how="-- $name"
        grep -qF "As init it prints \`$line\`" "$page" && how="init=$name"
        expect_status "example $number of $page runs" 33 "$orrery" boot --kernel "$kernel" --initrd "$work/$name.cpio" --cpus 2 \
            --append "$how"
        tr -d '\r' <"$work/out" | grep -qxF "$line" && ok "and prints: $line" || fail "and prints: $line" "$(tail -4 "$work/out")"
    done < <(lines_of "$page")
    expect_same "each block of $page is an example that runs" "$(grep -c '^```c$' "$page")" "$number"
done

# The review of comments has every file of the kernel, and none that is not there.
# reviewed PAGE: the files that it lists
reviewed() {
    sed -nE 's/^\| `(os[a-z0-9_/]*)` \| (.*) \| (.*) \|$/\1 \2 \3/p' "$1" | while read -r folder names; do
        for name in ${names//-/}; do echo "$folder/$name"; done
    done | LC_ALL=C sort
}
sources=$(find os/kernel os/boot -name '*.[chS]' -not -path 'os/kernel/test/*' | LC_ALL=C sort)
# covers: DC-07 (D)
expect_same "the review of comments lists the files of the kernel" "$sources" "$(reviewed docs/design/comments.md)"
sed 's/ wake\.c / /' docs/design/comments.md >"$work/comments.md"
expect_same "a file that was not reviewed is missed" os/kernel/sched/wake.c \
    "$(comm -23 <(echo "$sources") <(reviewed "$work/comments.md"))"

# programs PAGE: rows of the table of programs as "NAME FILE"; unrun FOLDER: those whose file does not name the program
programs() {
    sed -nE 's/^\| `([a-z]+)` \| [a-z]+ \| [^|]* \| `([^`]*)` \|$/\1 \2/p' "$1"
}
unrun() {
    while read -r name file; do grep -qw -- "$name" "$file" || echo "$name $file"; done < <(programs "$1")
}
expect_same "docs/programs.md has a row for every program" "$(find os/programs -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort)" \
    "$(programs docs/programs.md | cut -d' ' -f1 | LC_ALL=C sort)"
expect_same "each is run by the script that its row names" "none" "$(unrun docs/programs.md 2>&1 | grep . || echo none)"
sed 's|`tests/e2e/kernel_devices.sh`|`tests/e2e/boot.sh`|' docs/programs.md >"$work/programs.md"
expect_same "a program that its script does not run is missed" "devtest tests/e2e/boot.sh" "$(unrun "$work/programs.md")"
for load in $(sed -nE 's/^\| `([a-z]+)` \| load .*/\1/p' docs/programs.md); do
    grep -qE "^    \"$load( |\")" scenarios/load-mix.lua || echo "$load"
done >"$work/left_out"
expect_same "all of them that are loads are in the mix" "none" "$(grep . "$work/left_out" || echo none)"

# Commands of the driver port and words of the command line: what the sources know is what the pages tell.
expect_same "docs/init-protocol.md has the commands of init" "$(sed -nE '/^\} commands\[\]/,/^\};/p' os/programs/init/init.c |
    grep -oE '\{"[a-z]+"' | tr -dc 'a-z\n' | LC_ALL=C sort)" \
    "$(sed -nE 's/^\| `([a-z]+)[ `].*/\1/p' docs/init-protocol.md | LC_ALL=C sort)"
expect_same "init's stats have every figure of the system" \
    "$(sed -nE '/^struct system_stats/,/^\};/s/^    uint[0-9]+_t ([a-z_]+);.*/\1/p' os/abi/abi.h | LC_ALL=C sort)" \
    "$(sed -nE 's/^    \{FIGURE\(system_stats, ([a-z_]+)\)\},$/\1/p' os/programs/init/init.c | LC_ALL=C sort)"
expect_same "docs/boot.md has the words of the command line" "$(grep -rhoE 'boot_argument\("[a-z0-9]+"' os/kernel os/boot | cut -d'"' -f2 | LC_ALL=C sort -u)" \
    "$(sed -n '/^## Command line/,$p' docs/boot.md | sed -nE 's/^\| `([a-z0-9]+)=.*/\1/p' | LC_ALL=C sort -u)"
expect_same "docs/boot.md tells what is given back after the boot, in its order" \
    "$(sed -nE 's/^REGION_TYPE\([A-Z_]+, "([a-z ]+)", RECLAIM, .*/\1/p' os/kernel/mm/region_types.def | paste -sd,)" \
    "$(tr '\n' ' ' <docs/boot.md | sed -E 's/.*\*\*Given back\*\*([^(]*)\(.*/\1/' | grep -o '`[^`]*`' | tr -d '`' | paste -sd,)"

# The table of locks has the class of every lock that there is, and no other.
# lock_classes: of all locks that are made; listed PAGE: of the table
lock_classes() {
    grep -rhoE 'SPINLOCK_INIT\([^,()]+, [A-Z_]+\)|LOCK_CLASS_[A-Z_]+\)' os/kernel os/boot --include='*.[ch]' --exclude-dir=test |
        sed -E 's/.*, ([A-Z_]+)\)/\1/; s/LOCK_CLASS_([A-Z_]+)\)/\1/' | LC_ALL=C sort -u
}
listed() {
    sed -nE 's/^\| ([A-Z_]+) \| [a-z.]+ \| [0-9]+ \|.*/\1/p' "$1" | grep -vx TEST | LC_ALL=C sort
}
# uninitialised FOLDER: locks that a file declares and no file of the folder makes
uninitialised() {
    find "$1" -name '*.[ch]' -not -path '*/test/*' -not -name 'spinlock.*' -print0 |
        xargs -0 grep -HoE '\bstruct spinlock \w+' | sed 's/:struct spinlock / /' | while read -r file name; do
        grep -qE "(spinlock_init\(&([^,]*[>.])?|[. ])$name( = SPINLOCK_INIT|, )" "$(dirname "$file")"/*.[ch] || echo "$file $name"
    done
}
# covers: IR-03 (D)
expect_same "docs/locking.md lists every class of locks" "$(lock_classes)" "$(listed docs/locking.md)"
# covers: IR-03 (D)
expect_same "every lock that is declared is made, of a class" "none" "$(uninitialised os/kernel | grep . || echo none)"
grep -v '^| RUN_QUEUE ' docs/locking.md >"$work/locking.md"
expect_same "a class that the table lacks is missed" RUN_QUEUE "$(comm -23 <(lock_classes) <(listed "$work/locking.md"))"
mkdir -p "$work/planted" && printf 'struct thing {\n    struct spinlock guard;\n};\n' >"$work/planted/thing.h"
expect_same "a lock that nobody makes is missed" "$work/planted/thing.h guard" "$(uninitialised "$work/planted")"

finish
