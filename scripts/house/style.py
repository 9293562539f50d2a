"""Rules on the text of a file."""
import re

from house.tree import breach, code, exceptions, files, functions, lines, macros, text

FUNCTION_LINES = 70
FILE_LINES = 800
BIT_FIELD = re.compile(r"[{;,]\s*(?:(?:const|volatile)\s+)*(?!case\b|default\b|return\b|goto\b|else\b)"
                       r"(?:(?:unsigned|signed|enum|struct|union)\s+)?\w+(?:\s+\w+)?\s*:\s*[\w() +*-]+[;,]")
FLOAT = re.compile(r"\b(float|double|_Float\w+|__float\w+|_Decimal\w+|long\s+double|_Complex)\b")
ASSEMBLY = re.compile(r"\b(asm|__asm|__asm__)\b")
HOST_BUILTIN = re.compile(r"\b(__builtin_ia32_\w+|__rdtscp?|_rd(?:rand|seed)\w*|__get_cpuid\w*|__builtin_cpu_\w+|alloca"
                          r"|__builtin_alloca\w*)\b")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def each(path, pattern, what, key=None, rule=None):
    if rule and exceptions.rows.get((rule, key)):
        if pattern.search(code(path)):
            exceptions.excuse(rule, key)
        return
    for found in pattern.finditer(code(path)):
        start = found.start() + len(found.group(0)) - len(found.group(0).lstrip("{;, \n"))
        breach(path, code(path).count("\n", 0, start) + 1, what.format(found.group(1) if pattern.groups else ""))


def check_simulator(path):
    if path.endswith(".c") and not path.startswith("sim/base/"):
        each(path, re.compile(r"^\s*#\s*if", re.M), "#if in a .c file outside base/")
    each(path, re.compile(r"\b(?:constructor|destructor)\b(?=[^;{]*\)\))"), "constructor function")
    each(path, BIT_FIELD, "bit-field: masks instead")
    each(path, FLOAT, "host floating point ({0})", path, "float")
    each(path, ASSEMBLY, "{0} in the simulator")
    each(path, HOST_BUILTIN, "{0} asks the host")


def check_sizes(path):
    if len(lines(path)) > FILE_LINES and not exceptions.excuse("size", path):
        breach(path, 0, f"{len(lines(path))} lines: is it one thing?")
    if path.endswith((".c", ".h")):
        sizes = [(name, line, size, "function") for name, line, size, _, _ in functions(path)]
        sizes += [(name, line, size, "macro") for name, line, size, _ in macros(path)]
        for name, line, size, kind in sizes:
            if size > FUNCTION_LINES and not exceptions.excuse("size", f"{path}:{name}"):
                breach(path, line, f"{kind} {name} of {size} lines")


def check():
    for path in files(".c"):
        if not text(path).startswith("/*"):
            breach(path, 1, "opens without a comment that says what it is")
    for path in files(".c", ".h", ".def", ".S", ".lua", ".sh"):
        for found in UNFINISHED.finditer(text(path)):
            breach(path, text(path).count("\n", 0, found.start()) + 1, f"unfinished: {found.group(0)}")
    for path in files(".c", ".h", ".def", ".S", ".lua", ".py"):
        for number, line in enumerate(lines(path), 1):
            if "\t" in line and not path.endswith(".S"):
                breach(path, number, "tab")
        if path.startswith("sim/"):
            check_simulator(path)
        if not path.endswith(".def"):
            check_sizes(path)
