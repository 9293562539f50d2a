#!/usr/bin/env bash
# Disks and the entropy source, from the command line and from Lua: a bare-metal driver prints the same in Orrery, on both
# boards and with every engine, and on QEMU's board microvm; the file stays as it is; two runs have one hash, and another file,
# another seed or no disk another.
source "$(dirname "$0")/lib.sh"

make_shared -s guest-virtio >"$work/make" 2>&1 || fail "the guest builds" "$(tail -5 "$work/make")"
guest=$PWD/build/guest/virtio.elf
limit=4000000000

# hash_of OPTION...: the state hash of the driver's run
hash_of() {
    "$orrery" boot --kernel "$guest" --max-cycles $limit --serial none --hash "$@" </dev/null 2>/dev/null | grep '^state-hash'
}

make_disk "$work/disk" 0
make_disk "$work/other" 7
cp "$work/disk" "$work/before"

for options in "" "--board microvm" "--blocks single" "--engine timed" "--engine timed --board microvm --memory-model sc"; do
    # shellcheck disable=SC2086
    expect_status "the driver of disk and entropy in Orrery $options" 33 "$orrery" boot --kernel "$guest" --max-cycles $limit \
        --disk "$work/disk" --entropy on $options
    cp "$work/out" "$work/orrery"
    grep FAIL "$work/out"
done
grep -v '^stopped' "$work/orrery" >"$work/lines"
checks=$(grep -c '^ok' "$work/lines")
[ "$checks" -gt 50 ] && ok "it makes more than 50 checks" || fail "it makes more than 50 checks" "$checks"
expect_status "the driver in QEMU microvm" 33 scripts/qemu-run -M microvm -m 128 -k "$guest" -i none -D "$work/disk"
tr -d '\r' <"$work/out" >"$work/qemu"
cmp -s "$work/lines" "$work/qemu" && ok "which prints the same" || fail "which prints the same" "$(diff "$work/lines" "$work/qemu")"
cmp -s "$work/disk" "$work/before" && ok "the file is as it was" || fail "the file is as it was"
chmod 400 "$work/disk"
expect_status "a file that cannot be written is a disk" 33 "$orrery" boot --kernel "$guest" --disk "$work/disk" --entropy on

one=$(hash_of --disk "$work/disk" --entropy on)
expect_same "two runs have one hash" "$one" "$(cd / && hash_of --disk "$work/disk" --entropy on)"
cp "$work/disk" "$work/copy"
expect_same "a copy of the file is the same disk" "$one" "$(hash_of --disk "$work/copy" --entropy on)"
expect_same "single steps have the same hash" "$one" "$(hash_of --disk "$work/disk" --entropy on --blocks single)"
for options in "--disk $work/other --entropy on" "--disk $work/disk --entropy on --seed 2" "--disk $work/disk" "--entropy on" \
    "--disk $work/disk --disk $work/other --entropy on"; do
    # shellcheck disable=SC2086
    other=$(hash_of $options)
    [ -n "$other" ] && [ "$other" != "$one" ] && ok "another hash: ${options//$work\//}" || fail "another hash: $options" "$other"
done

expect_one_line "a disk that is not there" 2 "$orrery" boot --kernel "$guest" --disk "$work/none"
grep -q "^orrery: $work/none: " "$work/err" && ok "and its name is told" || fail "and its name is told" "$(cat "$work/err")"
head -c 1000 "$work/disk" >"$work/odd"
expect_one_line "a disk of an odd size" 2 "$orrery" boot --kernel "$guest" --disk "$work/odd"
: >"$work/empty"
expect_one_line "a disk of nothing" 2 "$orrery" boot --kernel "$guest" --disk "$work/empty"
expect_one_line "a disk that is a directory" 2 "$orrery" boot --kernel "$guest" --disk "$work"
truncate -s 1025M "$work/large"
expect_one_line "a disk that is too large" 2 "$orrery" boot --kernel "$guest" --disk "$work/large"
expect_one_line "a console that would replace a disk" 2 "$orrery" boot --kernel "$guest" --disk "$work/copy" --serial "$work/../${work##*/}/copy"
cmp -s "$work/copy" "$work/before" && ok "which stays as it is" || fail "which stays as it is"
expect_one_line "a fourth disk" 2 "$orrery" boot --kernel "$guest" --disk a --disk b --disk c --disk d
expect_one_line "entropy that is neither on nor off" 2 "$orrery" boot --kernel "$guest" --entropy some

# The same from a scenario: names beside it, a sequence, the command line wins; and what the guest has left on the disk.
cat >"$work/disk.lua" <<LUA
local m = orrery.machine { kernel = "$guest", disk = orrery.args.list and { "disk", "other" } or "disk", entropy = "on" }
m:run_until($limit)
print(m:console(0):match("FAIL[^\n]*") or "no failure", m:state_hash())
LUA
scenario() {
    "$orrery" run "$work/disk.lua" --engine fast "$@" </dev/null 2>&1 | head -1
}
hash=${one#state-hash: }
expect_same "a scenario's disk lies beside it" "$(scenario)" "no failure	$hash"
two=$(hash_of --disk "$work/disk" --disk "$work/other" --entropy on)
expect_same "a scenario may have several" "$(scenario --set list=1)" "no failure	${two#state-hash: }"
expect_same "the command line wins" "$(scenario --set list=1 --disk "$work/copy")" "no failure	$hash"
cat >>"$work/disk.lua" <<'LUA'
local words = {string.unpack("<I4I4I4", m:read_disk(0, 10 * 512, 12))}
print(words[1], words[3], m:read_disk(0, 11 * 512, 512) == ("\0"):rep(512), #m:read_disk(0, 0, 64 * 512))
print(m:read_disk(0, 64 * 512, 1), m:read_disk(1, 0, 1), select(2, m:read_disk(0, 64 * 512 - 1, 2)))
LUA
expect_same "a scenario sees what the guest has written" "$("$orrery" run "$work/disk.lua" --engine fast </dev/null 2>&1 | sed -n 2,3p)" \
    "2882338816	2882338818	true	32768
nil	nil	not on a disk"
for value in 5 true '{ 5 }' '{ a = "disk" }' '"none"' '{ "disk", "disk", "disk", "disk" }' '{ "disk", "odd" }'; do
    echo "orrery.machine { kernel = '$guest', disk = $value }" >"$work/bad.lua"
    expect_one_line "a scenario's disk is not $value" 2 "$orrery" run "$work/bad.lua"
done

finish
