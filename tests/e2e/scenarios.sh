#!/usr/bin/env bash
# The scenarios: verdicts, failures, crashes.
source "$(dirname "$0")/lib.sh"

for cpus in 1 2 4 8; do
    expect_status "the fork storm passes on $cpus cpus" 0 "$orrery" run scenarios/fork-storm.lua --cpus $cpus
done

expect_status "every fault that is injected is survived" 0 "$orrery" run scenarios/fault-injection.lua

cat >"$work/fails.lua" <<'LUA'
local m = orrery.machine { cpus = 1, kernel = "orrery" }
it("fails", function() m:boot() expect(m.kernel.frames.free, "free frames"):to_be(1) end)
LUA
cp -r scenarios "$work/scenarios"
mkdir -p "$work/build"
ln -s "$PWD/build/os" "$work/build/os"
mv "$work/fails.lua" "$work/scenarios/fails.lua"
expect_status "a failed expectation ends with 1" 1 "$orrery" run "$work/scenarios/fails.lua"
for wanted in 'FAIL' 'free frames: expected 1, got' 'fails.lua:2' 'again: orrery run'; do
    grep -q "$wanted" "$work/out" && ok "the failure says '$wanted'" || fail "the failure says '$wanted'" "$(cat "$work/out")"
done

cat >"$work/scenarios/panics.lua" <<'LUA'
local m = orrery.machine { cpus = 2, kernel = "orrery" }
it("panics", function()
    m:boot()
    m:set_register(0, "rip", assert(m:symbol("panic")))
    m:ask("ping")
end)
LUA
expect_status "a panic ends with 3" 3 "$orrery" run "$work/scenarios/panics.lua"
grep -q 'the kernel panicked' "$work/err" && grep -q '#0 ' "$work/err" && ok "a panic shows a back-trace" ||
    fail "a panic shows a back-trace" "$(cat "$work/err")"

cat >"$work/scenarios/error.lua" <<'LUA'
error("scenario is wrong")
LUA
expect_status "an error outside a test ends with 1" 1 "$orrery" run "$work/scenarios/error.lua"

# What stock Lua leaves to chance: hash seeds and addresses, by them the sizes of tables, and the moments of the collector.
chance() {
    "$@" | head -1
}
for _ in $(seq 20); do
    chance "$orrery" run tests/e2e/chance.lua
done | sort -u >"$work/chances"
expect_same "a scenario has one result in 20 processes" "1" "$(wc -l <"$work/chances")"
expect_same "and without ASLR" "$(cat "$work/chances")" "$(chance setarch -R "$orrery" run tests/e2e/chance.lua)"
expect_same "and from another directory" "$(cat "$work/chances")" \
    "$(here=$PWD && cd / && chance env -i "$orrery" run "$here/tests/e2e/chance.lua")"

finish
