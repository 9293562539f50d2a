/*
 * Execution of the x87 control instructions, of FXSAVE and FXRSTOR, and of the XSAVE family.
 *
 * Source: AMD64 APM volume 5, FINIT, FLDCW, FSTSW, FSTENV, FLDENV, FSAVE, FRSTOR, FXSAVE, FXRSTOR; volume 4,
 * XSAVE, XSAVEC, XSAVEOPT, XRSTOR; volume 2, "FXSAVE and FXRSTOR Instructions". Deviations: without
 * CR4.OSFXSR, FXSAVE leaves out XMM and MXCSR, as the APM says.
 */

#include "base/bits.h"
#include "cpu/mem_internal.h"
#include "cpu/x87_image.h"
#include "cpu/x87_insn.h"

enum flow exec_fwait(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        return cpu_fault(cpu, VECTOR_NM);
    }
    if (!x87_pending(&cpu->x87)) {
        return FLOW_NEXT;
    }
    return cpu->cr0 & CR0_NE ? cpu_fault(cpu, VECTOR_MF)
                             : cpu_not_modelled(cpu, "x87 exception reported through FERR# (CR0.NE = 0)");
}

/* FNCLEX, FNINIT; FENI, FDISI and FSETPM of old coprocessors do nothing. */
enum flow exec_x87_control(struct cpu *cpu, const struct insn *insn)
{
    enum flow flow = x87_check_available(cpu);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (insn->modrm == 0xe2) {
        x87_clear_exceptions(&cpu->x87);
    } else if (insn->modrm == 0xe3) {
        x87_init(&cpu->x87);
    }
    return FLOW_NEXT;
}

enum flow exec_fldcw(struct cpu *cpu, const struct insn *insn)
{
    enum flow flow = x87_check_waiting(cpu);
    lin_t a;
    uint64_t v;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!insn_address(cpu, insn, 2, false, &a) || !mem_read(cpu, a, 2, &v)) {
        return FLOW_FAULT;
    }
    cpu->x87.fcw = (uint16_t)((v & FCW_WRITABLE) | FCW_ONE);
    x87_update_summary(&cpu->x87);
    return FLOW_NEXT;
}

/* FNSTCW and FNSTSW to memory; DF E0 is FNSTSW AX. */
static enum flow store_word(struct cpu *cpu, const struct insn *insn, uint16_t value)
{
    enum flow flow = x87_check_available(cpu);
    lin_t a;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!x87_has_memory(insn)) {
        gpr_write(cpu, RAX, value, 2);
        return FLOW_NEXT;
    }
    return insn_address(cpu, insn, 2, true, &a) && mem_write(cpu, a, 2, value) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow exec_fnstcw(struct cpu *cpu, const struct insn *insn)
{
    return store_word(cpu, insn, cpu->x87.fcw);
}

enum flow exec_fnstsw(struct cpu *cpu, const struct insn *insn)
{
    return store_word(cpu, insn, cpu->x87.fsw);
}

/* ---- environment ---- */

static struct x87_env_form env_form(const struct cpu *cpu, const struct insn *insn)
{
    return (struct x87_env_form){.wide = insn->operand_size_bytes != 2,
                                 .real = cpu->mode == MODE_REAL || (cpu->rflags & RFLAGS_VM)};
}

/* The reference silicon accesses the first word and then the last byte of an area before the rest, which decides about
 * the address of a page fault. The alignment that is checked is the word's. */
static bool env_address(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool write, lin_t *out)
{
    unsigned word_bytes = insn->operand_size_bytes == 2 ? 2 : 4;
    bool (*probe)(struct cpu *, lin_t, unsigned) = write ? mem_probe_write : mem_probe_read;
    if (!insn_address(cpu, insn, word_bytes, write, out)) {
        return false;
    }
    if (mem_checks_alignment(cpu) && out->v % word_bytes != 0) {
        cpu_fault_code(cpu, VECTOR_AC, 0);
        return false;
    }
    return probe(cpu, *out, word_bytes) && insn_address(cpu, insn, size_bytes, write, out) &&
           probe(cpu, lin(out->v + size_bytes - 1), 1);
}

static bool write_block(struct cpu *cpu, const struct insn *insn, const uint8_t *bytes, unsigned size_bytes)
{
    lin_t a;
    return env_address(cpu, insn, size_bytes, true, &a) && mem_write_bytes(cpu, a, bytes, size_bytes);
}

static bool read_block(struct cpu *cpu, const struct insn *insn, uint8_t *bytes, unsigned size_bytes)
{
    lin_t a;
    return env_address(cpu, insn, size_bytes, false, &a) && mem_read_bytes(cpu, a, bytes, size_bytes);
}

enum flow exec_fnstenv(struct cpu *cpu, const struct insn *insn)
{
    struct x87_env_form form = env_form(cpu, insn);
    uint8_t image[X87_ENV_MAX_BYTES];
    enum flow flow = x87_check_available(cpu);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    x87_env_build(&cpu->x87, form, image);
    if (!write_block(cpu, insn, image, x87_env_bytes(form))) {
        return FLOW_FAULT;
    }
    cpu->x87.fcw |= 0x3f; /* all exceptions masked afterwards */
    x87_update_summary(&cpu->x87);
    return FLOW_NEXT;
}

enum flow exec_fldenv(struct cpu *cpu, const struct insn *insn)
{
    struct x87_env_form form = env_form(cpu, insn);
    uint8_t image[X87_ENV_MAX_BYTES];
    enum flow flow = x87_check_waiting(cpu);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!read_block(cpu, insn, image, x87_env_bytes(form))) {
        return FLOW_FAULT;
    }
    x87_env_load(&cpu->x87, form, image);
    return FLOW_NEXT;
}

enum flow exec_fnsave(struct cpu *cpu, const struct insn *insn)
{
    struct x87_env_form form = env_form(cpu, insn);
    uint8_t image[X87_SAVE_MAX_BYTES];
    enum flow flow = x87_check_available(cpu);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    x87_save_build(&cpu->x87, form, image);
    if (!write_block(cpu, insn, image, x87_env_bytes(form) + 80)) {
        return FLOW_FAULT;
    }
    x87_init(&cpu->x87);
    return FLOW_NEXT;
}

enum flow exec_frstor(struct cpu *cpu, const struct insn *insn)
{
    struct x87_env_form form = env_form(cpu, insn);
    uint8_t image[X87_SAVE_MAX_BYTES];
    enum flow flow = x87_check_waiting(cpu);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!read_block(cpu, insn, image, x87_env_bytes(form) + 80)) {
        return FLOW_FAULT;
    }
    x87_save_load(&cpu->x87, form, image);
    return FLOW_NEXT;
}

/* ---- FXSAVE, FXRSTOR ---- */

static struct fx_state fx_state_of(struct cpu *cpu, const struct insn *insn)
{
    return (struct fx_state){.x87 = &cpu->x87,
                             .xmm = cpu->xmm,
                             .mxcsr = &cpu->mxcsr,
                             .xmm_count = cpu->mode == MODE_LONG64 ? 16 : 8,
                             .wide = cpu->mode == MODE_LONG64 && (insn->prefixes & PREFIX_REX_W)};
}

static bool refuse_area(struct cpu *cpu, enum vector vector)
{
    cpu_fault_code(cpu, vector, 0);
    return false;
}

/* How far the area lies behind a boundary of 64 bytes, whether its address is valid or not. */
static unsigned misalignment(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t base = cpu->mode == MODE_LONG64 && insn->mem_seg < SEG_FS ? 0 : cpu->seg[insn->mem_seg].base;
    return (unsigned)(base + insn_offset(cpu, insn)) % 64;
}

/* The linear address of an FXSAVE area. One that is not on a boundary of 16 bytes is #GP(0); #AC where alignment is
 * checked and not even the words are aligned. The reference silicon looks at that before it looks whether the segment
 * may be written, but after null segments and the canonical form, and accesses the last byte first. */
static bool fx_address(struct cpu *cpu, const struct insn *insn, bool write, lin_t *out)
{
    unsigned from = misalignment(cpu, insn);
    bool valid = insn_address(cpu, insn, FX_AREA_BYTES, write, out);
    bool checked = cpu->mode == MODE_LONG64 || !(cpu->seg[insn->mem_seg].attr & SEG_P);
    if (from % 16 != 0 && (valid || !checked)) {
        return refuse_area(cpu, mem_checks_alignment(cpu) && from % 4 != 0 ? VECTOR_AC : VECTOR_GP);
    }
    if (!valid) {
        return false;
    }
    lin_t last = lin(out->v + FX_AREA_BYTES - 1);
    return write ? mem_probe_write(cpu, last, 1) && mem_probe_write(cpu, *out, FX_AREA_BYTES)
                 : mem_probe_read(cpu, last, 1);
}

/* The linear address of an XSAVE area: on a boundary of 64 bytes, else #GP(0), which comes before the address's own
 * validity. The reference silicon accesses the first byte before the rest, then the last one (a store)
 * or the header (a load). */
static bool xsave_address(struct cpu *cpu, const struct insn *insn, bool write, lin_t *out)
{
    if (misalignment(cpu, insn) != 0) {
        return refuse_area(cpu, VECTOR_GP);
    }
    if (!insn_address(cpu, insn, XSAVE_AREA_MIN_BYTES, write, out)) {
        return false;
    }
    bool (*probe)(struct cpu *, lin_t, unsigned) = write ? mem_probe_write : mem_probe_read;
    unsigned second = write ? XSAVE_AREA_MIN_BYTES - 1 : XSAVE_HEADER_OFFSET;
    return probe(cpu, *out, 1) && probe(cpu, lin(out->v + second), 1) &&
           probe(cpu, *out, XSAVE_AREA_MIN_BYTES);
}

enum flow exec_fxsave(struct cpu *cpu, const struct insn *insn)
{
    struct fx_state s = fx_state_of(cpu, insn);
    uint8_t area[FX_AREA_BYTES];
    enum flow flow = x87_check_available(cpu);
    lin_t a;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!fx_address(cpu, insn, true, &a)) {
        return FLOW_FAULT;
    }
    fx_build_x87(&s, area);
    if (cpu->cr4 & CR4_OSFXSR) {
        fx_build_mxcsr(&s, area);
        fx_build_xmm(&s, area);
        unsigned end = FX_XMM_OFFSET + s.xmm_count * (unsigned)sizeof *s.xmm;
        return mem_write_bytes(cpu, a, area, end) ? FLOW_NEXT : FLOW_FAULT;
    }
    lin_t registers = lin(a.v + FX_ST_OFFSET);
    return mem_write_bytes(cpu, a, area, FX_MXCSR_OFFSET) &&
                   mem_write_bytes(cpu, registers, area + FX_ST_OFFSET, FX_XMM_OFFSET - FX_ST_OFFSET)
               ? FLOW_NEXT
               : FLOW_FAULT;
}

enum flow exec_fxrstor(struct cpu *cpu, const struct insn *insn)
{
    struct fx_state s = fx_state_of(cpu, insn);
    uint8_t area[FX_AREA_BYTES];
    enum flow flow = x87_check_available(cpu);
    lin_t a;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!fx_address(cpu, insn, false, &a) || !mem_read_bytes(cpu, a, area, FX_AREA_BYTES)) {
        return FLOW_FAULT;
    }
    bool sse = (cpu->cr4 & CR4_OSFXSR) != 0;
    if (sse && !fx_mxcsr_valid(area)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    fx_load_x87(&s, area);
    if (sse) {
        cpu->mxcsr = load_le32(area + FX_MXCSR_OFFSET);
        fx_load_xmm(&s, area);
    }
    return FLOW_NEXT;
}

/* ---- XSAVE family ---- */

static enum flow xsave_available(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    return cpu->cr0 & CR0_TS ? cpu_fault(cpu, VECTOR_NM) : FLOW_NEXT;
}

static uint64_t requested_components(const struct cpu *cpu)
{
    uint64_t mask = (cpu->gpr[RDX] & UINT32_MAX) << 32 | (cpu->gpr[RAX] & UINT32_MAX);
    return mask & cpu->xcr0;
}

/* Writes bytes first..end-1 of the area. The whole area was probed, so this succeeds. */
static bool write_part(struct cpu *cpu, lin_t a, const uint8_t *area, unsigned first, unsigned end)
{
    return mem_write_bytes(cpu, lin(a.v + first), area + first, end - first);
}

static bool write_plan(struct cpu *cpu, lin_t a, const struct fx_state *s, const struct xsave_plan *plan)
{
    uint8_t area[XSAVE_AREA_MIN_BYTES];
    bool ok = true;
    if (plan->x87) {
        fx_build_x87(s, area);
        ok = ok && write_part(cpu, a, area, 0, FX_MXCSR_OFFSET);
        ok = ok && write_part(cpu, a, area, FX_ST_OFFSET, FX_XMM_OFFSET);
    }
    if (plan->mxcsr) {
        fx_build_mxcsr(s, area);
        ok = ok && write_part(cpu, a, area, FX_MXCSR_OFFSET, FX_ST_OFFSET);
    }
    if (plan->sse) {
        fx_build_xmm(s, area);
        ok = ok &&
             write_part(cpu, a, area, FX_XMM_OFFSET, FX_XMM_OFFSET + s->xmm_count * (unsigned)sizeof *s->xmm);
    }
    store_le64(area + XSAVE_HEADER_OFFSET, plan->xstate_bv);
    store_le64(area + XSAVE_HEADER_OFFSET + 8, plan->xcomp_bv);
    return ok && write_part(cpu, a, area, XSAVE_HEADER_OFFSET, XSAVE_HEADER_OFFSET + plan->header_bytes);
}

static enum flow save(struct cpu *cpu, const struct insn *insn, enum xsave_kind kind)
{
    struct fx_state s = fx_state_of(cpu, insn);
    enum flow flow = xsave_available(cpu);
    lin_t a;
    uint64_t old = 0;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!xsave_address(cpu, insn, true, &a) || !mem_read(cpu, lin(a.v + XSAVE_HEADER_OFFSET), 8, &old)) {
        return FLOW_FAULT;
    }
    struct xsave_plan plan = xsave_plan_make(&s, kind, requested_components(cpu), old);
    return write_plan(cpu, a, &s, &plan) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow exec_xsave(struct cpu *cpu, const struct insn *insn)
{
    return save(cpu, insn, XSAVE_PLAIN);
}

enum flow exec_xsaveopt(struct cpu *cpu, const struct insn *insn)
{
    return save(cpu, insn, XSAVE_OPTIMISED);
}

enum flow exec_xsavec(struct cpu *cpu, const struct insn *insn)
{
    return save(cpu, insn, XSAVE_COMPACT);
}

enum flow exec_xrstor(struct cpu *cpu, const struct insn *insn)
{
    struct fx_state s = fx_state_of(cpu, insn);
    uint8_t area[XSAVE_AREA_MIN_BYTES];
    enum flow flow = xsave_available(cpu);
    lin_t a;
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!xsave_address(cpu, insn, false, &a) || !mem_read_bytes(cpu, a, area, XSAVE_AREA_MIN_BYTES)) {
        return FLOW_FAULT;
    }
    if (!xrstor_load(&s, cpu->xcr0, requested_components(cpu), area)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    return FLOW_NEXT;
}
