"""Rows of tables that no test names. (Rows of instructions: each has native cases, tests/diff/test_insn_vs_host.c.)"""
import re

from house.tree import breach, exceptions, files, lines, text

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
# table, its row (the groups fill the pattern), what a test says to name the row, where the tests are (scenarios/lib/ is what
# scenarios use, and stubs made from these rows)
TABLES = [
    ("sim/cpu/msr.def", r"MSR_\w+\(0x0*([0-9a-f]+), (\w+)", r"(?i:\b0x0*{0}\b)|\bMSR_{1}\b", ["tests/unit/cpu/"]),
    ("sim/cpu/cpuid.def", r"FEATURE\((\w+)", r"\bFEATURE_{0}\b|\bFEATURE\({0},", ["tests/unit/cpu/"]),
    ("sim/core/trace.def", r'TRACE_POINT\((\w+), "([\w-]+)"', r"\bTRACE_{0}\b|(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/machine/counter.def", r'COUNTER\((\w+), "([\w-]+)"', r"\bCOUNTER_{0}\b|(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/machine/effect.def", r"EFFECT\((\w+)", r"\bEFFECT_{0}\b", ["tests/"]),
    ("sim/machine/config.def", r'CONFIG\((\w+), "([\w-]+)"', r"(?<![\w-]){1}(?![\w-])", ["tests/"]),
    ("sim/script/binding.def", r'BINDING\("(\w+)"', r":{0}\b\s*[\(\"'{{]", ["tests/", "scenarios/"]),
    ("sim/main/names_options.def", r'NAME\("([\w-]+)"', r"(?<![\w-]){0}(?![\w-])", ["tests/"]),
    ("sim/main/names_commands.def", r'NAME\("([\w-]+)"', r"orrery\W+{0}(?![\w-])", ["tests/e2e/"]),
    ("os/abi/syscalls.def", r"SYSCALL\(\d+, \w+, (\w+)", r"\b\w*{0}\s*\(", ["os/programs/", "tests/"]),
]


def check():
    for table, row, named, where in TABLES:
        tests = "\n".join(COMMENT.sub(" ", text(f)) if f.endswith((".c", ".h")) else text(f)
                          for place in where for f in files(".c", ".h", ".sh", ".lua", ".S", under=place)
                          if not f.startswith("scenarios/lib/"))
        found = 0
        for number, line in enumerate(lines(table), 1):
            cells = re.match(row, line)
            if not cells:
                continue
            found += 1
            if not re.search(named.format(*map(re.escape, cells.groups())), tests):
                if not exceptions.excuse("row", f"{table}:{cells.group(1)}"):
                    breach(table, number, f"no test names the row {cells.groups()[-1]}")
        if not found:
            breach(table, 0, "no row found: scripts/house/rows.py looks for the wrong shape")
