"""What the Makefile builds: the compiler commands of a full build and the objects they leave."""
import functools
import os
import re
import shlex
import subprocess

from house.tree import breach

TARGETS = ["all", "tests", "guests"]


def environment():
    """The caller's BUILD and CC count, the flags of a make above this script do not."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MODE")}
    return {**kept, "LC_ALL": "C"}


def make(*arguments):
    return subprocess.run(["make", *arguments], capture_output=True, text=True, check=False, env=environment())


@functools.lru_cache(maxsize=None)
def commands():
    """{source: (compiler and flags, object or None)} of every C and assembly file that a full build compiles."""
    dry = make("-Bn", *TARGETS)
    if dry.returncode:
        breach("Makefile", 0, "make -n fails: " + (dry.stderr.strip().split("\n")[-1] or "no message"))
    found = {}
    for line in dry.stdout.replace("\\\n", " ").split("\n"):
        if not re.match(r"(\S*gcc|\S*clang|\S*cc)\s", line):
            continue
        words = shlex.split(line)
        sources = [w for w in words if w.endswith((".c", ".S")) and os.path.exists(w)]
        output = words[words.index("-o") + 1] if "-o" in words else None
        flags = [w for w in words[1:] if w.startswith(("-I", "-D", "-U", "-std", "-m", "-f", "-O", "-W", "-x"))]
        for source in sources:
            if source not in found or ("-c" in words and not found[source][1]):  # host tests compile some once more
                found[source] = ([words[0], *flags], output if "-c" in words and len(sources) == 1 else None)
    return found


@functools.lru_cache(maxsize=None)
def wrapped():
    """Functions that a library calls instead of its own: __wrap_x for each --wrap=x of the linker."""
    return {"__wrap_" + name for name in re.findall(r"--wrap=(\w+)", make("-Bn", *TARGETS).stdout)}


def flags_near(path):
    """Compiler and flags for a file that is not compiled by itself: those of the nearest compiled neighbour."""
    near = commands()
    folder = os.path.dirname(path)
    while folder:
        for source in sorted(near):
            if source.startswith(folder + "/") and source.endswith(".c"):
                return near[source][0]
        folder = os.path.dirname(folder)
    return ["gcc", "-std=c17"]


def objects(under):
    """{source: object} of the sources below a folder whose object exists."""
    return {s: o for s, (_, o) in commands().items() if s.startswith(under) and o and os.path.exists(o)}


def build():
    """Brings the objects up to date. What the compiler refuses is a breach, and the other rules go on."""
    jobs = os.cpu_count() or 1
    run = make("-s", "-k", f"-j{min(jobs, 2)}", "MODE=rel", "all")
    for found in re.finditer(r"^([^\s:]+):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", run.stderr, re.M):
        breach(found.group(1), int(found.group(2)), found.group(3))
    if run.returncode and not re.search(r"^\S+?:\d+:.*error:", run.stderr, re.M):
        breach("Makefile", 0, "make all fails: " + (run.stderr.strip().split("\n") or [""])[0])


def check_every_source_is_built(sources):
    built = set(commands())
    for path in sources:
        if path not in built:
            breach(path, 0, "no build compiles it")
