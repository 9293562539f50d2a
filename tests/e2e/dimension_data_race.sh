#!/usr/bin/env bash
# Looks for data races in the dimension store and its pool while their threads run (os/programs/dimbench): the simulator reports every
# access of their code to memory but the stack's, tests/e2e/dimension_data_race.lua knows from the source which are atomic.
source "$(dirname "$0")/lib.sh"
program=build/os/programs/dimbench
symbols=$(nm "$program" | awk 'NF == 3 {printf "%s:%s,", $3, $1}')

# sites FUNCTION...: their accesses, each ADDRESS:KIND:BYTES:BASE:INDEX:SCALE:DISPLACEMENT:ORDER:PLACE. ORDER, from the source line: - plain,
# x relaxed, s any other (acquire, release, both). What a called memcpy or memset touches is not among them.
sites() {
    python3 - "$program" "$@" <<'PY'
import re
import subprocess
import sys

program, functions = sys.argv[1], set(sys.argv[2:])
SUFFIX = {"b": 1, "w": 2, "l": 4, "q": 8}
MEMORY = re.compile(r"(-?0x[0-9a-f]+)?\((%\w+)?(?:,(%\w+),(\d))?\)")


def width(mnemonic, operands):
    for operand in operands:
        name = operand.strip().lstrip("%")
        if re.fullmatch(r"xmm\d+", name):
            return 8 if mnemonic in ("movq", "movlps", "movhps") else 16
        if re.fullmatch(r"r(\d+|[a-ds]..?|bp|sp)", name) and not name.endswith(("d", "w", "b")) or name.startswith("r") and name[1:].isdigit():
            return 8
        if re.fullmatch(r"e..|r\d+d", name):
            return 4
        if re.fullmatch(r"[a-ds][xip]|r\d+w", name):
            return 2
        if re.fullmatch(r"[a-d][lh]|[sd]il|[sb]pl|r\d+b", name):
            return 1
    return SUFFIX.get(mnemonic[-1], 8)


def accesses():
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True).stdout
    name = ""
    for line in text.splitlines():
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if head:
            name = head.group(1)
        got = re.match(r" +([0-9a-f]+):\t(lock )?(\S+) +(\S.*)", line)
        if not got or name not in functions:
            continue
        address, locked, mnemonic, rest = got.groups()
        rest = rest.split("#")[0].split("<")[0].strip()
        memory = MEMORY.search(rest)
        if not memory or mnemonic.startswith(("lea", "nop", "call", "jmp", "push", "pop", "cs", "data16")):
            continue
        displacement, base, index, scale = memory.groups()
        if base in ("%rsp", "%rbp"):
            continue
        before, after = rest[:memory.start()].strip().rstrip(","), rest[memory.end():].strip().lstrip(",")
        operands = [one for one in (before + "," + after).split(",") if one]
        written = after == ""
        if mnemonic.startswith(("cmp", "test")) and not mnemonic.startswith("cmpxchg"):
            kind = "r"
        elif locked or mnemonic.startswith("xchg"):
            kind = "u"
        elif written and before == "" or written and not mnemonic.startswith("mov"):
            kind = "u"
        else:
            kind = "w" if written else "r"
        bytes_ = width(mnemonic, operands)
        if mnemonic.startswith(("movz", "movs")) and not written and len(mnemonic) > 5:
            bytes_ = SUFFIX[mnemonic[4]]
        if base == "%rip":
            target = re.search(r"# ([0-9a-f]+)", line).group(1)
            base, displacement = "-", "0x" + target
        yield int(address, 16), name, kind, bytes_, (base or "-").lstrip("%"), (index or "-").lstrip("%"), scale or "1", \
            int(displacement or "0", 16)


def lines_of(addresses):
    """The innermost source line of each."""
    given = "\n".join(hex(a) for a in addresses)
    out = subprocess.run(["addr2line", "-e", program], input=given, capture_output=True, text=True, check=True).stdout
    return [re.sub(r" \(discriminator.*", "", one) for one in out.splitlines()]


source = {}


def order(place):
    """Of an atomic access, by its source line: x relaxed, s any other; - plain."""
    path, _, number = place.rpartition(":")
    path = re.sub(r".*?(os/)", r"os/", path, count=1)
    if path not in source:
        try:
            source[path] = open(path, encoding="utf-8").read().splitlines()
        except OSError:
            source[path] = []
    if not number.isdigit():
        return "-"
    statement = " ".join(source[path][int(number) - 1:int(number) + 2])
    if "__atomic_" not in source[path][int(number) - 1]:
        return "-"
    statement = statement[statement.index("__atomic_"):].split(";")[0]
    return "x" if re.search(r"__ATOMIC_RELAXED", statement) and not re.search(r"ACQ|REL[^A]|RELEASE|SEQ", statement) else "s"


found = list(accesses())
out = []
for (address, name, kind, bytes_, base, index, scale, displacement), place in zip(found, lines_of([one[0] for one in found])):
    where = place.rpartition("/")[2].replace(":", "@")
    out.append(f"{address:x}:{kind}:{bytes_}:{base}:{index}:{scale}:{displacement}:{order(place)}:{where}")
print(",".join(out))
PY
}

# races NAME PART LEAST FUNCTION...: runs a part of dimbench; no race is found (LEAST 0), or so many at least
races() {
    expect_status "$1" 0 "$orrery" run tests/e2e/dimension_data_race.lua --set symbols="$symbols" --set part="$2" --set races="$3" \
        --set sites="$(sites "${@:4}")"
    grep -E '^ {10}' "$work/out"
}

races "threads that count without a lock are found" unguarded 1 count_unguarded
races "readers, writers and statistics of the store have no data race" store 0 dim_read_begin dim_read_end dim_access_layer access_timed \
    refuse dim_readers_wait show unload begin publish_totals end_failed dim_store_switch dim_store_unload load make_record \
    dim_version_drop dim_reader_leave dim_store_stats
races "threads that allocate, free and look at the sums of the pool have none" sums 0 block_pool_alloc alloc_slowly block_pool_free \
    block_pool_stats_read find_spare
finish
