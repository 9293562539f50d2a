#!/usr/bin/env bash
# One hash: over runs, compilers, optimisation levels, sanitisers, ASLR, directories, environments, load.
source "$(dirname "$0")/lib.sh"

storm() {
    "$1" run "$PWD/scenarios/fork-storm.lua" --cpus 4 --set processes=1000 --hash 2>&1 | grep '^state-hash:'
}

# A driver of a disk and of the entropy source.
make_shared -s guest-virtio >"$work/make" 2>&1 || fail "the guest builds" "$(tail -5 "$work/make")"
make_disk "$work/disk" 0
virtio() {
    "$1" boot --kernel build/guest/virtio.elf --disk "$work/disk" --entropy on --serial none --max-cycles 4000000000 --hash 2>&1 |
        grep '^state-hash:'
}

# The kernel and its tests on a reference machine, with one, four and eight vCPUs.
timed() {
    for cpus in 1 4 8; do
        "$1" boot --kernel build/os/orrery-test.elf --machine zen4-like --cpus $cpus --serial none --max-cycles 9000000 --hash 2>/dev/null |
            grep '^state-hash:'
    done
}

golden=$(storm "$orrery")
golden_timed=$(timed "$orrery")
golden_virtio=$(virtio "$orrery")
case $golden in
state-hash:*) ok "the fork storm has a hash" ;;
*) fail "the fork storm has a hash" "$golden" ;;
esac

expect_same "three hashes of a reference machine" 3 "$(sort -u <<<"$golden_timed" | grep -c state-hash)"
expect_same "they are the same again" "$golden_timed" "$(timed "$orrery")"
different=0
for _ in $(seq 19); do
    [ "$(storm "$orrery")" = "$golden" ] || different=$((different + 1))
done
expect_same "20 runs give one hash" "0 different" "$different different"

if aslr_goes_off; then
    expect_same "without ASLR" "$golden" "$(setarch -R "$orrery" run scenarios/fork-storm.lua --cpus 4 --set processes=1000 --hash | grep '^state-hash:')"
fi
for machine in "--cpus 4" "--cpus 1" "--cpus 1 --memory-model tso"; do
    backend() {
        # shellcheck disable=SC2086
        "$orrery" run scenarios/fork-storm.lua $machine --set processes=500 --backend "$1" --hash | grep '^state-hash:'
    }
    expect_same "by handlers and in machine code, $machine" "$(backend interpreter)" "$(backend translator)"
done
expect_same "in another directory" "$golden" "$(here=$PWD && cd / && "$orrery" run "$here/scenarios/fork-storm.lua" --cpus 4 --set processes=1000 --hash | grep '^state-hash:')"
expect_same "with another environment" "$golden" "$(env -i LC_ALL=C.UTF-8 TZ=Asia/Tokyo MALLOC_PERTURB_=165 HOME=/nowhere "$orrery" run scenarios/fork-storm.lua --cpus 4 --set processes=1000 --hash | grep '^state-hash:')"

for _ in 1 2 3 4; do
    (timeout 60 sh -c 'while :; do :; done') &
done
expect_same "under load" "$golden" "$(storm "$orrery")"
kill %1 %2 %3 %4 2>/dev/null
wait 2>/dev/null

other=$("$orrery" run scenarios/fork-storm.lua --cpus 4 --set processes=1000 --seed 2 --hash | grep '^state-hash:')
[ -n "$other" ] && [ "$other" != "$golden" ] && ok "another seed gives another hash" ||
    fail "another seed gives another hash" "$other"

# simulators built in other ways, the same guest images
build() {
    name=$1
    shift
    make -j2 BUILD="$work/$name" "$@" sim >"$work/$name.log" 2>&1 || tail -5 "$work/$name.log"
}
# same_hashes NAME BINARY
same_hashes() {
    expect_same "$1" "$golden" "$(storm "$2")"
    expect_same "$1, with a disk" "$golden_virtio" "$(virtio "$2")"
    expect_same "$1, on a reference machine" "$golden_timed" "$(timed "$2")"
}
build clang CC=clang
same_hashes "built by clang" "$work/clang/rel/orrery"
build O0 MODE=dbg
same_hashes "built at -O0" "$work/O0/dbg/orrery"
build O3 OPT=-O3
same_hashes "built at -O3" "$work/O3/rel/orrery"
make_shared -j2 MODE=asan sim >"$work/asan.log" 2>&1 || tail -5 "$work/asan.log"
same_hashes "built with ASan and UBSan" "$PWD/build/asan/orrery"


# TLBs of one to four entries: a guest that invalidates correctly must not notice
build tiny MODE=tiny
for engine in fast timed; do
    arch() {
        "$1" run tests/e2e/arch_hash.lua --cpus 2 --engine $engine | grep '^arch'
    }
    expect_same "the architectural state is the same with tiny TLBs, $engine" "$(arch "$orrery")" "$(arch "$work/tiny/tiny/orrery")"
done

finish
