"""The arithmetic of a validation: which samples count, what they say, and how well two lists of figures agree."""
import collections
import math
import statistics

CHAIN_CYCLES = 2304  # tests/fidelity/fidelity.h
TOLERANCE = 200      # two calibrations may differ by one in so many: half a percent

Figure = collections.namedtuple("Figure", "value spread kept rejected ratio")


def agrees(sample):
    """Whether the clocks before and after a sample were the same (before, once, twice, after: ticks)."""
    return abs(sample[0] - sample[3]) * TOLERANCE <= sample[0]


def ratio(sample):
    """Core cycles in a tick of the time-stamp counter."""
    return 2 * CHAIN_CYCLES / (sample[0] + sample[3])


def figure(samples, operations, paired=True, convert=True):
    """Cycles an operation, median of the samples that count, and half the distance of the quartiles. paired: what twice
    costs beyond once. convert: ticks to core cycles by the calibrations. None when no sample counts."""
    good = [s for s in samples if agrees(s)]
    if not good:
        return None
    values = [(s[2] - s[1] if paired else s[1]) * (ratio(s) if convert else 1.0) / operations for s in good]
    first, middle, third = quartiles(values)
    return Figure(middle, (third - first) / 2, len(good), len(samples) - len(good),
                  statistics.median(ratio(s) for s in good))


def quartiles(values):
    ordered = sorted(values)
    if len(ordered) == 1:
        return tuple(ordered * 3)
    return tuple(statistics.quantiles(ordered, n=4, method="inclusive"))


def error(got, wanted):
    """Relative error; where both are nothing, none."""
    if wanted == 0:
        return 0.0 if got == 0 else math.inf
    return (got - wanted) / wanted


def mean_error(pairs):
    return statistics.fmean(abs(error(got, wanted)) for got, wanted in pairs)


def kendall_tau(pairs):
    """Tau-b of (x, y) pairs: 1 when both lists rank alike, -1 when one is the other upside down; ties count for neither."""
    concordant = ties_x = ties_y = 0
    ordered = sorted(pairs)
    for i, (x, y) in enumerate(ordered):
        for u, v in ordered[i + 1:]:
            if u == x:
                ties_x += 1
                ties_y += v == y
            elif v == y:
                ties_y += 1
            else:
                concordant += 1 if v > y else -1
    every = len(ordered) * (len(ordered) - 1) // 2
    scale = math.sqrt((every - ties_x) * (every - ties_y))
    return concordant / scale if scale else math.nan


def ranks(values):
    """Rank of each value from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            out[place] = (at + 1 + end) / 2
        at = end
    return out


def spearman(pairs):
    """Rank correlation of (x, y) pairs."""
    if len(pairs) < 2:
        return math.nan
    x, y = (ranks(list(side)) for side in zip(*pairs))
    middle = (len(pairs) + 1) / 2
    above = sum((a - middle) * (b - middle) for a, b in zip(x, y))
    below = math.sqrt(sum((a - middle) ** 2 for a in x) * sum((b - middle) ** 2 for b in y))
    return above / below if below else math.nan
