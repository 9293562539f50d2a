#ifndef ORRERY_MACHINE_MACHINE_H
#define ORRERY_MACHINE_MACHINE_H

/* The machine inside: what the files of sim/machine/ share. Layers above include sim.h instead. */

#include "apic/apic_bus.h"
#include "apic/ioapic.h"
#include "apic/lapic.h"
#include "core/bus.h"
#include "core/event.h"
#include "cpu/access_watch.h"
#include "cpu/block.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "machine/board.h"
#include "machine/memory_map.h"
#include "machine/sharing.h"
#include "machine/sim.h"

#define PROBES_MAX 2048u
#define STALLS_MAX 64u

struct probe {
    bool used;
    lin_t address;
    sim_probe_fn *fn;
    void *arg;
};

/* Who is told of the accesses of access_watches.entries[i]. */
struct access_observer {
    sim_access_fn *fn;
    void *arg;
};

/* An armed stall: vCPU cpu's clock jumps by cycles before its next instruction once it has retired `step` of them. */
struct stall {
    unsigned cpu;
    uint64_t step, cycles;
};

/* Interrupts before every instruction of a range, on one vCPU. */
struct interrupt_range {
    bool armed;
    uint64_t first, last;
    uint16_t vector;
};

/* Who was interrupted before an instruction of a range: it executes when this one comes back to it, on whichever vCPU. */
struct interrupted {
    uint64_t linear_rip;
    uint64_t rsp;
    uint64_t space; /* address of the top paging structure; 0 outside user mode: stacks tell */
};

#define INTERRUPTED_MAX 256

#define WATCHERS_MAX 4u

struct watcher {
    timing_record_fn *fn;
    void *target;
};

/* Who wants to know how far a run is. */
struct progress {
    sim_progress_fn *fn;
    void *arg;
    uint64_t next_cycles;
    bool shown;
};

/* Who is called at cycles that the order reaches. */
struct cut {
    sim_cut_fn *fn; /* or NULL: next_cycles is EVENT_NEVER */
    void *arg;
    uint64_t next_cycles;
};

/* Who is called before every step. */
struct boundary {
    sim_boundary_fn *fn; /* or NULL */
    void *arg;
};

struct effect_log {
    struct effect *effects;
    size_t count, capacity;
};

struct sim {
    struct sim_config config;
    char *cpu_model;
    struct timing_params *timing; /* or NULL: the flat machine */
    struct memory_map map;
    struct event_queue *events;
    struct bus bus;
    struct apic_bus apic_bus;
    struct ioapic ioapic;
    struct lapic *lapics; /* config.cpus of each */
    struct cpu *cpus;
    struct cpuid_model cpuid;
    struct timing *model; /* the reference machine, or NULL */
    struct block_cache *blocks;
    struct board board;

    /* the run */
    uint64_t now_cycles;           /* the cut */
    uint64_t phases[SIM_CPUS_MAX]; /* start phase of each vCPU, from the seed */
    enum sim_stop ended;           /* SIM_RUNNING until the machine has ended for good */
    bool stop_asked;
    enum sim_stop last_stop; /* of sim_run */
    enum machine_request request;
    uint64_t request_cycles; /* when it was made; taken at once */
    enum sim_stop ending;    /* it will end so at ending_cycles; or SIM_RUNNING */
    uint64_t ending_cycles;
    uint32_t exit_value;
    unsigned stop_cpu;
    char stop_text[256];
    struct cpu *running;   /* the vCPU inside cpu_run, or NULL */
    uint64_t wakes;        /* by machine_wake, so far: the order has new members; not part of the state */
    struct position at;    /* where the order stands, unless: */
    struct cpu *stepped;   /* the vCPU that stepped last, when that was the last thing to happen */
    bool moved;            /* sim_run has done something */
    uint64_t ahead_cycles; /* how far vCPUs may run ahead of the order; 0: strictly in it */
    const struct position *target; /* sim_go_to: stop there */
    const struct cpu *alone;       /* takes one step at a time; or NULL */

    /* observers and effects */
    sim_output_fn *on_output;
    void *on_output_arg;
    struct probe probes[PROBES_MAX];
    unsigned probe_end; /* no probe from here on was ever used */
    struct access_watches accesses;
    struct access_observer access_observers[ACCESS_WATCHES_MAX];
    struct sharing *sharing; /* or NULL: not counted */
    struct watcher watchers[WATCHERS_MAX];
    unsigned watcher_count;
    struct stall stalls[STALLS_MAX];
    unsigned stall_count;
    struct interrupt_range ranges[SIM_CPUS_MAX];
    struct interrupted interrupted[INTERRUPTED_MAX]; /* oldest first; with one too many it is forgotten */
    unsigned interrupted_count;
    struct effect_log log;
    struct progress progress;
    struct cut cut;
    struct boundary boundary;

    uint64_t events_fired;
};

/* config.c: are the values in bounds and do they fit together? */
bool sim_config_check(const struct sim_config *c, struct error *e);

/* hooks.c: what is called before every instruction of a vCPU, while it has a stall or a range armed. */
void hooks_update(struct sim *s, unsigned cpu);

/* run.c */
bool position_same(struct position a, struct position b);

/* state.c: the one list of the machine's state, RAM apart. */
void machine_visit(struct sim *s, struct visitor *v);
/* That and the run's place in it, of this machine and for it: they are not checked. */
void machine_save_all(struct sim *s, struct state_buffer *b);
void machine_load_all(struct sim *s, const struct state_buffer *b);

/* Wakes a vCPU that waits, if it now has a reason. */
void machine_wake(struct sim *s, unsigned cpu, uint64_t now_cycles);

/* Signals that run.c answers; wired by sim.c. */
extern const struct lapic_signals machine_lapic_signals;
void machine_request_raised(void *target, enum machine_request request, uint32_t value, uint64_t now_cycles);
void machine_special_write(void *target, phys_t a, unsigned size_bytes);
void machine_drop_write_pointers(void *target);

#endif
