/*
 * The host side of the instruction oracle.
 *
 * A breakpoint trap of the runner is the way in: its signal handler exchanges the interrupted context for the case's, and
 * the return from the handler loads all of it. The trap that ends the case is the way out. The handler's first and last
 * instructions are written in assembly, because the case may have changed what compiled code relies on: RFLAGS.AC,
 * DF, NT and the base of FS, where thread-local storage is.
 *
 * The instructions are written through a second mapping of the same page; the way in is serialising.
 */

#define _GNU_SOURCE

#include "insn_native.h"

#include "base/bits.h"
#include "insn_values.h"

#include <Zydis/SharedTypes.h>
#include <Zydis/Zydis.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the address space ---- */

const struct case_region case_regions[CASE_REGIONS] = {
    {CASE_LOW_AT, 0x2000}, {CASE_DATA_AT, 0x2000}, {CASE_DATA2_AT, 0x1000}};

unsigned case_memory_find(uint64_t at, unsigned *offset)
{
    unsigned before = 0;
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        const struct case_region *r = &case_regions[i];
        if (at >= r->at && at < r->at + r->bytes) {
            *offset = before + (unsigned)(at - r->at);
            return (unsigned)(r->at + r->bytes - at);
        }
        before += r->bytes;
    }
    return 0;
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>

#define STACK_BYTES  0x20000u
#define HWCAP2_FSGS  2u
#define XSTATE_BV_AT 512u /* in the signal frame's XSAVE area */
#define HANG_SECONDS 5

/* What signal frames do not hold: as the case left it, and as it shall be when the handler returns. */
struct segments {
    uint64_t fs_base, gs_base;
    uint16_t ds, es, fs, gs;
};

extern struct segments native_seen, native_next;
extern uint64_t native_own_fs;
struct segments native_seen, native_next;
uint64_t native_own_fs;

void native_on_signal(int number, siginfo_t *info, void *context);
void native_handler(int number, siginfo_t *info, void *context);
void native_enter(void);

#define PLACE(x) #x "(%rip)"
__asm__(".text\n"
        ".globl native_handler, native_enter\n"
        "native_handler:\n"
        "    pushfq\n"
        "    andl $0xffdbbaff, (%rsp)\n" /* ID, AC, NT, TF, DF off */
        "    popfq\n"
        "    rdfsbase %rax\n"
        "    movq %rax, native_seen(%rip)\n"
        "    rdgsbase %rax\n"
        "    movq %rax, native_seen+8(%rip)\n"
        "    movw %ds, native_seen+16(%rip)\n"
        "    movw %es, native_seen+18(%rip)\n"
        "    movw %fs, native_seen+20(%rip)\n"
        "    movw %gs, native_seen+22(%rip)\n"
        "    movq native_own_fs(%rip), %rax\n"
        "    wrfsbase %rax\n"
        "    subq $8, %rsp\n"
        "    call native_on_signal\n"
        "    addq $8, %rsp\n"
        "    movw native_next+16(%rip), %ds\n"
        "    movw native_next+18(%rip), %es\n"
        "    movw native_next+20(%rip), %fs\n"
        "    movw native_next+22(%rip), %gs\n"
        "    movq native_next(%rip), %rax\n"
        "    wrfsbase %rax\n"
        "    movq native_next+8(%rip), %rax\n"
        "    wrgsbase %rax\n"
        "    ret\n"
        "native_enter:\n"
        "    int3\n"
        "    ret\n");

enum phase { PHASE_IDLE, PHASE_ENTER, PHASE_RUN };

static struct {
    volatile enum phase phase;
    const struct insn_case *in;
    struct insn_state *out;
    gregset_t own;       /* the runner's registers */
    uint8_t own_fx[512]; /* and its floating-point state */
    struct segments own_segments;
    uint8_t *code; /* second mapping of the code pages */
    uint8_t *memory[CASE_REGIONS];
    void *stack;
    unsigned text_at, text_bytes; /* what the last case left there */
    volatile uint64_t runs;
    uint64_t runs_seen;
} native;

/* ---- the handler ---- */

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void load_case(ucontext_t *u)
{
    const struct insn_state *in = &native.in->in;
    greg_t *g = u->uc_mcontext.gregs;
    uint8_t *area = (uint8_t *)u->uc_mcontext.fpregs;
    memcpy(native.own, g, sizeof native.own);
    memcpy(native.own_fx, area, sizeof native.own_fx);
    for (unsigned i = 0; i < 16; i++) {
        g[greg_of[i]] = (greg_t)in->gpr[i];
    }
    g[REG_RIP] = (greg_t)in->rip;
    g[REG_EFL] = (greg_t)in->rflags;
    g[REG_CSGSFS] = (greg_t)((uint64_t)in->selector[1] | (uint64_t)in->selector[2] << 48);
    memcpy(area, in->fx, 28);
    memcpy(area + FX_ST, in->fx + FX_ST, CASE_FX_BYTES - FX_ST);
    store_le64(area + XSTATE_BV_AT, load_le64(area + XSTATE_BV_AT) | 3);
    native_next = (struct segments){.fs_base = in->fs_base,
                                    .gs_base = in->gs_base,
                                    .ds = in->selector[3],
                                    .es = in->selector[0],
                                    .fs = in->selector[4],
                                    .gs = in->selector[5]};
}

static void save_case(ucontext_t *u)
{
    struct insn_state *out = native.out;
    greg_t *g = u->uc_mcontext.gregs;
    uint8_t *area = (uint8_t *)u->uc_mcontext.fpregs;
    for (unsigned i = 0; i < 16; i++) {
        out->gpr[i] = (uint64_t)g[greg_of[i]];
    }
    out->rip = (uint64_t)g[REG_RIP];
    out->rflags = (uint64_t)g[REG_EFL];
    out->fs_base = native_seen.fs_base;
    out->gs_base = native_seen.gs_base;
    const uint16_t selector[6] = {
        native_seen.es, (uint16_t)g[REG_CSGSFS], (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48),
        native_seen.ds, native_seen.fs,          native_seen.gs};
    memcpy(out->selector, selector, sizeof selector);
    out->vector = (uint16_t)g[REG_TRAPNO];
    out->error = (uint32_t)g[REG_ERR];
    out->cr2 = out->vector == 14 ? (uint64_t)g[REG_CR2] : 0;
    memcpy(out->fx, area, CASE_FX_BYTES);
    memcpy(g, native.own, sizeof native.own);
    memcpy(area, native.own_fx, sizeof native.own_fx);
    native_next = native.own_segments;
}

/* What went wrong in which case, and where: without the C library's locks. */
static void report_case(const char *what, const ucontext_t *u)
{
    static char text[200];
    int n = snprintf(text, sizeof text, "%s: case %llu of seed %llu, rip %llx rsp %llx\n", what,
                     (unsigned long long)native.in->number, (unsigned long long)native.in->seed,
                     (unsigned long long)u->uc_mcontext.gregs[REG_RIP],
                     (unsigned long long)u->uc_mcontext.gregs[REG_RSP]);
    ssize_t written = write(STDERR_FILENO, text, (size_t)n);
    (void)written;
}

/* The timer: a case that ran when the last one came, too, hangs. */
static void on_timer(const ucontext_t *u)
{
    native_next = native_seen;
    if (native.phase == PHASE_RUN && native.runs == native.runs_seen) {
        report_case("hangs on the host", u);
        _exit(3);
    }
    native.runs_seen = native.runs;
}

void native_on_signal(int number, siginfo_t *info, void *context)
{
    (void)info;
    if (number == SIGALRM) {
        on_timer(context);
    } else if (native.phase == PHASE_ENTER) {
        native.own_segments = native_seen;
        load_case(context);
        native.phase = PHASE_RUN;
    } else if (native.phase == PHASE_RUN) {
        save_case(context);
        native.phase = PHASE_IDLE;
    } else {
        native_next = native_seen;
        report_case("the oracle itself faults after", context);
        signal(number, SIG_DFL); /* a fault of this program itself: it comes again, and ends it */
    }
}

/* ---- mapping it ---- */

static bool map_at(uint64_t at, unsigned bytes, int protection, int fd, off_t offset)
{
    void *want = (void *)(uintptr_t)at;
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    return mmap(want, bytes, protection, flags | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, offset) == want;
}

/* Is the address space below 4 GiB empty? Addresses of cases may point anywhere there. */
static bool low_space_is_free(void)
{
    unsigned long long first;
    FILE *maps = fopen("/proc/self/maps", "r");
    bool is_free = maps && fscanf(maps, "%llx", &first) == 1 && first >> 32 != 0;
    if (maps) {
        fclose(maps);
    }
    return is_free;
}

/* The pages of instructions and the read-only ones: filled through a mapping of our own. */
static bool map_shared(void)
{
    unsigned size = CASE_CODE_BYTES + 3 * (unsigned)CASE_PAGE;
    int fd = memfd_create("cases", 0);
    if (fd < 0 || ftruncate(fd, size) != 0) {
        return false;
    }
    native.code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (native.code == MAP_FAILED) {
        return false;
    }
    uint8_t *constant = native.code + CASE_CODE_BYTES + CASE_PAGE;
    memset(native.code, CASE_INT3, CASE_CODE_BYTES + CASE_PAGE);
    value_memory(constant, (unsigned)CASE_PAGE, 1);
    value_memory(constant + CASE_PAGE, (unsigned)CASE_PAGE, 2);
    bool mapped =
        map_at(CASE_CODE_AT, CASE_CODE_BYTES, PROT_READ | PROT_EXEC, fd, 0) &&
        map_at(CASE_LAND_AT, (unsigned)CASE_PAGE, PROT_READ | PROT_EXEC, fd, CASE_CODE_BYTES) &&
        map_at(CASE_READ_AT, (unsigned)CASE_PAGE, PROT_READ, fd, CASE_CODE_BYTES + (off_t)CASE_PAGE) &&
        map_at(CASE_READ2_AT, (unsigned)CASE_PAGE, PROT_READ, fd, CASE_CODE_BYTES + 2 * (off_t)CASE_PAGE);
    close(fd);
    return mapped;
}

static bool map_all(const char **why)
{
    if (!low_space_is_free()) {
        *why = "something lies below 4 GiB in this process";
        return false;
    }
    *why = "the addresses of the cases cannot be mapped (vm.mmap_min_addr is above 0x8000?)";
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        if (!map_at(case_regions[i].at, case_regions[i].bytes, PROT_READ | PROT_WRITE, -1, 0)) {
            return false;
        }
        native.memory[i] = (uint8_t *)(uintptr_t)case_regions[i].at;
    }
    return map_shared();
}

/* ---- opening ---- */

static void bind_to_one_cpu(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

static bool take_signals(void)
{
    static const int numbers[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM};
    native.stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    stack_t stack = {.ss_sp = native.stack, .ss_size = STACK_BYTES};
    if (native.stack == MAP_FAILED || sigaltstack(&stack, NULL) != 0) {
        return false;
    }
    struct sigaction action = {.sa_sigaction = native_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask); /* the timer must not come in between */
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (sigaction(numbers[i], &action, NULL) != 0) {
            return false;
        }
    }
    struct itimerval timer = {.it_interval = {.tv_sec = HANG_SECONDS}, .it_value = {.tv_sec = HANG_SECONDS}};
    return setitimer(ITIMER_REAL, &timer, NULL) == 0;
}

bool native_open(const char **why)
{
    if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGS)) {
        *why = "user mode may not set the base of FS (FSGSBASE)";
        return false;
    }
    if (!map_all(why)) {
        return false;
    }
    bind_to_one_cpu();
    __asm__ volatile("rdfsbase %0" : "=r"(native_own_fs));
    *why = "signals cannot be taken over";
    return take_signals();
}

void native_close(void)
{
    struct itimerval off = {.it_value = {0}};
    setitimer(ITIMER_REAL, &off, NULL);
}

/* ---- running ---- */

static void put_text(const struct insn_case *c)
{
    memset(native.code + native.text_at, CASE_INT3, native.text_bytes);
    native.text_at = (unsigned)(c->at - CASE_CODE_AT);
    native.text_bytes =
        CASE_CODE_BYTES - native.text_at < c->bytes ? CASE_CODE_BYTES - native.text_at : c->bytes;
    memcpy(native.code + native.text_at, c->text, native.text_bytes);
}

void native_run(const struct insn_case *c, struct insn_state *out)
{
    const uint8_t *from = c->in.memory;
    uint8_t *to = out->memory;
    put_text(c);
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        memcpy(native.memory[i], from, case_regions[i].bytes);
        from += case_regions[i].bytes;
    }
    native.in = c;
    native.out = out;
    native.runs++;
    native.phase = PHASE_ENTER;
    native_enter();
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        memcpy(to, native.memory[i], case_regions[i].bytes);
        to += case_regions[i].bytes;
    }
}

/* ---- what the host has ---- */

uint32_t native_tsc_aux(void)
{
    unsigned aux = 0;
    if (native_has(ZYDIS_ISA_EXT_RDTSCP)) {
        __asm__ volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
    }
    return aux;
}

/* CPUID leaf, subleaf, register (eax ebx ecx edx) and bit of an extension. */
struct feature {
    uint16_t isa_ext;
    uint32_t leaf, subleaf;
    uint8_t word, bit;
};

static const struct feature features[] = {
    {ZYDIS_ISA_EXT_SSE3, 1, 0, 2, 0},           {ZYDIS_ISA_EXT_SSSE3, 1, 0, 2, 9},
    {ZYDIS_ISA_EXT_SSE4, 1, 0, 2, 20},          {ZYDIS_ISA_EXT_SSE4A, 0x80000001, 0, 2, 6},
    {ZYDIS_ISA_EXT_XSAVE, 1, 0, 2, 27},         {ZYDIS_ISA_EXT_XSAVEOPT, 13, 1, 0, 0},
    {ZYDIS_ISA_EXT_XSAVEC, 13, 1, 0, 1},        {ZYDIS_ISA_EXT_MOVBE, 1, 0, 2, 22},
    {ZYDIS_ISA_EXT_LZCNT, 0x80000001, 0, 2, 5}, {ZYDIS_ISA_EXT_BMI1, 7, 0, 1, 3},
    {ZYDIS_ISA_EXT_BMI2, 7, 0, 1, 8},           {ZYDIS_ISA_EXT_ADOX_ADCX, 7, 0, 1, 19},
    {ZYDIS_ISA_EXT_CLFLUSHOPT, 7, 0, 1, 23},    {ZYDIS_ISA_EXT_CLWB, 7, 0, 1, 24},
    {ZYDIS_ISA_EXT_RDPID, 7, 0, 2, 22},         {ZYDIS_ISA_EXT_RDTSCP, 0x80000001, 0, 3, 27},
    {ZYDIS_ISA_EXT_RDWRFSGS, 7, 0, 1, 0},       {ZYDIS_ISA_EXT_INVPCID, 7, 0, 1, 10},
    {ZYDIS_ISA_EXT_SMAP, 7, 0, 1, 20},
};

bool native_has(unsigned isa_ext)
{
    for (unsigned i = 0; i < sizeof features / sizeof features[0]; i++) {
        const struct feature *f = &features[i];
        unsigned word[4];
        if (f->isa_ext == isa_ext) {
            return __get_cpuid_count(f->leaf, f->subleaf, &word[0], &word[1], &word[2], &word[3]) &&
                   (word[f->word] >> f->bit & 1) != 0;
        }
    }
    return true;
}

#else

bool native_open(const char **why)
{
    *why = "the host is not an x86-64 processor";
    return false;
}

void native_close(void)
{
}

void native_run(const struct insn_case *c, struct insn_state *out)
{
    (void)c;
    (void)out;
    abort();
}

uint32_t native_tsc_aux(void)
{
    return 0;
}

bool native_has(unsigned isa_ext)
{
    (void)isa_ext;
    return false;
}

#endif
