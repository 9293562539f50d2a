"""Tests that cannot fail: every registered function must reach an assertion."""
import os
import re

from house.tree import breach, code, files, functions, line_of, macros

ASSERTS = re.compile(r"\b(_?assert_\w+|fail|fail_msg|_fail|check_expected\w*|function_called|abort)\s*\(")
LIST = re.compile(r"\bCMUnitTest\s+\w+\s*\[\]\s*=\s*\{(.*?)\};", re.S)
REGISTERED = re.compile(r"\w+\s*\(\s*(\w+)")


def bodies(path):
    found = {}
    for name, body in [(f[0], f[3]) for f in functions(path)] + [(m[0], m[3]) for m in macros(path)]:
        found[name] = found.get(name, "") + body
    return found


def asserting(own):
    """Names among own whose body asserts, itself or through another of them."""
    good = {name for name, body in own.items() if ASSERTS.search(body)}
    grown = True
    while grown:
        more = {n for n, body in own.items() if n not in good and good & set(re.findall(r"\w+", body)) - {n}}
        grown = bool(more)
        good |= more
    return good


def check():
    shared = {}
    for path in files(".h", under="tests/"):
        shared.update(bodies(path))
    for path in files(".c", under="tests/support/"):
        shared.update(bodies(path))
    for path in files(".c", under="tests/"):
        if not os.path.basename(path).startswith("test_"):
            continue
        own = {**shared, **bodies(path)}
        good = asserting(own)
        tests = {name for rows in LIST.findall(code(path)) for name in REGISTERED.findall(rows)}
        if not tests or "cmocka_run_group_tests" not in code(path):
            breach(path, 0, "no test in it")
        for test in sorted(tests & set(own) - good):
            breach(path, line_of(path, test), f"test {test} cannot fail: no assertion")
