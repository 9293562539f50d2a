"""Files that nobody needs. A file counts as used when it is built, resolved by an include, or named by its path. Every
source is built by the one Makefile.

covers: TS-14
"""
import os
import re

from house import build, includes
from house.tree import all_files, breach, files, text

# Run or read by wildcard, by people or by other programs, so that nobody need name them.
BY_THEMSELVES = re.compile(r"^(Makefile|(.*/)?README\.md|HACKING\.md|LICENSE|NOTICE|\.gitignore|\.clang-(format|tidy)|\.ci/run"
                           r"|tests/e2e/[^/]+\.sh|tests/vectors/[^/]+\.vec|tests/oracle/v0/[^/]+\.trace|tests/golden/[^/]+\.txt"
                           r"|tests/.*/corpus/.*)$")


def tail_names(path):
    """The ends of a path that name it well enough: with its folder at least."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts) - 1)] or [path]


def is_named(path, texts):
    names = [re.escape(name) for name in tail_names(path)]
    if path.endswith(".lua"):
        module = os.path.splitext(path)[0].split("/")
        names.append(re.escape(".".join(module[1:])))
        if path.startswith("scenarios/kernels/"):
            names.append(r"kernel\s*=\s*[\"']" + re.escape(module[-1]) + r"[\"']")
    if path.startswith("scripts/house/"):
        names.append(rf"from house\.{re.escape(os.path.basename(path)[:-3])} import")
        names.append(rf"from house import[\w, ]*\b{re.escape(os.path.basename(path)[:-3])}\b")
    if path.startswith("tests/e2e/"):
        names.append(r"\)/" + re.escape(os.path.basename(path)))
    if path.startswith("tests/guest/"):
        names.append(r"\)" + re.escape(os.path.basename(path)))
    found = re.compile(r"(?:(?<![\w.-])|(?=\)))(?:" + "|".join(names) + r")(?![\w-]|\.\w)")
    return any(found.search(body) for other, body in texts.items() if other != path)


def readers():
    """What may name a file: build files, scripts, tests and pages; comments of sources do not count, nor does the test of
    this checker, which names files to see them refused."""
    silent = ("sim/", "os/kernel/", "os/boot/", "os/lib/", "os/abi/", "tests/e2e/house.sh")
    return {f: text(f) for f in all_files() if not f.startswith(silent) or f.endswith(".mk")}


def check():
    included = {target for path in files(*includes.SUFFIXES) for _, _, target in includes.includes(path) if target}
    built = set(build.commands())
    texts = readers()
    build.check_every_source_is_built(files(".c"))
    for path in all_files():
        if path.endswith(".c") or path in included | built or BY_THEMSELVES.match(path):
            continue
        if not is_named(path, texts):
            breach(path, 0, "nobody includes it" if path.endswith((".h", ".def", ".inc")) else "nobody names it")
