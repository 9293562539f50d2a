#!/usr/bin/env bash
# scripts/requirements lists every row of docs/requirements.md with its tests and their last results, and says what is missing.
# covers: NX-05 (D)
source "$(dirname "$0")/lib.sh"

page=docs/requirements.md
grep -oE '^\| [A-Z]{2}-[0-9]{2} \|' "$page" | tr -d '| ' >"$work/ids"
scripts/requirements --brief >"$work/out" 2>&1
grep -oE '^[A-Z]{2}-[0-9]{2}' "$work/out" >"$work/listed"
[ "$(wc -l <"$work/ids")" -ge 330 ] && cmp -s "$work/ids" "$work/listed" && ok "each of the $(wc -l <"$work/ids") rows is listed once, in the page's order" ||
    fail "each row is listed once, in the page's order" "$(diff "$work/ids" "$work/listed")"
expect_same "the total counts them" "$(wc -l <"$work/ids") requirements" "$(tail -1 "$work/out" | cut -d: -f1)"

# A tree with two tests, of which one failed and one never ran.
copy=$work/tree
mkdir -p "$copy/docs" "$copy/scripts/house" "$copy/tests/e2e" "$copy/build/rel/results"
cp -a scripts/requirements "$copy/scripts/"
cp -a scripts/house/{requirements,tests,tree}.py "$copy/scripts/house/"
head -25 "$page" >"$copy/$page"
printf '| XX-0%d | What is %s | S0 | S | %s |\n' 1 shown '' 2 broken '' 3 unseen '' 4 new '' 5 half 'partial: the other half' >>"$copy/$page"
for n in 1 2 3 5; do
    printf '#!/usr/bin/env bash\n# covers: XX-0%d\nok "a"\n' $n >"$copy/tests/e2e/t$n.sh"
done
printf 'pass\ttests/e2e/t1\npass\ttests/e2e/t5\nfail\ttests/e2e/t2\n' >"$copy/build/rel/results/all.tsv"
cd "$copy" || exit 1
git init -q .
says() {
    expect_same "$1" "$2" "$(scripts/requirements "${@:3}" | awk '$1 ~ /^XX/ {print $1, $2 == "not" ? "not run" : $2}' | tr '\n' ';')"
}
says "statuses follow the results" "XX-01 full;XX-02 failed;XX-03 not run;XX-04 none;XX-05 partial;" --brief
says "rows of one status are chosen" "XX-04 none;" --status none --brief
scripts/requirements >"$work/out"
expect_same "without --check what is missing is only told" 0 $?
grep -qE '^ +FAIL +tests/e2e/t2$' "$work/out" && ok "a row shows its tests with their results" || fail "a row shows its tests with their results" "$(cat "$work/out")"
scripts/requirements --check >/dev/null
expect_same "with --check a row without a passing test is a failure" 1 $?
scripts/requirements --check XX-01 XX-05 >/dev/null
expect_same "and rows with passing ones are not" 0 $?
echo '# covers: YY-01' >>tests/e2e/t1.sh
scripts/requirements >"$work/out"
expect_same "an annotation of no row is a failure" 1 $?

# A row of the boot, shown on one way into the kernel, excused on one.
head -25 "$OLDPWD/$page" >"$page"
printf '| BT-01 | The boot | S0 | S | |\n| BT-02 | A host test | S0 | U | |\n' >>"$page"
printf '#!/usr/bin/env bash\n# covers: BT-01\nok "a"\n' >tests/e2e/t1.sh
rm tests/e2e/t[2-9].sh
echo '| BT-01 | S | uefi | no firmware here |' >docs/boot.md
# on_ways NAME STATUS TEXT: scripts/requirements --ways --check ends with it and says this
on_ways() {
    scripts/requirements --ways --check >"$work/out"
    expect_same "$1" "$2 1" "$? $(grep -cE "$3" "$work/out")"
}
printf 'pass\ttests/e2e/t1@pvh\n' >build/rel/results/all.tsv
on_ways "a way without a test or a reason is a failure" 1 '^docs/boot.md: BT-01 S handoff: neither'
printf 'fail\ttests/e2e/t1@handoff\n' >>build/rel/results/all.tsv
on_ways "so is one on which the test failed" 1 '^docs/boot.md: BT-01 S handoff: neither'
printf 'pass\ttests/e2e/t1@pvh\npass\ttests/e2e/t1@handoff\n' >build/rel/results/all.tsv
on_ways "a reason is one" 0 '^BT-01  S +pass +reason +pass +no firmware here$'
on_ways "what runs on the host alone depends on none" 0 '^BT-02  - +any +any +any$'
printf 'pass\ttests/e2e/t1@uefi\n' >>build/rel/results/all.tsv
on_ways "a reason is stale when the test passes" 1 '^docs/boot.md:1: BT-01 S uefi: .*stale'
printf '| BT-01 | X | uefi | no such test |\n' >docs/boot.md
on_ways "and one for nothing is a failure" 1 '^docs/boot.md:1: BT-01 X uefi: a reason for nothing'

finish
