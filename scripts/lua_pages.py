"""The reference page of the scenario language and the stubs for editors (LuaLS), from where the language is declared: the
annotations of scenarios/lib/prelude.lua, the methods of sim/script/machine.def and place.def, the parameters of a machine, the
counters and the registers. Complains about what has no description."""
import re

PRELUDE = "scenarios/lib/prelude.lua"
MACHINE = "sim/script/machine.def"
PLACE = "sim/script/place.def"
STUBS = "scenarios/lib/orrery.meta.lua"
PAGE = "docs/lua-machine.md"

complaints = []


def text_of(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def split_arguments(arguments):
    """("name", optional, type) of each "name?: type" of a signature; a type may have brackets with commas."""
    parts, depth, part = [], 0, ""
    for c in arguments:
        depth += (c in "({<") - (c in ")}>")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    for part in parts + ([part] if part.strip() else []):
        name, kind = part.strip().split(": ", 1)
        yield name.rstrip("?"), name.endswith("?"), kind


class Function:
    """A public function: where it belongs, its name, lines of description, parameters, results."""

    def __init__(self, owner, name, text, parameters, results):
        self.owner, self.name, self.text, self.parameters, self.results = owner, name, text, parameters, results

    def signature(self):
        parameters = ", ".join(f"{name}{'?' if optional else ''}: {kind}" for name, optional, kind, _ in self.parameters)
        results = ", ".join(kind + (f" {name}" if name else "") for kind, name in self.results)
        return f"({parameters})" + (f": {results}" if results else "")

    def stub(self):
        out = [f"---{line}" for line in self.text]
        out += [f"---@param {name}{'?' if optional else ''} {kind}{' ' + more if more else ''}"
                for name, optional, kind, more in self.parameters]
        out += [f"---@return {kind}{' ' + name if name else ''}" for kind, name in self.results]
        return out + [f"function {self.owner}{self.name}({', '.join(p[0] for p in self.parameters)}) end", ""]


def rows(path, macro, owner):
    source = text_of(path)
    found = re.findall(rf'^{macro}\("(\w+)", \w+, "(.*?)", "(.*)"\)$', source, re.M)
    if len(found) != len(re.findall(rf"^{macro}\(", source, re.M)):
        complaints.append(f"{path}: a row that is not {macro}(name, function, signature, help)")
    for name, signature, text in found:
        if not text.strip():
            complaints.append(f"{path}: {name} has no description")
        arguments, result = re.match(r"\((.*?)\)(?:: ([^)]*))?$", signature).groups()
        parameters = [(argument, optional, kind, "") for argument, optional, kind in split_arguments(arguments)]
        yield Function(owner, name, [text], parameters, [(kind, "") for kind in result.split(", ")] if result else [])


def split_type(text):
    """A type, which may have blanks inside brackets or before a ':' of a function's result, and what follows it."""
    depth, at = 0, 0
    while at < len(text) and (depth > 0 or text[at] != " " or text[at - 1] == ":"):
        depth += (text[at] in "({<") - (text[at] in ")}>")
        at += 1
    return text[:at], text[at:].strip()


def parse_block(block):
    text, parameters, results, others = [], [], [], []
    for line in block:
        if line.startswith("@param "):
            name, rest = line[7:].split(" ", 1)
            kind, more = split_type(rest)
            parameters.append((name.rstrip("?"), name.endswith("?"), kind, more))
        elif line.startswith("@return "):
            kind, more = split_type(line[8:])
            results.append((kind, more))
        elif line.startswith("@"):
            others.append(line)
        else:
            text.append(line)
    return text, parameters, results, others


def check_options(where, body, parameters):
    """The options that a function takes are those that its annotation names."""
    taken = re.search(r'take\("\w+", options,\s*\{(.*?)\}\)', body, re.S)
    if not taken:
        return
    keys = set(re.findall(r"(\w+) = ", taken.group(1)))
    kind = next((kind for name, _, kind, _ in parameters if name == "options"), "")
    named = {name for name, _, _ in split_arguments(kind.strip("{ }"))} if kind.startswith("{") else set()
    for key in sorted(keys ^ named):
        complaints.append(f"{where}: option '{key}' is {'taken but not annotated' if key in keys else 'not taken'}")


def prelude():
    """Functions, and (name, lines of description, annotations) of classes and values."""
    functions, classes = [], []
    block, lines = [], text_of(PRELUDE).split("\n")
    for number, line in enumerate(lines):
        if line.startswith("---") and not line.startswith("----"):
            block.append(line[3:])
            continue
        text, parameters, results, others = parse_block(block)
        declared = re.match(r"function ([\w.]+[.:])?(\w+)\((.*?)\)", line)
        value = re.match(r"(?:local (\w+) = new_class|(orrery\.\w+) = )", line)
        block = []
        if declared:
            owner, name, arguments = declared.groups()
            where = f"{PRELUDE}:{number + 1}: {owner or ''}{name}"
            if not text:
                complaints.append(f"{where} has no description")
            if [p[0] for p in parameters] != [a for a in arguments.split(", ") if a]:
                complaints.append(f"{where}: its parameters are not those of its annotations")
            end = number if line.endswith(" end") else lines.index("end", number)
            check_options(where, "\n".join(lines[number:end + 1]), parameters)
            functions.append(Function(owner or "", name, text, parameters, results))
        elif value:
            name = value.group(1) or value.group(2)
            if not text:
                complaints.append(f"{PRELUDE}:{number + 1}: {name} has no description")
            classes.append((name, text, others))
    return functions, classes


def quoted_rows(path, macro):
    for row in re.findall(rf"^{macro}\((.*?)\)$", text_of(path), re.M | re.S):
        yield re.findall(r'"([^"]*)"', row)


def options_of_machine():
    yield "kernel", "string", "a file, or the name of an adapter in scenarios/kernels/"
    yield "initrd?", "string", "a file; the adapter's by default"
    yield "append?", "string", "the kernel's command line; the adapter's by default"
    source = text_of("sim/machine/config.def")
    for name, kind, argument, text in re.findall(r'^CONFIG\(\w+, "([\w-]+)", (\w+), "(.*?)", "(.*?)"\)', source, re.M):
        kind = {"NUMBER": "integer", "SIZE": "integer|string", "TEXT": "string", "FILES": "string|string[]"}.get(kind) or \
            "|".join(f'"{word}"' for word in argument.split("|"))
        yield name.replace("-", "_") + "?", kind, text


def counters():
    for row in quoted_rows("sim/machine/counter.def", "COUNTER"):
        yield row[0].replace("-", "_"), row[-1]
    for row in quoted_rows("sim/timing/counter.def", "TIMING_COUNTER"):
        yield row[0].replace("-", "_"), f"{row[-1]}; of machines with a timing model"
    for row in quoted_rows("sim/core/trace.def", "TRACE_POINT"):
        yield row[0].replace("-", "_"), row[-1]


class Language:
    """All that is declared."""

    def __init__(self):
        complaints.clear()
        self.functions, self.classes = prelude()
        self.methods = list(rows(MACHINE, "MACHINE", "Machine:"))
        self.places = list(rows(PLACE, "PLACE", "Place:"))
        self.options = list(options_of_machine())
        self.counters = list(counters())

    def of(self, owner):
        return [f for f in self.functions if f.owner == owner]


def stubs(language):
    out = ["---@meta", f"-- Made by scripts/make-docs from {PRELUDE} and sim/script/*.def: for editors (LuaLS), never run.", "",
           "---@class MachineOptions"]
    out += [f"---@field {name} {kind} {text}" for name, kind, text in language.options]
    out += ["", "---Counters of a machine, all vCPUs together, and the histograms of m:counter.", "---@class Counters",
            "---@field [string] Histogram"]
    out += [f"---@field {name} integer {text}" for name, text in language.counters]
    out += ["", "---The kernel's variables and enumerators by name; called with a type's name and an address, a place of that type.",
            "---@class Symbols", "---@field [string] any", "---@overload fun(type: string, address: integer): Place", "",
            "---A struct, array or pointer in guest memory: members by name, elements from 0; integers come as integers.",
            "---@class Place", "---@field [string] any", "---@field [integer] any", "local Place = {}", ""]
    for f in language.places:
        out += f.stub()
    out += ["---@class orrery", "orrery = {}", ""]
    for name, text, others in language.classes:
        out += [f"---{line}" for line in text + others]
        out += [f"{name} = {{}}" if "." in name else f"local {name} = {{}}", ""]
    for f in language.functions + language.methods:
        out += f.stub()
    return "\n".join(out)


def table(head, functions, variable):
    out = [f"| {head} | |", "|---|---|"]
    for f in functions:
        signature = f.signature().replace("|", "\\|")
        remarks = "; ".join(f"{name}: {more}" for name, _, _, more in f.parameters if more)
        out.append(f"| `{variable}{f.name}{signature}` | {' '.join(f.text)}{' ' + remarks + '.' if remarks else ''} |")
    return out + [""]


def page(language):
    out = ["# The scenario language", "",
           f"Made by `scripts/make-docs` from the annotations of `{PRELUDE}` and the tables `sim/script/*.def`; how to write a",
           "scenario is in `docs/lua.md`. `m` is a machine, `h` a histogram, `c` a command, `place` a place in guest memory. Cycles",
           "are those of the 3 GHz clock; where a parameter is called `cycle` or `until_cycle`, it is a moment, else a length of time.", ""]
    args = next(" ".join(text) for name, text, _ in language.classes if name == "orrery.args")
    out += ["## Tests", ""] + table("Global", language.of(""), "")
    out += table("Expectation", language.of("Expectation:"), "expect(value):")
    out += ["## orrery", ""] + table("Function", language.of("orrery."), "orrery.") + [f"`orrery.args`: {args}", ""]
    out += ["## A machine", "", "Options of `orrery.machine`; what the command line gave wins.", "", "| Option | Type | |", "|---|---|---|"]
    out += [f"| `{name}` | `{kind.replace('|', chr(92) + '|')}` | {text} |" for name, kind, text in language.options]
    out += ["", ""][:1] + table("Method", language.of("Machine:"), "m:") + table("Method of the machine itself", language.methods, "m:")
    names = re.findall(r'^NAME\("(\w+)"', text_of("sim/script/names_registers.def"), re.M)
    out += [f"Registers: {', '.join(names)}; `clock` and `retired` are the vCPU's cycles and retired instructions.", ""]
    out += ["`m.counters.NAME` is a counter of all vCPUs together, or a histogram of `m:counter`; `m:count` also reads one vCPU's.", "",
            "| Counter | |", "|---|---|"] + [f"| `{name}` | {text} |" for name, text in language.counters] + [""]
    out += ["## A command", "", "`c.status` and `c.cycles` are nil until `c:wait` has returned; `c.pid` and `c.line` say what it is.", ""]
    out += table("Method", language.of("Command:"), "c:")
    out += ["## A histogram", ""] + table("Method", language.of("Histogram:"), "h:")
    out += ["## Guest memory with types", "",
            "`m.sym.NAME` is a variable or an enumerator of the kernel, `m.sym(type, address)` an address seen as a type. Integers come as",
            "Lua integers, structs, arrays and pointers as places: `place.member`, `place[0]`, `#array`; pointers are followed.", ""]
    out += table("Method", language.places, "place:")
    return "\n".join(out).rstrip("\n") + "\n"
