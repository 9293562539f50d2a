#!/usr/bin/env bash
# A disk as a service of a program that drives it, and dimensions from it: disktest on several machines and on QEMU's microvm,
# damaged and missing disks, a device that does not keep to the rules.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

# An archive of fourteen dimensions of each form, then 64 sectors of words that count.
make_dimensions
sh os/tools/mkcpio.sh build/os/programs -- "$work"/dim*.odim "$work"/dim*.txt >"$work/archive"
make_disk "$work/counted" 0

# disk NAME ARCHIVE: whole sectors
disk() {
    cp "$2" "$work/$1"
    truncate -s %512 "$work/$1"
}

# wound NAME OFFSET: one byte of a disk is another
wound() {
    printf 'X' | dd of="$work/$1" bs=1 seek="$2" conv=notrunc status=none
}

# place NAME: where a file's data begins in the archive
place() {
    python3 -c '
import sys
data, at = open(sys.argv[1], "rb").read(), 0
while data[at + 110:data.index(b"\0", at + 110)].decode() != sys.argv[2]:
    name, size = int(data[at + 94:at + 102], 16), int(data[at + 54:at + 62], 16)
    at = ((at + 110 + name + 3) // 4 * 4 + size + 3) // 4 * 4
print((at + 110 + len(sys.argv[2]) + 1 + 3) // 4 * 4)' "$work/archive" "$1"
}

disk good "$work/archive"
cat "$work/counted" >>"$work/good"
sh os/tools/mkcpio.sh build/os/programs -- "$work/dim05.txt" "$work/dim11.odim" >"$work/two"
disk some "$work/two"
disk header "$work/archive"
wound header "$(($(place dim02.odim) - 122))"
disk payload "$work/archive"
wound payload "$(($(place dim09.odim) + 4100))"
head -c $(($(stat -c %s "$work/archive") / 2)) "$work/archive" >"$work/half"
disk cut "$work/half"
head -c $(($(stat -c %s "$work/archive") - 124)) "$work/archive" >"$work/endless"
truncate -s +1024 "$work/endless"
disk trailer "$work/endless"
truncate -s 64K "$work/zeros"
head -c 512 "$work/archive" >"$work/sector"

window=virtio_mmio.device=512@0xfeb00000:16
for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso" "--cpus 4 --board microvm"; do
    # shellcheck disable=SC2086
    expect_status "a disk is a service $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --max-cycles 100000000000 \
        --disk "$work/good" $machine --append "$window -- disktest"
    ended_well disktest "$machine"
done
# QEMU fills its windows from the last one; the entropy source takes the one before it
windows=
for slot in 0 1 2 3 4 5 6 7; do windows="$windows virtio_mmio.device=512@$(printf '0x%x' $((0xfeb00000 + 512 * slot))):$((16 + slot))"; done
expect_status "a disk is a service in QEMU microvm" 33 scripts/qemu-run -t 200 -M microvm -c 4 -D "$work/good" -a "$windows -- disktest"
ended_well disktest "in QEMU microvm"

rest=$(nm build/os/programs/virtblk | awk '$3 ~ /^comes_to_rest/ {print "0x" $1}')
for machine in "--cpus 1" "--cpus 4" "--cpus 4 --board microvm"; do
    # shellcheck disable=SC2086
    expect_status "bad disks hurt nobody $machine" 0 "$orrery" run tests/e2e/kernel_disk.lua $machine --set folder="$work" --set rest="$rest"
done

hash_of() {
    "$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 4 --max-cycles 100000000000 --disk "$work/good" --serial none --hash \
        --append "$window -- disktest" </dev/null 2>/dev/null | grep '^state-hash'
}
expect_same "two runs with a disk have one hash" "$(hash_of)" "$(hash_of)"

finish
