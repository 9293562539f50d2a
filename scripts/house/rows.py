"""Rows of tables that no test names. (Rows of instructions: each has native cases, tests/diff/test_insn_vs_host.c.)"""
import re

from house.tree import breach, exceptions, files, lines, text

COMMENT_C = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
COMMENT_LINE = re.compile(r"^\s*(?:#|--).*$", re.M)  # of Lua and of the shell, in which there is Lua
METHOD = r":{0}\b\s*[\(\"'{{]"
LUA = ["tests/", "scenarios/"]
# Table, its row (the groups fill the pattern), what a test says to name the row, where the tests are. A type of capability is
# tested by a system call that demands it.
TABLES = [
    ("sim/cpu/msr.def", r"MSR_\w+\(0x0*([0-9a-f]+), (\w+)", r"(?i:\b0x0*{0}\b)|\bMSR_{1}\b", ["tests/unit/cpu/"]),
    ("sim/cpu/cpuid.def", r"FEATURE\((\w+)", r"\bFEATURE_{0}\b|\bFEATURE\({0},", ["tests/unit/cpu/"]),
    ("sim/timing/device_cost.def", r"DEVICE_COST\((\w+)", r"\b{0}_CYCLES\b", ["tests/"]),
    ("sim/core/trace.def", r'TRACE_POINT\((\w+), "([\w-]+)"', r"\bTRACE_{0}\b|(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/machine/counter.def", r'COUNTER\((\w+), "([\w-]+)"', r"\bCOUNTER_{0}\b|(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/timing/counter.def", r'TIMING_COUNTER\((\w+), "([\w-]+)"', r"(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/machine/effect.def", r"EFFECT\((\w+)", r"\bEFFECT_{0}\b", ["tests/"]),
    ("sim/machine/config.def", r'CONFIG\((\w+), "([\w-]+)"', r"(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/script/machine.def", r'MACHINE\("(\w+)"', METHOD, LUA),
    ("sim/script/place.def", r'PLACE\("(\w+)"', METHOD, LUA),
    ("sim/script/names_registers.def", r'NAME\("(\w+)"', r"[\"']{0}[\"']", LUA),
    ("scenarios/lib/prelude.lua", r"function \w+:(\w+)\(", METHOD, LUA),
    ("scenarios/lib/prelude.lua", r"function orrery\.(\w+)\(", r"\borrery\.{0}\b", LUA),
    ("scenarios/lib/prelude.lua", r"function (\w+)\(", r"(?<![\w.:]){0}\s*[\(\"']", LUA),
    ("sim/main/names_options.def", r'NAME\("([\w-]+)"', r"(?<![\w-]){0}(?![\w-])", ["tests/"]),
    ("sim/main/names_commands.def", r'NAME\("([\w-]+)"', r"orrery\W+{0}(?![\w-])", ["tests/e2e/"]),
    ("os/dimension/operations.def", r"DIM_OPERATION\(\d+, (\w+)", r"\bDIM_OP_{0}\b",
     ["tests/unit/dimension/", "os/programs/dimquery/"]),
    ("os/abi/syscalls.def", r"SYSCALL\(\d+, \w+, (\w+)", r"\bsys_{0}\s*\(", ["os/programs/", "tests/"]),
    ("os/abi/status.def", r"STATUS_ROW\((\w+)", r"\b{0}\b", ["os/programs/", "os/kernel/test/", "tests/"]),
    ("os/abi/capabilities.def", r"CAP_TYPE\(\d+, (\w+)", r"\bSYSCALL\(\d+, \w+, \w+, \w+, {0},", ["os/abi/syscalls.def"]),
]
# No tests: what scenarios use and stubs made from these rows; rows made to be complained of.
NO_TESTS = ("scenarios/lib/", "tests/e2e/house.sh")
# Tables that give out numbers for later, too: who must say a row before a test has to.
USERS = {"os/abi/status.def": ["os/boot/", "os/kernel/"]}


def read(places):
    return "\n".join(without_comments(f) for place in places
                     for f in files(".c", ".h", ".sh", ".lua", ".S", "syscalls.def", under=place)
                     if not f.startswith(NO_TESTS))


def without_comments(path):
    if path.endswith((".c", ".h")):
        return COMMENT_C.sub(" ", text(path))
    return COMMENT_LINE.sub("", text(path)) if path.endswith((".sh", ".lua")) else text(path)


def is_named(named, cells, where):
    return re.search(named.format(*map(re.escape, cells)), where)


def check():
    for table, row, named, where in TABLES:
        tests, users = read(where), read(USERS.get(table, []))
        found = 0
        for number, line in enumerate(lines(table), 1):
            match = re.match(row, line)
            if not match:
                continue
            found += 1
            cells = match.groups()
            wanted = table not in USERS or is_named(named, cells, users)
            if wanted and not is_named(named, cells, tests) and not exceptions.excuse("row", f"{table}:{cells[0]}"):
                breach(table, number, f"no test names the row {cells[-1]}")
        if not found:
            breach(table, 0, "no row found: scripts/house/rows.py looks for the wrong shape")
