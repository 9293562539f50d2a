"""The files of the tree and what can be read from their text: code without comments, functions, exceptions."""
import functools
import os
import re
import subprocess

EXCEPTIONS = "docs/house-exceptions.txt"

breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")


@functools.lru_cache(maxsize=None)
def all_files():
    """Every file of the tree that git tracks or would add, sorted."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    return [f for f in sorted(set(listed.stdout.split("\n"))) if os.path.isfile(f)]


def files(*suffixes, under=""):
    return [f for f in all_files() if f.startswith(under) and f.endswith(suffixes)]


@functools.lru_cache(maxsize=None)
def text(path):
    with open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read()


def lines(path):
    return text(path).split("\n")


BLANKED = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


@functools.lru_cache(maxsize=None)
def code(path):
    """C text with comments, strings and character constants blanked; every character keeps its line."""
    def blank(found):
        piece = found.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)
    return BLANKED.sub(blank, text(path))


DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


@functools.lru_cache(maxsize=None)
def macros(path):
    """(name, line, number of lines, body) of each #define."""
    found = []
    for part in DIRECTIVE.finditer(code(path)):
        name = re.match(r"\s*#\s*define\s+(\w+)", part.group(0))
        if name:
            found.append((name.group(1), code(path).count("\n", 0, part.start()) + 1, part.group(0).count("\n") + 1,
                          part.group(0)))
    return found


@functools.lru_cache(maxsize=None)
def functions(path):
    """(name, line of the opening brace, lines between the braces, body, head) of each function with a body, however it
    is laid out and whatever attributes it has."""
    source = DIRECTIVE.sub(lambda d: re.sub(r"[^\n]", " ", d.group(0)), code(path))
    found, depth, head_at, open_at = [], 0, 0, 0
    for mark in re.finditer(r"[{};]", source):
        at = mark.start()
        if mark.group(0) == ";":
            head_at = at + 1 if depth == 0 else head_at
            continue
        depth += 1 if mark.group(0) == "{" else -1
        if depth == 1 and mark.group(0) == "{":
            open_at = at
        elif depth == 0:
            name = function_name(source[head_at:open_at])
            if name:
                found.append((name, source.count("\n", 0, open_at) + 1, source.count("\n", open_at, at) - 1,
                              source[open_at:at], source[head_at:open_at]))
                head_at = at + 1
    return found


ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)|\[\[.*?\]\]|_Alignas\s*\([^()]*\)|\b_Noreturn\b", re.S)


def function_name(head):
    """The name in the text before a brace, or None when the brace opens a type or an initialiser."""
    head = ATTRIBUTE.sub(" ", head)
    if ")" not in head or "=" in re.sub(r"\([^()]*\)", "", head):
        return None
    name = re.search(r"(\w+)\s*\(", head)
    return name.group(1) if name else None


def line_of(path, needle):
    """The line in which code has a word, or 0."""
    found = re.search(rf"\b{re.escape(needle)}\b", code(path))
    return code(path).count("\n", 0, found.start()) + 1 if found else 0


class Exceptions:
    """Rows "rule key reason" of the written exceptions. A row that excuses nothing is a breach itself."""

    def __init__(self):
        self.rows, self.used = {}, set()
        if not os.path.exists(EXCEPTIONS):
            return
        for number, line in enumerate(lines(EXCEPTIONS), 1):
            if not line.strip() or line.startswith("#"):
                continue
            part = line.split(None, 2)
            if len(part) < 3:
                breach(EXCEPTIONS, number, "a row is: rule, key, reason")
            else:
                self.rows[(part[0], part[1])] = number

    def excuse(self, rule, key):
        if (rule, key) in self.rows:
            self.used.add((rule, key))
            return True
        return False

    def check_used(self):
        for (rule, key), number in self.rows.items():
            if (rule, key) not in self.used:
                breach(EXCEPTIONS, number, f"excuses nothing: {rule} {key}")


exceptions = Exceptions()
