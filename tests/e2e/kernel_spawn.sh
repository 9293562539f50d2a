#!/usr/bin/env bash
# Programs made without fork, programs that mean harm, and load that comes back.
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso"; do
    # shellcheck disable=SC2086
    run_program "children are made of a program and capabilities $machine" spawntest -- $machine
done

# what a process is, from fork to its end
for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso"; do
    # shellcheck disable=SC2086
    run_program "processes keep their promises $machine" proctest -- $machine
done
# covers: CP-23
expect_status "the first process holds the boot set" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --append 'init=proctest'
# covers: PS-18
run_program "10,000 children leave nothing" proctest --many 10000 -- --cpus 1

# Damaged copies of a program, each with the status that refuses it.
mkdir "$work/images"
cp build/os/programs/{init,nameserver,proctest}.stripped "$work/images/"
refused=$(python3 - "$work/images" <<'END'
import struct, sys
folder = sys.argv[1]
good = open(folder + "/init.stripped", "rb").read()
table, count = struct.unpack_from("<Q", good, 32)[0], struct.unpack_from("<H", good, 56)[0]
loads = [table + 56 * i for i in range(count) if struct.unpack_from("<I", good, table + 56 * i)[0] == 1]
first, last = loads[0], loads[-1]
BAD, UNSUPPORTED, WRITE_EXECUTE = 97, 6, 50
wounds = [("magic", BAD, [("B", 1, 0x46)]), ("of-32-bits", BAD, [("B", 4, 1)]), ("big-endian", BAD, [("B", 5, 2)]),
    ("an-object", UNSUPPORTED, [("H", 16, 1)]), ("of-a-library", UNSUPPORTED, [("H", 16, 3)]), ("of-an-arm", UNSUPPORTED, [("H", 18, 183)]),
    ("entry-at-0", BAD, [("Q", 24, 0)]), ("entry-in-kernel", BAD, [("Q", 24, 0xffffffff80100000)]),
    ("entry-in-data", BAD, [("Q", 24, struct.unpack_from("<Q", good, last + 16)[0])]),
    ("table-outside", BAD, [("Q", 32, len(good) - 8)]), ("table-far", BAD, [("Q", 32, 2**64 - 56)]), ("no-segments", BAD, [("H", 56, 0)]),
    ("many-segments", BAD, [("H", 56, 65535)]), ("header-size", BAD, [("H", 54, 32)]),
    ("segment-outside", BAD, [("Q", first + 8, len(good))]), ("offset-far", BAD, [("Q", first + 8, 2**64 - 1)]),
    ("more-than-memory", BAD, [("Q", first + 32, 2**63)]), ("in-the-kernel", BAD, [("Q", first + 16, 0xffffffff80000000)]),
    ("at-the-end", BAD, [("Q", last + 40, 2**47)]), ("at-0", BAD, [("Q", first + 16, 0)]),
    ("overlap", BAD, [("Q", last + 16, struct.unpack_from("<Q", good, first + 16)[0])]),
    ("write-execute", WRITE_EXECUTE, [("I", first + 4, 7)]), ("interpreter", UNSUPPORTED, [("I", first, 3)])]
files = {name: (status, wound) for name, status, wound in wounds}
for name, (status, wound) in files.items():
    image = bytearray(good)
    for kind, at, value in wound:
        struct.pack_into("<" + kind, image, at, value)
    open(f"{folder}/{name}.stripped", "wb").write(image)
for bytes_left in (0, 1, 63, 64, 119, 4096):
    open(f"{folder}/cut-at-{bytes_left}.stripped", "wb").write(good[:bytes_left])
    files[f"cut-at-{bytes_left}"] = BAD, None
open(folder + "/text.stripped", "w").write("#!/bin/sh\n" * 20)
files["text"] = BAD, None
print(*(f"{name} {status}" for name, (status, _) in files.items()))
END
)
read -ra words <<<"$refused"
names=()
for ((i = 0; i < ${#words[@]}; i += 2)); do names+=("${words[i]}"); done
sh os/tools/mkcpio.sh "$work/images" init nameserver proctest "${names[@]}" >"$work/images.cpio"
for ((i = 0; i < ${#words[@]}; i += 20)); do # a program gets so many words, init a line so long
    # covers: PS-09
    expect_status "images that are none are refused, the old one goes on: ${words[*]:i:20}" 33 "$orrery" boot --kernel "$kernel" \
        --initrd "$work/images.cpio" --append "-- proctest --refuses ${words[*]:i:20}"
done

# In full: scripts/soak hostile SEED, a million calls.
for run in "1 20000 1" "4 20000 2"; do
    read -r cpus calls seed <<<"$run"
    # covers: ER-11
    run_program "random system calls do no harm: cpus, calls, seed $run" hostile "$calls" "$seed" -- --cpus "$cpus"
done
for run in "1 8000 3" "4 8000 4"; do
    read -r cpus calls seed <<<"$run"
    # covers: ER-11
    run_program "random system calls of who has hardware do no harm: cpus, calls, seed $run" hostile --hardware "$calls" "$seed" \
        -- --cpus "$cpus"
done

expect_status "what load takes comes back" 0 "$orrery" run scenarios/load-returns.lua

finish
