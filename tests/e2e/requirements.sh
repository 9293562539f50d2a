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

finish
