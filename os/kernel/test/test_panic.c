/*
 * Panics on request, for tests/e2e/kernel_panic.sh: the word panic=ACTION@POINT of the command line makes the
 * kernel die in that way when it comes to that probe point (kernel/probe.h), blanks of the name left out.
 */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "boot/tables.h"
#include "console.h"
#include "lib/string.h"
#include "mm/boot_alloc.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "mm/slab.h"
#include "panic.h"
#include "probe.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "sys/boot_arguments.h"

#define WORD_MAX     64u
#define NOTHING_HERE (KERNEL_MAP_BASE + (200ull << 30)) /* never mapped */

static bool nmi_armed;
static bool dump_armed;
static bool nested_armed;

static __attribute__((noinline)) void die_call(void)
{
    panic("asked to, %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7);
}

/* Preemption wanted before there is a heap, or a thread that could be preempted. */
static __attribute__((noinline)) void die_preempt(void)
{
    sched_enable_preemption();
}

static __attribute__((noinline)) void die_opcode(void)
{
    __asm__ volatile("ud2");
}

static __attribute__((noinline)) void die_read(void)
{
    (void)*(volatile const uint64_t *)NOTHING_HERE;
}

/* The stack pointer leads nowhere: the page fault cannot be delivered. */
static __attribute__((noinline)) void die_double(void)
{
    __asm__ volatile("movq %0, %%rsp\n\tpushq $0" : : "r"(NOTHING_HERE));
}

static __attribute__((noinline)) void die_nmi(void)
{
    nmi_armed = true;
    __asm__ volatile("int $2");
}

/* A frame record that points at itself, then one that points nowhere. */
static __attribute__((noinline)) void die_loop(void)
{
    uint64_t record[2] = {0, (uint64_t)(uintptr_t)die_opcode};
    record[0] = (uint64_t)(uintptr_t)record;
    __asm__ volatile("movq %0, %%rbp\n\tud2" : : "r"(record) : "memory");
}

static __attribute__((noinline)) void die_lost(void)
{
    __asm__ volatile("movq %0, %%rbp\n\tud2" : : "r"(NOTHING_HERE) : "memory");
}

static __attribute__((noinline)) void die_nested(void)
{
    nested_armed = true;
    die_call();
}

static uint64_t ready;

static void die_together(void *argument)
{
    (void)argument;
    uint64_t all = cpu_online_mask();
    __atomic_or_fetch(&ready, 1ull << arch_cpu_id(), __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != all) {
        __asm__ volatile("pause");
    }
    die_call();
}

/* Every other CPU panics in its interrupt handler; this one does as soon as all are there. */
static void die_all(void)
{
    __atomic_or_fetch(&ready, 1ull << arch_cpu_id(), __ATOMIC_SEQ_CST);
    ipi_call_others(die_together, NULL);
}

/* Runs out of stack. The array keeps each call from being turned into a loop. */
static __attribute__((noinline)) uint64_t die_deep(uint64_t depth)
{
    volatile uint64_t room[16] = {depth};
    return depth == 0 ? 0 : die_deep(depth - 1) + room[depth % 16];
}

static void die_overflow(void)
{
    (void)die_deep(UINT64_MAX);
}

/* With the locks of memory held: the dump of the panic path takes none. */
static __attribute__((noinline)) void die_memory(void)
{
    dump_armed = true;
    spin_lock_irqsave(&frame_manager.nodes[0].zones[FRAME_ZONE_NORMAL].lock);
    die_call();
}

static void print_line(void *context, const char *text)
{
    (void)context;
    console_emergency_printf("%s\n", text);
}

static __attribute__((noinline)) void die_free(void)
{
    static struct slab_cache cache;
    if (slab_cache_init(&cache, "test-double-free", 100, 0, SLAB_DEBUG) == STATUS_OK) {
        void *object = slab_alloc(&cache);
        slab_free(&cache, object);
        slab_free(&cache, object);
    }
}

/* What the boot had and the running kernel must not touch; volatile, so that the address is not looked into. */
static uint64_t read_at(volatile uint64_t address)
{
    return *(volatile const uint64_t *)(uintptr_t)address;
}

static __attribute__((noinline)) void die_heap(void)
{
    (void)read_at(BOOT_TEMPORARY_HEAP_VA);
}

static __attribute__((noinline)) void die_low(void)
{
    (void)read_at(0x100000); /* where the identity map had the image */
}

static __attribute__((noinline)) void die_early(void)
{
    (void)frame_manager_get();
}

static __attribute__((noinline)) void die_sealed(void)
{
    paddr_t frame;
    (void)!boot_alloc_frames(1, 1, REGION_BOOT_ALLOCATION, &frame);
}

static const struct {
    const char *name;
    void (*die)(void);
} actions[] = {
    {"call", die_call},     {"opcode", die_opcode},     {"read", die_read}, {"double", die_double},
    {"nmi", die_nmi},       {"loop", die_loop},         {"lost", die_lost}, {"nested", die_nested},
    {"all", die_all},       {"overflow", die_overflow}, {"heap", die_heap}, {"low", die_low},
    {"early", die_early},   {"sealed", die_sealed},     {"free", die_free}, {"preempt", die_preempt},
    {"memory", die_memory},
};

/* Is `word` the name of the point, blanks left out? */
static bool names(const char *word, const char *point)
{
    for (; *point != '\0'; point++) {
        if (*point != ' ' && *word++ != *point) {
            return false;
        }
    }
    return *word == '\0';
}

static void panic_probe(const char *point)
{
    char word[WORD_MAX];
    if (nmi_armed && strcmp(point, "nmi") == 0) {
        die_call();
    }
    if (dump_armed && strcmp(point, "panic") == 0) {
        static const struct text_sink sink = {print_line, NULL};
        dump_armed = false;
        frame_dump(&sink);
        kheap_dump(&sink);
    }
    if (nested_armed && strcmp(point, "panic") == 0) {
        die_read();
    }
    if (!boot_argument("panic", word, sizeof(word))) {
        return;
    }
    for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        size_t length = strlen(actions[i].name);
        if (strncmp(word, actions[i].name, length) == 0 && word[length] == '@' &&
            names(word + length + 1, point)) {
            actions[i].die();
        }
    }
}

PROBE(panic_probe);
