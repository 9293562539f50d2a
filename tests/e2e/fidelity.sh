#!/usr/bin/env bash
# What `make validate-timing` stands on, where there is no silicon to go by: its arithmetic, and its guest, whose kernels all
# run in Orrery, give the same figures again, and compute what the same bytes compute on this host.
source "$(dirname "$0")/lib.sh"

out=build/fidelity
make_shared -s fidelity >"$work/make" 2>&1 || fail "task and hosts build" "$(tail -5 "$work/make")"
expect_status "statistics, parsing and gates give the known answers" 0 tests/fidelity/test_stats.py

# guest TIER FIRST COUNT ARENA_MIB: its runs, in $work/out
guest() {
    expect_status "tier $1 runs in Orrery" 33 "$orrery" boot --kernel $out/guest.elf --initrd $out/task.img --engine timed \
        --memory 512M --append "3 $*"
    grep -x end "$work/out" >/dev/null || fail "tier $1 runs to its end" "$(tail -3 "$work/out")"
}

$out/host $out/task.img list >"$work/list"
for tier in 1 2 3 4; do
    arena=$([ $tier = 2 ] && echo 2 || echo 8) # of tier 2 what is small
    guest $tier 0 300 "$arena"
    grep '^run ' "$work/out" >"$work/tier$tier"
    guest $tier 0 300 "$arena"
    grep '^run ' "$work/out" | cmp -s - "$work/tier$tier" && ok "tier $tier gives the same figures twice" ||
        fail "tier $tier gives the same figures twice" "$(grep '^run ' "$work/out" | diff - "$work/tier$tier" | head -4)"
done

wanted=$(awk '$1 == "job" && $3 == 1' "$work/list" | wc -l)
[ "$wanted" -ge 60 ] && [ "$wanted" -eq "$(wc -l <"$work/tier1")" ] && ok "each kernel of tier 1 runs" ||
    fail "each kernel of tier 1 runs" "$wanted are in the image, $(wc -l <"$work/tier1") ran"
awk '$3 != 0' "$work/tier3" | grep . >"$work/given_up" && fail "no block is given up" "$(head -3 "$work/given_up")" ||
    ok "no block is given up"

expect_status "the programs run on this host" 0 $out/host $out/task.img 1 4 0 300 8
grep '^run ' "$work/out" | cut -d' ' -f1-4 >"$work/results"
cut -d' ' -f1-4 "$work/tier4" | cmp -s - "$work/results" && ok "programs compute the same in Orrery and on this host" ||
    fail "programs compute the same in Orrery and on this host" "$(cut -d' ' -f1-4 "$work/tier4" | diff - "$work/results")"

expect_status "all tiers run on both sides" 0 scripts/validate-timing --quick --tier V1 --tier V2 --tier V3 --tier V4
grep 'dependent additions' "$work/err" && fail "a dependent addition takes a cycle" "$(cat "$work/err")" ||
    ok "a dependent addition takes a cycle"
expect_status "figures of another image are refused" 1 scripts/validate-timing --quick --native tests/e2e/fidelity_other.json
grep -q 'another image' "$work/err" || fail "figures of another image are refused in words" "$(cat "$work/err")"

# Tier 5: its verdicts are those of docs/fidelity/sensitivity-zen4-like.tsv, and the figures the same each time.
expect_status "a number is half and one and a half, and two conclusions are as published" 0 \
    scripts/validate-timing --tier V5 --quick
cp "$work/out" "$work/unseen"
[ "$(grep -c '^ipi_cycles' "$work/unseen")" -eq 4 ] && ok "in two runs" || fail "in two runs" "$(cat "$work/unseen")"
expect_status "again" 0 scripts/validate-timing --tier V5 --quick
cmp -s "$work/out" "$work/unseen" && ok "with the same figures" ||
    fail "with the same figures" "$(diff "$work/out" "$work/unseen")"
sed 's/yes$/no/' docs/fidelity/sensitivity-zen4-like.tsv >"$work/sensitivity-zen4-like.tsv"
expect_status "other verdicts are told" 1 scripts/validate-timing --tier V5 --quick --out "$work"
grep -q '^V5: ipi_cycles, +50 %, local-partner: .* says no$' "$work/out" && ok "one by one" ||
    fail "one by one" "$(cat "$work/out")"
expect_status "every published page is of the machine as it is" 0 scripts/validate-timing --stale
mkdir -p "$work/pages/host"
echo '- Parameters of `inorder`: SHA-256 `0`' >"$work/pages/host/inorder.md"
expect_status "one that is not is told" 1 scripts/validate-timing --stale --out "$work/pages"
expect_status "a tier that is none" 2 scripts/validate-timing --tier V6

finish
