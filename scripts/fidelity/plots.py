"""Scatter plots and ladders as PNG, by gnuplot."""
import shutil
import subprocess

SIZE = "900,900"


def available():
    return shutil.which("gnuplot") is not None


def draw(path, settings, curves):
    """curves: (title, style, [(x, y)]) each."""
    script = [f"set terminal pngcairo noenhanced size {SIZE} font 'sans,11'", f"set output '{path}'", "set grid",
              "set key top left"] + settings
    parts = []
    for number, (title, style, points) in enumerate(curves):
        script.append(f"$data{number} << EOD")
        script += [f"{x:.6g} {y:.6g}" for x, y in points]
        script.append("EOD")
        parts.append(f"$data{number} using 1:2 {style} title '{title}'")
    script.append("plot " + ", ".join(parts + ["x with lines lc rgb 'gray40' notitle"] * ("set logscale xy" in settings)))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True, stdout=subprocess.DEVNULL)


def scatter(path, title, unit, curves):
    """Points (silicon, model) around the line where both are the same. curves: (title, points)."""
    every = [v for _, points in curves for p in points for v in p if v > 0]
    low, high = min(every) * 0.8, max(every) * 1.25
    settings = [f"set title '{title}'", f"set xlabel 'silicon, {unit}'", f"set ylabel 'model, {unit}'", "set logscale xy",
                f"set xrange [{low:.6g}:{high:.6g}]", f"set yrange [{low:.6g}:{high:.6g}]"]
    colours = ("#1f77b4", "#d62728", "#2ca02c")
    size = 0.5 if len(every) > 600 else 1.0
    draw(path, settings, [(name, f"with points pt 7 ps {size} lc rgb '{colours[i % 3]}'",
                           [p for p in points if min(p) > 0]) for i, (name, points) in reversed(list(enumerate(curves)))])


def ladder(path, title, x_name, unit, curves):
    """Lines over a size. curves: (title, points)."""
    settings = [f"set title '{title}'", f"set xlabel '{x_name}'", f"set ylabel '{unit}'", "set logscale x 2",
                "set logscale y"]
    draw(path, settings, [(name, "with linespoints pt 7 ps 0.8", points) for name, points in curves])
