#ifndef ORRERY_CPU_BLOCK_H
#define ORRERY_CPU_BLOCK_H

/*
 * The cache of decoded blocks, one for all vCPUs of a machine.
 *
 * A block is a run of instructions within one page, entered at the first and left after the last or before
 * any other. Its key is (physical address of the first byte, rip, mode). It lies in an arena; when the arena
 * is full everything is forgotten at once. Dead blocks (their bytes were written) stay readable until then,
 * so that a block may kill itself, and come back to life when they are looked for and their bytes are the same
 * again, or others in an immediate only: code that is patched over and over is not decoded each time.
 *
 *   struct block | op 0 | op 1 | ... | exit op | cold 0 ... | insn 0 ...          one allocation
 *
 * A page that holds live blocks has PAGE_CODE, so that every store to it takes the slow path and comes to
 * block_cache_invalidate; it keeps the flag for a few stores after the last of them died. The result of a run does not depend on what is cached.
 *
 * A step block is as long as a whole one, but each of its operations does all that its instruction does (none is
 * fused, all flags are live), so that a slice may begin and end anywhere in it.
 */

#include "cpu/insn.h"

#define BLOCK_INSNS_MAX   48u
#define BLOCK_STEP        63u /* as max_insns: a step block */
#define BLOCK_CPUS_MAX    256u
#define BLOCK_PROBES_MAX  2048u
#define BLOCK_MEMOS       256u
#define BLOCK_ARENA_BYTES (UINT64_C(48) << 20)

struct op;
struct translator;
struct translation;

typedef const struct op *op_fn(struct cpu *cpu, const struct op *op);

/* What a running handler does not need: the place of an instruction within its block. */
struct block_cold {
    uint32_t offset_bytes; /* rip of the instruction - rip of the block */
    int32_t refund_cycles; /* charged on entry for this instruction and all after it */
};

/* A link: an op that goes straight on in another block (op.h), in the list of its target. */
struct block_link {
    struct op *from;
    struct block *to;
    struct block_link *next, **back;
};

struct block {
    int64_t cost_cycles; /* of all instructions; charged on entry */
    uint64_t count;      /* instructions */
    const void *code;    /* machine code that goes on in the block once it is paid for (translate.h) */
    uint64_t rip;
    phys_t at;
    uint64_t lin_page, phys_page; /* of rip (in 64-bit mode, where that is linear) and at */
    uint32_t mode;                /* enum cpu_mode, and max_insns << 2 */
    uint16_t size_bytes;
    bool dead;
    struct block *hash_next;
    struct block *page_next;
    struct block_link out[2]; /* of the last two ops */
    struct block_link *incoming;
    struct translation *translation; /* NULL: it has no machine code */
    op_fn *first;                    /* the handler of the first op, which may be one of the translator's */
    uint32_t
        heat; /* times that it runs before it is translated; then, entries in a row that led to nothing */
    const struct block_cold *cold; /* count + 1 entries; the last is the end of the block */
    struct insn *insns;
    struct op *ops;
    struct timing_insn *
        timed; /* one an instruction under the timing model, behind them the last one's predictor_site; else NULL */
};

struct block_cache;

struct block_cache *block_cache_create(struct ram *ram);
void block_cache_destroy(struct block_cache *c);

/* A vCPU's accelerators that point to blocks are emptied when blocks die. */
void block_cache_add_cpu(struct block_cache *c, struct cpu *cpu);
void block_cache_remove_cpu(struct block_cache *c, struct cpu *cpu);

/* The block at rip, whose first byte is at `at`, for the current mode of cpu; made when there is none. It has
 * at most max_insns instructions (1 to BLOCK_INSNS_MAX); blocks cut short by this are kept apart from whole
 * ones. BLOCK_STEP asks for a step block. NULL when the code cannot be cached: not RAM, an instruction that crosses the page or does not
 * decode. Must not be called from within a chain of blocks. */
struct block *block_find(struct block_cache *c, struct cpu *cpu, phys_t at, unsigned max_insns);

/* Lets the link op of block `from` go straight on in `to`. Nothing happens when one of them is dead. */
void block_link_to(const struct block_cache *c, struct block *from, struct op *op, struct block *to);

/* Bytes changed: drops the blocks that overlap them. Cheap when none does. */
void block_cache_invalidate(struct block_cache *c, phys_t a, unsigned size_bytes);

/* Drops everything (a snapshot restored). */
void block_cache_flush(struct block_cache *c);

/* Probes: cpu_run of any vCPU returns CPU_STOP_PROBE before it executes an instruction at a probed linear
 * address. Adding one twice counts twice. False: no room (BLOCK_PROBES_MAX). */
bool block_cache_probe_add(struct block_cache *c, lin_t a);
void block_cache_probe_remove(struct block_cache *c, lin_t a);
bool block_cache_probed(const struct block_cache *c, lin_t a);
bool block_cache_has_probes(const struct block_cache *c);

/* Instructions that no block can hold (they cross a page, or lie outside RAM) are remembered by their bytes,
 * so that they are not decoded each time. The slot for rip; the caller compares mode and bytes. length 0:
 * empty. */
struct insn_memo {
    unsigned mode;
    struct insn insn;
};
struct insn_memo *block_cache_memo(struct block_cache *c, uint64_t rip);

/* Number of blocks made and live, which depends on the host: no counter of the machine may read it. */
struct block_statistics {
    uint64_t made, live;
};
struct block_statistics block_cache_statistics(const struct block_cache *c);

/* Lets blocks that run often be translated to machine code (translate.h), where the host can do that and every cost is one cycle:
 * after they have run `heat` times (0: the usual). To be called before any block is made. True: it can. */
bool block_cache_translate(struct block_cache *c, const struct cost_table *costs, unsigned heat);

/* Makes no block longer than this any more, step blocks included. To be called before any is made. */
void block_cache_limit(struct block_cache *c, unsigned max_insns);

/* Calls visit for each block, dead ones, too. */
void block_cache_each(struct block_cache *c, void (*visit)(struct translator *t, struct block *b),
                      struct translator *t);

struct translator *block_cache_translator(const struct block_cache *c);

/* Cost of an instruction, or of one iteration of a repeated one. */
unsigned insn_cost(const struct cost_table *costs, const struct insn *insn);

#endif
