/*
 * The oracle of the timing model: docs/timing.md a second time, written from that page alone and with no table of the
 * model. It is slow and plain on purpose: lists and maps without bounds, one rule after the other. "(3.7)" in a comment
 * is section 3, rule 7 of the page.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t u64;

/* ---- the parameter file ---- */

#define PORTS_MAX 32u

/* A set of port groups is a mask of indices into port_names. */
struct class_params {
    u64 ops, latency, ports, occupy;
    int unit; /* -1: none */
};

enum insn_class {
#define CLASS(name, kind, patterns) CLASS_##name,
#include "classes.def"
#undef CLASS
    CLASSES
};

struct params {
#define PARAM(name) u64 name;
#include "params.def"
#undef PARAM
    bool sc; /* memory_model = sc */
    u64 load_ports, store_ports;
    unsigned ports;
    char port_names[PORTS_MAX][32];
    u64 capacity[PORTS_MAX];
    unsigned units;
    char unit_names[PORTS_MAX][32];
    struct class_params class[CLASSES];
};

bool params_read(const char *path, struct params *p);

/* ---- the trace ---- */

#define NUMBER_NONE UINT64_MAX /* '-' */

struct item {
    char what; /* t f l s L S w u */
    u64 physical, size, number;
};

enum stamp { STAMP_D, STAMP_E, STAMP_C, STAMP_R, STAMP_W, STAMP_F, STAMPS };

struct line {
    long number;
    char what; /* S T P K X C */
    unsigned cpu;
    char kind; /* of S: i r e n */
    unsigned mode;
    u64 pc, next, time; /* of T: the time it says, in stamps[STAMP_R] */
    char wait;          /* of T: q r l u */
    u64 wait_at[2];     /* addresses in lines; one, or both of two */
    unsigned wait_lines;
    uint8_t bytes[16];
    unsigned length;
    bool df, keeps; /* flags d and k */
    struct item *items;
    unsigned item_count;
    u64 stamps[STAMPS];
};

struct trace {
    struct line *lines;
    size_t count;
    unsigned cpus;
};

bool trace_read(const char *path, struct trace *t);

/* ---- an instruction (sections 9 and 10) ---- */

enum { SLOT_RAX = 0, SLOT_RCX = 1, SLOT_RBX = 3, SLOT_RSP = 4, SLOT_RBP = 5, SLOT_RSI = 6, SLOT_RDI = 7 };
enum { SLOT_XMM = 16, SLOT_C = 32, SLOT_Z = 33, SLOT_X = 34, SLOTS = 35 };
#define SLOT(n) (UINT64_C(1) << (n))

enum branch { BRANCH_NONE, BRANCH_COND, BRANCH_JUMP, BRANCH_CALL, BRANCH_IND, BRANCH_CALL_IND, BRANCH_RET };

struct insn {
    enum insn_class class;
    char kind;            /* '0' 'P' 'V' 'v' (0, V) 'S' 'L' */
    u64 sources, targets; /* masks of slots */
    u64 address;
    bool drains; /* (8) waits until the store queue is empty */
    bool raises; /* (8) INT n and the like: its exception comes after its step, at once */
    bool repeated, moves_string, stores_string, compares_string;
    bool leave;
    bool can_rename; /* base, displacement and no index (6.2) */
    u64 base;        /* a slot */
    int64_t displacement;
    enum branch branch;
    const char *name;
};

bool insn_decode(const struct line *l, struct insn *in);
bool insn_is_vector(const struct insn *in);
const char *class_name(enum insn_class c);

/* ---- the machine ---- */

struct map {
    u64 *keys, *values;
    bool *there;
    size_t room, count;
};

u64 *map_at(struct map *m, u64 key, bool *found); /* makes it, with 0 */
u64 *map_find(const struct map *m, u64 key);      /* NULL: not there */

struct list {
    u64 *at;
    size_t count, room;
};

void list_push(struct list *l, u64 value);

enum state { STATE_I, STATE_S, STATE_E, STATE_M };

struct way {
    bool valid;
    u64 line;
    enum state state; /* of an L2, as others see it; in state I it is a copy that its vCPU still sees (7.1) */
    u64 until;        /* of such a copy */
    bool right;       /* its vCPU still sees M or E, though the state is S or I */
    u64 right_until;
    bool dirty; /* of the L3 */
};

struct cache {
    u64 sets, ways;
    struct way *at;
    uint8_t *bits; /* a tree of ways - 1 nodes for each set; node 1 is the root */
};

struct store {
    u64 physical, size, commit, known;
    u64 instruction; /* whose piece it is */
    bool can_rename;
    u64 base;
    int64_t displacement;
};

struct tagged {
    bool valid;
    u64 tag, counter, useful;
};

struct predictor {
    u64 history;
    uint8_t *base;
    struct tagged *table[3]; /* 1 and 2 */
    u64 *btb_pc;
    bool *btb_valid;
    u64 *indirect;
    u64 *stack;
    u64 top;
};

struct vcpu {
    unsigned number;
    u64 R, D, d, F, LF, W;
    u64 ready[SLOTS];
    struct list retired;      /* of ops */
    struct list load_retired; /* of loads */
    struct map used[PORTS_MAX];
    u64 free[PORTS_MAX];
    u64 last_start;
    bool has_line; /* the fetched line */
    u64 line;
    struct list dtlb, itlb; /* the youngest last */
    struct cache l1d, l1i, l2;
    bool leaving;         /* L2 has a line whose loss this vCPU does not see yet (7.1) */
    struct store *stores; /* of the whole run */
    size_t store_count, store_room, drained;
    u64 last_store_line;
    bool has_turn; /* at a line, from a time on (7.2) */
    u64 turn_line, turn_time;
    unsigned asked; /* lines that the wait just before this step was for; 0: none was */
    u64 asked_line; /* the first of them */
    bool raised;    /* the step before was INT n or the like, at this pc, with this key */
    u64 raised_pc, raised_key;
    u64 instructions;
    bool repeating; /* the step before was an iteration, of the instruction at repeat_pc */
    u64 repeat_pc, repeat_chunk;
    struct predictor predictor;
};

struct row_before {
    bool there;
    u64 row, until, last;
};

struct bank {
    bool open;
    u64 row, ready;
    struct row_before before;
};

struct machine {
    struct params p;
    unsigned cpus;
    struct vcpu *cpu;
    struct cache l3;
    struct bank *banks;
    u64 *bus;
    struct map reserved; /* line -> time */
    u64 key;             /* of the step or drain that happens now */
    const char *broken;  /* why a line cannot be used */
};

enum side { SIDE_DATA, SIDE_FETCH };

void machine_init(struct machine *m, unsigned cpus);
void *zeroed(size_t count, size_t size);

/* memory.c */
void memory_expire(struct machine *m, struct vcpu *c);
u64 memory_read(struct machine *m, struct vcpu *c, u64 line, enum side side, u64 start);
bool memory_owned(const struct vcpu *c, u64 line);
bool memory_seen_owned(const struct vcpu *c, u64 line);
bool memory_touch_owned(struct machine *m, struct vcpu *c, u64 line);
void memory_written(struct vcpu *c, u64 line);
u64 memory_own(struct machine *m, struct vcpu *c, u64 line, u64 start, bool *others);
bool memory_in_l1d(const struct vcpu *c, u64 line);
bool memory_reserved(const struct machine *m, u64 line);
u64 memory_ask(struct machine *m, struct vcpu *c, u64 first, u64 last);

/* access.c: translation, loads, stores */
u64 access_translate(struct machine *m, struct vcpu *c, const struct line *l, unsigned item, enum side side,
                     u64 S);
u64 access_lines(struct machine *m, struct vcpu *c, const struct line *l, const unsigned *pieces,
                 unsigned count, u64 S);
u64 access_load(struct machine *m, struct vcpu *c, const struct line *l, const struct insn *in,
                const unsigned *pieces, unsigned count, u64 S, bool forwards);
u64 access_store_owned(struct machine *m, struct vcpu *c, const struct item *s, u64 SA);
void access_commit(struct machine *m, struct vcpu *c, const struct insn *in, const struct item *s, u64 known,
                   u64 commit);
u64 access_gap(const struct machine *m, const struct vcpu *c, const struct item *s);
void access_drain_until(struct machine *m, u64 time);

/* predict.c: section 11 */
enum prediction { PREDICTED, PREDICTED_WRONG, PREDICTED_AT_DECODE, PREDICTED_TAKEN };
enum prediction predict(struct machine *m, struct vcpu *c, const struct line *l, const struct insn *in);
void predictor_init(struct machine *m, struct predictor *p);

/* step.c: section 3 */
u64 step_key(const struct machine *m, const struct line *l);
void step_do(struct machine *m, const struct line *l, u64 stamps[STAMPS]);
void wait_do(struct machine *m, const struct line *l);
void event_do(struct machine *m, const struct line *l);

#endif
