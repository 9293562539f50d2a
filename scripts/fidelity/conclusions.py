"""Tier 5: the numbers of a machine that user mode cannot see, and what was concluded from figures that rest on them.

Both lists were fixed before anything was run with other numbers than the machine's own. A conclusion is a choice of the
kernel's design, or a bound that a requirement sets: left < right, each a median of scenarios/bench-kernel.lua (or their
sum), times a factor.
"""
import collections

CPUS = 2

# keys: what is half and one and a half together, as it is one thing or stands in one row of the machine file
Parameter = collections.namedtuple("Parameter", "name keys what")
PARAMETERS = [
    Parameter("ipi_cycles", ["ipi_cycles"], "message between CPUs, on its way"),
    Parameter("interrupt_cycles", ["interrupt_cycles"], "entry of an interrupt"),
    Parameter("exception_cycles", ["exception_cycles"], "entry of an exception"),
    Parameter("IRET", ["class.IRET.latency"], "iretq"),
    Parameter("SYSCALL SYSRET", ["class.SYSCALL.latency", "class.SYSRET.latency"], "system call, there and back"),
    Parameter("SWAPGS", ["class.SWAPGS.latency"], "swapgs"),
    Parameter("CR3", ["class.CR3.latency"], "CR3 write that drops translations"),
    Parameter("CR3_KEEP", ["class.CR3_KEEP.latency"], "CR3 write that keeps them"),
    Parameter("INVLPG", ["class.INVLPG.latency"], "invlpg, invpcid"),
    Parameter("MSR", ["class.MSR.latency"], "rdmsr, wrmsr"),
    Parameter("FLAGS", ["class.FLAGS.latency"], "cli, sti, clac, stac"),
    Parameter("SYSTEM", ["class.SYSTEM.latency"], "other system instructions"),
    Parameter("HALT", ["class.HALT.latency"], "hlt, going to sleep"),
    Parameter("wake_cycles", ["wake_cycles"], "hlt, waking up"),
    Parameter("mmio_cycles", ["mmio_cycles"], "device register in memory"),
    Parameter("IO", ["class.IO.latency"], "port of a device"),
    Parameter("ioapic_cycles", ["ioapic_cycles"], "interrupt of a device, on its way"),
    Parameter("snoop_cycles", ["snoop_cycles"], "a copy in another CPU goes"),
    Parameter("cache_to_cache_cycles", ["cache_to_cache_cycles"], "a line comes from another CPU"),
    Parameter("ad_update_cycles", ["ad_update_cycles"], "a walk sets an accessed or dirty bit"),
]
TOGETHER = Parameter("all of them", [key for p in PARAMETERS for key in p.keys], "all of the above at once")

# sides: [(row, factor)]; a row of "" is the number 1
Conclusion = collections.namedtuple("Conclusion", "name what where group left right")


def one(row, factor=1):
    return [(row, factor)]


CONCLUSIONS = [
    Conclusion("short-way", "messages from registers to registers beat the general way",
               "bench-kernel.md: Ablation", "ablation", one("ablation-none"), one("ablation-no-short-way")),
    Conclusion("hand-over", "handing the CPU over beats waking the partner",
               "bench-kernel.md: IP-13", "ablation", one("ablation-no-short-way"), one("ablation-no-handoff")),
    Conclusion("capability-cache", "the cache of lookups and the short way beat none",
               "bench-kernel.md: Ablation", "ablation", one("ablation-none"), one("ablation-no-cap-cache")),
    Conclusion("pcid", "process-context identifiers beat dropping all translations",
               "bench-kernel.md: Ablation", "ablation", one("ablation-none"), one("ablation-no-pcid")),
    Conclusion("local-partner", "a partner on the same CPU beats one on another that sleeps",
               "bench-kernel.md: IP-11", "ipc", one("ipc-call"), one("ipc-call-remote")),
    Conclusion("local-partner-woken", "even when the local one is woken without hand-over",
               "bench-kernel.md: IP-11, IP-13", "ipc,ablation", one("ablation-no-handoff"), one("ipc-call-remote")),
    Conclusion("one-way-bound", "a message, one way, within 3,000 cycles",
               "bench-kernel.md: IP-11", "ipc", one("ipc-one-way"), one("", 3000)),
    Conclusion("call-rate", "two million messages a second by calls",
               "bench-kernel.md: IP-23", "ipc", one("ipc-call"), one("", 3000)),
    Conclusion("stream", "64 messages at once in a channel beat one at a time",
               "design/performance.md: stream", "throughput", one("flood-64"), one("flood-1")),
    Conclusion("stream-against-call", "64 at once beat calls, a message",
               "design/performance.md: stream", "throughput,ipc", one("flood-64"), one("ipc-call", 0.5)),
    Conclusion("call-against-channel", "a call beats a channel, one message at a time",
               "design/performance.md: small messages", "throughput,ipc", one("ipc-call", 0.5), one("flood-1")),
    Conclusion("batch-4", "4 messages at once beat one",
               "bench-kernel.md: IP-27", "throughput", one("batch-4"), one("batch-1")),
    Conclusion("batch-16", "16 beat 4",
               "bench-kernel.md: IP-27", "throughput", one("batch-16"), one("batch-4")),
    Conclusion("batch-64", "64 beat 16",
               "bench-kernel.md: IP-27", "throughput", one("batch-64"), one("batch-16")),
    Conclusion("no-needless-shootdown", "unmapping without other CPUs beats unmapping with them",
               "design/performance.md: other CPUs", "map,shootdown", one("unmap-1"), one("unmap-shared")),
    Conclusion("map-many", "a page of many mapped at once beats one by itself",
               "design/performance.md: many pages", "map", one("map-2048"), one("map-1")),
    Conclusion("unmap-many", "a page of many unmapped at once beats one by itself",
               "design/performance.md: many pages", "map", one("unmap-2048"), one("unmap-1")),
    Conclusion("map-now", "16 pages mapped by a call beat 16 faults",
               "design/performance.md: MAP_NOW", "map,regions", one("region-64k-map"), one("fault-zero", 16)),
    Conclusion("map-now-page", "a page of a call beats a fault",
               "design/performance.md: MAP_NOW", "map", one("map-2048"), one("fault-zero")),
    Conclusion("region-mapped", "a region that both have mapped beats mapping a page for a message",
               "design/performance.md: pass 4 KiB and more", "regions", one("region-64k-mapped"), one("region-4k-map")),
    Conclusion("spawn", "spawn beats fork and exec",
               "design/performance.md: many children", "births", one("sys-spawn-first-instruction"),
               one("spawn-first-instruction")),
    Conclusion("spawn-against-fork", "spawn beats fork alone",
               "design/performance.md: many children", "births", one("sys-spawn-first-instruction"),
               one("fork-first-instruction")),
    Conclusion("thread-switch", "a switch of threads beats one of processes",
               "bench-kernel.md: SC-08", "yield", one("yield-thread-fair"), one("yield-switch-fair")),
    Conclusion("real-time-switch", "the real-time class switches faster than the fair one",
               "bench-kernel.md: SC-08", "yield", one("yield-switch-fifo"), one("yield-switch-fair")),
    Conclusion("hand-over-against-yield", "a message with its switch beats a yield with its switch",
               "design/ipc.md: hand-over", "ipc,yield", one("ipc-one-way"), one("yield-switch-fair")),
    Conclusion("shootdown-bound", "a shootdown within 15,000 cycles for each other CPU",
               "bench-kernel.md: VM-04", "shootdown", one("shootdown-user-per-cpu"), one("", 15000)),
    Conclusion("shootdown-goal", "a shootdown within its goal of 3,000 cycles",
               "bench-kernel.md: VM-04", "shootdown", one("shootdown-user-per-cpu"), one("", 3000)),
    Conclusion("message-bound", "a message between CPUs is handled within 15,000 cycles",
               "bench-kernel.md: SM-01", "interrupts", one("ipi-reschedule"), one("", 15000)),
    Conclusion("parallel-lookups", "2 CPUs look capabilities up at 90 % of twice the rate of one",
               "bench-kernel.md: CP-26", "capability-system", one("parallel-lookups-1", 1.8), one("parallel-lookups-2")),
    Conclusion("parallel-derives", "2 CPUs derive at 60 % of twice the rate of one",
               "bench-kernel.md: CP-26", "capability-system", one("parallel-derives-1", 1.2), one("parallel-derives-2")),
    Conclusion("revoke-16", "16 revoked at once beat one",
               "bench-kernel.md: CP-26", "capability-system", one("cap-revoke-16"), one("cap-revoke-1")),
]
QUICK = ("ipi_cycles", ("local-partner", "one-way-bound"))  # what CI runs: a parameter, conclusions
NOT_MEASURED = """\
Not among them, as no program of the kernel measures it: a shootdown of many shared pages against one by one, entry by
SYSCALL against an interrupt gate, another kind of lock (all are ticket locks), a receiver on the same node against any.
"""
