"""Members of structures that nothing reads: each place that names one declares it or writes it as a statement of its own. Names
are all that is looked at, so a member whose name another one has may hide; what is named is read nowhere. Tests and scenarios
may be the readers. Not of os/abi/, which programs read that nobody here knows; nor room that is called so.

covers: ER-09
"""
import collections
import functools
import re

from house.tree import ATTRIBUTE, DIRECTIVE, breach, code, exceptions, files, text

STRUCTURE = re.compile(r"\b(?:struct|union)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?(\w*)\s*\{")
ROOM = re.compile(r"(reserved|padding|spare)\d*|struct|union|enum")
# Behind a member that is written: indices, then a store whose value may be used, or a step whose value is not.
STORE = re.compile(r"(?:\s*\[[^\]]*\])*\s*(?:(?:[-+*/|&^%]|<<|>>)?=(?!=)|(?:\+\+|--)\s*[;)])")
# Before it: the beginning of a statement, with nothing that takes the value; or an initialiser's dot.
STATEMENT = re.compile(r"(?:\s|[\w.*:\[\]()]|->|&)*(?:\.|->)\s*")
INITIALISER = re.compile(r".*[,{(]\s*\.\s*", re.S)


def blank(found):
    return re.sub(r"[^\n]", " ", found.group(0))


def body(source, at):
    """The text between a brace and its partner, with the braces within and what they hold blanked."""
    depth, kept = 1, []
    for one in source[at:]:
        depth += {"{": 1, "}": -1}.get(one, 0)
        if depth == 0:
            break
        kept.append(one if depth == 1 and one != "}" else " ")
    return "".join(kept)


@functools.lru_cache(maxsize=None)
def declared(path):
    """{where the name begins: (name, structure)} of each member that a file declares."""
    source, found = ATTRIBUTE.sub(blank, DIRECTIVE.sub(blank, code(path))), {}
    for structure in STRUCTURE.finditer(source):
        inside = re.sub(r"\[[^\]]*\]", blank, body(source, structure.end()))
        for part in re.finditer(r"[^;]+(?=;)", inside):
            function = re.search(r"\(\s*\*\s*(?:const\s+)?(\w+)\s*\)\s*\(", part.group(0))
            names = [function] if function else re.finditer(r"(\w+)\s*(?=,|$)", part.group(0))
            for name in names:
                if not ROOM.fullmatch(name.group(1)):
                    found[structure.end() + part.start() + name.start(1)] = (name.group(1), structure.group(1))
    return found


def is_written(source, begin, end):
    before = source[max(0, begin - 300):begin]
    if not STORE.match(source, end):
        return False
    start = re.sub(r"^\s*else\b", "", re.split(r"[;{}]", before)[-1])
    alone = STATEMENT.fullmatch(start) and not re.search(r"\w\s*\(|\breturn\b", start)
    balanced = all(start.count(one) == start.count(other) for one, other in ("()", "[]"))
    return bool(alone and balanced or INITIALISER.fullmatch(before) and re.match(r"[\s\w\[\]]*=(?!=)", source[end:]))


@functools.lru_cache(maxsize=None)
def read_in(path):
    """The words of a file that are not only members declared or written."""
    if not path.endswith((".c", ".h")):
        return frozenset(re.findall(r"\w+", text(path)))
    source, places = code(path), declared(path)
    return frozenset(w.group(0) for w in re.finditer(r"[A-Za-z_]\w*", source)
                     if w.start() not in places and not is_written(source, w.start(), w.end()))


def check_tree(top, without):
    readers = files(".c", ".h", ".def", ".S", ".awk", ".ld", ".ld.S", under=top) + \
        files(".c", ".h", ".def", ".lua", ".sh", under="tests/") + files(".lua", under="scenarios/")
    read, pasted = collections.Counter(), set()
    for path in readers:
        if not path.startswith(without):
            read.update(read_in(path))
            pasted.update(re.findall(r"\b(\w{4,})\s*##", code(path)))
    for path in files(".c", ".h", under=top):
        for at, (name, structure) in declared(path).items():
            if read[name] or path.startswith("os/abi/") or name.startswith(tuple(pasted)):
                continue
            if not exceptions.excuse("member", path) and not exceptions.excuse("member", f"{path}:{structure}"):
                breach(path, code(path).count("\n", 0, at) + 1, f"nothing reads the member {name}")


def check():
    check_tree("sim/", ("tests/unit/os/", "tests/e2e/house.sh"))
    check_tree("os/", ("tests/e2e/house.sh",))
