/*
 * Execution of the x87 instructions that compute, load, store and compare.
 *
 * Each works on a copy of the x87 state, which replaces the CPU's after the last access that can fault. A
 * masked or unmasked x87 exception is no fault of its instruction: an unmasked one waits in FSW.ES for the
 * next waiting one.
 *
 * Source: AMD64 APM volume 5, the pages of the instructions and appendix "x87 opcode map"; volume 1, "x87
 * Instruction Pointer and Data Pointer". Deviations: the reporting of exceptions through FERR# (CR0.NE = 0)
 * is not modelled and stops the run.
 */

#include "cpu/x87_insn.h"

#include "base/check.h"
#include "cpu/mem_internal.h"

enum flow x87_check_available(struct cpu *cpu)
{
    return cpu->cr0 & (CR0_EM | CR0_TS) ? cpu_fault(cpu, VECTOR_NM) : FLOW_NEXT;
}

enum flow x87_check_waiting(struct cpu *cpu)
{
    enum flow flow = x87_check_available(cpu);
    if (flow != FLOW_NEXT || !x87_pending(&cpu->x87)) {
        return flow;
    }
    if (cpu->cr0 & CR0_NE) {
        return cpu_fault(cpu, VECTOR_MF);
    }
    return cpu_not_modelled(cpu, "x87 exception reported through FERR# (CR0.NE = 0)");
}

/* Records the instruction, and its memory operand if it has one, as the last non-control one. */
static void note_instruction(const struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    x->fop = (uint16_t)((insn->opcode & 7u) << 8 | insn->modrm);
    x->fip = cpu->rip;
    x->fcs = cpu->seg[SEG_CS].selector;
    if (x87_has_memory(insn)) {
        x->fdp = insn_offset(cpu, insn);
        x->fds = cpu->seg[insn->mem_seg].selector;
    }
}

/* Checks, then the copy to work on. */
static enum flow begin(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    enum flow flow = x87_check_waiting(cpu);
    if (flow == FLOW_NEXT) {
        *x = cpu->x87;
        note_instruction(cpu, insn, x);
    }
    return flow;
}

static enum flow commit(struct cpu *cpu, const struct x87_state *x)
{
    cpu->x87 = *x;
    return FLOW_NEXT;
}

static bool read_memory(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, uint64_t *out)
{
    lin_t a;
    return insn_address(cpu, insn, size_bytes, false, &a) && mem_read(cpu, a, size_bytes, out);
}

static bool write_memory(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, uint64_t value)
{
    lin_t a;
    return insn_address(cpu, insn, size_bytes, true, &a) && mem_write(cpu, a, size_bytes, value);
}

/* Ten bytes are accessed as eight and two. */
static bool read_ten(struct cpu *cpu, const struct insn *insn, uint8_t *out)
{
    lin_t low, high;
    uint64_t significand;
    uint64_t sign_exponent;
    if (!insn_address(cpu, insn, 8, false, &low) || !mem_read(cpu, low, 8, &significand) ||
        !insn_address_part(cpu, insn, 8, 2, false, &high) || !mem_read(cpu, high, 2, &sign_exponent)) {
        return false;
    }
    store_le64(out, significand);
    store_le16(out + 8, (uint16_t)sign_exponent);
    return true;
}

static bool probe_part(struct cpu *cpu, const struct insn *insn, unsigned from_bytes, unsigned size_bytes,
                       lin_t *out)
{
    if (!insn_address_part(cpu, insn, from_bytes, size_bytes, true, out)) {
        return false;
    }
    if (mem_checks_alignment(cpu) && out->v % size_bytes != 0) {
        cpu_fault_code(cpu, VECTOR_AC, 0);
        return false;
    }
    return mem_probe_write(cpu, *out, size_bytes);
}

/* An unmasked exception keeps the store from being made, not the destination from being checked. */
static bool check_memory(struct cpu *cpu, const struct insn *insn, unsigned size_bytes)
{
    lin_t a;
    return size_bytes == 10 ? probe_part(cpu, insn, 0, 8, &a) && probe_part(cpu, insn, 8, 2, &a)
                            : probe_part(cpu, insn, 0, size_bytes, &a);
}

static bool write_ten(struct cpu *cpu, const struct insn *insn, const uint8_t *bytes)
{
    lin_t low, high;
    return probe_part(cpu, insn, 0, 8, &low) && probe_part(cpu, insn, 8, 2, &high) &&
           mem_write_bytes(cpu, low, bytes, 8) && mem_write_bytes(cpu, high, bytes + 8, 2);
}

/* The source of D8, DA, DC, DE with a memory operand: f32, i32, f64, i16. */
static bool read_source(struct cpu *cpu, const struct insn *insn, struct x87_operand *out)
{
    static const uint8_t sizes_bytes[] = {4, 4, 8, 2};
    unsigned kind = insn->opcode >> 1 & 3u;
    uint64_t v;
    if (!read_memory(cpu, insn, sizes_bytes[kind], &v)) {
        return false;
    }
    switch (kind) {
    case 0:
        *out = x87_operand_f32((uint32_t)v);
        break;
    case 1:
        *out = x87_operand_integer((int64_t)bits_sext(v, 32));
        break;
    case 2:
        *out = x87_operand_f64(v);
        break;
    default:
        *out = x87_operand_integer((int64_t)bits_sext(v, 16));
        break;
    }
    return true;
}

/* FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR in all forms. With ST(i) as the target (DC, DE) the reg field swaps
 * each reversed operation with the plain one. */
enum flow exec_x87_arithmetic(struct cpu *cpu, const struct insn *insn)
{
    static const uint8_t ops[8] = {X87_ADD, X87_MUL, 0, 0, X87_SUB, X87_SUBR, X87_DIV, X87_DIVR};
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    unsigned reg = x87_reg(insn);
    if (x87_has_memory(insn)) {
        struct x87_operand source;
        if (!read_source(cpu, insn, &source)) {
            return FLOW_FAULT;
        }
        x87_arithmetic(&x, (enum x87_op)ops[reg], 0, source, false);
    } else if (insn->opcode == 0xd8) {
        x87_arithmetic(&x, (enum x87_op)ops[reg], 0, x87_st_operand(&x, x87_rm(insn)), false);
    } else {
        unsigned op = reg >= 4 ? ops[reg ^ 1u] : ops[reg];
        x87_arithmetic(&x, (enum x87_op)op, x87_rm(insn), x87_st_operand(&x, 0), insn->opcode == 0xde);
    }
    return commit(cpu, &x);
}

/* The register forms of the comparisons: how many pops, and whether QNaNs are quiet. */
static void compare_registers(const struct insn *insn, struct x87_state *x)
{
    bool quiet = insn->opcode == 0xdd || insn->opcode == 0xda; /* FUCOM, FUCOMP; FUCOMPP */
    unsigned pops = x87_reg(insn) & 1u;                        /* /3 FCOMP, /5 FUCOMP */
    if (insn->opcode == 0xda || insn->modrm == 0xd9) {         /* DA E9 FUCOMPP, DE D9 FCOMPP */
        pops = insn->opcode == 0xda || insn->opcode == 0xde ? 2 : pops;
    } else if (insn->opcode == 0xde) { /* DE D0+i: FCOMP */
        pops = 1;
    }
    x87_compare(x, x87_st_operand(x, x87_rm(insn)), quiet, pops);
}

enum flow exec_x87_compare(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (x87_has_memory(insn)) {
        struct x87_operand source;
        if (!read_source(cpu, insn, &source)) {
            return FLOW_FAULT;
        }
        x87_compare(&x, source, false, x87_reg(insn) & 1u);
    } else {
        compare_registers(insn, &x);
    }
    return commit(cpu, &x);
}

/* DB F0+i FCOMI, DB E8+i FUCOMI, DF the same with a pop. */
enum flow exec_x87_compare_flags(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    enum fp_order order = x87_compare_flags(&x, x87_rm(insn), x87_reg(insn) == 5, insn->opcode == 0xdf);
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~RFLAGS_STATUS) | (uint64_t)order);
    return commit(cpu, &x);
}

/* D9 /0 f32, DB /0 i32, DD /0 f64, DF /0 i16, DF /5 i64; the ten-byte ones are apart. */
static bool load_memory(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    unsigned opcode = insn->opcode;
    bool long_integer = opcode == 0xdf && x87_reg(insn) == 5;
    uint64_t v;
    if (!read_memory(cpu, insn, opcode == 0xdd || long_integer ? 8 : opcode == 0xdf ? 2 : 4, &v)) {
        return false;
    }
    if (opcode == 0xd9) {
        x87_load_f32(x, (uint32_t)v);
    } else if (opcode == 0xdd) {
        x87_load_f64(x, v);
    } else if (long_integer) {
        x87_load_integer(x, (int64_t)v);
    } else {
        x87_load_integer(x, (int64_t)bits_sext(v, opcode == 0xdb ? 32 : 16));
    }
    return true;
}

/* DB /5 FLD f80, DF /4 FBLD. */
static bool load_ten(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    uint8_t bytes[10];
    if (!read_ten(cpu, insn, bytes)) {
        return false;
    }
    if (insn->opcode == 0xdb) {
        x87_load_f80(x, (struct f80){load_le64(bytes), load_le16(bytes + 8)});
    } else {
        x87_load_decimal(x, bytes);
    }
    return true;
}

enum flow exec_x87_load(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (!x87_has_memory(insn)) {
        x87_load_register(&x, x87_rm(insn));
        return commit(cpu, &x);
    }
    bool ten = (insn->opcode == 0xdb && x87_reg(insn) == 5) || (insn->opcode == 0xdf && x87_reg(insn) == 4);
    if (!(ten ? load_ten(cpu, insn, &x) : load_memory(cpu, insn, &x))) {
        return FLOW_FAULT;
    }
    return commit(cpu, &x);
}

enum flow exec_x87_constant(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    x87_load_constant(&x, (enum x87_constant)(insn->modrm - 0xe8)); /* D9 E8 .. D9 EE, in this order */
    return commit(cpu, &x);
}

/* Integer stores: DF i16, DB i32, DD i64 (FISTTP only), DF /7 i64; /1 truncates, /2 does not pop. */
static bool store_integer(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    unsigned reg = x87_reg(insn);
    unsigned size_bytes = insn->opcode == 0xdd || reg == 7 ? 8 : insn->opcode == 0xdb ? 4 : 2;
    uint64_t v;
    bool stored = x87_store_integer(x, 8 * size_bytes, reg == 1, reg != 2, &v);
    return stored ? write_memory(cpu, insn, size_bytes, v) : check_memory(cpu, insn, size_bytes);
}

/* D9 f32, DD f64; /3 pops. */
static bool store_float(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    bool pop = x87_reg(insn) == 3;
    uint32_t v32;
    uint64_t v64;
    if (insn->opcode == 0xd9) {
        return x87_store_f32(x, pop, &v32) ? write_memory(cpu, insn, 4, v32) : check_memory(cpu, insn, 4);
    }
    return x87_store_f64(x, pop, &v64) ? write_memory(cpu, insn, 8, v64) : check_memory(cpu, insn, 8);
}

/* DB /7 FSTP f80, DF /6 FBSTP. */
static bool store_ten(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    uint8_t bytes[10];
    struct f80 v;
    bool stored;
    if (insn->opcode == 0xdb) {
        stored = x87_store_f80(x, &v);
        store_le64(bytes, v.significand);
        store_le16(bytes + 8, v.sign_exponent);
    } else {
        stored = x87_store_decimal(x, bytes);
    }
    return stored ? write_ten(cpu, insn, bytes) : check_memory(cpu, insn, 10);
}

static bool store_memory(struct cpu *cpu, const struct insn *insn, struct x87_state *x)
{
    unsigned reg = x87_reg(insn), opcode = insn->opcode;
    if ((opcode == 0xdb && reg == 7) || (opcode == 0xdf && reg == 6)) {
        return store_ten(cpu, insn, x);
    }
    bool integer = opcode == 0xdb || opcode == 0xdf || reg == 1;
    return integer ? store_integer(cpu, insn, x) : store_float(cpu, insn, x);
}

enum flow exec_x87_store(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (x87_has_memory(insn)) {
        if (!store_memory(cpu, insn, &x)) {
            return FLOW_FAULT;
        }
    } else if (insn->opcode == 0xd9) {
        x87_store_register_unchecked(&x, x87_rm(insn));
    } else {
        /* DD D0+i is FST; DD D8+i and its aliases DF D0+i, DF D8+i are FSTP. */
        x87_store_register(&x, x87_rm(insn), !(insn->opcode == 0xdd && x87_reg(insn) == 2));
    }
    return commit(cpu, &x);
}

/* DA: B, E, BE, U by the reg field; DB: their opposites. */
enum flow exec_x87_move_if(struct cpu *cpu, const struct insn *insn)
{
    static const uint64_t flags[4] = {RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF, RFLAGS_PF};
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    bool set = (cpu_rflags(cpu) & flags[x87_reg(insn) & 3u]) != 0;
    x87_move_if(&x, x87_rm(insn), set == (insn->opcode == 0xda));
    return commit(cpu, &x);
}

/* D9 E0 .. D9 FF without the constants. */
static void single_register(struct x87_state *x, unsigned modrm)
{
    switch (modrm) {
    case 0xe0:
        x87_change_sign(x);
        break;
    case 0xe1:
        x87_absolute(x);
        break;
    case 0xe4:
        x87_compare(x, x87_operand_integer(0), false, 0); /* FTST */
        break;
    case 0xe5:
        x87_examine(x);
        break;
    case 0xf0:
        x87_f2xm1_st(x);
        break;
    case 0xf1:
        x87_function2_st(x, X87_YL2X);
        break;
    case 0xf2:
        x87_tangent_st(x);
        break;
    case 0xf3:
        x87_function2_st(x, X87_PATAN);
        break;
    case 0xf4:
        x87_extract_st(x);
        break;
    case 0xf5:
    case 0xf8:
        x87_remainder_st(x, modrm == 0xf5);
        break;
    case 0xf6:
    case 0xf7:
        x87_step_top(x, modrm == 0xf7 ? 1 : -1);
        break;
    case 0xf9:
        x87_function2_st(x, X87_YL2XP1);
        break;
    case 0xfa:
        x87_square_root_st(x);
        break;
    case 0xfb:
        x87_sincos_st(x);
        break;
    case 0xfc:
        x87_round_st(x);
        break;
    case 0xfd:
        x87_scale_st(x);
        break;
    case 0xfe:
        x87_sine_cosine_st(x, X87_SIN);
        break;
    case 0xff:
        x87_sine_cosine_st(x, X87_COS);
        break;
    default:
        CHECK(modrm == 0xd0, "D9 %02x is bound to the wrong function", modrm); /* D9 D0: FNOP */
        break;
    }
}

/* Instructions on the stack alone. C8+i of D9, DD and DF: FXCH; C0+i of DD: FFREE, of DF: FFREEP. */
enum flow exec_x87_register(struct cpu *cpu, const struct insn *insn)
{
    struct x87_state x;
    enum flow flow = begin(cpu, insn, &x);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (x87_reg(insn) == 1) {
        x87_exchange(&x, x87_rm(insn));
    } else if (insn->opcode == 0xdd || insn->opcode == 0xdf) {
        x87_free(&x, x87_rm(insn));
        if (insn->opcode == 0xdf) { /* pops as well */
            x87_free(&x, 0);
            x87_step_top(&x, 1);
        }
    } else {
        single_register(&x, insn->modrm);
    }
    return commit(cpu, &x);
}
