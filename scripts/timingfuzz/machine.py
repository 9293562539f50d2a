"""Random machine files (docs/machines.md) within the bounds of sim/timing/params.def."""
import re

# Bounds that are narrower than those of params.def, so that a run ends and the guest's start finds what it expects. L2 of a few lines
# could lose one to an instruction's own walk.
NARROWER = {"ipi_cycles": (1, 2000), "ioapic_cycles": (1, 2000), "exception_cycles": (1, 400), "interrupt_cycles": (1, 400),
            "mmio_cycles": (0, 500), "wake_cycles": (0, 300), "cache_to_cache_cycles": (20, 400), "snoop_cycles": (1, 400),
            "l3_sets": (1, 1024), "l2_sets": (8, 256), "l2_ways": (4, 16), "l1d_sets": (1, 64), "l1i_sets": (1, 64), "l3_cycles": (1, 200),
            "dram_cas_cycles": (1, 200), "dram_activate_cycles": (0, 200), "dram_precharge_cycles": (0, 200),
            "dram_fabric_cycles": (0, 200), "l2_cycles": (1, 40), "ad_update_cycles": (0, 60), "walk_cycles": (0, 40)}


def number(r, name, least, most, power):
    least, most = NARROWER.get(name, (least, most))
    if power:
        choices = [1 << n for n in range(13) if least <= 1 << n <= most]
        return r.choice(choices[:r.choice([4, len(choices)])])
    if r.random() < 0.15:
        return r.choice([least, least, most])
    return min(most, max(least, int(least + (most - least + 1) * r.random() ** 3)))


def parameters(r):
    rows = []
    with open("sim/timing/params.def", encoding="utf-8") as text:
        for line in text:
            found = re.match(r"(PARAM|POWER)\((\w+), (\d+), (\d+),", line)
            if found:
                kind, name, least, most = found.groups()
                rows.append([name, number(r, name, int(least), int(most), kind == "POWER")])
    values = dict(rows)
    values["snoop_cycles"] = min(values["snoop_cycles"], values["cache_to_cache_cycles"])
    if r.random() < 0.5:  # messages that are sooner there than others see a loss: how far vCPUs run ahead is theirs
        values[r.choice(["ipi_cycles", "ioapic_cycles"])] = r.randrange(1, 20)
        values["snoop_cycles"] = values["cache_to_cache_cycles"] = max(values["cache_to_cache_cycles"], r.randrange(100, 400))
    for side in ["l1i", "l1d"]:  # L2 contains every line of both
        values["l2_sets"] = max(values["l2_sets"], values[f"{side}_sets"])
        values["l2_ways"] = max(values["l2_ways"], values[f"{side}_ways"])
    if values["history_1"] > values["history_2"]:
        values["history_1"], values["history_2"] = values["history_2"], values["history_1"]
    return values


def classes(r, groups):
    out = []
    with open("tests/oracle/classes.def", encoding="utf-8") as text:
        for name, kind in re.findall(r"^CLASS\((\w+), '(\w)'", text.read(), re.M):
            row = [f'"{name}"', '"assumed"', '"random"', f"ops = {r.choice([1, 1, 1, 2, 3, r.randrange(1, 9)])}"]
            if kind not in "0v":
                row.append(f"latency = {r.choice([0, 1, 1, 2, 3, r.randrange(40)])}")
            if kind in "PV":
                row.append('ports = "' + " ".join(r.sample(groups, r.choice([0, 1, 1, 1, 2, min(3, len(groups))]) % (len(groups) + 1))) + '"')
                if r.random() < 0.25:
                    row += [f'unit = "unit{r.randrange(3)}"', f"occupy = {r.randrange(1, 20)}"]
            out.append("        { " + ", ".join(row) + " },")
    return out


def text(r):
    groups = [f"port{i}" for i in range(r.randrange(1, 7))]
    lines = ["return {", '    name = "random",', '    about = "made by scripts/fuzz-timing",', "    parameters = {"]
    lines += [f'        {name} = {{ {value}, "assumed", "random" }},' for name, value in parameters(r).items()]
    lines += ["    },", "    ports = {"]
    lines += [f'        {group} = {{ {r.choice([1, 1, 2, 3, 7])}, "assumed", "random" }},' for group in groups]
    lines += ["    },"]
    lines += [f'    {which}_ports = {{ "{" ".join(r.sample(groups, r.choice([0, 1, 1]) if len(groups) == 1 else r.choice([1, 1, 2])))}", '
              '"assumed", "random" },' for which in ["load", "store"]]
    return "\n".join(lines + ["    classes = {", *classes(r, groups), "    },", "}"]) + "\n"
