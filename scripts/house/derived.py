"""Format, and pages and stubs that are made from tables.

covers: DC-04 (the page of the system calls)
"""
import re
import subprocess

from house import build
from house.tree import breach, breaches, files


def check_format(sources):
    for start in range(0, len(sources), 50):
        run = subprocess.run(["clang-format", "--dry-run", *sources[start : start + 50]], capture_output=True, text=True,
                             check=False)
        for path in sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning: code should be", run.stderr, re.M))):
            breach(path, 0, "not formatted; run make format")
        if run.returncode:
            breach(".clang-format", 0, run.stderr.split("\n")[0])


def check():
    if build.make("-s", "os-docs-check").returncode:
        breach("docs", 0, "kernel pages are not up to date; run make os-docs")
    check_format(files(".c", ".h"))
    stencils = subprocess.run(["scripts/make-stencils", "--check"], capture_output=True, text=True, check=False)
    if stencils.returncode:
        breach("sim/cpu/stencils.inc", 0, stencils.stderr.strip())
    derived = subprocess.run(["scripts/make-docs", "--check"], capture_output=True, text=True, check=False)
    breaches.extend(derived.stdout.split("\n")[:-1])
    if derived.returncode and not derived.stdout:
        breach("scripts/make-docs", 0, "fails: " + (derived.stderr.strip().split("\n") or [""])[-1])
