"""The rows of docs/requirements.md, the annotations `covers: ID` of tests, and the results that tests leave.

The page opens with what an annotation may say and what a status means. A result is a line "pass|fail TAB id" in a file
below build/rel/results/. The ids: tests/unit/os/test_x:NAME, os/kernel/test:NAME, os/programs/PROGRAM:NAME,
tests/e2e/SCRIPT:NAME, scripts/check-house:RULE; without ":NAME" the file as a whole; a scenario by its path.
"""
import glob
import os
import re

from house.tests import LIST, REGISTERED
from house.tree import breach, code, files, functions, lines, text

PAGE = "docs/requirements.md"
KINDS = re.compile(r"(?:^|; )([UKSXBD](?:[/+][UKSXBD])*)(?=:|$)")
ROW = re.compile(r"\| ([A-Z]{2}-\d\d) \|")
ID = re.compile(r"([A-Z]{2}-\d+)(?:\s*\(([^)]*)\))?")
OPEN = re.compile(r"(partial|arch-n/a|declined): \S|$")


class Row:
    """wanted: sets of kinds; one of each set must be shown."""

    def __init__(self, number, cells):
        self.number = number
        self.id, self.requirement, self.source, self.test, self.open = cells
        self.wanted = [set(one.split("/")) for part in KINDS.findall(self.test) for one in part.split("+")]
        self.covers = []


class Cover:
    """One annotation: a test says that it covers a row, or only a part of it."""

    def __init__(self, path, number, row, test, kinds, part):
        self.path, self.number, self.row, self.test, self.kinds, self.part = path, number, row, test, kinds, part


def rows():
    """{ID: Row} of the page, in its order; breaches when a row has a wrong shape."""
    found = {}
    for number, line in enumerate(lines(PAGE), 1):
        if not ROW.match(line):
            if re.match(r"\| [A-Z]{2}-", line):
                breach(PAGE, number, "a row begins with its ID: two letters and two digits")
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 5:
            breach(PAGE, number, f"a row has 5 cells, this one has {len(cells)}")
            continue
        row = Row(number, cells)
        if row.id in found:
            breach(PAGE, number, f"{row.id} stands in line {found[row.id].number} already")
        if not KINDS.match(row.test):
            breach(PAGE, number, f"{row.id}: the acceptance test begins with its kinds, as U: or U/K:")
        if not OPEN.match(row.open):
            breach(PAGE, number, f"{row.id}: the last cell is empty or begins with partial:, arch-n/a: or declined:")
        found[row.id] = row
    return found


# ---- annotations ----------------------------------------------------------------------------------------------

C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
NAMED = re.compile(r'\{\s*"(\w+)"\s*,\s*(\w+)\s*\}')
CHECK = re.compile(r'\b(?:ok|met|below|refused|expect_\w+|run_program\w*)\s+"([^"]*)')
WHERE = [("tests/e2e/", "S"), ("tests/", "U"), ("os/kernel/test/", "K"), ("os/programs/", "S"), ("scenarios/", "S"),
         ("scripts/bench", "B"), ("scripts/", "D")]


def registered(path):
    """{function: id of the test} of a C file with tests."""
    if path.startswith("os/kernel/test/"):
        listed = re.findall(r"^KTEST\((\w+)\)", text("os/kernel/test/ktests.def"), re.M)
        return {"ktest_" + name: "os/kernel/test:" + name for name in listed}
    if path.startswith("os/programs/"):
        program = os.path.dirname(path)
        near = files(".c", ".def", ".h", under=program + "/")
        return {function: f"{program}:{name}" for other in near for name, function in NAMED.findall(text(other))}
    names = {name for listed in LIST.findall(code(path)) for name in REGISTERED.findall(listed)}
    return {name: f"{path[:-2]}:{name}" for name in names}


def tests_of_c(path):
    """(line, annotation, id of the test or None) of a C file."""
    known = registered(path)
    bodies = [(line, known[name]) for name, line, *_ in functions(path) if name in known]
    for comment in C_COMMENT.finditer(text(path)):
        if "covers:" not in comment.group(0):
            continue
        number = text(path).count("\n", 0, comment.start()) + 1
        said = re.sub(r"\n\s*\*(?!/)", " ", comment.group(0).split("covers:", 1)[1].removesuffix("*/"))
        whole = "" if path.startswith("os/kernel/") else os.path.dirname(path) if path.startswith("os/") else path[:-2]
        test = whole if number == 1 else next((test for line, test in bodies if line > number), None)
        yield number, said, test


def tests_of_shell(path):
    """The same of a shell test: the comment at its head is for the whole of it, others for the check below them."""
    whole = path.removesuffix(".sh")
    body = lines(path)
    head = next((n for n, line in enumerate(body, 1) if line and not line.startswith("#")), len(body))
    for number, line in enumerate(body, 1):
        if not re.match(r"\s*#", line) or "covers:" not in line:
            continue
        test = whole
        if number > head:
            check = next((CHECK.search(below) for below in body[number:] if CHECK.search(below)), None)
            test = f"{whole}:{check.group(1).split('$')[0]}" + "*" * ("$" in check.group(1)) if check else None
        yield number, line.split("covers:", 1)[1], test


def tests_of_file(path, whole):
    for number, line in enumerate(lines(path), 1):
        if "covers:" in line and not re.search(r"covers:\S", line):
            yield number, line.split("covers:", 1)[1], whole


def annotated():
    """(path, line, annotation, id of the test or None) of every annotation of the tree."""
    for path in files(".c", under="tests/") + files(".c", under="os/kernel/test/") + files(".c", under="os/programs/"):
        yield from ((path, *one) for one in tests_of_c(path))
    for path in files(".sh", under="tests/e2e/"):
        yield from ((path, *one) for one in tests_of_shell(path))
    for path in files(".lua", under="tests/") + files(".lua", under="scenarios/"):
        yield from ((path, *one) for one in tests_of_file(path, path))
    for path in files(".py", under="scripts/house/"):
        if path != "scripts/house/requirements.py":
            rule = "scripts/check-house:" + os.path.basename(path)[:-3]
            yield from ((path, *one) for one in tests_of_file(path, rule))


def covers(table):
    """Reads every annotation into table[ID].covers; breaches for those that name no row or stand before no test."""
    for path, number, said, test in annotated():
        rest = ID.sub("", said).strip(" ,.\n")
        if rest or not ID.search(said):
            breach(path, number, f"covers: takes IDs, each with a remark in parentheses if need be, not '{rest}'")
        if not test:
            breach(path, number, "covers: stands before no test")
            continue
        place = next(kind for prefix, kind in WHERE if path.startswith(prefix))
        for name, remark in ID.findall(said):
            if name not in table:
                breach(path, number, f"covers: no requirement is called {name}")
                continue
            other = re.fullmatch(r"([UKSXBD](?:, ?[UKSXBD])*)(?:: *(.+))?", " ".join(remark.split()))
            kinds = set(re.findall(r"\w", other.group(1))) if other else {place}
            table[name].covers.append(Cover(path, number, name, test, kinds, other.group(2) or "" if other else remark))


# ---- results and status -----------------------------------------------------------------------------------------


def results(build):
    """{id: passed} of all result files; a test that failed once has failed."""
    found = {}
    for path in sorted(glob.glob(f"{build}/rel/results/**/*.tsv", recursive=True)):
        with open(path, encoding="utf-8") as handle:
            for line in handle:
                verdict, _, test = line.rstrip("\n").partition("\t")
                found[test] = found.get(test, True) and verdict == "pass"
    return found


def result_of(test, found):
    """"pass", "FAIL" or "not run"."""
    seen = [ok for name, ok in found.items() if name.startswith(test[:-1])] if test.endswith("*") else \
        [found[test]] if test in found else []
    return "not run" if not seen else "pass" if all(seen) else "FAIL"


# ---- ways into the kernel -----------------------------------------------------------------------------------------

WAYS = ("pvh", "uefi", "handoff")
WAYS_PAGE = "docs/boot.md"
REASON = re.compile(r"\| ([A-Z]{2}-\d\d(?:, [A-Z]{2}-\d\d)*) \| ([KSX]) \| ((?:pvh|uefi|handoff)(?:, (?:pvh|uefi|handoff))*) \| (\S.*\S) \|$")


def reasons():
    """{(ID, kind, way): (line, reason)}: why a test of a kind does not run on a way, from the page of the boot."""
    found = {}
    for number, line in enumerate(lines(WAYS_PAGE), 1):
        match = REASON.match(line)
        for name in match.group(1).split(", ") if match else ():
            for way in match.group(3).split(", "):
                found[name, match.group(2), way] = number, match.group(4)
    return found


def way_result(test, way, found):
    """"pass", "FAIL" or "not run" of a test on a way."""
    if test.endswith("*"):
        seen = [ok for name, ok in found.items() if name.startswith(test[:-1]) and name.endswith("@" + way)]
        return "not run" if not seen else "pass" if all(seen) else "FAIL"
    return result_of(f"{test}@{way}", found)


def ways(row, found):
    """{kind: the ways on which a test of the row passed}, for its kinds that boot the kernel; a kind that a unit test may
    stand for counts when a test has it."""
    out = {}
    for wanted in row.wanted:
        for kind in sorted(wanted & set("KSX")):
            tests = [cover.test for cover in row.covers if kind in cover.kinds]
            if tests or len(wanted) == 1:
                out[kind] = [way for way in WAYS if any(way_result(test, way, found) == "pass" for test in tests)]
    return out


def missing(row):
    """What keeps a row with tests from being full."""
    out = []
    for wanted in row.wanted:
        shown = [cover for cover in row.covers if cover.kinds & wanted]
        name = "/".join(sorted(wanted, key="UKSXBD".index))
        if not shown:
            out.append(f"no {name} test")
        elif all(cover.part for cover in shown):
            out.append(f"{name} only in part: " + ", ".join(sorted({cover.part for cover in shown})))
    return out + ([row.open.removeprefix("partial: ")] if row.open else [])


def status(row, found):
    """(status, what is missing)."""
    for marked in ("declined", "arch-n/a"):
        if row.open.startswith(marked + ": "):
            return marked, [row.open.removeprefix(marked + ": ")]
    if not row.covers:
        return "none", missing(row)[len(row.wanted):]
    seen = {result_of(cover.test, found) for cover in row.covers}
    if "FAIL" in seen:
        return "failed", missing(row)
    lacks = missing(row)
    return ("not run" if "not run" in seen else "partial" if lacks else "full"), lacks


def check():
    table = rows()
    if not table:
        breach(PAGE, 0, "no row found")
    covers(table)
    for row in table.values():
        if row.covers and not row.open and missing(row):
            breach(PAGE, row.number, f"{row.id}: the last column is empty, and yet {'; '.join(missing(row))}")
