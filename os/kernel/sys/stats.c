/*
 * The system's figures in one structure. Deviations: the figures are read one after the other; a CPU's
 * times under its sequence, its counts of threads between two takings of its queue's lock.
 */
#include "sys/stats.h"

#include "arch/x86_64/clock.h"
#include "ipc/dma.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "proc/process.h"
#include "proc/usercopy.h"
#include "sched/reaper.h"
#include "sched/sched.h"

static struct {
    uint64_t frames;
    uint32_t cpus;
} found_by_boot;

void stats_precompute(uint64_t frames, uint32_t cpus)
{
    found_by_boot.frames = frames;
    found_by_boot.cpus = cpus;
}

static void cpu_snapshot(struct cpu_stats *out, const struct cpu *cpu)
{
    struct sched_times times;
    sched_times_read(cpu, &times);
    *out = (struct cpu_stats){
        .switches = __atomic_load_n(&cpu->switches, __ATOMIC_RELAXED),
        .ticks = __atomic_load_n(&cpu->ticks, __ATOMIC_RELAXED),
        .interrupts = __atomic_load_n(&cpu->interrupts, __ATOMIC_RELAXED),
        .idle_cycles = times.idle_cycles,
        .busy_cycles = times.busy_cycles,
        .shootdowns_sent = __atomic_load_n(&cpu->shootdowns_sent, __ATOMIC_RELAXED),
        .run_delay_cycles = __atomic_load_n(&cpu->run_delay, __ATOMIC_RELAXED),
        .moves_wake = __atomic_load_n(&cpu->moves[MOVE_WAKE], __ATOMIC_RELAXED),
        .moves_pull = __atomic_load_n(&cpu->moves[MOVE_PULL], __ATOMIC_RELAXED),
        .moves_push = __atomic_load_n(&cpu->moves[MOVE_PUSH], __ATOMIC_RELAXED),
        .moves_forced = __atomic_load_n(&cpu->moves[MOVE_FORCED], __ATOMIC_RELAXED),
        .node_crossings = __atomic_load_n(&cpu->node_crossings, __ATOMIC_RELAXED),
        .node = cpu->node,
        .online = (cpu_online_mask() & 1ull << cpu->id) != 0,
        .shootdowns_served = __atomic_load_n(&cpu->shootdowns_served, __ATOMIC_RELAXED),
    };
}

static void memory_snapshot(struct system_stats *out)
{
    out->frames_managed = found_by_boot.frames;
    if (frame_manager_is_published()) {
        out->frames_free = frame_free_count();
        out->frames_managed = frame_manager_get()->map_frames;
        out->nodes = frame_manager_get()->node_count;
    }
    out->frames_dma = dma_frames();
    struct kheap_stats heap;
    kheap_stats_read(&heap);
    out->heap_bytes = heap.slab_bytes + heap.large_bytes;
    out->heap_objects = heap.live_objects;
}

void stats_snapshot(struct system_stats *out)
{
    memset(out, 0, sizeof(*out));
    memory_snapshot(out);
    out->clock_hz = clock_frequency_hz();
    out->cpus_online = cpu_count_online();
    if (thread_current() == NULL) {
        out->cpus_present = found_by_boot.cpus;
        return;
    }
    struct process_totals processes;
    process_totals_read(&processes);
    out->processes = processes.processes;
    out->forks = processes.forks;
    out->exits = processes.exits;
    out->threads = processes.threads;
    out->threads_dead = reaper_pending();
    struct sched_totals threads;
    sched_totals_read(&threads);
    out->threads_running = threads.running;
    out->threads_ready = threads.ready;
    out->threads_sleeping = threads.sleeping;
    out->threads_alive = threads.alive;
    out->cpus_present = cpu_count_present();
    for (unsigned id = 0; id < cpu_count_present() && id < STATS_MAX_CPUS; id++) {
        cpu_snapshot(&out->cpus[id], cpu_table[id]);
    }
}

int64_t stats_copy_out(vaddr_t to, uint64_t bytes)
{
    struct system_stats *snapshot = kmalloc(sizeof(*snapshot));
    if (snapshot == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    stats_snapshot(snapshot);
    uint64_t count = bytes < sizeof(*snapshot) ? bytes : sizeof(*snapshot);
    status_t status = user_write(to, snapshot, count);
    kfree(snapshot);
    return status != STATUS_OK ? status : (int64_t)count;
}
