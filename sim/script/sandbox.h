#ifndef ORRERY_SCRIPT_SANDBOX_H
#define ORRERY_SCRIPT_SANDBOX_H

/*
 * A Lua state in which a scenario cannot tell one run from another: ordered pairs and next, seeded math.random, no
 * addresses in strings, no io, os, debug, package or load of binary chunks; bounded in instructions and memory.
 */

#include "base/rng.h"
#include "base/status.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#define SANDBOX_MEMORY_BYTES (UINT64_C(256) << 20)
#define SANDBOX_INSTRUCTIONS UINT64_C(2000000000)

struct sandbox {
    lua_State *lua;
    struct rng random;
    uint64_t memory_bytes, instructions, budget_instructions;
    char directory[1024]; /* of the scenario: where require looks first */
};

/* Opens the state, with a budget of SANDBOX_INSTRUCTIONS (budget_instructions may be set lower before anything runs).
 * scenario is the path of the file, for require. */
bool sandbox_init(struct sandbox *s, const char *scenario, uint64_t seed, struct error *e);
void sandbox_deinit(struct sandbox *s);

/* The sandbox of a state. */
struct sandbox *sandbox_of(lua_State *lua);

/* Loads text (not binary) as a function on the stack. False: the message is Lua's. */
bool sandbox_load(struct sandbox *s, const char *name, const char *text, size_t size, struct error *e);

/* tostring without addresses: pushes a string. */
void sandbox_push_text(lua_State *lua, int index);

#endif
