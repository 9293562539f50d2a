"""What llvm-mca says of the blocks of tier 3: cycles a copy, of 200 copies less 100, as they are measured."""
import re
import shutil
import subprocess
import tempfile

from fidelity import runs

COPIES = 100
BORDER = bytes([0x0f, 0x0b])  # ud2 stands in no block
CPU_FLAGS = (("amx_tile", "sapphirerapids"), ("avx512_bf16", "znver4"))  # in this order


def tools():
    """llvm-mca and llvm-mc of LLVM 19, or None when they are not here."""
    found = [shutil.which(f"{name}-19") or shutil.which(name) for name in ("llvm-mca", "llvm-mc")]
    return found if all(found) else None


def version():
    _, text, _ = runs.output_of([tools()[0], "--version"])
    found = re.search(r"LLVM version (\S+)", text)
    return f"llvm-mca {found.group(1)}" if found else "llvm-mca"


def cpu_of_host(flags):
    """The model of LLVM for this host: by what it can do, since a hypervisor may hide what it is; else as LLVM guesses."""
    for flag, cpu in CPU_FLAGS:
        if flag in flags:
            return cpu
    return "native"


def disassembled(blocks):
    """The text of each block, an instruction a line."""
    stream = b"".join(code + BORDER for code, _, _ in blocks)
    listing = subprocess.run([tools()[1], "-disassemble", "-triple=x86_64"], input=" ".join(f"0x{b:02x}" for b in stream),
                             capture_output=True, text=True, check=True).stdout
    texts, lines = [], []
    for line in (line.strip() for line in listing.split("\n")):
        if line == "ud2":
            texts.append(lines)
            lines = []
        elif line and not line.startswith("."):
            lines.append(line)
    if len(texts) != len(blocks):
        raise runs.Failure(f"llvm-mc: {len(texts)} blocks of {len(blocks)}")
    return texts


def pops(blocks):
    """Names of the blocks with POP, whose change of RSP llvm-mca takes to be as late as what it loads."""
    return {str(i) for i, text in enumerate(disassembled(blocks)) if any(line.startswith("pop") and "cnt" not in line
                                                                        for line in text)}


def total_cycles(path, cpu, iterations):
    """{number of the block: cycles}"""
    run = subprocess.run([tools()[0], "-mtriple=x86_64", f"-mcpu={cpu}", f"-iterations={iterations}", "-all-views=false",
                          "-summary-view", path], capture_output=True, text=True, check=False)
    found = re.findall(r"Code Region - b(\d+)\n.*?Total Cycles:\s+(\d+)", run.stdout, re.S)
    if run.returncode or not found:
        raise runs.Failure(f"llvm-mca -mcpu={cpu}: {run.stderr[-400:]}")
    return {int(number): int(cycles) for number, cycles in found}


def estimates(blocks, cpu):
    """{index: cycles} of the blocks."""
    with tempfile.NamedTemporaryFile("w", suffix=".s", encoding="utf-8") as source:
        for number, text in enumerate(disassembled(blocks)):
            body = "\n".join(text)
            source.write(f"# LLVM-MCA-BEGIN b{number}\n{body}\n# LLVM-MCA-END\n")
        source.flush()
        few, many = (total_cycles(source.name, cpu, n) for n in (COPIES, 2 * COPIES))
    return {i: (many[i] - few[i]) / COPIES for i in few if i in many}
