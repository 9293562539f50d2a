#!/usr/bin/env bash
# What the kernel's operations cost, on small machines: nothing has become slower, and a second run counts the same cycles.
source "$(dirname "$0")/lib.sh"

# covers: TS-06 (B), IP-24 (B), IP-28 (B), TS-13 (B)
expect_status "no median on one CPU is more than 2 % above its golden figure" 0 scripts/bench-kernel --cpus 1
cp "$work/out" "$work/one"
expect_status "nor on two" 0 scripts/bench-kernel --cpus 2 --only ipc,births,shootdown,throughput
cat "$work/one" >>"$work/out"

# met NAME ROW: there are lines of a requirement, and all of them say that it is met
met() {
    grep "^| $2 |" "$work/out" >"$work/lines"
    [ -s "$work/lines" ] && ! grep -v '| met |$' "$work/lines" && ok "$1" || fail "$1" "$(cat "$work/lines")"
}
# covers: CP-28 (B)
met "the checks of a call cost at most a tenth of the rest" CP-28
# covers: IP-27 (B)
met "a message costs the less the more go at once" IP-27
# covers: VM-04 (B)
met "a shootdown is below its ceiling and its goal" VM-04
# covers: HP-10 (B)
met "taking and giving an object cost the same among any number" HP-10

# below NAME ROW [WHAT]: there are lines of a requirement, and no maximum is above its ceiling
below() {
    grep "^| $2 |.*${3-}" "$work/out" >"$work/lines"
    [ -s "$work/lines" ] && ! grep 'CEILING MISSED' "$work/lines" && ok "$1" || fail "$1" "$(cat "$work/lines")"
}
# covers: MM-17 (B)
below "a frame costs at most its ceiling, also when 32 come from the zone" MM-17
# covers: HP-19 (B)
below "an object of the heap costs at most its ceiling" HP-19
# covers: SC-07 (B)
below "choosing among up to 1,000 costs at most its ceiling" SC-07
# covers: SC-08 (B), SC-10 (B)
below "a switch with its yield costs at most its ceiling" SC-08
# covers: PS-16 (B)
below "a process is born below the ceiling" PS-16
# covers: IP-11 (B)
below "a message is on its way at most as long as its ceiling" IP-11 "one way"
# covers: IP-12 (B)
below "64 KiB change hands below the ceiling" IP-12 "region that is mapped"
below "4 KiB are mapped and handed over below the ceiling" IP-12 " 4 KiB"
# covers: IP-23 (B)
met "100,000 messages a second pass on one CPU" "IP-23 .* at least 100,000"
# covers: CP-05 (B)
met "a check costs the same among any number of capabilities" "CP-05 .*spread"

# a golden figure that is 3 % too good is noticed
cp tests/e2e/bench_kernel.json "$work/golden.json"
python3 - "$work/golden.json" <<'PY'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    golden = json.load(file)
golden["region-64k-mapped"]["1"] = int(golden["region-64k-mapped"]["1"] / 1.03)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(golden, file)
PY
expect_status "what has become slower is told" 1 scripts/bench-kernel --cpus 1 --only regions \
    --golden "$work/golden.json"
grep -q '^WORSE region-64k-mapped on 1 CPUs: p50 ' "$work/out" && ok "by its name" || fail "by its name" "$(cat "$work/out")"

samples() {
    "$orrery" run scenarios/bench-kernel.lua --cpus 2 --set only=regions --set rounds=1 | grep '^samples '
}
expect_same "a second run counts the same cycles" "$(samples)" "$(samples)"

finish
