#!/usr/bin/env python3
"""Cuts basic blocks out of what this tree builds and writes tests/fidelity/blocks.txt, the list of tier 3.
  make fidelity-corpus && scripts/fidelity/cut.py
Takes straight pieces without their last jump, with what a task may do only; what stands at an address of its own is moved
to the page that blocks have (tests/fidelity/fidelity.h). Which are taken is decided by a digest of their bytes alone; given
up are those that fault, or touch more pages than BLOCK_FAULTS, on this host or in Orrery.
"""
import collections
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from fidelity import runs  # noqa: E402

LIST = "tests/fidelity/blocks.txt"
OUT = "build/fidelity"
BLOCK_PAGE = 0x12345000
SHORTEST, LONGEST, MOST_BYTES = 3, 60, 240
SHARES = collections.OrderedDict(kernel=900, programs=400, simulator=700, corpus=600)
SPARE = 3  # candidates for one that is kept

LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(.*))?$")
JUMP = re.compile(r"^(?:bnd |notrack )?(?:j\w+|call\w*|ret\w*|loop\w*|iret\w*|sys\w+|int\w*|ud\d|hlt)\b")
TARGET = re.compile(r"^(?:bnd )?(?:j\w+|call\w*|loop\w*)\s+([0-9a-f]+)\b")
REFUSED = re.compile(
    r"^(?:rep\w* |lock )?(?:rep\w*|f\w+|v\w+|in[bwl]?|out[bwl]?|ins\w|outs\w|movs[bwlq]|stos[bwlq]|lods[bwlq]|scas[bwlq]|"
    r"cmps[bwlq]|cli|sti|cld|std|l[gi]dt|s[gi]dt|l[lt]\w+r|ltr|str|sldt|[ls]msw|swapgs|wr\w+|rd\w+|invl\w+|invp\w+|wbinvd|"
    r"cpuid|x\w*sav\w*|xrstor\w*|xgetbv|xsetbv|clac|stac|clts|popf\w*|pushf\w*|pause|monitor|mwait|prefetch\w*|"
    r"clflush\w*|clwb|[lms]fence|emms|ldmxcsr|stmxcsr|enter|leave|lret|"
    r"data16|addr32|movnt\w*|maskmov\w*|\(bad\)|\.byte|lar|lsl|ver[rw]|umonitor|serialize|endbr\w*)\b")
NOT_OURS = re.compile(r"%[fg]s:|%[cd]r\d|%mm\d|%st|%[c-gs]s\b|%[yz]mm")


def sources():
    yield "kernel", "build/os/orrery.elf"
    for path in sorted(glob.glob("build/os/programs/*")):
        if os.path.isfile(path) and not path.endswith(".stripped"):
            yield "programs", path
    yield "simulator", "build/rel/orrery"
    yield "corpus", f"{OUT}/corpus-O2.o"
    yield "corpus", f"{OUT}/corpus-O3.o"


def instructions(path):
    """(address, bytes, text, symbol) of the whole file."""
    run = subprocess.run(["objdump", "-d", "-w", path], capture_output=True, text=True, check=False)
    symbol = "?"
    for line in run.stdout.split("\n"):
        found = LINE.match(line)
        if found:
            yield int(found.group(1), 16), bytes.fromhex(found.group(2)), (found.group(3) or "").strip(), symbol
        elif line.endswith(">:"):
            symbol = line.split("<")[1][:-2]


def absolute(code, text):
    """An operand that is relative to the instruction, as an address in the page of blocks with the same offset."""
    if "(%rip)" not in text:
        return code
    at = 0
    while code[at] in (0x66, 0xf2, 0xf3, 0x2e, 0x3e, 0x36, 0x26) or code[at] & 0xf0 == 0x40:
        at += 1
    if code[at] == 0x0f:
        at += 2 if code[at + 1] in (0x38, 0x3a) else 1
    at += 1
    if code[at] & 0xc7 != 5:
        return None
    found = re.search(r"#\s*(?:0x)?([0-9a-f]+)", text)
    place = BLOCK_PAGE + (int(found.group(1), 16) & 0xff8 if found else 0x100)
    return code[:at] + bytes([code[at] & 0x38 | 4, 0x25]) + place.to_bytes(4, "little") + code[at + 5:]


def blocks_of(path):
    """(bytes, instructions, symbol) of each straight piece of a file."""
    listed = list(instructions(path))
    starts = {int(found.group(1), 16) for _, _, text, _ in listed if (found := TARGET.match(text))}
    piece, count, first, good = b"", 0, "?", True
    for address, code, text, symbol in listed:
        if address in starts or JUMP.match(text) or symbol != first:
            if good and count:
                yield piece, count, first
            piece, count, first, good = b"", 0, symbol, True
        if JUMP.match(text):
            continue
        if re.match(r"^(?:nop|xchg +%ax,%ax|cs nopw|data16)", text):
            continue
        code = None if REFUSED.match(text) or NOT_OURS.search(text) else absolute(code, text)
        good = good and code is not None
        if good:
            piece, count = piece + code, count + 1
    if good and count:
        yield piece, count, first


def candidates():
    """By kind of source, in the order of the digests of their bytes."""
    seen, kinds = set(), collections.defaultdict(list)
    for kind, path in sources():
        for code, count, symbol in blocks_of(path):
            if code not in seen and SHORTEST <= count <= LONGEST and len(code) <= MOST_BYTES:
                seen.add(code)
                kinds[kind].append((hashlib.sha256(code).hexdigest(), code, count, f"{os.path.basename(path)} {symbol}"))
    return {kind: sorted(kinds[kind])[:SHARES[kind] * SPARE] for kind in SHARES}


def image_with(rows, directory):
    """The task with these blocks instead of its own."""
    table = f"{directory}/list"
    with open(table, "w", encoding="utf-8") as target:
        target.writelines(f"{code.hex()} {count} {where}\n" for _, code, count, where in rows)
    subprocess.run(["scripts/fidelity/blocks.py", table, f"{directory}/blocks.bin"], check=True)
    subprocess.run(["gcc", f'-DBLOCKS="{directory}/blocks.bin"', "-c", "tests/fidelity/task/blocks.S", "-o",
                    f"{directory}/blocks.o"], check=True)
    objects = [o for o in sorted(glob.glob(f"{OUT}/task/*.o")) if "blocks.S" not in o] + [f"{directory}/blocks.o"]
    subprocess.run(["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-T",
                    "tests/fidelity/task/task.ld", *objects, "-o", f"{directory}/task.elf"], check=True)
    subprocess.run(["objcopy", "-O", "binary", f"{directory}/task.elf", f"{directory}/task.img"], check=True)
    return f"{directory}/task.img"


def that_run(rows):
    """Those that run to their end on both sides."""
    with tempfile.TemporaryDirectory() as directory:
        image = image_with(rows, directory)
        first = len(runs.jobs(f"{OUT}/host", image)[0])
        here, _ = runs.native(f"{OUT}/host", image, 3, 1, 0, len(rows), 2)
        good = {i - first for i, run in here.items() if not run.given_up}
        at = 0
        while at < len(rows):
            command = ["build/orrery", "boot", "--kernel", f"{OUT}/guest.elf", "--initrd", image, "--engine", "timed",
                       "--memory", "128M", "--append", f"1 3 {at} {len(rows)} 2"]
            _, text, _ = runs.output_of(command)
            found = runs.parse_runs(text)
            good -= {i - first for i, run in found.items() if run.given_up}
            at = max((i - first for i in found), default=at - 1) + 1
            if at < len(rows):  # the machine stopped at a block: it lacks an instruction
                print(f"not in Orrery: {rows[at][3]} {rows[at][1].hex()}", file=sys.stderr)
                good.discard(at)
                at += 1
        return [row for i, row in enumerate(rows) if i in good]


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    with open(LIST, "w", encoding="utf-8") as target:
        target.write("# Basic blocks of tier 3: bytes, instructions, file and symbol they were cut from\n"
                     "# (scripts/fidelity/cut.py).\n")
        for kind, rows in candidates().items():
            kept = that_run(rows)
            print(f"{kind}: {len(rows)} candidates, {len(kept)} run, {min(len(kept), SHARES[kind])} taken")
            target.writelines(f"{code.hex()} {count} {where}\n" for _, code, count, where in kept[:SHARES[kind]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
