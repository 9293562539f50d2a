#ifndef ORRERY_TIMING_MODEL_H
#define ORRERY_TIMING_MODEL_H

/*
 * The reference machine of docs/timing.md: what instructions of each vCPU take, and what they share.
 *
 * Nothing here knows what an instruction means. The caller executes it, tells its class, its registers and what it has
 * accessed, in program order of each vCPU and in key order over all of them, and is told the vCPU's new clock. Times are
 * cycles; addresses are physical where nothing else is said.
 */

#include "base/visit.h"
#include "timing/cache.h"
#include "timing/params.h"
#include "timing/predict.h"
#include "timing/record.h"

#define TIMING_LINE_SHIFT   6u
#define TIMING_RETIRE_RING  512u /* of these, model.c asserts the sizes */
#define TIMING_LOAD_RING    256u
#define TIMING_STORE_RING   64u
#define TIMING_WINDOW       1024u /* cycles of the port calendar */
#define TIMING_GRANULES     256u  /* buckets of 8-byte words for store forwarding */
#define TIMING_OWNED        64u
#define TIMING_ACCESSES_MAX 256u /* of one instruction */
#define TIMING_HELD_MAX     32u  /* of them, walks of one page */

/* Slots of ready times. */
enum timing_register {
    TIMING_GPR = 0, /* + 0..15, as instructions encode them */
    TIMING_RSP = TIMING_GPR + 4,
    TIMING_RBP = TIMING_GPR + 5,
    TIMING_XMM = 16, /* + 0..15 */
    TIMING_CARRY = 32,
    TIMING_STATUS, /* SF, ZF, OF, AF, PF */
    TIMING_X87,    /* all of x87 and MMX */
    TIMING_READY,  /* a source that is always ready */
    TIMING_SINK,   /* a destination that nobody reads */
    TIMING_REGISTERS
};

#define TIMING_SOURCES   4u
#define TIMING_RESULTS   4u
#define TIMING_ADDRESSES 3u

/* What the core has to know of an instruction; the same each time that it is executed. */
struct uop {
    uint8_t class;                                          /* enum cost_class */
    uint8_t flags;                                          /* UOP_* */
    uint8_t source[TIMING_SOURCES], result[TIMING_RESULTS]; /* enum timing_register */
    uint8_t address[TIMING_ADDRESSES]; /* a third one only where the instruction is not quick */
    uint32_t renaming; /* 1 + base register and displacement of a memory operand without an index; 0: none */
};

#define UOP_EXTRA     0x01u /* one op more when it both loads and stores */
#define UOP_LEAVE     0x02u
#define UOP_CONDITION 0x04u /* a conditional branch */
#define UOP_DIRECT    0x08u /* another direct branch */
#define UOP_INDIRECT  0x10u
#define UOP_CALL      0x20u
#define UOP_RETURN    0x40u
#define UOP_BULK      0x80u /* MOVS and STOS with a REP prefix */
#define UOP_BRANCH    (UOP_CONDITION | UOP_DIRECT | UOP_INDIRECT | UOP_RETURN)

/* What an instruction did, besides its accesses. */
struct timing_outcome {
    uint64_t pc, next; /* linear */
    uint64_t fall;     /* the instruction behind it: next, unless it jumped */
    uint64_t code[2];  /* where its bytes are, in one piece or two */
    uint8_t code_bytes[2];
    bool repeats;  /* an iteration of a repeated string instruction */
    bool goes_on;  /* not its last */
    bool backward; /* DF is set */
    bool keeps;    /* a load of CR3 that keeps the PCID's entries */
};

/* Counters of a vCPU: rows of timing/counter.def. */
enum timing_counter {
#define TIMING_COUNTER(id, name, help) TIMING_COUNT_##id,
#include "timing/counter.def"
#undef TIMING_COUNTER
    TIMING_COUNTER_COUNT
};

/* A class, or a kind of access, as the core uses it. */
struct timing_op {
    uint64_t full, add; /* of its port groups, in a word of the calendar */
    uint16_t latency, occupy;
    uint8_t ops, unit, kind; /* unit TIMING_UNITS_MAX: none; kind: enum timing_kind */
};

/* An instruction as the core uses it, made by timing_prepare. */
struct timing_insn {
    struct timing_op op;
    struct uop uop;
    bool
        simple; /* one operation, no unit, two sources and three results at most, on a machine that is not in order */
    uint16_t hit_cycles;  /* of a load that hits L1D */
    bool two_lines;       /* quick, and its bytes lie in two lines */
    uint64_t code_line;   /* 1 + the line that all its bytes lie in; UINT64_MAX: not quick, or in two */
    uint64_t simple_line; /* the same; UINT64_MAX: not simple, either */
};

struct timing_slot {
    uint64_t cycle, used; /* used: 4 bits a port group, 8 is full */
};

struct timing_store {
    uint64_t at, known, commit;
    uint64_t whole_at, whole_end; /* with the pieces of its instruction before and behind it in memory */
    uint32_t renaming;
    uint8_t size_bytes;
};

/* What others have taken of a line, its copy or the right to write: seen at a time. */
struct timing_landing {
    uint64_t at_cycles, line;
};

struct timing_overlay {
    uint32_t number, sequence;
};

/* A first-level TLB: numbers of the entries of the architectural one, first in, first out. */
struct timing_tlb {
    uint32_t entries, sequence;     /* that entered so far */
    struct timing_overlay *overlay; /* by slot of the architectural TLB: when its entry entered; 0: never */
    uint16_t *slots;                /* ring by sequence: whose place it is */
    uint32_t *numbers;
};

struct timing;

struct timing_core {
    /* parameters that every instruction needs */
    uint64_t dispatch_width, retire_width, reorder_buffer, load_queue, store_queue;
    uint32_t in_order, l1_load, vector_load, store_gap, taken_bubble;
    struct timing_op load_op, store_op; /* of accesses: ports only */
    uint64_t calendar_empty;

    /* the pipeline */
    uint64_t dispatch, dispatched, fetch_ready, load_fence, last_start;
    uint64_t ops, loads, stores; /* so far */
    uint64_t store_commit, store_line;
    uint64_t ready[TIMING_REGISTERS];
    uint64_t unit_free[TIMING_UNITS_MAX + 1];
    uint64_t retired[TIMING_RETIRE_RING];
    uint64_t load_retired[TIMING_LOAD_RING];
    struct timing_store store[TIMING_STORE_RING];
    uint64_t granules[TIMING_GRANULES]; /* 1 + number of the last store to such a word */
    struct timing_slot calendar[TIMING_WINDOW];
    uint64_t fetched_line; /* + 1; 0: none */
    uint64_t string_chunk,
        repeating; /* + 1: where the iteration before stored, its pc if it was not the last */
    struct predictor predictor;

    /* memory */
    struct cache l1i, l1d, l2;
    uint64_t owned[TIMING_OWNED]; /* 1 + lines that are known to be in state M in l2; follows from it */
    uint64_t *l2_landing;         /* by index in l2: when a copy that is leaving is gone */
    uint64_t *l2_lowering;        /* when one with CACHE_SEEN_OWNED loses that */
    struct timing_tlb dtlb, itlb;
    struct timing_landing *landings; /* ring, ascending */
    uint32_t landing_head, landing_count, landing_capacity;
    uint64_t turn_line, turn_at; /* + 1; 0: none. When this vCPU's request for a reserved line is made */

    /* for look-ahead (timing/ahead.c); no state */
    uint64_t settled_at;  /* from then on nobody else writes to lines that this vCPU has; or TIMING_UNKNOWN */
    uint64_t ahead_until; /* steps before the others' had smaller keys */

    /* of the current instruction, for what goes on with it; no state */
    uint64_t load_start; /* of its load, or when the value is there */
    unsigned branch;     /* how it was predicted: timing_predict */

    /* of the last instruction, for traces and profiles; no state */
    struct timing_stamps {
        uint64_t dispatch, start, end;
    } stamps;
    /* Entries that fell out of the first-level data TLB since fallen_count was 0, for accelerators; no state. */
    struct timing_fallen {
        uint32_t number;
        uint16_t slot;
    } fallen[TIMING_ACCESSES_MAX];
    unsigned fallen_count;

    uint64_t counters[TIMING_COUNTER_COUNT]; /* part of no digest */
    unsigned number;
    struct timing *shared;
};

struct timing_bank {
    uint64_t row, ready; /* row + 1; 0: none open */
    uint64_t before, before_until, before_last;
};

struct timing_reservation {
    uint64_t line, until; /* line + 1; 0: empty */
};

#define TIMING_RESERVATIONS 1024u

struct timing {
    struct timing_params params;
    struct timing_op ops[COST_CLASS_COUNT];
    uint64_t calendar_empty;
    unsigned cpus, tlb_slots;
    struct timing_core *cores;
    struct cache l3;
    struct timing_bank *banks;
    uint64_t *bus_free;
    struct timing_reservation reservations[TIMING_RESERVATIONS];
    uint64_t reserved_until; /* the latest of them; follows from them */
    bool overtaken; /* something happened that a vCPU which had run ahead should have seen; no state */
};

/* tlb_slots: entries of the architectural TLB of a vCPU. */
struct timing *timing_create(const struct timing_params *params, unsigned cpus, unsigned tlb_slots);
void timing_destroy(struct timing *t);
/* Caches, predictors, queues: VISIT_MODEL. */
void timing_visit(struct timing *t, struct visitor *v);

/* The step at clock now has the result now returned: the vCPU's clock. Stores of it that are to be queued have commit
 * times afterwards (timing_store_commit). queued: stores go through the queue, else they are memory at once. */
uint64_t timing_instruction(struct timing_core *c, const struct timing_insn *insn,
                            const struct timing_outcome *outcome, const struct timing_access *accesses,
                            unsigned count, bool queued, uint64_t now);

/* The same for one that is quick (timing_is_quick) and no branch, lies in the line that was fetched last, and whose accesses are
 * near: to pages that the first-level TLB has. */
uint64_t timing_quick(struct timing_core *c, const struct timing_insn *insn,
                      const struct timing_access *accesses, unsigned count, bool queued, uint64_t now);

/* The same for a quick branch, which makes one load or one store at most. Of the outcome pc, next and fall are looked at. */
uint64_t timing_quick_branch(struct timing_core *c, const struct timing_insn *insn,
                             const struct predictor_site *site, const struct timing_outcome *outcome,
                             const struct timing_access *accesses, unsigned count, bool queued, uint64_t now);

void timing_prepare(const struct timing *t, const struct uop *uop, struct timing_insn *out);

/* Quick: not serial, not locked, no string instruction, not LEAVE, two address registers at most. Of these, simple ones
 * (struct timing_insn) are one operation besides and need no unit. */
static inline bool timing_is_quick(const struct timing_insn *insn)
{
    return insn->op.kind < TIMING_LOCK && insn->uop.class != COST_STRING &&
           (insn->uop.flags & UOP_LEAVE) == 0 && insn->uop.address[2] == TIMING_READY;
}

/* Delivery of an exception or interrupt at clock now. key: now, or that of the instruction that it belongs to (INT n). */
uint64_t timing_delivery(struct timing_core *c, unsigned cycles, const struct timing_access *accesses,
                         unsigned count, bool queued, uint64_t key, uint64_t now);

/* The pipeline is empty at now: INIT, a wake-up. */
void timing_flush(struct timing_core *c, uint64_t now);

/* Before a step at now: what others have taken is gone by then. Returns when the next copy or right goes. */
uint64_t timing_land(struct timing_core *c, uint64_t now);

/* A locked operation at now, on the line of its first byte and that of its last: 0 if it may run; else the time until which
 * it waits. */
uint64_t timing_lock(struct timing_core *c, uint64_t first_byte, uint64_t last_byte, uint64_t now);

/* A walk has set an accessed or dirty bit of the entry at an address, whose line is owned; returns the vCPU's clock. */
uint64_t timing_update(struct timing_core *c, uint64_t at, uint64_t now);

/* Commit time of the n-th youngest store, 0 the youngest. */
static inline uint64_t timing_store_commit(const struct timing_core *c, unsigned n)
{
    return c->store[(c->stores - 1 - n) % TIMING_STORE_RING].commit;
}

/* The oldest of `queued` stores drains at now: true, or it is put off and commit times have changed. */
bool timing_drain(struct timing_core *c, unsigned queued, uint64_t now);

/* ---- look-ahead: ahead.c ---- */

#define TIMING_UNKNOWN UINT64_MAX /* as settled_at: the state has been loaded */

/* No transaction was made later than now. */
static inline void timing_settle(struct timing_core *c, uint64_t now)
{
    if (c->settled_at == TIMING_UNKNOWN) {
        c->settled_at = now + c->shared->params.value[TIMING_snoop_cycles];
    }
}

/* May the vCPU run ahead, when no other vCPU's key is below others_cycles? On lines that the next two functions allow. */
static inline bool timing_may_run_ahead(const struct timing_core *c, uint64_t others_cycles)
{
    return c->landing_count == 0 && others_cycles >= c->settled_at;
}

/* Does the vCPU have the line, so that loading or fetching it asks nobody? */
bool timing_has_line(const struct timing_core *c, uint64_t line);

/* Does the vCPU see it as its own, so that a store to it asks nobody, neither now nor at its drain? */
bool timing_sees_owned(const struct timing_core *c, uint64_t line);

/* A write at key to bytes of a line that the vCPU has not asked for: nobody that has run ahead may know the line. */
void timing_note_unasked(struct timing_core *c, uint64_t at, uint64_t key);

#endif
