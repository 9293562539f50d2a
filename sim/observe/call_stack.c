/* Calls by where their return addresses lie. */

#include "observe/call_stack.h"

#include "base/check.h"

#include <stdlib.h>

#define RESTART_BYTES 16u /* a system call that is made again begins so far before */

enum left_kind {
    LEFT_CALL,
    LEFT_TRAP,
    LEFT_FORK /* of user mode, by stack pointer and way back: the newest trap of any space */
};

struct call_left {
    struct call_place place; /* of who called */
    uint64_t space;
    uint64_t back;
    bool open; /* nobody has come back */
};

static uint32_t add_node(struct call_stacks *c, struct call_node node)
{
    CHECK(c->node_count < INDEX_NONE, "%zu callers", c->node_count);
    c->nodes = index_grow(c->nodes, c->node_count, sizeof *c->nodes);
    c->nodes[c->node_count] = node;
    return (uint32_t)c->node_count++;
}

void call_stacks_init(struct call_stacks *c, uint32_t deep)
{
    *c = (struct call_stacks){.deep = deep};
    add_node(c, (struct call_node){CALL_ROOT, INDEX_NONE, 0});
}

void call_stacks_deinit(struct call_stacks *c)
{
    free(c->nodes);
    free(c->left);
    index_free(&c->children);
    index_free(&c->places);
}

uint32_t call_child(struct call_stacks *c, uint32_t caller, uint32_t function)
{
    unsigned depth = c->nodes[caller].depth + 1;
    if (depth > CALL_DEPTH_MAX) {
        return caller;
    }
    function = depth == CALL_DEPTH_MAX ? c->deep : function;
    struct index_key key = {caller, function, 0};
    uint32_t found = index_find(&c->children, key);
    if (found == INDEX_NONE) {
        found = add_node(c, (struct call_node){caller, function, depth});
        index_add(&c->children, key, found);
    }
    return found;
}

static void leave(struct call_stacks *c, struct index_key key, struct call_left left)
{
    uint32_t found = index_find(&c->places, key);
    if (found == INDEX_NONE) {
        CHECK(c->left_count < INDEX_NONE, "%zu places of return addresses", c->left_count);
        c->left = index_grow(c->left, c->left_count, sizeof *c->left);
        found = (uint32_t)c->left_count++;
        index_add(&c->places, key, found);
    }
    c->left[found] = left;
}

static struct index_key key_of(enum left_kind kind, struct call_slot at)
{
    return (struct index_key){at.space, at.address, kind};
}

/* What was left there, or NULL. */
static struct call_left *find(struct call_stacks *c, struct index_key key)
{
    uint32_t found = index_find(&c->places, key);
    return found != INDEX_NONE && c->left[found].open ? &c->left[found] : NULL;
}

/* Goes back, or begins a stack. */
static void go_back(struct call_place *p, struct call_left *left)
{
    *p = (struct call_place){CALL_ROOT, 0};
    if (left != NULL) {
        *p = left->place;
        left->open = false;
    }
}

void call_enter(struct call_stacks *c, struct call_place *p, uint32_t function, struct call_slot slot,
                uint64_t back)
{
    leave(c, key_of(LEFT_CALL, slot), (struct call_left){*p, slot.space, back, true});
    *p = (struct call_place){call_child(c, p->caller, function), slot.address};
}

void call_return(struct call_stacks *c, struct call_place *p, struct call_slot slot, uint64_t to)
{
    struct call_left *left = find(c, key_of(LEFT_CALL, slot));
    bool own = slot.address == p->slot;
    go_back(p, left != NULL && (left->back == to || own) ? left : NULL);
}

void call_trap(struct call_stacks *c, struct call_place *p, uint32_t function, uint32_t entry,
               struct call_slot stack, uint64_t back)
{
    const struct call_left left = {*p, stack.space, back, true};
    leave(c, key_of(LEFT_TRAP, stack), left);
    if (stack.space != 0) {
        leave(c, (struct index_key){stack.address, back, LEFT_FORK}, left);
    }
    uint32_t caller = call_child(c, p->caller, function);
    *p = (struct call_place){entry == INDEX_NONE ? caller : call_child(c, caller, entry), 0};
}

/* A space that is a copy of another one has a copy of the calls on this stack, as far as the other one still has them. */
static void copy_calls(struct call_stacks *c, const struct call_left *from, uint64_t to)
{
    struct call_slot slot = {from->space, from->place.slot};
    for (unsigned n = 0; n < CALL_DEPTH_MAX && slot.address != 0; n++) {
        uint32_t found = index_find(&c->places, key_of(LEFT_CALL, slot));
        if (found == INDEX_NONE) {
            return;
        }
        struct call_left copy = c->left[found];
        uint64_t address = slot.address;
        slot.address = copy.place.slot;
        copy.space = to;
        copy.open = true;
        leave(c, key_of(LEFT_CALL, (struct call_slot){to, address}), copy);
    }
}

void call_resume(struct call_stacks *c, struct call_place *p, struct call_slot stack, uint64_t to,
                 bool is_user)
{
    struct call_left *left = find(c, key_of(LEFT_TRAP, stack));
    bool known = left != NULL && (!is_user || left->back - to <= RESTART_BYTES);
    const struct call_left *forked =
        known || stack.space == 0 ? NULL : find(c, (struct index_key){stack.address, to, LEFT_FORK});
    if (forked != NULL && forked->space != stack.space) {
        struct call_left parent = *forked;
        copy_calls(c, &parent, stack.space);
        *p = parent.place;
        return;
    }
    go_back(p, known ? left : NULL);
}
