"""What the linker takes out with --gc-sections: functions and data that nothing reaches from where an image begins, not even
each other in a circle. Kernel, user programs, loader and the dimension store's tool are built once more in build/sections/,
with a section for every function and datum and without inlining; none of it ever runs. A function or datum of a source may
be in several images; one that all of them lose is a breach, unless it has a row "unused" of the exceptions: such rows are
roots, and what they reach is kept. build/sections/report.txt lists all that is taken out without these roots.

covers: ER-09
"""
import collections
import glob
import os
import re
import subprocess

from house import build
from house.tree import breach, exceptions, files, line_of

BUILD = os.environ.get("BUILD", "build")
PLACE = os.path.join(BUILD, "sections")
COMPILE = "-ffunction-sections -fdata-sections -fno-inline"
LINK = "-Wl,--gc-sections,--print-gc-sections,-t,-t"
# Tables of addresses inside functions: they say what may fault or touch user memory, and call nothing.
TABLES = (".exception_table", ".smap_sites")
# Without what the compiler makes itself: strings, constants, tables of values for a switch.
SECTION = re.compile(r"\.(?:text|rodata|data|bss|tdata|tbss)(?:\.rel\.ro)?(?:\.(?:local|unlikely|startup|hot|exit))?"
                     r"\.(?!cst\d|str\d|CSWTCH)(\w+)(?!\S*\.str\d)")


def make(roots, *targets):
    """What the linkers say while they make these files again."""
    for target in targets:
        if os.path.exists(target):
            os.remove(target)
    link = LINK + "".join(f",-u,{name}" for name in sorted(roots))
    run = build.make("-s", "-k", "-O", f"-j{min(os.cpu_count() or 1, 2)}", "BUILD=" + PLACE, "MODE=rel",
                     f"OS_CC={os.environ.get('OS_CC', 'gcc')} {COMPILE} {link}", f"OS_UEFI_CC={os.environ.get('OS_UEFI_CC', 'clang')} {COMPILE}",
                     "OS_UEFI_LD=lld-link -opt:ref -verbose", f"CFLAGS={COMPILE}", f"LDFLAGS={link}", *targets)
    for target in targets:
        if not os.path.exists(target):
            breach("os/os.mk", 0, f"with {LINK} there is no {target}")
    return run.stdout + run.stderr


def prepare():
    """The kernel's link map, in which tables do not keep the functions that they have addresses of."""
    path = PLACE + "/os/kernel.ld"
    build.make("-s", "BUILD=" + PLACE, path)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as handle:
            old = handle.read()
        new = old
        for table in TABLES:
            new = new.replace(f"KEEP(*({table}))", f"*({table})")
        if new != old:
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(new)


def source_of(linked):
    """The source of an object or of a member of an archive, or None."""
    found = re.match(PLACE + r"/os/(?:obj|user|uefi)/(\S+\.[cS])\.o$", linked)
    if found:
        return "os/" + found.group(1)
    found = re.match(PLACE + r"/rel/(?:(os/tools/\S+)\.o|libdimension\.a\((\w+)\.o\))$", linked)
    return found and (f"{found.group(1)}.c" if found.group(1) else f"os/dimension/{found.group(2)}.c")


def elements(linked):
    """{section: name} of the functions and data of an object, of the sections of an assembly file."""
    path, _, member = linked.rstrip(")").partition("(")
    words = ["objdump", "-h", "-w", PLACE + f"/rel/os/dimension/{member}" if member else path]
    found = {}
    for section, size in re.findall(r"^\s*\d+ (\S+)\s+([0-9a-f]+).*\bALLOC\b", subprocess.run(
            words, capture_output=True, text=True, check=False).stdout, re.M):
        name = SECTION.fullmatch(re.sub(r"(\.(isra|constprop|part|cold|lto_priv)?(\.?\d+)?)*$", "", section))
        if not int(size, 16) or section in TABLES:
            continue
        if linked.endswith(".S.o"):
            found[section] = section
        elif name:
            found[section] = name.group(1)
    return found


def taken_by_ld(said):
    """{(source, name)} of what is in no image of those linked here, and what is in one."""
    links = collections.Counter(re.sub(r"^\((.*)\)(\w+\.o)$", r"\1(\2)", line)
                                for line in re.findall(rf"^\(?{PLACE}/\S+\.o$", said, re.M))
    removed = collections.Counter((path, section) for section, path in
                                  re.findall(r"removing unused section '(\S+)' in file '(\S+)'", said))
    lost, kept = set(), set()
    for linked, times in links.items():
        source = source_of(linked)
        for section, name in elements(linked).items() if source else []:
            (lost if removed[(linked, section)] == times else kept).add((source, name))
    return lost, kept


def taken_by_lld(said):
    """The same for the loader, whose linker tells names only."""
    discarded = collections.Counter(re.findall(r"Discarded (\w+)", said))
    defined = collections.defaultdict(list)
    for path in glob.glob(PLACE + "/os/uefi/**/*.o", recursive=True):
        symbols = subprocess.run(["nm", path], capture_output=True, text=True, check=False).stdout
        for name in re.findall(r"^[0-9a-f]+ [TtDdBbRr] (\w+)$", symbols, re.M):
            defined[name].append(source_of(path))
    lost, kept = set(), set()
    for name, sources in defined.items():
        (lost if discarded[name] == len(sources) else kept).update((source, name) for source in sources)
    return lost, kept


def unreached(roots):
    """{(source, name)} of what no image has."""
    images = [f"{PLACE}/os/orrery.elf", f"{PLACE}/rel/dimtool",
              *sorted({f"{PLACE}/os/programs/{p.split('/')[2]}" for p in files(".c", under="os/programs/")})]
    lost, kept = taken_by_ld(make(roots, *images))
    lost_loader, kept_loader = taken_by_lld(make(roots, PLACE + "/os/BOOTX64.EFI"))
    lost_tests, kept_tests = taken_by_ld(make(roots, PLACE + "/os/orrery-test.elf"))
    # what only the kernel's tests reach is no part of what is shipped
    tests = {one for one in lost_tests - kept_tests if one[0].startswith("os/kernel/test/")}
    return (lost | lost_loader) - kept - kept_loader | tests


def check():
    prepare()
    excused = {key.rpartition(":")[2] for rule, key in exceptions.rows if rule == "unused" and key.startswith("os/")}
    without, still = unreached(set()), unreached(excused)
    report = []
    for source, name in sorted(without):
        if exceptions.excuse("unused", f"{source}:{name}"):
            report.append(f"{source}: {name}: has a row in the exceptions")
        elif (source, name) not in still:
            report.append(f"{source}: {name}: reached by what has a row")
        else:
            report.append(f"{source}: {name}: reached by nothing")
            breach(source, line_of(source, name), f"--gc-sections takes {name} out: nothing reaches it")
    with open(PLACE + "/report.txt", "w", encoding="utf-8") as handle:
        handle.writelines(line + "\n" for line in report)
