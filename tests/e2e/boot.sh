#!/usr/bin/env bash
# The kernel boots on every machine the boards offer; how it ends is told by the exit status.
source "$(dirname "$0")/lib.sh"

storm='-- forkstorm --processes 64 --depth 3'
boot=("$orrery" boot --kernel "$kernel" --initrd "$initrd")

for machine in "--cpus 1" "--cpus 2 --memory 64M" "--cpus 4 --board microvm" "--cpus 8 --numa 2 --memory 1G" \
    "--cpus 3 --cpu tcg72" "--cpus 2 --engine timed" "--cpus 2 --memory-model tso" "--cpus 16 --memory 8G --numa 4"; do
    # shellcheck disable=SC2086
    expect_status "boots and storms: $machine" 33 "${boot[@]}" $machine --append "$storm"
done
expect_status "64 cpus come up" 33 "${boot[@]}" --cpus 64 --memory 1G --append "$storm"
expect_status "64 GiB of RAM" 33 "${boot[@]}" --cpus 1 --memory 64G --append "$storm"
expect_status "an idle guest that nothing can wake ends with 3" 3 "${boot[@]}"
expect_status "a cycle limit ends with 4" 4 "${boot[@]}" --max-cycles 1000
tail -1 "$work/out" | grep -qx 'stopped: cycle limit' && ok "the last line says so" || fail "the last line says so" "$(tail -1 "$work/out")"

# a panic: no init in the image
expect_status "a kernel without an initrd panics through the debug exit" 35 "$orrery" boot --kernel "$kernel"
if grep -q 'panic: .*init' "$work/out" && grep -q 'main_start+0x' "$work/out"; then
    ok "the panic has a symbolised back-trace"
else
    fail "the panic has a symbolised back-trace" "$(tail -5 "$work/out")"
fi
if grep -q '^  rip ' "$work/err" && grep -q '#1  .* (os/' "$work/err" && grep -q "^again: $orrery boot" "$work/err"; then
    ok "the simulator adds registers, back-trace and the command"
else
    fail "the simulator adds registers, back-trace and the command" "$(tail -5 "$work/err")"
fi

# the console in a file
"${boot[@]}" --cpus 1 --serial "$work/console" --append "$storm" >/dev/null 2>&1
grep -q 'Orrery kernel' "$work/console" && ok "the console goes to a file" || fail "the console goes to a file"

# resident memory: what the guest touched and 64 MiB
"${boot[@]}" --cpus 4 --memory 1G --stats --append "$storm" >"$work/out" 2>&1 &
pid=$!
peak=0
while kill -0 $pid 2>/dev/null; do
    now=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null)
    [ "${now:-0}" -gt $peak ] && peak=$now
    sleep 0.02
done
touched=$(awk '/memory-touched-bytes/ {print int($2 / 1024)}' "$work/out")
if [ -n "$touched" ] && [ $peak -gt 0 ] && [ $peak -lt $((touched + 65536)) ]; then
    ok "resident memory stays below touched memory and 64 MiB"
else
    fail "resident memory stays below touched memory and 64 MiB" "peak $peak KiB, touched $touched KiB"
fi

finish
