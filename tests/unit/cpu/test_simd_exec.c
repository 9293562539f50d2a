/*
 * Whole vector instructions against the host CPU: each is decoded and executed by its row and run natively
 * from the same registers, MXCSR, flags and memory; afterwards all of these must be equal, and so must the
 * fault or its absence. The register files travel through FXRSTOR and FXSAVE, so that what an instruction may
 * not touch is watched too.
 */
/* POSIX names only: with more, the system headers call registers what cpu/insn.h calls them. */
#define _POSIX_C_SOURCE 200809L

#include "base/rng.h"
#include "host_vendor.h"
#include "simd_fixture.h"
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include <cmocka.h>

enum { STUB_BYTES = 16, CASES = 260, MEMORY_BYTES = 64, IMAGE_FSW = 2, IMAGE_FTW = 4, IMAGE_MXCSR = 24 };
enum { IMAGE_ST = 32, IMAGE_XMM = 160, NATIVE_RIP = 16 }; /* RIP's index in a signal's registers */

static const char *const texts[] = {
#define CASE(text)       text,
#define SSE4A_CASE(text) text,
#include "simd_cases.def"
#undef CASE
#undef SSE4A_CASE
};

enum {
    TEXTS = sizeof texts / sizeof texts[0],
    SSE4A_TEXTS = 0
#define CASE(text)
#define SSE4A_CASE(text) +1
#include "simd_cases.def"
#undef CASE
#undef SSE4A_CASE
};

extern const uint8_t simd_stubs[];
/* A section of their own keeps the stubs together, one assembler statement each. */
#define STUB(text) \
    __asm__(".pushsection .simd_stubs, \"ax\", @progbits\n" text "\n.balign 16\n.popsection\n");
#define CASE(text)       STUB(text "; ret")
#define SSE4A_CASE(text) STUB(text "; ret")
STUB("simd_stubs:")
#include "simd_cases.def"
#undef CASE
#undef SSE4A_CASE

/* What an instruction sees and leaves. The image is FXSAVE's; its offsets are known to simd_native. */
struct machine {
    _Alignas(16) uint8_t image[512];
    uint64_t rax, rcx, rdx, rbx, rdi, flags;
};

/* void simd_native(struct machine *m, const uint8_t *stub): runs the stub in m. */
void simd_native(struct machine *m, const uint8_t *stub);
__asm__(
    ".text\nsimd_native:\n"
    "push %rbx\n push %r12\n mov %rdi, %r12\n fxrstor (%r12)\n"
    "mov 512(%r12), %rax\n mov 520(%r12), %rcx\n mov 528(%r12), %rdx\n mov 536(%r12), %rbx\n"
    "mov 544(%r12), %rdi\n push 552(%r12)\n popf\n call *%rsi\n pushf\n pop 552(%r12)\n"
    "mov %rax, 512(%r12)\n mov %rcx, 520(%r12)\n mov %rdx, 528(%r12)\n mov %rbx, 536(%r12)\n"
    "fxsave (%r12)\n fninit\n push $0x1f80\n ldmxcsr (%rsp)\n pop %rsi\n cld\n pop %r12\n pop %rbx\n ret\n");

static volatile sig_atomic_t trapped;
static volatile unsigned trap_skip_bytes;

/* #XM: note it and go on behind the instruction. */
static void on_sigfpe(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    ucontext_t *u = context;
    trapped = 1;
    u->uc_mcontext.__gregs[NATIVE_RIP] += trap_skip_bytes;
}

static uint32_t float_operand(struct rng *rng)
{
    static const uint32_t special[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                       0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0xffa00000,
                                       0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000,
                                       0xcf000000, 0x3f000000, 0x40200000};
    uint32_t v = (uint32_t)rng_next(rng);
    switch (rng_below(rng, 4)) {
    case 0:
        return special[rng_below(rng, sizeof special / sizeof special[0])];
    case 1: /* near one, near each other */
        return (v & 0x807fffff) | (uint32_t)(110 + rng_below(rng, 50)) << 23;
    case 2: /* small integers */
        return (v & 0x80000000) | 0x41000000 | (v & 0x00780000);
    default:
        return v;
    }
}

static uint64_t double_operand(struct rng *rng)
{
    static const uint64_t special[] = {0,
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0x3ff0000000000000),
                                       UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0xfff0000000000000),
                                       UINT64_C(0x7ff8000000000000),
                                       UINT64_C(0xfff8000000012345),
                                       UINT64_C(0x7ff0000000000001),
                                       UINT64_C(0x0000000000000001),
                                       UINT64_C(0x800fffffffffffff),
                                       UINT64_C(0x0010000000000000),
                                       UINT64_C(0x7fefffffffffffff),
                                       UINT64_C(0x41e0000000000000),
                                       UINT64_C(0xc3e0000000000000),
                                       UINT64_C(0x3fe0000000000000),
                                       UINT64_C(0x3690000000000001)};
    uint64_t v = rng_next(rng);
    switch (rng_below(rng, 4)) {
    case 0:
        return special[rng_below(rng, sizeof special / sizeof special[0])];
    case 1:
        return (v & UINT64_C(0x800fffffffffffff)) | (UINT64_C(1000) + rng_below(rng, 60)) << 52;
    case 2:
        return (v & UINT64_C(0x801f000000000000)) | UINT64_C(0x4010000000000000);
    default:
        return v;
    }
}

static uint64_t operand(struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return rng_next(rng);
    case 1:
        return double_operand(rng);
    case 2: /* bytes at the edges of their range, and zeros that end strings */
        return rng_next(rng) & rng_next(rng) & UINT64_C(0x81ff017f00ff0180);
    default:
        return (uint64_t)float_operand(rng) << 32 | float_operand(rng);
    }
}

static uint32_t control(struct rng *rng)
{
    uint32_t v = MXCSR_RESET;
    if (rng_below(rng, 2)) {
        v |= (uint32_t)(rng_next(rng) & (MXCSR_RC | MXCSR_FTZ | MXCSR_DAZ));
    }
    if (rng_below(rng, 4) == 0) {
        v &= ~(uint32_t)(rng_next(rng) & MXCSR_MASKS);
    }
    return v | (uint32_t)(rng_next(rng) & FP_ALL);
}

static void machine_fill(struct machine *m, struct rng *rng)
{
    memset(m, 0, sizeof *m);
    store_le16(m->image, 0x037f);
    store_le16(m->image + IMAGE_FSW, (uint16_t)(rng_next(rng) & FSW_TOP));
    m->image[IMAGE_FTW] = (uint8_t)rng_next(rng);
    store_le32(m->image + IMAGE_MXCSR, control(rng));
    for (unsigned i = 0; i < 8; i++) {
        store_le64(m->image + IMAGE_ST + 16 * i, operand(rng));
        store_le16(m->image + IMAGE_ST + 16 * i + 8, (uint16_t)rng_next(rng));
    }
    for (unsigned i = 0; i < 32; i++) {
        store_le64(m->image + IMAGE_XMM + 8 * i, operand(rng));
    }
    m->rax = rng_next(rng) % 40 - 20;
    m->rcx = rng_below(rng, 2) ? rng_next(rng) : rng_next(rng) & 0xff00ff;
    m->rdx = rng_below(rng, 8) ? rng_next(rng) % 40 - 20 : rng_next(rng);
    m->rbx = rng_next(rng);
    m->flags = (rng_next(rng) & RFLAGS_STATUS) | RFLAGS_ONE | RFLAGS_IF;
}

/* Stack register i of the image is physical register (TOP + i) % 8. */
static uint8_t *image_st(struct machine *m, unsigned physical, unsigned top)
{
    return m->image + IMAGE_ST + 16 * ((physical - top) & 7);
}

static void cpu_from_machine(struct cpu *cpu, struct machine *m)
{
    cpu_make_ready(cpu);
    cpu->mxcsr = load_le32(m->image + IMAGE_MXCSR);
    cpu->x87.fsw = load_le16(m->image + IMAGE_FSW);
    cpu->x87.in_use = m->image[IMAGE_FTW];
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *st = image_st(m, i, x87_top(&cpu->x87));
        cpu->x87.significand[i] = load_le64(st);
        cpu->x87.sign_exponent[i] = load_le16(st + 8);
    }
    memcpy(cpu->xmm, m->image + IMAGE_XMM, sizeof cpu->xmm);
    cpu->gpr[RAX] = m->rax;
    cpu->gpr[RCX] = m->rcx;
    cpu->gpr[RDX] = m->rdx;
    cpu->gpr[RBX] = m->rbx;
    cpu->gpr[RDI] = m->rdi;
    flags_set(cpu, m->flags);
}

static void machine_from_cpu(struct machine *m, const struct cpu *cpu)
{
    store_le32(m->image + IMAGE_MXCSR, cpu->mxcsr);
    store_le16(m->image + IMAGE_FSW, cpu->x87.fsw);
    m->image[IMAGE_FTW] = cpu->x87.in_use;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *st = image_st(m, i, x87_top(&cpu->x87));
        store_le64(st, cpu->x87.significand[i]);
        store_le16(st + 8, cpu->x87.sign_exponent[i]);
    }
    memcpy(m->image + IMAGE_XMM, cpu->xmm, sizeof cpu->xmm);
    m->rax = cpu->gpr[RAX];
    m->rcx = cpu->gpr[RCX];
    m->rdx = cpu->gpr[RDX];
    m->rbx = cpu->gpr[RBX];
    m->flags = (m->flags & ~RFLAGS_STATUS) | flags_get(cpu);
}

/* RCPxx and RSQRTxx are approximations: elements within 2^-10 of each other count as the same. */
static void forgive_approximation(struct machine *ours, const struct machine *host)
{
    for (unsigned at = IMAGE_XMM; at < IMAGE_XMM + 256; at += 4) {
        uint32_t a = load_le32(ours->image + at), b = load_le32(host->image + at);
        uint32_t distance = a > b ? a - b : b - a;
        bool normal = (b >> 23 & 0xff) != 0 && (b >> 23 & 0xff) != 0xff;
        if (a != b && ((normal && distance < 0x2000) || ((a | b) & 0x7fffffff) < 0x00802000)) {
            store_le32(ours->image + at, b);
        }
    }
}

/* DPPS, DPPD: a sum that is another NaN counts as the same where it may. */
static void forgive_nans(struct machine *ours, const struct machine *host, bool wide)
{
    for (unsigned at = IMAGE_XMM; at < IMAGE_XMM + 256; at += wide ? 8 : 4) {
        uint8_t *a = ours->image + at;
        const uint8_t *b = host->image + at;
        if (wide ? same_dot_f64(load_le64(a), load_le64(b)) : same_dot_f32(load_le32(a), load_le32(b))) {
            memcpy(a, b, wide ? 8 : 4);
        }
    }
}

/* Where two machines differ, for the message; 0 when they agree. */
static const char *difference(const struct machine *a, const struct machine *b)
{
    if (memcmp(a->image + IMAGE_XMM, b->image + IMAGE_XMM, 256) != 0) {
        return "xmm";
    }
    if (load_le32(a->image + IMAGE_MXCSR) != load_le32(b->image + IMAGE_MXCSR)) {
        return "mxcsr";
    }
    if (load_le16(a->image + IMAGE_FSW) != load_le16(b->image + IMAGE_FSW)) {
        return "top of stack";
    }
    if (a->image[IMAGE_FTW] != b->image[IMAGE_FTW]) {
        return "tags";
    }
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->image + IMAGE_ST + 16 * i, b->image + IMAGE_ST + 16 * i, 10) != 0) {
            return "mm";
        }
    }
    if (a->rax != b->rax || a->rcx != b->rcx || a->rdx != b->rdx || a->rbx != b->rbx) {
        return "general register";
    }
    return ((a->flags ^ b->flags) & RFLAGS_STATUS) != 0 ? "flags" : NULL;
}

static void print_machine(const char *who, const struct machine *m, const uint8_t *memory)
{
    print_message("%s mxcsr %04x fsw %04x ftw %02x rax %llx rcx %llx rdx %llx rbx %llx flags %llx\n", who,
                  load_le32(m->image + IMAGE_MXCSR), load_le16(m->image + IMAGE_FSW), m->image[IMAGE_FTW],
                  (unsigned long long)m->rax, (unsigned long long)m->rcx, (unsigned long long)m->rdx,
                  (unsigned long long)m->rbx, (unsigned long long)m->flags);
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *x = m->image + IMAGE_XMM + 16 * i, *st = m->image + IMAGE_ST + 16 * i;
        print_message("  xmm%u %016llx %016llx  st%u %04x %016llx  memory %016llx\n", i,
                      (unsigned long long)load_le64(x + 8), (unsigned long long)load_le64(x), i,
                      load_le16(st + 8), (unsigned long long)load_le64(st),
                      (unsigned long long)load_le64(memory + 8 * i));
    }
}

static struct cpu *cpu;
static uint8_t *our_memory;

static void compare(unsigned n, struct rng *rng)
{
    static struct machine before, host, ours;
    static _Alignas(16) uint8_t start[MEMORY_BYTES], host_memory[MEMORY_BYTES];
    const uint8_t *code = simd_stubs + STUB_BYTES * n;
    struct insn insn;
    machine_fill(&before, rng);
    for (unsigned i = 0; i < MEMORY_BYTES; i += 8) {
        store_le64(start + i, operand(rng));
    }
    memcpy(our_memory, start, sizeof start);
    ours = before;
    ours.rdi = DATA_AT + 16;
    cpu_from_machine(cpu, &ours);
    enum flow flow = cpu_execute(cpu, code, &insn);
    machine_from_cpu(&ours, cpu);

    memcpy(host_memory, start, sizeof start);
    host = before;
    host.rdi = (uint64_t)(uintptr_t)(host_memory + 16);
    trapped = 0;
    trap_skip_bytes = insn.length;
    simd_native(&host, code);
    if (strncmp(texts[n], "rcp", 3) == 0 || strncmp(texts[n], "rsqrt", 5) == 0) {
        forgive_approximation(&ours, &host);
    }
    if (strncmp(texts[n], "dpp", 3) == 0) {
        forgive_nans(&ours, &host, texts[n][3] == 'd');
    }
    const char *what = difference(&ours, &host);
    if (memcmp(our_memory, host_memory, sizeof start) != 0) {
        what = "memory";
    }
    if (flow != (trapped ? FLOW_FAULT : FLOW_NEXT) || (trapped && cpu->fault.vector != VECTOR_XM)) {
        what = "fault";
    }
    if (what) {
        print_machine("before", &before, start);
        print_machine("ours", &ours, our_memory);
        print_machine("host", &host, host_memory);
        fail_msg("%s: %s differs (flow %d, trapped %d)", texts[n], what, (int)flow, (int)trapped);
    }
}

static unsigned texts_that_run_here(void)
{
    return __builtin_cpu_supports("sse4a") ? TEXTS : TEXTS - SSE4A_TEXTS;
}

static void every_instruction_leaves_what_the_host_leaves(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO}, old;
    struct rng rng;
    rng_init(&rng, 1, 0);
    cpu = simd_cpu(&our_memory);
    sigaction(SIGFPE, &action, &old);
    for (unsigned k = 0; k < CASES; k++) {
        for (unsigned n = 0; n < texts_that_run_here(); n++) {
            compare(n, &rng);
        }
    }
    sigaction(SIGFPE, &old, NULL);
    fixture_deinit(&simd_fixture);
}

/* Every mnemonic of insn_sse.def. */
static const ZydisMnemonic vector_mnemonics[] = {
#define INSN(mnemonic, exec, cost, flags, undefined)    ZYDIS_MNEMONIC_##mnemonic,
#define INSN_0F(mnemonic, exec, cost, flags, undefined) ZYDIS_MNEMONIC_##mnemonic,
#include "cpu/insn_sse.def"
#undef INSN
#undef INSN_0F
};

static bool is_reached(ZydisMnemonic mnemonic)
{
    for (unsigned n = 0; n < TEXTS; n++) {
        struct insn insn;
        assert_int_equal(insn_decode(MODE_LONG64, simd_stubs + STUB_BYTES * n, 15, &insn), DECODE_OK);
        if (insn.mnemonic == mnemonic) {
            return true;
        }
    }
    return mnemonic == ZYDIS_MNEMONIC_LDMXCSR; /* test_simd_faults.c */
}

static void every_row_is_reached_by_a_case(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof vector_mnemonics / sizeof vector_mnemonics[0]; i++) {
        if (!is_reached(vector_mnemonics[i])) {
            fail_msg("no case executes %s", ZydisMnemonicGetString(vector_mnemonics[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_reached_by_a_case),
        cmocka_unit_test(every_instruction_leaves_what_the_host_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
