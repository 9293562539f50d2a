/*
 * selftest: programs that violate the protection of memory or of the processor. Each runs in a child, which prints the record
 * that its fault is to leave ("# due: ..."): which process and thread, exception and reason, address, instruction, error code.
 * The kernel prints the same text after it; tests/e2e/kernel_protect.lua compares, also with what the processor has pushed.
 */
#include "selftest.h"

#include "lib/thread.h"

#define PAGE           4096u
#define KERNEL_TEXT    0xffffffff80100000ull
#define KERNEL_HOLE    0xffffff7fffffe000ull
#define PHYSMAP_RAM    0xffff800000100000ull
#define NON_CANONICAL  0x0000900000000000ull
#define UNMAPPED       0x0000000000001000ull
#define VECTOR_DIVIDE  0u
#define VECTOR_INT3    3u
#define VECTOR_UD      6u
#define VECTOR_GP      13u
#define VECTOR_PF      14u
#define NO_SELECTOR    0xfff8u
#define ERROR_PRESENT  1u
#define ERROR_WRITE    2u
#define ERROR_USER     4u
#define ERROR_FETCH    16u
#define RIGHTS_OF_DATA (PROTECT_READ | PROTECT_WRITE)

#define INSTRUCTION(name) extern void violation_##name(uint64_t);
INSTRUCTION(load)
INSTRUCTION(store)
INSTRUCTION(jump)
INSTRUCTION(add)
INSTRUCTION(cli)
INSTRUCTION(hlt)
INSTRUCTION(out)
INSTRUCTION(read_cr3)
INSTRUCTION(write_cr4)
INSTRUCTION(wrmsr)
INSTRUCTION(swapgs)
INSTRUCTION(invlpg)
INSTRUCTION(selector)
INSTRUCTION(ud2)
INSTRUCTION(push)
INSTRUCTION(divide)
INSTRUCTION(divide_itself)
INSTRUCTION(int3)
INSTRUCTION(int3_after)

typedef void (*instruction)(uint64_t);

struct violation {
    instruction run;
    uint64_t (*place)(void); /* makes the address; null: it is `at` */
    uint64_t at;
    unsigned vector;
    unsigned error;
    status_t reason;      /* of a page fault */
    instruction recorded; /* null: `run` */
    unsigned beyond;      /* bytes from the address to the one that faults */
};

/* ---- places ---- */

static const uint64_t constant = 1;
static uint64_t data = 0xc3;

static uint64_t of_text(void)
{
    return (uint64_t)(uintptr_t)violation_load;
}

static uint64_t of_constant(void)
{
    return (uint64_t)(uintptr_t)&constant;
}

static uint64_t of_data(void)
{
    *(volatile uint64_t *)&data = 0xc3;
    return (uint64_t)(uintptr_t)&data;
}

static uint64_t of_stack(void)
{
    return (uint64_t)(uintptr_t)__builtin_frame_address(0) &
           ~7ull; /* others write there: the page is there */
}

static uint64_t mapped(unsigned rights)
{
    return (uint64_t)sys_map(0, 2 * PAGE, rights);
}

static uint64_t of_read_only(void)
{
    return mapped(PROTECT_READ);
}

static uint64_t of_read_only_that_was_read(void)
{
    uint64_t at = mapped(PROTECT_READ);
    (void)*(volatile uint8_t *)at;
    return at;
}

static uint64_t changed(unsigned rights)
{
    uint64_t at = mapped(RIGHTS_OF_DATA);
    memset((void *)at, 1, 2 * PAGE);
    (void)sys_protect(at, 2 * PAGE, rights);
    return at;
}

static uint64_t of_what_was_writable(void)
{
    return changed(PROTECT_READ);
}

static uint64_t of_closed(void)
{
    return changed(0);
}

static uint64_t of_unmapped(void)
{
    uint64_t at = changed(RIGHTS_OF_DATA);
    (void)sys_unmap(at, 2 * PAGE);
    return at;
}

/* Four bytes before the end of what is mapped. */
static uint64_t of_an_end(void)
{
    uint64_t at = changed(RIGHTS_OF_DATA);
    (void)sys_unmap(at + PAGE, PAGE);
    return at + PAGE - 4;
}

/* The first word that a stack has not: below it even the kernel cannot write. */
static uint64_t of_the_stack_s_end(void)
{
    uint64_t page = ((uint64_t)(uintptr_t)__builtin_frame_address(0) & ~(uint64_t)(PAGE - 1)) - PAGE;
    while (sys_boot_arguments((char *)page, 1) >= 0) {
        page -= PAGE;
    }
    return page + PAGE - 8;
}

/* ---- the violations ---- */

#define PF_READ(more)  .vector = VECTOR_PF, .error = ERROR_USER | (more)
#define PF_WRITE(more) .vector = VECTOR_PF, .error = ERROR_USER | ERROR_WRITE | (more)
#define PF_FETCH(more) .vector = VECTOR_PF, .error = ERROR_USER | ERROR_FETCH | (more)
#define BAD            .reason = STATUS_ERR_BAD_ADDRESS
#define DENIED         .reason = STATUS_ERR_PROTECTION

static const struct violation violations[] = {
    {violation_load, .at = UNMAPPED, PF_READ(0), BAD},
    {violation_store, .at = UNMAPPED, PF_WRITE(0), BAD},
    {violation_jump, .at = UNMAPPED, PF_FETCH(0), BAD},
    {violation_load, .at = KERNEL_TEXT, PF_READ(ERROR_PRESENT), BAD},
    {violation_store, .at = KERNEL_TEXT, PF_WRITE(ERROR_PRESENT), BAD},
    {violation_jump, .at = KERNEL_TEXT, PF_FETCH(ERROR_PRESENT), BAD},
    {violation_load, .at = PHYSMAP_RAM, PF_READ(ERROR_PRESENT), BAD},
    {violation_store, .at = PHYSMAP_RAM + 8, PF_WRITE(ERROR_PRESENT), BAD},
    {violation_load, .at = KERNEL_HOLE, PF_READ(0), BAD},
    {violation_store, of_text, PF_WRITE(ERROR_PRESENT), DENIED},
    {violation_store, of_constant, PF_WRITE(ERROR_PRESENT), DENIED},
    {violation_add, of_constant, PF_WRITE(ERROR_PRESENT), DENIED},
    {violation_jump, of_data, PF_FETCH(ERROR_PRESENT), DENIED},
    {violation_jump, of_stack, PF_FETCH(ERROR_PRESENT), DENIED},
    {violation_store, of_read_only, PF_WRITE(0), DENIED},
    {violation_store, of_read_only_that_was_read, PF_WRITE(ERROR_PRESENT), DENIED},
    {violation_store, of_what_was_writable, PF_WRITE(ERROR_PRESENT), DENIED},
    {violation_load, of_closed, PF_READ(0), DENIED},
    {violation_store, of_closed, PF_WRITE(0), DENIED},
    {violation_load, of_unmapped, PF_READ(0), BAD},
    {violation_store, of_unmapped, PF_WRITE(0), BAD},
    {violation_load, of_an_end, PF_READ(0), BAD, .beyond = 4},
    {violation_push, of_the_stack_s_end, PF_WRITE(0), .reason = STATUS_ERR_GUARD},
    {violation_load, .at = NON_CANONICAL, .vector = VECTOR_GP},
    {violation_cli, .vector = VECTOR_GP},
    {violation_hlt, .vector = VECTOR_GP},
    {violation_out, .vector = VECTOR_GP},
    {violation_read_cr3, .vector = VECTOR_GP},
    {violation_write_cr4, .vector = VECTOR_GP},
    {violation_wrmsr, .vector = VECTOR_GP},
    {violation_swapgs, .vector = VECTOR_GP},
    {violation_invlpg, .vector = VECTOR_GP},
    {violation_selector, .at = NO_SELECTOR, .vector = VECTOR_GP, .error = NO_SELECTOR},
    {violation_ud2, .vector = VECTOR_UD},
    {violation_divide, .vector = VECTOR_DIVIDE, .recorded = violation_divide_itself},
    {violation_int3, .vector = VECTOR_INT3, .recorded = violation_int3_after},
};

static const char *const exceptions[] = {[VECTOR_DIVIDE] = "divide error",
                                         [VECTOR_INT3] = "breakpoint",
                                         [VECTOR_UD] = "invalid opcode",
                                         [VECTOR_GP] = "general protection",
                                         [VECTOR_PF] = "page fault"};

static const struct violation *chosen;

static uint64_t violate(void *unused)
{
    const struct violation *v = chosen;
    uint64_t at = v->place != NULL ? v->place() : v->at;
    uint64_t instruction_at = (uint64_t)(uintptr_t)(v->recorded != NULL ? v->recorded : v->run);
    uint64_t rip = (v->error & ERROR_FETCH) != 0 && v->vector == VECTOR_PF ? at : instruction_at;
    uint64_t address = v->vector == VECTOR_PF ? at + v->beyond : rip;
    (void)unused;
    print(
        "# due: process %u selftest: killed by %s%s%s at 0x%llx, instruction 0x%llx, error 0x%x, thread %u\n",
        (unsigned)sys_getpid(), exceptions[v->vector], v->reason != STATUS_OK ? ", " : "",
        v->reason != STATUS_OK ? status_text(v->reason) : "", (unsigned long long)address,
        (unsigned long long)rip, v->error, (unsigned)sys_thread_self());
    v->run(at);
    return 0;
}

static void violate_at_once(void)
{
    (void)violate(NULL);
}

/* The record is that of the thread, and the whole process ends. */
static void violate_in_a_thread(void)
{
    int64_t tid = thread_start(violate, NULL, 0);
    (void)thread_join(tid, NULL);
}

static bool killed_for(const struct violation *v, void (*how)(void))
{
    chosen = v;
    return tap_in_child(how) == STATUS_KILLED_BASE + (int)v->vector;
}

/* covers: VM-13 (the exception) */
bool test_violations_leave_a_right_record(void)
{
    for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
        EXPECT(killed_for(&violations[i], violate_at_once));
        EXPECT(killed_for(&violations[i], violate_in_a_thread));
    }
    return true;
}
