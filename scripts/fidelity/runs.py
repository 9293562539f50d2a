"""Runs the task, here and in Orrery, and reads what its hosts print (host.c, guest/guest.c of tests/fidelity/)."""
import collections
import hashlib
import re
import subprocess

LIMIT_SECONDS = 900

Job = collections.namedtuple("Job", "index tier name repetitions operations bytes large")
Run = collections.namedtuple("Run", "index given_up result pages samples")


class Failure(Exception):
    """A run that did not do what it should."""


def output_of(command):
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as expired:
        raise Failure(f"no end after {LIMIT_SECONDS} s: {' '.join(command)}") from expired
    return run.returncode, run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")


def parameters(orrery, machine):
    """The parameters of a machine as text."""
    status, text, wrong = output_of([orrery, "info", "--machine", machine, "--params"])
    if status:
        raise Failure(f"{machine}: {wrong or text}")
    return text


def machine_digest(orrery, machine):
    """Tells two states of a machine file apart."""
    return hashlib.sha256(parameters(orrery, machine).encode()).hexdigest()[:16]


def jobs(host, image):
    """The jobs of the image, and how many blocks stand behind them."""
    status, text, wrong = output_of([host, image, "list"])
    if status:
        raise Failure(f"{host} list: {wrong or text}")
    return parse_jobs(text)


def parse_jobs(text):
    found, blocks = [], 0
    for words in (line.split() for line in text.split("\n")):
        if words[:1] == ["job"]:
            index, tier, name, repetitions, operations, size, large = words[1:]
            found.append(Job(int(index), int(tier), name, int(repetitions), int(operations), int(size), int(large)))
        elif words[:1] == ["blocks"]:
            blocks = int(words[2])
    return found, blocks


def parse_runs(text):
    """{index: Run} of the lines "run INDEX GIVEN_UP RESULT PAGES SAMPLE...", all numbers hexadecimal."""
    found = {}
    for line in text.split("\n"):
        if not line.startswith("run "):
            continue
        words = line.split()
        index, given_up, result, pages = (int(w, 16) for w in words[1:5])
        samples = [tuple(int(n, 16) for n in word.split(",")) for word in words[5:]]
        if any(len(s) != 4 for s in samples):
            raise Failure(f"no sample: {line[:200]}")
        found[index] = Run(index, given_up, result, pages, samples)
    return found


def finished(command, status, text, wrong):
    if not re.search(r"^end$", text, re.M):
        raise Failure(f"status {status} and no end from: {' '.join(command)}\n{text[-400:]}\n{wrong[-600:]}")
    return parse_runs(text)


def native(host, image, tier, samples, first, count, arena):
    """Runs on this host; also how it came by pages of 2 MiB: hugetlb, thp or none."""
    command = [host, image, str(samples), str(tier), str(first), str(count), str(arena)]
    status, text, wrong = output_of(command)
    large = re.search(r"^large (\w+)$", text, re.M)
    return finished(command, status, text, wrong), large.group(1) if large else "none"


def simulated(orrery, guest, image, machine, tier, samples, first, count, arena):
    """Runs in Orrery, as a task in ring 3 on the timed engine."""
    command = [orrery, "boot", "--kernel", guest, "--initrd", image, "--engine", "timed",
               "--memory", f"{2 * arena + 256}M", "--append", f"{samples} {tier} {first} {count} {arena}"]
    command += ["--machine", machine] if machine else []
    status, text, wrong = output_of(command)
    return finished(command, status, text, wrong)


def fingerprint(host, image):
    """What the host is: its own words, as the task's host prints them."""
    status, text, wrong = output_of([host, image, "machine"])
    if status:
        raise Failure(f"{host} machine: {wrong or text}")
    return dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
