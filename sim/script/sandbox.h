#ifndef ORRERY_SCRIPT_SANDBOX_H
#define ORRERY_SCRIPT_SANDBOX_H

/*
 * A Lua state in which a scenario cannot tell one run from another: ordered pairs and next, seeded math.random, no
 * addresses in strings, no io, os, debug, package or load of binary chunks; bounded in instructions and memory. All that Lua
 * itself leaves to chance is fixed: the seed of its hashes and the addresses of its objects, and so the sizes of tables, the
 * length of one with holes, the moments at which the collector runs.
 */

#include "base/rng.h"
#include "base/status.h"
#include "script/arena.h"
#include "script/position.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#define SANDBOX_MEMORY_BYTES (UINT64_C(256) << 20)
#define SANDBOX_INSTRUCTIONS UINT64_C(2000000000)
/* What a byte costs that is copied, compared or searched, and one that is compiled. */
#define SANDBOX_BYTES_PER_STEP   16u
#define SANDBOX_STEPS_TO_COMPILE 64u

#define SANDBOX_PRELUDE "prelude" /* the chunk that is no place in a scenario */
#define SANDBOX_SHIPPED \
    "<orrery>/" /* what modules of the program's own scenarios folder are called by, before their path */

struct sim;

struct sandbox {
    lua_State *lua;
    struct arena arena;
    struct rng random;
    uint64_t memory_bytes;
    uint64_t instructions, budget_instructions; /* steps used and allowed */
    char directory[1024];                       /* of the scenario: where require looks first */
    char prefix[1026]; /* what stands before a file's name when it is printed: directory/ */
    char file[512];    /* the scenario's name in it */
    const char *text;  /* of the scenario, while it runs; or NULL */
    size_t text_size;
    const char *home;                  /* the folder with the program's own scenarios/, or NULL */
    char exhausted_at[POSITION_BYTES]; /* where the budget was used up; empty: not yet */
    char refused_at[POSITION_BYTES];   /* where memory was refused last */
    const struct sim *ran;             /* the machine that ran last, or NULL */
};

/* Opens the state, with a budget of SANDBOX_INSTRUCTIONS (budget_instructions may be set lower before anything runs).
 * scenario is the path of the file, for require. */
bool sandbox_init(struct sandbox *s, const char *scenario, uint64_t seed, struct error *e);
void sandbox_deinit(struct sandbox *s);

/* The sandbox of a state. */
struct sandbox *sandbox_of(lua_State *lua);

/* True when the budget is used up: the run is about to end. */
static inline bool sandbox_is_exhausted(const struct sandbox *s)
{
    return s->exhausted_at[0] != 0;
}

/* Raises the error of a budget that is used up, now and at every instruction from now on. */
void sandbox_exhausted(lua_State *lua);

/* Charges steps of work that a C function does at one instruction; a step is about an instruction. Inline, for the pattern
 * matcher. */
static inline void sandbox_spend(struct sandbox *s, lua_State *lua, uint64_t steps)
{
    uint64_t room = UINT64_MAX - s->instructions;
    s->instructions += steps < room ? steps : room;
    if (s->instructions > s->budget_instructions) {
        sandbox_exhausted(lua);
    }
}

/* The same for a C function that does not know its sandbox. */
void sandbox_charge(lua_State *lua, uint64_t steps);

/* Pushes a C function as an object of its own: a bare one, used as a key, is hashed by the address at which the program was
 * loaded. */
void sandbox_push_function(lua_State *lua, lua_CFunction f);

/* Does the same to all C functions in the table on top. */
void sandbox_box_functions(lua_State *lua);

/* Loads text (not binary) as a function on the stack. name is '@' and a file's name. False: the message is Lua's. */
bool sandbox_load(struct sandbox *s, const char *name, const char *text, size_t size, struct error *e);

/* tostring without addresses: pushes a string. */
void sandbox_push_text(lua_State *lua, int index);

#endif
