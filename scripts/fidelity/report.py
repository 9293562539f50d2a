"""The report of a validation: gates, tables, and the raw figures beside it."""
import collections
import re
import statistics

from fidelity import stats

EACH, MEDIAN = 0.05, 0.01
PROGRAM_ERROR, PROGRAM_RANK = 0.20, 0.9
NOISY = 0.05
TITLES = {1: "V1: latency and throughput of instructions", 2: "V2: memory, translation, prediction",
          3: "V3: basic blocks", 4: "V4: programs"}
UNITS = {1: "cycles an operation", 2: "cycles an operation", 3: "cycles a block", 4: "cycles"}

# Rows of tier 2 that have a gate: what lies in the first cache, in the second, in the first translation buffer on any
# machine of today. The others are reported.
GATED = re.compile(r"chase_(?:4K_(?:4|8|16)|2M_(?:4|8|16|24))$|chase_2M_(?:128|256|512)$|tlb_4K_(?:8|16|24|32|40|48)$")
LADDER = re.compile(r"(chase_4K|chase_2M|tlb_4K|tlb_2M|branch_period|branch_chance|call_depth)_(\d+)$")

Row = collections.namedtuple("Row", "name native spread model error")
Gate = collections.namedtuple("Gate", "what wanted measured met")


def rows_of(native, model):
    """Row of each kernel that both sides have, in the order of the silicon's."""
    return [Row(name, n["cycles"], n["spread"], model[name]["cycles"], stats.error(model[name]["cycles"], n["cycles"]))
            for name, n in native.items() if name in model]


def percent(value):
    return f"{value * 100:+.1f} %"


def mean(rows):
    return statistics.fmean(abs(r.error) for r in rows)


def median(rows):
    return statistics.median(abs(r.error) for r in rows)


def tlb_reach(figures):
    """Pages that the first translation buffer holds: the last rung before the time of a load has grown by a fifth."""
    rungs = sorted((int(name.rsplit("_", 1)[1]), f["cycles"]) for name, f in figures.items() if name.startswith("tlb_4K_"))
    reach = 0
    for pages, cycles in rungs:
        if cycles > rungs[0][1] * 1.2:
            break
        reach = pages
    return reach


def gate_each(what, rows):
    bad = [r for r in rows if abs(r.error) > EACH]
    return Gate(what, f"each within {EACH:.0%}", f"{len(rows) - len(bad)} of {len(rows)} are, the worst is off by "
                f"{percent(max((r.error for r in rows), key=abs))}", not bad)


def gates_1(rows, _native, _model, _mca):
    yield gate_each("kernels", rows)
    yield Gate("kernels, median error", f"within {MEDIAN:.0%}", f"{median(rows):.1%}", median(rows) <= MEDIAN)


def gates_2(rows, native, model, _mca):
    gated = [r for r in rows if GATED.match(r.name)]
    if gated:
        yield gate_each("first and second cache, first translation buffer", gated)
    here, there = tlb_reach(native), tlb_reach(model)
    if here and there:
        yield Gate("pages of 4 KiB that the first translation buffer holds", f"{here} within {EACH:.0%}", str(there),
                   abs(there - here) <= EACH * here)


def compared(rows, cycles):
    """((mean error, tau) of Orrery, the same of llvm-mca, number of blocks) where both have an answer."""
    both = [r for r in rows if r.name in cycles]
    sides = ([(r.model, r.native) for r in both], [(cycles[r.name], r.native) for r in both])
    return [(stats.mean_error(pairs), stats.kendall_tau(pairs)) for pairs in sides] + [len(both)]


def gates_3(rows, _native, _model, mca):
    if "znver4" in mca:
        ours, theirs, count = compared(rows, mca["znver4"])
        yield Gate(f"mean error, {count} blocks", f"below llvm-mca -mcpu=znver4: {theirs[0]:.1%}", f"{ours[0]:.1%}",
                   ours[0] < theirs[0])
        yield Gate("Kendall's tau", f"above llvm-mca -mcpu=znver4: {theirs[1]:.3f}", f"{ours[1]:.3f}", ours[1] > theirs[1])


def peer_table(rows, mca, pops):
    """Beside the gates: every model of llvm-mca, and the blocks that it is not known to get wrong."""
    for title, some in (("all", rows), ("without POP", [r for r in rows if r.name not in pops])):
        body = [("Orrery", {r.name: r.model for r in some})] + [(f"llvm-mca -mcpu={cpu}", c) for cpu, c in mca.items()]
        for who, cycles in body:
            both = [(cycles[r.name], r.native) for r in some if r.name in cycles]
            if both:
                errors = [abs(stats.error(*pair)) for pair in both]
                yield [title, str(len(both)), who, f"{statistics.fmean(errors):.1%}", f"{statistics.median(errors):.1%}",
                       f"{stats.kendall_tau(both):.3f}"]


def gates_4(rows, _native, _model, _mca):
    rank = stats.spearman([(r.model, r.native) for r in rows])
    yield Gate("programs, mean error", f"aim: within {PROGRAM_ERROR:.0%}", f"{mean(rows):.1%}", mean(rows) <= PROGRAM_ERROR)
    yield Gate("programs, rank correlation", f"aim: {PROGRAM_RANK}", f"{rank:.3f}", rank >= PROGRAM_RANK)


GATES = {1: gates_1, 2: gates_2, 3: gates_3, 4: gates_4}


def gates(tier, rows, native, model, mca):
    return list(GATES[tier](rows, native, model, mca)) if rows else []


def table(header, body):
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in body:
        yield "| " + " | ".join(row) + " |"


def number(value):
    return f"{value:.0f}" if value >= 10000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def cells(tier, row):
    noise = row.spread / row.native if row.native else 0.0
    verdict = ""
    if tier == 1 or (tier == 2 and GATED.match(row.name)):
        verdict = "met" if abs(row.error) <= EACH else "MISSED"
    return [f"`{row.name}`", f"{number(row.native)} ± {noise:.1%}" + (" noisy" if noise > NOISY else ""), number(row.model),
            percent(row.error), verdict]


def tier_lines(tier, rows, found, blocks, peers, again):
    worst = max((r.error for r in rows), key=abs)
    yield from ["", f"## {TITLES[tier]}", "", f"{len(rows)} rows, {UNITS[tier]}: mean error {mean(rows):.1%}, median "
                f"{median(rows):.1%}, worst {percent(worst)}. The host measured again differs from itself by {again[0]:.2%} "
                f"(median), {again[1]:.1%} (the worst: `{again[2]}`).", ""]
    yield from table(["What", "Wanted", "Measured", ""],
                     [[g.what, g.wanted, g.measured, "met" if g.met else "MISSED"] for g in found])
    yield ""
    if tier == 3:
        yield from block_lines(rows, blocks, peers)
    else:
        yield from table(["Kernel", "Silicon", "Orrery", "Error", "Gate"], [cells(tier, r) for r in rows])


def block_lines(rows, blocks, peers):
    """Tier 3: beside llvm-mca, by what blocks were cut from, and the worst."""
    if peers:
        yield from ["Beside llvm-mca, which takes the change of RSP by a POP to be as late as what it loads:", ""]
        yield from table(["Blocks", "", "Model", "Mean error", "Median error", "Kendall's tau"], peers)
        yield ""
    kinds = collections.defaultdict(list)
    for row in rows:
        kinds[blocks[int(row.name)][2].split()[0]].append(row)
    yield from table(["Cut from", "Blocks", "Mean error", "Median error"],
                     [[f"`{kind}`", str(len(r)), f"{mean(r):.1%}", f"{median(r):.1%}"]
                      for kind, r in sorted(kinds.items(), key=lambda k: (-len(k[1]), k[0]))[:12]])
    yield from ["", "The thirty that are furthest off; all others are in the raw figures.", ""]
    worst = sorted(rows, key=lambda r: -abs(r.error))[:30]
    yield from table(["Block", "Cut from", "Instructions", "Silicon", "Orrery", "Error"],
                     [[r.name, f"`{blocks[int(r.name)][2]}`", str(blocks[int(r.name)][1]), number(r.native), number(r.model),
                       percent(r.error)] for r in worst])


def host_lines(data):
    h = data["host"]
    tiers = data["tiers"]
    ratios = [f["core-cycles-per-tick"] for t in tiers.values() for f in t.values()]
    kept = sum(f["kept"] for t in tiers.values() for f in t.values())
    rejected = sum(f["rejected"] for t in tiers.values() for f in t.values())
    yield f"- Host: {h['vendor']}, \"{h['brand']}\", family {h['family']}, model {h['model']}, stepping {h['stepping']}, " \
          f"microcode {h['microcode']}; {h['cpus']} CPUs, Linux {h['kernel']}"
    if h.get("remark"):
        yield f"- {h['remark']}"
    shared = ": translations are walked in two dimensions, and other guests share caches and cores"
    yield f"- Hypervisor: {h['hypervisor']}" + ("" if h["hypervisor"] == "none" else shared)
    yield f"- Time-stamp counter: {h['tsc-mhz']} MHz; core cycles in a tick, from {min(ratios):.3f} to {max(ratios):.3f}, " \
          f"median {statistics.median(ratios):.3f}"
    yield f"- Samples: {kept} kept, {rejected} rejected, for calibrations that differ by more than 0.5 %; " \
          f"load average at the start {h['load']}"
    if "large-pages" in h:
        have = {"hugetlb": "reserved ones", "thp": "made by the kernel of ordinary memory (THP)",
                "none": "NOT to be had: the rows 2M are of pages of 4 KiB"}
        yield f"- Pages of 2 MiB: {have[h['large-pages']]}"


def tsv_lines(tiers, mca):
    yield "tier\tname\tsilicon\tspread\torrery\terror" + "".join(f"\tmca-{cpu}" for cpu in mca)
    for tier, rows in tiers.items():
        for r in rows:
            beside = "".join(f"\t{c[r.name]:.4f}" if tier == 3 and r.name in c else "\t" for c in mca.values())
            yield f"{tier}\t{r.name}\t{r.native:.4f}\t{r.spread:.4f}\t{r.model:.4f}\t{r.error:.4f}{beside}"


def ladders(rows):
    """{kind: [(x, silicon, model)]} of the rows that are rungs."""
    found = collections.defaultdict(list)
    for row in rows:
        rung = LADDER.match(row.name)
        if rung:
            found[rung.group(1)].append((int(rung.group(2)), row.native, row.model))
    return {kind: sorted(points) for kind, points in found.items()}
