#!/usr/bin/env bash
# Recordings: what boot and run write, replay finds again; what is not the recorded thing is refused or told.
source "$(dirname "$0")/lib.sh"

boot=("$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 4 --serial none --append '-- forkstorm --processes 20 --depth 2')
value() { sed -n "s/^$1: //p" "$work/out"; }

for engine in "--engine fast" "--engine timed" "--machine zen4-like" "--machine zen4-like --order lookahead" "--board microvm --memory-model tso"; do
    # shellcheck disable=SC2086
    expect_status "recorded: $engine" 33 "${boot[@]}" $engine --hash --record "$work/a.orec"
    hash=$(value state-hash)
    cycles=$(value cycles)
    expect_status "replayed: $engine" 0 "$orrery" replay "$work/a.orec" --hash
    expect_same "the same digest: $engine" "$hash" "$(value state-hash)"
    expect_same "as it ended: $engine" "debug-exit 16" "$(value stopped)"
    # shellcheck disable=SC2086
    expect_status "half of it without a recording: $engine" 4 "${boot[@]}" $engine --hash --max-cycles $((cycles / 2))
    half=$(value state-hash)
    expect_status "half of it: $engine" 0 "$orrery" replay "$work/a.orec" --hash --until $((cycles / 2))
    expect_same "the digest of the half: $engine" "$half" "$(value state-hash)"
done
[ "$(stat -c %s "$work/a.orec")" -lt 8192 ] && ok "it is smaller than 8 KB" || fail "it is smaller than 8 KB" "$(stat -c %s "$work/a.orec")"
expect_status "its console comes again" 0 "$orrery" replay "$work/a.orec" --serial "$work/console"
grep -q 'forkstorm: passed' "$work/console" && ok "all of it" || fail "all of it"

# Scenarios: the front end drives the guest, the replay needs nothing of it
cat >"$work/two.lua" <<'LUA'
it("drives two machines", function()
    local m, n = orrery.machine { kernel = "orrery", cpus = 2 }, orrery.machine { kernel = "orrery", engine = "fast" }
    m:boot()
    expect(m:command("selftest"):wait().status):to_be(0)
    n:boot()
    m:stall(1, m:count("instructions", 1) + 1000, 5000)
    expect(m:command("forkstorm --processes 4"):wait().status):to_be(0)
end)
LUA
expect_status "a scenario is recorded" 0 "$orrery" run "$work/two.lua" --hash --record "$work/s.orec"
hash=$(value state-hash)
expect_status "its first machine" 0 "$orrery" replay "$work/s.orec"
grep -qE '^replayed: ([3-9]|[1-9][0-9]+) effects, ' "$work/out" && ok "with its effects" || fail "with its effects" "$(cat "$work/out")"
expect_status "its second machine" 0 "$orrery" replay "$work/s-2.orec" --hash
expect_same "the digest of the one made last" "$hash" "$(value state-hash)"

# One file is all there is to send
cp "$kernel" "$work/kernel.elf"
head -c 65536 /dev/zero >"$work/disk"
small=("$orrery" boot --kernel "$work/kernel.elf" --initrd "$initrd" --disk "$work/disk" --serial none --append '-- selftest')
expect_status "recorded with its images" 33 "${small[@]}" --hash --record "$work/whole.orec" --embed
hash=$(value state-hash)
expect_status "and without" 33 "${small[@]}" --record "$work/thin.orec"
mkdir "$work/elsewhere"
mv "$work/kernel.elf" "$work/disk" "$work/elsewhere"
cd "$work/elsewhere" || exit 1
expect_status "replayed where there is no kernel" 0 "$orrery" replay "$work/whole.orec" --hash
expect_same "with the same digest" "$hash" "$(value state-hash)"
expect_status "the other one says what is gone" 2 "$orrery" replay "$work/thin.orec"
expect_status "and takes files that have moved" 0 "$orrery" replay "$work/thin.orec" --kernel kernel.elf --disk disk --hash
expect_same "with the same digest, too" "$hash" "$(value state-hash)"
printf x >>kernel.elf
expect_status "another kernel is refused" 2 "$orrery" replay "$work/thin.orec" --kernel kernel.elf --disk disk
grep -q 'not the file that was recorded' "$work/err" && ok "by that name" || fail "by that name" "$(cat "$work/err")"
cd - >/dev/null || exit 1

# Bad files: one line, status 2
refused() {
    expect_status "$1" 2 "$orrery" replay "$2"
    expect_same "$1: one line" 1 "$(wc -l <"$work/err")"
}
head -c 100 "$work/a.orec" >"$work/bad"
refused "a file that ends too early" "$work/bad"
cp "$work/a.orec" "$work/bad"
printf '\xff' | dd of="$work/bad" bs=1 seek=60 conv=notrunc status=none
refused "a damaged file" "$work/bad"
refused "a file that is none" "$kernel"
refused "no file" "$work/nonexistent"
refused "a folder" "$work"
refused "an empty file" /dev/null
python3 - "$work/a.orec" "$work/bad" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[12] += 1
open(sys.argv[2], "wb").write(data)
PY
refused "a version that was forged" "$work/bad"
expect_status "no recording named" 2 "$orrery" replay
expect_status "two of them" 2 "$orrery" replay "$work/a.orec" "$work/a.orec"
expect_status "images without a recording" 2 "${boot[@]}" --embed
expect_status "a recording that cannot be written" 2 "${boot[@]}" --record "$work/no/such/folder"
expect_status "nor over what is read" 2 "${boot[@]}" --record "$initrd"

# Ctrl-C ends a recording, and what was typed until then is in it
long=("$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 --append '-- forkstorm --processes 10000' --hash --record "$work/c.orec")
python3 - "${long[@]}" >"$work/out" <<'PY'
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
typed = False
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    if b"init: ready" in seen and not typed:
        typed = True
        os.write(terminal, b"keys\n")
        time.sleep(1)
        os.write(terminal, b"\x03")
print(seen.decode(errors="replace").replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
expect_same "Ctrl-C ends it" 4 $?
hash=$(value state-hash)
expect_same "it says so" interrupted "$(value stopped)"
expect_status "what was recorded until then" 0 "$orrery" replay "$work/c.orec" --hash
expect_same "has the same digest" "$hash" "$(value state-hash)"
grep -q '^replayed: [1-9][0-9]* effects' "$work/out" && ok "keys are effects" || fail "keys are effects" "$(cat "$work/out")"
cat >"$work/long.lua" <<'LUA'
it("takes long", function()
    local m = orrery.machine { kernel = "orrery", cpus = 2, engine = "fast" }
    m:boot()
    m:command("forkstorm --processes 10000"):wait()
end)
LUA
"$orrery" run "$work/long.lua" --hash --record "$work/l.orec" >"$work/out" 2>"$work/err" &
sleep 2
kill -INT $!
wait $!
expect_same "Ctrl-C ends a scenario that is recorded" 1 $?
hash=$(value state-hash)
expect_status "what was recorded of it" 0 "$orrery" replay "$work/l.orec" --hash
expect_same "has the same digest as well" "$hash" "$(value state-hash)"
finish
