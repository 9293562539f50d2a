#ifndef ORRERY_MACHINE_SIM_H
#define ORRERY_MACHINE_SIM_H

/*
 * The machine, as everything above it sees it: the only header of layers 0 to 4 that layers 5 to 8 include,
 * besides base/. What it includes itself (core/trace.h for struct trace_record, timing/params.h for a machine's parameters)
 * is theirs with it.
 *
 * A run is a function of its configuration, its images and its effects. Whatever a front end does to the guest
 * is an effect: it goes through sim_effect(), is stamped with its position, kept in the log, and can be applied
 * again from the log without the front end. Everything else here only looks.
 */

#include "base/status.h"
#include "base/types.h"
#include "base/visit.h"
#include "core/trace.h"
#include "timing/params.h"
#include "timing/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_CPUS_MAX     64u
#define SIM_MEMORY_MIN   (UINT64_C(16) << 20)
#define SIM_MEMORY_MAX   (UINT64_C(64) << 30)
#define SIM_NODES_MAX    8u
#define SIM_SERIAL_PORTS 2u
#define SIM_DISKS_MAX    3u
#define SIM_TSC_HZ       UINT64_C(3000000000)
#define SIM_MACHINE_FLAT \
    "flat" /* the machine of the timed engine that has no parameters: a class costs its flat_cycles */

enum sim_board { BOARD_PC, BOARD_MICROVM };
enum sim_engine { ENGINE_FAST, ENGINE_TIMED };
enum sim_memory_model { MODEL_DEFAULT, MODEL_SC, MODEL_TSO }; /* default: sc on fast, tso elsewhere */

struct sim_config {
    unsigned cpus;               /* 1..SIM_CPUS_MAX */
    uint64_t memory_bytes;       /* multiple of 1 MiB, SIM_MEMORY_MIN..SIM_MEMORY_MAX */
    uint64_t memory_limit_bytes; /* 0, or: the firmware's memory map reports no more usable RAM than this */
    unsigned numa_nodes;         /* 1..SIM_NODES_MAX, at most cpus */
    enum sim_board board;
    enum sim_engine engine;
    const char *machine;                /* as people called it, or NULL; who reads its file sets: */
    const struct timing_params *timing; /* copied by sim_create; NULL: the flat machine */
    enum sim_memory_model memory_model;
    unsigned store_capacity; /* of tso: 1..64; 0 takes 64, or a machine's store_queue */
    uint64_t seed;
    int64_t rtc_start; /* seconds since 1970-01-01 00:00:00 UTC */
    unsigned disk_count;
    const char *disks[SIM_DISKS_MAX];         /* files, read by sim_create and never written, unless: */
    const uint8_t *disk_bytes[SIM_DISKS_MAX]; /* or NULL; what the file has, copied by sim_create */
    uint64_t disk_sizes[SIM_DISKS_MAX];       /* of these */
    bool entropy;                             /* there is an entropy source */
    const char *cpu_model;   /* "orrery", "tcg72", followed by ",+feature,-feature"; NULL: "orrery" */
    bool instant_serial;     /* the UARTs take no time for a character (board parameter) */
    bool single_step_blocks; /* oracle: no block longer than one instruction; same results, slower */
    bool lookahead; /* vCPUs run ahead of the strict order where that changes nothing; same results */
    bool translate; /* hot code is translated where the host and the engine can; same results */
    uint32_t given; /* bit p: parameter p was set by sim_config_set; no part of the machine */
};

/* What people set: the rows of config.def. */
enum sim_parameter {
#define CONFIG(id, name, kind, argument, help) PARAMETER_##id,
#include "machine/config.def"
#undef CONFIG
    PARAMETER_COUNT
};

/* The defaults: 1 CPU, 256 MiB, board pc, fast, translator, seed 1, 2026-01-01. */
void sim_config_init(struct sim_config *c);

/* Sets a parameter from its text, which must outlive sim_create; a repeatable one is added to. False: the message is "name 'text': what it takes". Whether
 * values are in bounds and fit together is sim_create's question. */
bool sim_config_set(struct sim_config *c, enum sim_parameter p, const char *text, struct error *e);
static inline bool sim_config_given(const struct sim_config *c, enum sim_parameter p)
{
    return c->given >> p & 1;
}

int sim_parameter_find(const char *name); /* or -1 */
const char *sim_parameter_name(enum sim_parameter p);
const char *sim_parameter_argument(enum sim_parameter p); /* for help texts: "N", "SIZE", "pc|microvm" */
const char *sim_parameter_help(enum sim_parameter p);
bool sim_parameter_is_files(enum sim_parameter p); /* names files, and may be given more than once */

/* All of it that is neither a text nor a timing model's parameters; what was loaded is checked by sim_create. */
void sim_config_visit(struct sim_config *c, struct visitor *v);

/* Versions of what a run follows from besides its configuration (machine/version.def). */
enum sim_version {
#define VERSION(id, name, number, what) VERSION_##id,
#include "machine/version.def"
#undef VERSION
    VERSION_COUNT
};

uint32_t sim_version(enum sim_version v);
const char *sim_version_name(enum sim_version v);

struct sim;

/* Fails (NULL) with a message when the configuration is out of bounds or a disk's file cannot be used. */
struct sim *sim_create(const struct sim_config *c, struct error *e);
void sim_destroy(struct sim *s);
const struct sim_config *sim_get_config(const struct sim *s);

/* An image to start: ELF with a PVH note, or Multiboot1; kernel bytes are the file. All are copied. */
struct sim_image {
    const char *kernel_name; /* for messages */
    const uint8_t *kernel;
    size_t kernel_size;
    const uint8_t *initrd; /* or NULL */
    size_t initrd_size;
    const char *command_line; /* or NULL */
};

/* Loads the image and its tables and sets the bootstrap CPU to its entry. Hostile input gets a message. */
bool sim_load(struct sim *s, const struct sim_image *image, struct error *e);

/* ---- running ---- */

enum sim_stop {
    SIM_RUNNING,         /* never returned by sim_run */
    SIM_STOP_CYCLES,     /* the cycle limit of this call was reached */
    SIM_STOP_ASKED,      /* an observer called sim_stop_ask */
    SIM_STOP_POWER_OFF,  /* ACPI power-off */
    SIM_STOP_RESET,      /* the guest asked for a reset: the run ends here */
    SIM_STOP_DEBUG_EXIT, /* port 0xf4; sim_exit_value */
    SIM_STOP_TRIPLE_FAULT,
    SIM_STOP_NO_PROGRESS, /* all vCPUs halted, nothing can wake them */
    SIM_STOP_NOT_MODELLED
};

/* Runs until the strict order reaches until_cycles or another stop. A machine that ended (power-off, debug exit,
 * triple fault, no progress, not modelled) returns the same stop again without moving. */
enum sim_stop sim_run(struct sim *s, uint64_t until_cycles);
enum sim_stop
sim_last_stop(const struct sim *s);            /* what it returned last; SIM_RUNNING: it was not called yet */
const char *sim_stop_name(enum sim_stop stop); /* "power-off", "debug-exit", ... */

/* fn is called when the strict order has reached next_cycles, before anything of that cycle or later, inside of sim_run; it says
 * at which later cycle it is to be called again (UINT64_MAX: no more). It may look, and ask to stop; where the run stands is as
 * if nobody had been called. A NULL fn takes it away. */
typedef uint64_t sim_cut_fn(void *arg, struct sim *s);
void sim_on_cut(struct sim *s, uint64_t next_cycles, sim_cut_fn *fn, void *arg);

/* fn is called before every step of the strict order, when sim_position names it; it may look, and ask to stop there. A step may
 * be told of twice. One observer, NULL takes it away. Slow. */
typedef void sim_boundary_fn(void *arg, struct sim *s, unsigned cpu);
void sim_on_boundary(struct sim *s, sim_boundary_fn *fn, void *arg);

/* Asks the running sim_run to return SIM_STOP_ASKED at the next boundary. For observers. */
void sim_stop_ask(struct sim *s);

uint32_t sim_exit_value(const struct sim *s);   /* of the debug exit */
const char *sim_stop_text(const struct sim *s); /* one line of detail: cpu, rip, bytes */
unsigned sim_stop_cpu(const struct sim *s);     /* the vCPU a triple fault or a not-modelled stop came from */

uint64_t sim_cycles(const struct sim *s);       /* the cut: no step with a smaller key is outstanding */
uint64_t sim_instructions(const struct sim *s); /* retired, over all vCPUs */

/* Digest at the current cut (docs/model.md, Identity); state-hash is the deepest the engine has. */
struct digest sim_digest(struct sim *s, enum visit_level level);
struct digest sim_state_hash(struct sim *s);

/* Digests of the parts of the machine's state, which together are all of it: each vCPU with its local APIC, RAM, the devices,
 * the order of the run, the timing model. They tell where two machines differ. Returns their number. */
#define SIM_PARTS(cpus) ((cpus) + 4u)
#define SIM_PARTS_MAX   SIM_PARTS(SIM_CPUS_MAX)
unsigned sim_part_digests(struct sim *s, uint64_t digests[SIM_PARTS_MAX]);
/* "vCPU 3", "RAM", ... of a machine with so many vCPUs. */
void sim_part_name(unsigned cpus, unsigned part, char *text, size_t size);

/* Saves the state a digest of this level covers (without RAM) and compares another machine's with it: where holds
 * the path of the first difference. */
void sim_save(struct sim *s, enum visit_level level, struct state_buffer *b);
bool sim_differs(struct sim *s, enum visit_level level, struct state_buffer *b, char *where, size_t size);

/* A snapshot: everything that a machine of the same configuration needs to go on as this one does, RAM included, with a
 * checksum. What front ends have attached (probes, observers, the log of effects) is not in it. */
void sim_snapshot(struct sim *s, struct state_buffer *b);

/* Makes the machine what the snapshot says; its log of effects begins anew. False: the snapshot is damaged, of another
 * version or of another machine, or this one is inside an instruction; it is then as it was. */
bool sim_restore(struct sim *s, const struct state_buffer *b, struct error *e);

/* A snapshot in this process, of this machine and for it alone: it shares with others the pages that are the same, and going
 * back costs what has changed. What front ends have attached is not in it; after sim_go_back the log of effects begins anew.
 * Neither may be called inside an instruction. A checkpoint may be freed after its machine. */
struct checkpoint;
struct checkpoint *sim_checkpoint(struct sim *s);
void sim_go_back(struct sim *s, const struct checkpoint *c);
void checkpoint_free(struct checkpoint *c); /* NULL is none */
/* Host memory that its own part needs; and the pages of all checkpoints of a machine together. */
uint64_t checkpoint_bytes(const struct checkpoint *c);
uint64_t sim_checkpoint_pages_bytes(const struct sim *s);

/* ---- looking ---- */

struct sim_regs {
    uint64_t gpr[16], rip, linear_rip, rflags, cr0, cr2, cr3, cr4, cr8, efer, fs_base, gs_base,
        kernel_gs_base;
    uint16_t selector[6];   /* ES CS SS DS FS GS */
    uint8_t cpl, code_bits; /* 16, 32, 64 */
    bool halted;
    uint64_t clock_cycles, retired;
};

void sim_get_regs(const struct sim *s, unsigned cpu, struct sim_regs *r);

#define SIM_XMM_COUNT 16u
#define SIM_XMM_BYTES 16u

/* A vector register as it is, whoever the guest means it to belong to; the lowest byte first. */
void sim_get_xmm(const struct sim *s, unsigned cpu, unsigned number, uint8_t bytes[SIM_XMM_BYTES]);

#define SIM_FSAVE_BYTES 108u

/* The x87 unit as FNSAVE of 32-bit protected mode writes it (an environment of 28 bytes, then ST(0) to ST(7)), and MXCSR. */
struct sim_fp {
    uint8_t image[SIM_FSAVE_BYTES];
    uint32_t mxcsr;
};
void sim_get_fp(const struct sim *s, unsigned cpu, struct sim_fp *out);

/* Memory without side effects. Physical: what all agree on. Linear: as cpu sees it, through its page tables as a
 * supervisor read and with its own pending stores. False: not (all) there. */
bool sim_read_physical(const struct sim *s, phys_t a, void *bytes, size_t size);
bool sim_read_linear(const struct sim *s, unsigned cpu, lin_t a, void *bytes, size_t size);
/* The file that a disk was made of. */
struct digest sim_disk_file(const struct sim *s, unsigned disk, uint64_t *size_bytes);
/* A disk as the guest has left it. False: there is no such disk, or not so much of it. */
bool sim_read_disk(const struct sim *s, unsigned disk, uint64_t offset, void *bytes, size_t size);
bool sim_translate(const struct sim *s, unsigned cpu, lin_t a, phys_t *out);

/* A page or table that a vCPU's translation caches have, and the tables in memory have not. */
struct sim_stale {
    lin_t linear;
    phys_t physical;
    uint64_t size_bytes; /* that it covers */
    bool table;
};

/* The next one, from *index on (0 at first), that cpu could use as its registers are: memory leads elsewhere, nowhere, or grants
 * less. False: no more. Only 4-level paging is looked at. */
bool sim_next_stale(const struct sim *s, unsigned cpu, unsigned *index, struct sim_stale *out);

/* Disassembles the instruction at a linear address into text; returns its length, 0 when unreadable. */
unsigned sim_disassemble(const struct sim *s, unsigned cpu, lin_t a, char *text, size_t size);

/* Counters: the rows of counter.def, those of the reference machine, then the trace points. The same in every build; part of no digest. */
enum sim_counter {
#define COUNTER(id, name, per_cpu, help) COUNTER_##id,
#include "machine/counter.def"
#undef COUNTER
    COUNTER_TIMING_FIRST, /* rows of timing/counter.def; 0 without a reference machine */
    COUNTER_TIMING_LAST = COUNTER_TIMING_FIRST - 1
#define TIMING_COUNTER(id, name, help) +1
#include "timing/counter.def"
#undef TIMING_COUNTER
    ,
    COUNTER_TRACE_FIRST, /* + enum trace_point */
    COUNTER_COUNT = COUNTER_TRACE_FIRST + TRACE_POINT_COUNT
};

#define SIM_ALL_CPUS SIM_CPUS_MAX

uint64_t sim_counter(const struct sim *s, enum sim_counter c,
                     unsigned cpu); /* SIM_ALL_CPUS: the sum, or the clock */
const char *sim_counter_name(enum sim_counter c);
const char *sim_counter_help(enum sim_counter c);
bool sim_counter_is_per_cpu(enum sim_counter c); /* else cpu must be SIM_ALL_CPUS */
/* The counter of this name, or -1. Names of trace points: sim_counter_find(name) - COUNTER_TRACE_FIRST. */
int sim_counter_find(const char *name);

/* Is it counted? All are, but false sharing, which costs time: it is from sim_count_sharing on. False: there is no timing model,
 * which alone knows accesses. */
bool sim_counts(const struct sim *s, enum sim_counter c);
bool sim_count_sharing(struct sim *s, struct error *e);

/* The counters of the reference machine of a vCPU, COUNTER_TIMING_FIRST first; NULL: there is none. */
const uint64_t *sim_timing_counters(const struct sim *s, unsigned cpu);

/* fn is called at every trace point whose bit is in wanted, as it happens; one observer, NULL takes it away. */
void sim_on_trace(struct sim *s, uint32_t wanted, trace_fn *fn, void *target);

/* fn is called at every step, in key order, as long as it watches; at most four observers. Without a timing model a watched
 * machine runs in blocks of one instruction, which changes nothing but speed. */
void sim_watch_steps(struct sim *s, timing_record_fn *fn, void *target);
void sim_unwatch_steps(struct sim *s, timing_record_fn *fn, const void *target);

/* The start phase of a vCPU. */
uint64_t sim_phase(const struct sim *s, unsigned cpu);

/* fn is called now and then while sim_run runs, with running true, for a line that says how far it is; and with running false,
 * for taking that line away, when sim_run returns or a probe is about to be called. NULL takes it away. It may look, and do
 * nothing else; when it is called is no part of the run. */
typedef void sim_progress_fn(void *arg, const struct sim *s, bool running);
void sim_on_progress(struct sim *s, sim_progress_fn *fn, void *arg);

/* Bytes that come out of a serial port or the debug console (port SIM_SERIAL_PORTS). An observer. */
typedef void sim_output_fn(void *arg, unsigned port, uint8_t byte, uint64_t now_cycles);
void sim_on_output(struct sim *s, sim_output_fn *fn, void *arg);

/* A probe calls fn before the instruction at a linear address executes, on any vCPU; the machine is at a boundary
 * and fn may look, ask to stop, and apply effects (a register write redirects the call). Returns an id >= 0. */
typedef void sim_probe_fn(void *arg, unsigned cpu, uint64_t now_cycles);
/* -1: no more than 2048 probes. */
int sim_probe_add(struct sim *s, lin_t a, sim_probe_fn *fn, void *arg);
void sim_probe_remove(struct sim *s, int id);

/* fn is called for data accesses of any vCPU that meet a linear range, inside the instruction, after the access; it may look and
 * ask to stop. Whatever address space the vCPU is in. Returns an id >= 0. */
typedef void sim_access_fn(void *arg, unsigned cpu, bool write);
struct sim_access {
    lin_t first;
    uint64_t size_bytes; /* at least 1 */
    bool reads, writes;  /* wanted */
};
/* -1: no more than 64. */
int sim_access_add(struct sim *s, const struct sim_access *a, sim_access_fn *fn, void *arg);
void sim_access_remove(struct sim *s, int id);

/* ---- effects: everything that changes the guest from outside ---- */

#define EFFECT_BYTES_MAX 256u

enum effect_kind {
#define EFFECT(kind, name, a0, a1, a2, a3, comment) EFFECT_##kind,
#include "machine/effect.def"
#undef EFFECT
    EFFECT_KIND_COUNT
};

/* A place in the order of a run (docs/model.md, Effects). */
enum position_kind {
    POSITION_BEFORE_CYCLE, /* nothing of cycle `at` or later has happened: a run's limit */
    POSITION_BEFORE_STEP,  /* vCPU cpu is the next to step, its clock is `at`: a probe */
    POSITION_AFTER_STEP,   /* vCPU cpu has just stepped, its clock is `at`: an observer asked to stop */
    POSITION_AFTER_EVENT   /* the event with which `at` have fired has just fired: the same */
};

struct position {
    uint16_t kind; /* enum position_kind */
    uint16_t cpu;
    uint64_t at;
    /* of a step: several of a vCPU may have one clock; instructions it has retired, and RCX, which tells iterations of a repeated one */
    uint64_t retired, rcx;
};

struct position sim_position(const struct sim *s);

/* Runs to a position that a run of this machine has had, its clock then at_cycles. False: this run does not come there. */
bool sim_go_to(struct sim *s, struct position p, uint64_t at_cycles);

struct effect {
    struct position position; /* filled in by sim_effect, as is at_cycles */
    uint64_t at_cycles;       /* the machine's clock there */
    uint16_t kind;            /* enum effect_kind */
    uint16_t cpu;
    uint32_t byte_count;
    uint64_t arg[4];
    uint8_t bytes[EFFECT_BYTES_MAX];
};

/* Applies one at the current boundary and logs it. False: arguments out of range for this machine, or an observer's call
 * from inside an instruction. */
bool sim_effect(struct sim *s, const struct effect *effect, struct error *e);

/* Runs a machine that has the configuration and the image of the one that made the log, from its beginning, and applies
 * every effect at its position. False: a position does not exist in this run; the message names the effect. */
bool sim_replay(struct sim *s, const struct effect *log, size_t count, struct error *e);

size_t sim_effect_count(const struct sim *s);
const struct effect *sim_effect_get(const struct sim *s, size_t n);
const char *sim_effect_name(enum effect_kind kind);

/* Shorthand for the common one: bytes into a serial port's receiver, all of them in order. */
bool sim_serial_send(struct sim *s, unsigned port, const void *bytes, size_t size, struct error *e);

#endif
