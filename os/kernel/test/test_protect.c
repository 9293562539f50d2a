/*
 * The protections of the processor, tried out on every CPU: SMEP, SMAP, write protection, NX, guard pages. A fault that
 * a test provokes ends at a fix-up of the exception table. What CPUID offers is asked here anew, not taken from
 * features().
 */
#include "arch/arch.h"
#include "arch/arch_pt.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/percpu.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/vm.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "test/ktest.h"

#define USER_AT           0x20000000 /* user address of a page of code; also in the assembly below */
#define NEAR_RETURN       0xc3u
#define STRING(text)      #text
#define EXPAND(text)      STRING(text)
#define CPUID_7_EBX_SMEP  (1u << 7)
#define CPUID_7_EBX_SMAP  (1u << 20)
#define CPUID_7_ECX_UMIP  (1u << 2)
#define STACK_SLOT_PAGES  (2 * KERNEL_STACK_PAGES)
#define STACK_PAGES_START (KERNEL_MAP_BASE + (2ull << 30)) /* docs/memory-layout.md */
#define STACK_PAGES_END   (STACK_PAGES_START + (512ull << 20))

/* Reads a word; false when that faults. */
static bool readable(uint64_t address)
{
    uint64_t value;
    uint32_t faulted = 1;
    __asm__ volatile("1: movq (%2), %0\n\t"
                     "xorl %1, %1\n"
                     "2:\n\t"
                     ".pushsection .exception_table, \"a\", @progbits\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     : "=&r"(value), "+r"(faulted)
                     : "r"(address)
                     : "memory");
    return faulted == 0;
}

/* A near return in the kernel's text and one in its data. */
extern const uint8_t return_in_text[], return_in_data[];
__asm__(".pushsection .text\n"
        "return_in_text: ret\n"
        ".popsection\n"
        ".pushsection .data\n"
        "return_in_data: .byte 0xc3\n"
        ".popsection");

/* Calls one of the three near returns; false when the fetch faults. Not inline: a fix-up belongs to one address. */
static __attribute__((noinline)) bool runs(uint64_t code)
{
    uint32_t faulted = 1;
    __asm__ volatile("movq %%rsp, %%r12\n\t"
                     "call *%1\n\t"
                     "xorl %0, %0\n"
                     "2: movq %%r12, %%rsp\n\t"
                     ".pushsection .exception_table, \"a\", @progbits\n\t"
                     ".quad " EXPAND(USER_AT) ", 2b\n\t"
                                              ".quad return_in_text, 2b\n\t"
                                              ".quad return_in_data, 2b\n\t"
                                              ".popsection"
                     : "+r"(faulted)
                     : "r"(code)
                     : "r12", "memory");
    return faulted == 0;
}

/* What the CPUs found, one bit a CPU. */
struct findings {
    struct address_space *space;
    uint64_t bits;
};

static void find(struct findings *findings, bool found)
{
    __atomic_or_fetch(&findings->bits, found ? 1ull << arch_cpu_id() : 0, __ATOMIC_SEQ_CST);
}

static uint64_t ask_every_cpu(void (*ask)(void *findings), struct address_space *space)
{
    struct findings findings = {.space = space};
    preempt_disable();
    uint64_t flags = arch_irq_save();
    ask(&findings);
    arch_irq_restore(flags);
    ipi_call_others(ask, &findings);
    preempt_enable();
    return findings.bits;
}

static bool bit_follows(uint64_t control, uint64_t bit, bool offered)
{
    return ((control & bit) != 0) == offered;
}

static void ask_controls(void *findings)
{
    struct cpuid seven = cpuid_read(7, 0);
    uint64_t cr4 = cr4_read();
    find(findings, (cr0_read() & CR0_WP) != 0 && (msr_read(MSR_EFER) & EFER_NXE) != 0 &&
                       bit_follows(cr4, CR4_SMEP, (seven.ebx & CPUID_7_EBX_SMEP) != 0) &&
                       bit_follows(cr4, CR4_SMAP, (seven.ebx & CPUID_7_EBX_SMAP) != 0) &&
                       bit_follows(cr4, CR4_UMIP, (seven.ecx & CPUID_7_ECX_UMIP) != 0));
}

/* covers: VM-06 (control registers) */
void ktest_protection_is_on_in_every_cpu(void)
{
    KEXPECT(ask_every_cpu(ask_controls, NULL) == cpu_online_mask());
}

static void ask_with_space(void *context, bool (*question)(void))
{
    struct findings *findings = context;
    uint64_t flags = arch_irq_save();
    struct address_space *before = cpu_this()->space;
    arch_space_load(cpu_this(), findings->space);
    find(findings, question());
    arch_space_load(cpu_this(), before);
    arch_irq_restore(flags);
}

static bool user_page_is_readable(void)
{
    return readable(USER_AT);
}

static bool user_page_is_readable_through_the_window(void)
{
    __asm__ volatile("stac" : : : "memory");
    bool done = readable(USER_AT);
    __asm__ volatile("clac" : : : "memory");
    return done;
}

static bool user_page_runs(void)
{
    return runs(USER_AT);
}

static void ask_read(void *findings)
{
    ask_with_space(findings, user_page_is_readable);
}

static void ask_read_through_the_window(void *findings)
{
    ask_with_space(findings, user_page_is_readable_through_the_window);
}

static void ask_run(void *findings)
{
    ask_with_space(findings, user_page_runs);
}

/* A space with one user page, executable, that holds a near return. */
static bool code_space(struct address_space *space, pfn_t *pfn)
{
    if (frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, pfn) != STATUS_OK) {
        return false;
    }
    *(uint8_t *)arch_phys_to_virt(paddr_from_pfn(*pfn)) = NEAR_RETURN;
    return vm_space_init(space, (struct pid){1}) == STATUS_OK &&
           pt_map(&space->table, vaddr_make(USER_AT), paddr_from_pfn(*pfn), PAGE_4K,
                  PAGE_FLAGS(PAGE_USER | PAGE_DEVICE)) == STATUS_OK;
}

static bool code_space_end(struct address_space *space, pfn_t pfn)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    bool done = pt_unmap(&space->table, vaddr_make(USER_AT), &gather, NULL) == STATUS_OK;
    tlb_gather_finish(&gather);
    vm_space_deinit(space);
    frame_put(pfn);
    return done;
}

/* covers: VM-12 (SMAP) */
void ktest_the_kernel_reaches_user_memory_only_through_the_window(void)
{
    struct address_space space;
    pfn_t pfn;
    bool smap = (cpuid_read(7, 0).ebx & CPUID_7_EBX_SMAP) != 0;
    KEXPECT(code_space(&space, &pfn));
    uint64_t plain = ask_every_cpu(ask_read, &space);
    uint64_t window = smap ? ask_every_cpu(ask_read_through_the_window, &space) : cpu_online_mask();
    KEXPECT(plain == (smap ? 0 : cpu_online_mask()));
    KEXPECT(window == cpu_online_mask());
    KEXPECT(code_space_end(&space, pfn));
}

/* covers: VM-06 (SMEP) */
void ktest_the_kernel_never_executes_user_pages(void)
{
    struct address_space space;
    pfn_t pfn;
    bool smep = (cpuid_read(7, 0).ebx & CPUID_7_EBX_SMEP) != 0;
    KEXPECT(code_space(&space, &pfn));
    KEXPECT(ask_every_cpu(ask_run, &space) == (smep ? 0 : cpu_online_mask()));
    KEXPECT(code_space_end(&space, pfn));
}

static void ask_run_text(void *findings)
{
    find(findings, runs((uint64_t)return_in_text));
}

static void ask_run_data(void *findings)
{
    find(findings, runs((uint64_t)return_in_data));
}

/* covers: VM-06 (NX of the kernel half) */
void ktest_kernel_data_is_not_executable(void)
{
    KEXPECT(ask_every_cpu(ask_run_text, NULL) == cpu_online_mask());
    KEXPECT(ask_every_cpu(ask_run_data, NULL) == 0);
}

static bool guarded(uint64_t top)
{
    uint64_t base = top - KERNEL_STACK_BYTES;
    return readable(base) && readable(top - 8) && !readable(base - 8) && !readable(top) &&
           kmap_is_stack_guard(base - 8) && kmap_is_stack_guard(top) && !kmap_is_stack_guard(base);
}

static status_t count_stack_page(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    uint64_t *pages = context;
    uint64_t page = (vaddr_number(va) - STACK_PAGES_START) >> PAGE_SHIFT;
    bool stack_half = page % STACK_SLOT_PAGES >= KERNEL_STACK_PAGES;
    bool right = stack_half && leaf->size == PAGE_4K && !page_flags_executable(leaf->flags);
    *pages += right ? 1 : UINT32_MAX;
    return STATUS_OK;
}

/* covers: TH-03 (kernel stacks) */
void ktest_every_kernel_stack_lies_between_guard_pages(void)
{
    /* of the thread that runs this, of RCU, of the capability collector and of the balancer */
    uint64_t wanted = 4 * KERNEL_STACK_PAGES;
    KEXPECT(guarded(thread_current()->stack_top));
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        KEXPECT(guarded(cpu_table[cpu]->idle->stack_top));
        for (unsigned i = 0; i < IST_COUNT; i++) {
            KEXPECT(guarded(cpu_table[cpu]->ist_top[i]));
        }
        wanted += (IST_COUNT + 1) * KERNEL_STACK_PAGES;
    }
    uint64_t pages = 0;
    KEXPECT(pt_walk(kmap_table(), vaddr_make(STACK_PAGES_START), vaddr_make(STACK_PAGES_END),
                    count_stack_page, &pages) == STATUS_OK);
    KEXPECT(pages == wanted);
}
