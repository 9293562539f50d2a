"""Who may include whom: folders of sim/ and of os/kernel/ by layer, sim/ and os/ never each other, of the host only what is listed."""
import functools
import os
import re

from house import build
from house.tree import breach, exceptions, files, lines, text

LAYERS = {
    "base": 0, "core": 1, "mmu": 2, "apic": 2, "dev": 2, "timing": 2, "cpu": 3, "machine": 4,
    "observe": 5, "replay": 6, "script": 7, "gdb": 7, "main": 8,
}
MACHINE = 4
# Above the machine only sim.h and base/ are seen.
MACHINE_FACE = "sim/machine/sim.h"

# The kernel's folders (docs/architecture.md); "." is what lies in os/kernel itself. A layer sees its own folder and the layers
# below; what it must know of one above is an exception with its reason, a row "layer FILE:FOLDER".
KERNEL = "os/kernel"
KERNEL_LAYERS = {
    "abi": 0, "lib": 1, "mm": 2, "arch": 3, "sched": 4, "smp": 5, "object": 6, "cap": 7, "proc": 8, "ipc": 9, "sys": 10, ".": 11,
    "test": 12,
}
# Seen by every layer: what mm/ and lib/ ask of a processor, and what every part may call.
KERNEL_FACES = {f"{KERNEL}/{name}" for name in ("arch/arch.h", "arch/arch_pt.h", "arch/x86_64/inline.h", "boot_memory.h",
                                                "console.h", "must.h", "panic.h", "probe.h", "symbols.h", "types.h")}
KERNEL_TOP = KERNEL_LAYERS["."]

# Headers of the host that sim/ may use everywhere, and those that a folder may use besides. Absent on purpose: <time.h>,
# <sys/time.h>, <setjmp.h>, <threads.h>, <pthread.h>, <signal.h> (but for Ctrl-C), <locale.h>, <math.h>, <float.h>, <immintrin.h>.
HOST = {"ctype.h", "errno.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
        "stdlib.h", "string.h"}
HOST_OF = {
    "base": {"fcntl.h", "sys/stat.h", "unistd.h", "xxhash.h"},
    "core": {"sys/mman.h"},
    "cpu": {"Zydis/Zydis.h", "Zydis/Mnemonic.h", "mpfr.h"},
    "gdb": {"netdb.h", "netinet/in.h", "netinet/tcp.h", "poll.h", "sys/socket.h", "unistd.h"},
    "machine": {"Zydis/Zydis.h"},
    "observe": {"dwarf.h", "elfutils/libdw.h", "gelf.h", "libelf.h"},
    "replay": {"zstd.h"},
    "script": {"lauxlib.h", "lua.h", "lualib.h", "mpfr.h", "sys/mman.h"},
    "main": {"Zydis/Zydis.h", "lua.h", "mpfr.h", "poll.h", "signal.h", "sys/stat.h", "unistd.h"},
}

INCLUDE = re.compile(r"\s*#\s*(?:include|include_next|import)\s+(.*)")
NAMED = re.compile(r'(?:"([^"]+)"|<([^>]+)>)')
SUFFIXES = (".c", ".h", ".def", ".S", ".inc")


@functools.lru_cache(maxsize=None)
def folders_of(top):
    """The -I folders of all that is compiled below a top folder, of the tree only."""
    found = []
    for source, (flags, _) in sorted(build.commands().items()):
        if source.startswith(top + "/"):
            found += [f[2:].rstrip("/") for f in flags if f.startswith("-I") and f[2:].rstrip("/") not in found]
    return [f for f in found if not os.path.isabs(f)]


def resolve(path, name, quoted):
    """The file of the tree that an include means, as a path from the root; None: a header of the host."""
    places = ([os.path.dirname(path)] if quoted else []) + folders_of(path.split("/")[0])
    for place in places:
        target = os.path.join(place, name)
        if os.path.exists(target):
            return os.path.relpath(os.path.realpath(target), os.path.realpath("."))
    return None


@functools.lru_cache(maxsize=None)
def includes(path):
    """(line, name as written, file of the tree or None) of each include."""
    found = []
    for number, line in enumerate(lines(path), 1):
        directive = INCLUDE.match(line)
        if not directive:
            continue
        named = NAMED.match(directive.group(1))
        if not named:
            found.append((number, None, None))
            continue
        name = named.group(1) or named.group(2)
        found.append((number, name, resolve(path, name, named.group(1) is not None)))
    return found


def check_layer(path, number, target):
    folder, other = path.split("/")[1], target.split("/")[1]
    if folder not in LAYERS or other not in LAYERS:
        breach(path, number, f"folder without a layer: {folder if folder not in LAYERS else other}")
    elif other != folder and LAYERS[other] >= LAYERS[folder]:
        breach(path, number, f"layer: {folder} must not include {other} ({target})")
    elif LAYERS[folder] > MACHINE >= LAYERS[other] > 0 and target != MACHINE_FACE:
        breach(path, number, f"layers above the machine include only {MACHINE_FACE} of it, not {target}")


def kernel_folder(path):
    """The layer's name: abi for the binary interface, None for what is not of the kernel."""
    part = path.split("/")
    if path.startswith(KERNEL + "/"):
        return part[2] if len(part) > 3 else "."
    return "abi" if path.startswith("os/abi/") else None


def check_kernel_layer(path, number, target):
    folder, other = kernel_folder(path), kernel_folder(target)
    layer = KERNEL_LAYERS.get(folder)
    if layer is None:
        breach(path, number, f"folder without a layer: {folder}")
        return
    if layer >= KERNEL_TOP and (other is None or other in KERNEL_LAYERS):
        return  # the top puts boot and kernel together
    if other == folder or target in KERNEL_FACES or KERNEL_LAYERS.get(other, KERNEL_TOP) < layer:
        return
    if not exceptions.excuse("layer", f"{path}:{other or target}"):
        breach(path, number, f"layer: {folder} must not include {other or 'this'} ({target})")


def check_one(path, number, name, target):
    top = path.split("/")[0]
    other = target.split("/")[0] if target else None
    if name is None:
        if not exceptions.excuse("include", path):
            breach(path, number, "an include by macro: nobody can see what it means")
    elif {top, other} == {"sim", "os"}:
        breach(path, number, f"{top}/ must not include {other}/ ({target})")
    elif top in ("sim", "os") and other == "tests":
        breach(path, number, f"{top}/ must not include tests/ ({target})")
    elif top == "sim" and other == "sim":
        check_layer(path, number, target)
        if f"sim/{name}" != target:
            breach(path, number, f'include by another way than "{target[4:]}"')
    elif top == "sim" and target is None and not name.endswith(".inc"):
        check_host(path, number, name)
    elif target and path.startswith(KERNEL + "/"):
        check_kernel_layer(path, number, target)
    elif path.startswith("os/tools/"):
        pass  # programs of the host
    elif top == "os" and target is None and name not in ("stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h"):
        breach(path, number, f"a guest knows no header <{name}>")


def check_host(path, number, name):
    folder = path.split("/")[1]
    if name not in HOST | HOST_OF.get(folder, set()) and not exceptions.excuse("header", f"{path}:{name}"):
        breach(path, number, f"<{name}> is not for {folder}/ (scripts/house/includes.py)")


def check_dependency_files():
    """What the compiler really read: nothing of os/ in sim/ and the other way round."""
    for top, other in (("sim/", "os/"), ("os/", "sim/")):
        for source, made in build.objects(top).items():
            depends = os.path.splitext(made)[0] + ".d"
            if os.path.exists(depends):
                for word in text(depends).split():
                    inside = os.path.relpath(os.path.realpath(word.rstrip(":")), os.path.realpath("."))
                    if inside.startswith((other, "tests/")):
                        breach(source, 0, f"the compiler read {inside} for it")
                        break


def check():
    for path in files(*SUFFIXES):
        for number, name, target in includes(path):
            check_one(path, number, name, target)
    check_dependency_files()
