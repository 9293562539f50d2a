"""Every header compiles alone, with the flags of its neighbours: the simulator's, the tests', or the guest's.

covers: ER-09 (headers)
"""
import concurrent.futures
import subprocess

from house import build
from house.tree import breach, files


def compile_alone(header):
    command = [*build.flags_near(header), "-fsyntax-only", "-x", "c", "-include", header, "-"]
    run = subprocess.run(command, input="typedef int nothing;\n", capture_output=True, text=True, check=False)
    wrong = [line for line in run.stderr.split("\n") if "error:" in line]
    return header, (wrong or [run.stderr.split("\n")[0]])[0] if run.returncode else None


def check():
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for header, wrong in pool.map(compile_alone, files(".h")):
            if wrong is not None:
                breach(header, 0, f"does not compile alone: {wrong}")
