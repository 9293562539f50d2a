#ifndef ORRERY_OBSERVE_CALL_STACK_H
#define ORRERY_OBSERVE_CALL_STACK_H

/*
 * Who has called whom, for every stack of a guest (docs/profile.md).
 *
 * There is no stack of calls for each thread: nobody outside a kernel knows its threads. What a call leaves is kept by the
 * place in memory where its return address lies; the return that finds it there goes back to who called, whatever stacks
 * have been switched and whichever vCPU it comes on. What an interrupt or a system call leaves is kept by the stack pointer
 * that comes back with it. Functions are numbers of the caller's.
 */

#include "observe/index.h"

#include <stdbool.h>

#define CALL_ROOT      0u
#define CALL_DEPTH_MAX 200u /* further callers are one: the function `deep` */

/* A caller: a function, and who called it. */
struct call_node {
    uint32_t caller, function;
    unsigned depth;
};

struct call_left; /* what a call or a trap left */

struct call_stacks {
    struct call_node *nodes;
    size_t node_count;
    struct call_left *left;
    size_t left_count;
    struct index children, places;
    uint32_t deep;
};

/* Where a vCPU is: who called the function that runs, and the address of its return address (0: not known). */
struct call_place {
    uint32_t caller;
    uint64_t slot;
};

/* A place in memory: an address, and the address space that it means something in (0: in all). */
struct call_slot {
    uint64_t space, address;
};

void call_stacks_init(struct call_stacks *c, uint32_t deep);
void call_stacks_deinit(struct call_stacks *c);

/* The node of a function that a node calls. */
uint32_t call_child(struct call_stacks *c, uint32_t caller, uint32_t function);

/* The function calls; the return address back lies in slot. */
void call_enter(struct call_stacks *c, struct call_place *p, uint32_t function, struct call_slot slot,
                uint64_t back);

/* A return to address `to`, which lay in slot. One that nobody has called begins a stack, but where the function's own return
 * address has been changed: that is a jump. */
void call_return(struct call_stacks *c, struct call_place *p, struct call_slot slot, uint64_t to);

/* The function is interrupted, or asks the kernel; entry (or INDEX_NONE) stands between it and what comes. back: where it goes on,
 * with its stack pointer at stack. */
void call_trap(struct call_stacks *c, struct call_place *p, uint32_t function, uint32_t entry,
               struct call_slot stack, uint64_t back);

/* The way back, to address `to`. In a space that has not been left there, while another one has, it is the way into a copy of
 * that one (fork). In the kernel it may be another address than was left (a fault that was mended); in user mode one
 * that is not near begins a stack. */
void call_resume(struct call_stacks *c, struct call_place *p, struct call_slot stack, uint64_t to,
                 bool is_user);

#endif
