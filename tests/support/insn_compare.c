/*
 * Compares the two states after a case. The x87 error pointers (FOP, FIP, FDP) are in an FXSAVE image of the reference
 * silicon, and so in a signal frame, only while an exception is pending; FNSTENV and FNSAVE store them always, and what
 * these store is compared as memory. With a host of another vendor (host_vendor.h) neither is compared, nor what is left by
 * an instruction that both sides end with a fault of memory.
 *
 * Not compared: flags that the instruction table calls undefined; what an approximation left (only near enough);
 * MXCSR_MASK; which of the host's kernel pages exist (bit P of a page fault at an address of theirs).
 */

#include "insn_compare.h"

#include "base/bits.h"
#include "cpu/insn.h"
#include "host_vendor.h"
#include "insn_forms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define USER_END UINT64_C(0x7ffffffff000) /* the host's kernel says that pages from here on are present */

#define MXCSR_MM 0x20000u

#define COMPARED_FLAGS                                                                                     \
    (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | \
     RFLAGS_ID)

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const segment_names[6] = {"es", "cs", "ss", "ds", "fs", "gs"};

/* One comparison in progress. */
struct comparison {
    const struct insn_case *c;
    const struct insn_state *host, *sim;
    FILE *out;
    bool equal;
};

static void compare_value(struct comparison *x, const char *name, uint64_t host, uint64_t sim)
{
    if (host != sim) {
        x->equal = false;
        if (x->out) {
            fprintf(x->out, "  %-10s host %016" PRIx64 "  orrery %016" PRIx64 "\n", name, host, sim);
        }
    }
}

static void compare_bytes(struct comparison *x, const char *name, unsigned number, const uint8_t *host,
                          const uint8_t *sim, unsigned size_bytes)
{
    if (memcmp(host, sim, size_bytes) == 0) {
        return;
    }
    x->equal = false;
    if (!x->out) {
        return;
    }
    fprintf(x->out, "  %s%-*u host ", name, (int)(10 - strlen(name)), number);
    for (unsigned i = size_bytes; i--;) {
        fprintf(x->out, "%02x", host[i]);
    }
    fprintf(x->out, "  orrery ");
    for (unsigned i = size_bytes; i--;) {
        fprintf(x->out, "%02x", sim[i]);
    }
    fprintf(x->out, "\n");
}

unsigned compare_stop(const struct insn_case *c, const struct insn_state *s)
{
    uint64_t at = s->rip - c->at;
    for (unsigned i = 0; i < c->count; i++) {
        if (at == c->offset[i]) {
            return i;
        }
    }
    return c->count;
}

unsigned compare_completed(const struct insn_case *c, const struct insn_state *s)
{
    unsigned stop = compare_stop(c, s);
    uint64_t at = s->rip - c->at;
    if (stop < c->count || at == c->bytes || at == c->bytes + 1u) {
        return stop;
    }
    return c->first_jump < c->count ? c->first_jump + 1 : c->count;
}

/* Flags that may differ where the case ended. A jump may have left before what makes a flag defined again. */
static uint64_t undefined_flags(const struct insn_case *c, const struct insn_state *s)
{
    uint64_t at = s->rip - c->at;
    uint64_t all = 0;
    for (unsigned i = 0; i <= c->count; i++) {
        if (at == c->offset[i] && i < c->count && s->vector != VECTOR_BP) {
            return c->undefined[i];
        }
        all |= c->undefined[i];
    }
    return at == c->bytes + 1 ? c->undefined[c->count] : all;
}

/* ---- approximations ---- */

/* Two single-precision results within the relative error of 1.5 * 2^-12 that the manual allows each, or both too small to
 * be normal: the host makes those zeros. */
static bool near_single(uint32_t a, uint32_t b)
{
    uint32_t difference = a > b ? a - b : b - a;
    bool tiny = (a & INT32_MAX) <= 0x800000 && (b & INT32_MAX) <= 0x800000;
    return a == b || ((tiny || difference >> 13 == 0) && (a ^ b) >> 31 == 0);
}

static bool near_vector(const uint8_t *a, const uint8_t *b)
{
    bool result = true;
    for (unsigned i = 0; i < 16; i += 4) {
        result &= near_single(load_le32(a + i), load_le32(b + i));
    }
    return result;
}

static void compare_xmm(struct comparison *x)
{
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *host = x->host->fx + FX_XMM + 16 * i;
        const uint8_t *sim = x->sim->fx + FX_XMM + 16 * i;
        bool loosely = (x->c->approx & CASE_APPROX_XMM) && x->c->approx_xmm == i;
        if (!loosely || !near_vector(host, sim)) {
            compare_bytes(x, "xmm", i, host, sim, 16);
        }
    }
}

/* F2XM1 and FYL2XP1 are defined for small numbers only. Beyond them both sides give something, with or without an
 * exception. */
static bool outside_domain(const struct comparison *x)
{
    const char *name = insn_rows[x->c->row[x->c->count - 1]].name;
    unsigned difference = load_le16(x->host->fx + FX_FSW) ^ load_le16(x->sim->fx + FX_FSW);
    bool limited = strcmp(name, "F2XM1") == 0 || strcmp(name, "FYL2XP1") == 0;
    return limited && (difference & 0xb) != 0; /* IE, DE, OE */
}

/* Results of transcendental functions: ST(0) and ST(1) may be anything, and so may what tells of rounding. */
static void compare_x87(struct comparison *x)
{
    bool loosely = (x->c->approx & CASE_APPROX_X87) != 0;
    unsigned ignored = loosely ? 0x0230 : 0; /* C1, PE, UE */
    const uint8_t *host = x->host->fx;
    const uint8_t *sim = x->sim->fx;
    if (loosely && outside_domain(x)) {
        return;
    }
    unsigned flags = load_le16(host + FX_FSW) ^ load_le16(sim + FX_FSW);
    bool pending =
        loosely && (flags & ignored); /* whether an exception is pending may depend on the rounding */
    ignored |= pending ? 0x8080 : 0;
    compare_value(x, "fcw", load_le16(host + FX_FCW), load_le16(sim + FX_FCW));
    compare_value(x, "fsw", load_le16(host + FX_FSW) & ~ignored, load_le16(sim + FX_FSW) & ~ignored);
    compare_value(x, "tags", host[FX_TAGS], sim[FX_TAGS]);
    if (!pending && host_is_amd()) { /* the image has the pointers of a pending exception only */
        compare_value(x, "fop", load_le16(host + FX_FOP), load_le16(sim + FX_FOP));
        compare_value(x, "fip", load_le64(host + FX_FIP), load_le64(sim + FX_FIP));
        compare_value(x, "fdp", load_le64(host + FX_FDP), load_le64(sim + FX_FDP));
    }
    compare_value(x, "mxcsr", load_le32(host + FX_MXCSR), load_le32(sim + FX_MXCSR));
    for (unsigned i = loosely ? 2 : 0; i < 8; i++) {
        compare_bytes(x, "st", i, host + FX_ST + 16 * i, sim + FX_ST + 16 * i, 10);
    }
}

/* ---- memory ---- */

static void compare_memory(struct comparison *x)
{
    const uint8_t *host = x->host->memory;
    const uint8_t *sim = x->sim->memory;
    if (memcmp(host, sim, CASE_MEMORY_BYTES) == 0) {
        return;
    }
    unsigned offset = 0;
    for (unsigned r = 0; r < CASE_REGIONS; r++) {
        for (unsigned i = 0; i < case_regions[r].bytes; i++, offset++) {
            uint64_t at = case_regions[r].at + i;
            bool mask = (x->c->approx & CASE_SAVES_MASK) && at - x->c->saved_mask_at < 4;
            if (host[offset] != sim[offset] && !mask) {
                x->equal = false;
                if (x->out) {
                    fprintf(x->out, "  [%08" PRIx64 "] host %02x  orrery %02x\n", at, host[offset],
                            sim[offset]);
                }
            }
        }
    }
}

/* The return from the host's kernel to a signal handler makes all null selectors 0. */
static uint16_t data_selector(uint16_t selector)
{
    return selector < 4 ? 0 : selector;
}

static void compare_registers(struct comparison *x)
{
    for (unsigned i = 0; i < 16; i++) {
        bool undefined = (x->c->approx & CASE_UNDEFINED_DST) && x->c->undefined_gpr == i;
        if (!undefined) {
            compare_value(x, gpr_names[i], x->host->gpr[i], x->sim->gpr[i]);
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        compare_value(x, segment_names[i], data_selector(x->host->selector[i]),
                      data_selector(x->sim->selector[i]));
    }
    compare_value(x, "fs_base", x->host->fs_base, x->sim->fs_base);
    compare_value(x, "gs_base", x->host->gs_base, x->sim->gs_base);
}

static bool absent_is_right(const struct insn_case *c, const struct insn_state *sim, FILE *out)
{
    bool right = sim->rip == c->at && sim->vector == VECTOR_UD;
    if (!right && out) {
        fprintf(out, "  CPUID denies it: #UD expected, orrery has vector %u at rip %" PRIx64 "\n",
                sim->vector, sim->rip);
    }
    return right;
}

static bool is_int1(const struct insn_case *c, unsigned n)
{
    return n < c->count && strcmp(insn_rows[c->row[n]].name, "INT1") == 0;
}

/* INT1 is a trap. Hypervisors that see it first hand it on as if it were a fault. Under TF, which the instruction before may
 * just have cleared, or after another, a trap before it is that of the instruction before, unless that one loaded SS: then either
 * will do. */
static uint64_t trap_rip(const struct insn_case *c, const struct insn_state *host, uint64_t sim_rip)
{
    unsigned stop = compare_stop(c, host);
    bool stepped = ((c->in.rflags | host->rflags) & RFLAGS_TF) != 0;
    bool step = stop > 0 && (stepped || is_int1(c, stop - 1)) && sim_rip == host->rip;
    return host->vector == VECTOR_DB && is_int1(c, stop) && !step ? c->at + c->offset[stop + 1] : host->rip;
}

static bool is_access_fault(const struct insn_state *s)
{
    return s->vector >= VECTOR_TS && s->vector <= VECTOR_AC && s->vector != VECTOR_MF;
}

static bool fault_both(const struct insn_state *host, const struct insn_state *sim)
{
    return is_access_fault(host) && is_access_fault(sim) && host->rip == sim->rip;
}

static bool has_byte(const struct insn_case *c, unsigned n, uint8_t byte)
{
    return memchr(c->text + c->offset[n], byte, (size_t)c->offset[n + 1] - c->offset[n]) != NULL;
}

/*
 * The simulator stopped where another vendor's processor may go on or stop otherwise:
 *   of several faults in an instruction another comes first, and another part is done
 *   an x87 store of an operand with an unmasked exception: that is pending, or memory faults
 *   #AC of unaligned operands of 16 bytes
 *   an offset from FS or GS that is not canonical, of an address that is
 *   RF and the flags within a string instruction
 */
static bool is_vendors_own(const struct insn_case *c, const struct insn_state *host,
                           const struct insn_state *sim)
{
    unsigned stop = compare_stop(c, sim);
    if (fault_both(host, sim) || stop == c->count) {
        return stop < c->count;
    }
    const char *name = insn_rows[c->row[stop]].name;
    bool x87 = insn_extension(c->row[stop]) == ZYDIS_ISA_EXT_X87 || strcmp(name, "FISTTP") == 0;
    bool segment = has_byte(c, stop, 0x64) || has_byte(c, stop, 0x65);
    bool string = host->rip == sim->rip && host->vector == VECTOR_DB &&
                  (has_byte(c, stop, 0xf2) || has_byte(c, stop, 0xf3));
    bool unmasked = (~load_le16(sim->fx + FX_FCW) & 0x3f) != 0;
    return (is_access_fault(sim) && x87 && unmasked) || sim->vector == VECTOR_AC ||
           (sim->vector == VECTOR_GP && segment) || string;
}

/* Both sides fault in an instruction of which the host may have done a part, or another part first. */
static bool is_partly_done(const struct insn_case *c, const struct insn_state *host,
                           const struct insn_state *sim)
{
    unsigned stop = compare_stop(c, host);
    return fault_both(host, sim) && stop < c->count && insn_is_partial(c->row[stop]);
}

bool compare_states(const struct insn_case *c, const struct insn_state *host, const struct insn_state *sim,
                    FILE *out)
{
    struct comparison x = {c, host, sim, out, true};
    if (c->absent) {
        return absent_is_right(c, sim, out);
    }
    if (load_le32(host->fx + FX_MXCSR) & MXCSR_MM) {
        return true; /* the host's SSE operands may now be misaligned, a feature that the machine lacks */
    }
    if (!host_is_amd() && is_vendors_own(c, host, sim)) {
        return true;
    }
    uint64_t flags = COMPARED_FLAGS & ~undefined_flags(c, host);
    uint32_t error = host->cr2 >= USER_END ? ~(uint32_t)PF_P : ~0u;
    compare_value(&x, "rip", trap_rip(c, host, sim->rip), sim->rip);
    compare_value(&x, "rflags", host->rflags & flags, sim->rflags & flags);
    if (!is_partly_done(c, host, sim)) {
        compare_value(&x, "vector", host->vector, sim->vector);
        compare_value(&x, "error", host->error & error, sim->error & error);
        compare_value(&x, "cr2", host->cr2, sim->cr2);
        compare_registers(&x);
        compare_memory(&x);
    }
    if (memcmp(host->fx, sim->fx, CASE_FX_BYTES) != 0) {
        compare_x87(&x);
        compare_xmm(&x);
    }
    return x.equal;
}

/* ---- words ---- */

static void print_text(const struct insn_case *c, FILE *out)
{
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    for (unsigned i = 0; i < c->count; i++) {
        ZydisDecodedInstruction z;
        ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
        char text[128] = "(not known to Zydis)";
        unsigned from = c->offset[i];
        uint64_t at = c->at + from;
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(insn_decoder(c->compat), c->text + from, 15, &z, op))) {
            ZydisFormatterFormatInstruction(&formatter, &z, op, z.operand_count_visible, text, sizeof text,
                                            at, NULL);
        }
        fprintf(out, "  %08" PRIx64 "  ", at);
        for (unsigned n = 0; n < 15; n++) {
            if (from + n < c->offset[i + 1]) {
                fprintf(out, "%02x", c->text[from + n]);
            } else {
                fprintf(out, "  ");
            }
        }
        fprintf(out, "  %s\n", text);
    }
}

void compare_print_case(const struct insn_case *c, FILE *out)
{
    const struct insn_state *in = &c->in;
    fprintf(out, "case %" PRIu64 " of seed %" PRIu64 ", %s\n", c->number, c->seed,
            c->compat ? "compatibility mode" : "64-bit mode");
    print_text(c, out);
    for (unsigned i = 0; i < (c->compat ? 8u : 16u); i++) {
        fprintf(out, "  %-3s %016" PRIx64 "%s", gpr_names[i], in->gpr[i], i % 4 == 3 ? "\n" : "");
    }
    fprintf(out, "  rflags %06" PRIx64 "  fs %x:%" PRIx64 " gs %x:%" PRIx64 " ds %x es %x\n", in->rflags,
            in->selector[4], in->fs_base, in->selector[5], in->gs_base, in->selector[3], in->selector[0]);
    fprintf(out, "  fcw %04x fsw %04x tags %02x mxcsr %04x\n", load_le16(in->fx + FX_FCW),
            load_le16(in->fx + FX_FSW), in->fx[FX_TAGS], load_le32(in->fx + FX_MXCSR));
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *st = in->fx + FX_ST + 16 * i;
        fprintf(out, "  st%u %04x:%016" PRIx64 "%s", i, load_le16(st + 8), load_le64(st),
                i % 4 == 3 ? "\n" : "");
    }
    for (unsigned i = 0; i < (c->compat ? 8u : 16u); i++) {
        const uint8_t *xmm = in->fx + FX_XMM + 16 * i;
        fprintf(out, "  xmm%-2u %016" PRIx64 "%016" PRIx64 "%s", i, load_le64(xmm + 8), load_le64(xmm),
                i % 2 ? "\n" : "");
    }
}
