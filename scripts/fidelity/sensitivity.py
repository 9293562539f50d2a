"""Tier 5: which conclusions about the kernel stand when a number that user mode cannot see is half, or one and a half."""
import collections
import os
import re
import statistics

from fidelity import conclusions as lists, derived, runs

SCENARIO = "scenarios/bench-kernel.lua"
SETTINGS = [("-50 %", 0.5), ("+50 %", 1.5)]
MOVED = 0.001  # by so much of itself a figure has moved

# parameter, setting, {key: value}, {row: median}
Run = collections.namedtuple("Run", "parameter setting numbers figures")
Verdict = collections.namedtuple("Verdict", "left right holds")


def numbers_of(orrery, machine):
    """{key: number} of a machine."""
    return {key: int(value) for key, value in re.findall(r"^(\S+) = (\d+)$", runs.parameters(orrery, machine), re.M)}


def changed(parameter, numbers, factor):
    missing = [key for key in parameter.keys if key not in numbers]
    if missing:
        raise runs.Failure(f"the machine has no {missing[0]}")
    return {key: max(1, int(numbers[key] * factor)) for key in parameter.keys}


def medians(text):
    """{row: median of the warm samples} of what the scenario printed; the same median as scripts/bench-kernel's."""
    return {row: statistics.median_low([int(v) for v in values.split()])
            for row, values in re.findall(r"^samples (\S+) warm ([\d ]+)$", text, re.M)}


def measure(orrery, machine, groups):
    command = [orrery, "run", SCENARIO, "--machine", machine, "--cpus", str(lists.CPUS), "--set", f"only={','.join(groups)}",
               "--set", "rounds=1"]
    status, text, wrong = runs.output_of(command)
    if status:
        lines = [line for line in text.split("\n") if not line.startswith("samples ")]
        raise runs.Failure(f"status {status}: {' '.join(command)}\n" + "\n".join(lines)[-400:] + wrong[-400:])
    return medians(text)


def groups_of(conclusions):
    return list(dict.fromkeys(group for c in conclusions for group in c.group.split(",")))


def side(terms, figures):
    return sum(factor * (figures[row] if row else 1) for row, factor in terms)


def verdict(conclusion, figures):
    left, right = side(conclusion.left, figures), side(conclusion.right, figures)
    return Verdict(left, right, left < right)


def slug(machine):
    return os.path.basename(machine).removesuffix(".lua")


def source_of(machine):
    path = machine if "/" in machine or machine.endswith(".lua") else f"machines/{machine}.lua"
    if not os.path.exists(path):
        raise runs.Failure(f"{path}: a machine without a file has nothing to change")
    with open(path, encoding="utf-8") as source:
        return source.read()


def run_all(orrery, machine, folder, parameters, conclusions, progress):
    """The machine as it is, and each parameter at its settings."""
    base, numbers, groups = source_of(machine), numbers_of(orrery, machine), groups_of(conclusions)
    progress(f"tier 5: {machine} as it is")
    found = [Run("", "default", {}, measure(orrery, machine, groups))]
    os.makedirs(folder, exist_ok=True)
    for number, parameter in enumerate(parameters):
        for setting, factor in SETTINGS:
            progress(f"tier 5: {parameter.name} {setting} ({number + 1} of {len(parameters)})")
            values = changed(parameter, numbers, factor)
            name = re.sub(r"[^a-z0-9]+", "-", f"{parameter.name.lower()}-{int(factor * 100)}")
            path = f"{folder}/{slug(machine)}-{name}.lua"
            with open(path, "w", encoding="utf-8") as target:
                target.write(derived.text(base, name, values))
            told = numbers_of(orrery, path)
            wrong = [key for key in numbers if told[key] != values.get(key, numbers[key])]
            if wrong:
                raise runs.Failure(f"{path}: {wrong[0]} is {told[wrong[0]]}")
            found.append(Run(parameter.name, setting, values, measure(orrery, path, groups)))
    progress("")
    return found


def tsv_lines(found, conclusions):
    yield "parameter\tsetting\tconclusion\tleft\tright\tholds"
    for run in found:
        for c in conclusions:
            v = verdict(c, run.figures)
            yield f"{run.parameter or '-'}\t{run.setting}\t{c.name}\t{v.left:g}\t{v.right:g}\t{'yes' if v.holds else 'no'}"


def verdicts_of(lines):
    """{(parameter, setting, conclusion): holds} of a table of tsv_lines."""
    rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    return {tuple(row[:3]): row[5] for row in rows}


def flips(found, conclusions):
    """(parameter, setting, conclusion, verdict as it is, verdict then) where the two differ."""
    for run in found[1:]:
        for c in conclusions:
            before, now = verdict(c, found[0].figures), verdict(c, run.figures)
            if before.holds != now.holds:
                yield run.parameter, run.setting, c, before, now


def moved(run, first):
    """(how many figures have moved, the one that has moved most, by how much)."""
    off = {row: value / first[row] - 1 for row, value in run.figures.items() if first[row]}
    count = sum(abs(o) > MOVED for o in off.values())
    worst = max(off, key=lambda row: abs(off[row]))
    return count, worst, off[worst]


def parameter_lines(found, parameters, conclusions, numbers):
    yield "| Parameter | What | Sourced | Figures that move | Most: which, at -50 %, +50 % | Conclusions that flip |"
    yield "|---|---|---|---|---|---|"
    turned = list(flips(found, conclusions))
    for p in parameters:
        low, high = (next(r for r in found if (r.parameter, r.setting) == (p.name, s)) for s, _ in SETTINGS)
        count = max(moved(low, found[0].figures)[0], moved(high, found[0].figures)[0])
        row = max((moved(r, found[0].figures) for r in (low, high)), key=lambda m: abs(m[2]))[1]
        by = ", ".join(f"{(r.figures[row] / found[0].figures[row] - 1) * 100:+.1f} %" for r in (low, high))
        names = [f"`{c.name}` at {s}" for name, s, c, _, _ in turned if name == p.name]
        value = ", ".join(dict.fromkeys(f"{numbers[k]:,}" for k in p.keys)) if p is not lists.TOGETHER else ""
        yield (f"| `{p.name}` | {p.what} | {value} | {count} of {len(found[0].figures)} | "
               f"{f'`{row}` {by}' if count else 'none'} | {', '.join(names) or 'none'} |")


def conclusion_lines(found, conclusions):
    yield "| Conclusion | Which | From | Left | Right | Left / right | the same over all runs | Holds |"
    yield "|---|---|---|---|---|---|---|---|"
    for c in conclusions:
        v = verdict(c, found[0].figures)
        ratios = [(lambda w: w.left / w.right)(verdict(c, run.figures)) for run in found]
        holds = sum(verdict(c, run.figures).holds for run in found)
        yield (f"| `{c.name}` | {c.what} | `{c.where}` | {v.left:,.0f} | {v.right:,.0f} | {v.left / v.right:.3f} | "
               f"{min(ratios):.3f} to {max(ratios):.3f} | {'yes' if v.holds else 'NO'}, in {holds} of {len(found)} runs |")


def page_lines(machine, version, found, parameters, conclusions, numbers):
    turned = list(flips(found, conclusions))
    yield from [
        f"# Sensitivity: {machine}", "",
        f"Made by `scripts/validate-timing --tier V5 --machine {machine}`. What user mode cannot see has no measurement,",
        "only a sourced default, mostly of its order of magnitude. So each such number is made half and one and a half of",
        "itself, all others as they are, and everything is measured again: does a conclusion about the kernel turn round?",
        f"The numbers with their sources: `orrery info --machine {machine}`; figures: medians of",
        f"`scenarios/bench-kernel.lua`, one process each, on {lists.CPUS} CPUs, {version}. Two runs give the same figures.",
        "A list of all verdicts stands beside this page.", "",
        "Both lists, parameters and conclusions (`scripts/fidelity/conclusions.py`), were fixed before anything was run",
        "with other numbers than the machine's own. That a conclusion holds here says nothing about what no number can",
        "change, errors of the model itself; and two percent on kernels may still be twenty on programs (Desikan, ISCA",
        "2001).", "", lists.NOT_MEASURED, "## Parameters", ""]
    yield from parameter_lines(found, parameters, conclusions, numbers)
    yield from ["", f"Of {len(conclusions)} conclusions in {len(found) - 1} runs, {len(turned)} verdicts flip.", "",
                "A number that moves no figure: these conclusions do not rest on it, and say nothing of it.", "",
                "## Conclusions", "", "Left < right; at 1.000 a conclusion turns round.", ""]
    yield from conclusion_lines(found, conclusions)
    yield from ["", "## Flips", ""]
    if not turned:
        yield "None."
    else:
        yield "| Parameter | Setting | Conclusion | Left, right as it is | Left, right then |"
        yield "|---|---|---|---|---|"
        for name, setting, c, before, now in turned:
            yield (f"| `{name}` | {setting} | `{c.name}` | {before.left:,.0f}, {before.right:,.0f} | "
                   f"{now.left:,.0f}, {now.right:,.0f} |")
