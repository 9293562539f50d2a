"""What only the objects tell: writable globals, calls of the host, host floating point, functions that nobody uses.

covers: ER-09
"""
import collections
import functools
import re
import subprocess

from house import build, includes
from house.tree import breach, code, exceptions, files, functions, line_of

# Answers of the host that would enter a run, jumps, threads; and qsort, whose order of equals is the library's.
FORBIDDEN = re.compile(
    r"^(time|clock|times|clock_get\w*|clock_nanosleep|timespec_get|gettimeofday|getrusage|\w*sleep|timer\w*|alarm|setitimer"
    r"|s?rand(om)?(_r)?|[dejlmn]rand48|getrandom|getentropy|arc4random\w*|_?_?(sig)?setjmp|_?(sig)?longjmp|pthread_\w+|thrd_\w+"
    r"|mtx_\w+|fork|vfork|clone|setlocale|getpid|gethost\w*|uname|sysconf|getauxval|qsort(_r)?|signal|sigaction|on_exit)$")
# Instructions by which the host's clock, random numbers or model would come in.
HOST_STATE = re.compile(r"^(rdtscp?|rdrand|rdseed|rdpmc|rdpid|cpuid|xgetbv)$")
# Host floating point: arithmetic, comparison and conversion; moves are only copies.
HOST_FLOAT = re.compile(r"^v?((add|sub|mul|div|sqrt|min|max|rcp|rsqrt|round|hadd|hsub|dp|addsub|fn?m\w+)(ss|sd|ps|pd)"
                        r"|u?comis[sd]|cvt\w+)$|^f(ld|ild|st|ist|add|i?sub|i?mul|i?div|sqrt|prem|cos|sin|2xm1|yl2x)\w*$")
CONSTANT = (".data.rel.ro",)


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def check_globals(objects):
    """No symbol in a writable section, and no section that runs code before main."""
    source_of = {made: source for source, made in objects.items()}
    source, sections = "", {}
    for line in tool("objdump", "-w", "-h", "-t", *objects.values()).split("\n"):
        header = re.match(r"(\S+):\s+file format", line)
        section = re.match(r"\s*\d+ (\S+)\s+([0-9a-f]+)\s.*\bALLOC\b", line)
        symbol = re.match(r"[0-9a-f]{16} .{7} (\S+)\t([0-9a-f]+)\s+(?:\.hidden )?(\S+)$", line)
        if header:
            source, sections = source_of[header.group(1)], {}
        elif section:
            name = section.group(1)
            sections[name] = "READONLY" not in line and not name.startswith(CONSTANT)
            if re.match(r"\.(init_array|fini_array|ctors|dtors|preinit_array|init|fini)\b", name):
                breach(source, 0, f"code that runs before or after main (section {name})")
        elif symbol and symbol.group(1) != symbol.group(3) and int(symbol.group(2), 16):
            check_global(source, symbol.group(1) == "*COM*" or sections.get(symbol.group(1), False), symbol.group(3))


def check_global(source, writable, name):
    name = re.sub(r"\.\d+$", "", name)  # a static of a function has a number
    if writable and not exceptions.excuse("global", f"{source}:{name}"):
        breach(source, line_of(source, name), f"writable global {name}")


def check_calls(objects):
    _, used = symbols(objects)
    for name in sorted(filter(FORBIDDEN.match, used)):
        for source in sorted(used[name]):
            if not exceptions.excuse("call", f"{source}:{name}"):
                breach(source, line_of(source, name), f"forbidden call {name}")


def check_instructions(objects):
    source_of = {made: source for source, made in objects.items()}
    source, function, seen = "", "", set()
    for line in tool("objdump", "-d", "--no-show-raw-insn", *objects.values()).split("\n"):
        if line.endswith(">:"):
            function = re.sub(r"\.(isra|constprop|part|cold)\b.*", "", line.split("<")[1][:-2])
        elif ":\t" in line:
            name = line.split("\t")[1].split(" ")[0]
            if (source, function, name) in seen or not (HOST_STATE.match(name) or HOST_FLOAT.match(name)):
                continue
            seen.add((source, function, name))
            if HOST_STATE.match(name):
                breach(source, line_of(source, function), f"{function} asks the host: {name}")
            elif not exceptions.excuse("float", source):
                breach(source, line_of(source, function), f"{function} computes with host floating point: {name}")
        elif "file format" in line:
            source = source_of[line.split(":")[0]]


def symbols(objects):
    """Global functions and data {name: source}, and {name: sources that refer to it}."""
    defined, used = {}, collections.defaultdict(set)
    source_of = {made: source for source, made in objects.items()}
    for made, kind, name in re.findall(r"^(\S+?):[0-9a-f ]{16} (\w) (\w+)", tool("nm", "-A", *objects.values()), re.M):
        if kind == "U":
            used[name].add(source_of[made])
        elif kind in "TRDBVW":
            defined[name] = source_of[made]
    return defined, used


@functools.lru_cache(maxsize=None)
def words_of(source, without):
    """The words of a source and of the tables it includes, but for the definitions and declarations of the functions
    named."""
    body = code(source) + "".join(code(table) for table in tables_of(source))
    for name, _, _, inner, head in functions(source) if source.endswith(".c") else []:
        if name in without:
            body = body.replace(head + inner, " ", 1)
    for name in without:
        body = re.sub(rf"^\w[\w\s*]*[\s*]{name}\s*\([^;{{}}]*\)\s*;", " ", body, flags=re.M)
    return collections.Counter(re.findall(r"\w+", body))


def tables_of(source):
    found = [t for _, _, t in includes.includes(source) if t and t.endswith(".def")]
    return found + [inner for table in found for inner in tables_of(table)]


def check_unused(objects, roots):
    """A global that no other object refers to must be needed in its own file, by something that is needed itself."""
    defined, used = symbols(objects)
    dead = frozenset()
    alone = {n: s for n, s in defined.items() if not used[n] and n not in roots}
    changed = True
    while changed:
        changed = False
        for name, source in sorted(alone.items()):
            own = frozenset(n for n in dead if defined[n] == source)
            if name not in dead and words_of(source, own | {name})[name] == 0:
                dead |= {name}
                changed = True
    for name in sorted(dead):
        source = defined[name]
        if not exceptions.excuse("unused", f"{source}:{name}"):
            breach(source, line_of(source, name), f"nobody but tests uses {name}")


def check_unused_inlines(top):
    """Inline functions of headers, by their words, since they leave no symbol."""
    count, pasted = collections.Counter(), set()
    for path in files(".c", ".h", ".def", ".S", under=top):
        count.update(re.findall(r"\w+", code(path)))
        pasted.update(re.findall(r"\b(\w{4,})\s*##", code(path)))
    for path in files(".h", under=top):
        for name, line, _, _, _ in functions(path):
            if count[name] < 2 and not name.startswith(tuple(pasted)):
                if not exceptions.excuse("unused", f"{path}:{name}"):
                    breach(path, line, f"nobody but tests uses {name}")


def linker_words(top):
    return {w for path in files(".ld", ".ld.S", ".mk", ".awk", under=top) for w in re.findall(r"\w+", code(path))}


def check():
    simulator = build.objects("sim/")
    check_globals(simulator)
    check_calls(simulator)
    check_instructions(simulator)
    check_unused(simulator, {"main"} | build.wrapped())
    kernel = {s: o for s, o in build.objects("os/").items() if not s.startswith("os/kernel/test/")}
    check_unused(kernel, {"main"} | linker_words("os/"))
    check_unused_inlines("sim/")
    check_unused_inlines("os/")
