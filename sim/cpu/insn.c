/*
 * The instruction table: rows from insn.def, an index by mnemonic and form, and the checks common to all
 * rows. Source: APM vol. 3, "Lock Prefix"; the rows name their own.
 */

#include "cpu/insn.h"
#include "cpu/timed.h"

#include <Zydis/Mnemonic.h>

/* Declarations of the execution functions. */
#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) exec_fn exec;
#include "cpu/insn.def"
#undef INSN_FORM

enum insn_row_number {
    ROW_NONE = INSN_ROW_NONE,
#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) ROW_##mnemonic##_##form,
#include "cpu/insn.def"
#undef INSN_FORM
    ROW_COUNT
};

const struct insn_row insn_rows[] = {
    {"(no row)", exec_not_modelled, ZYDIS_MNEMONIC_INVALID, 0, COST_ALU, 0},
#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) \
    {#mnemonic, exec, ZYDIS_MNEMONIC_##mnemonic, flags, COST_##cost, (uint32_t)(undefined)},
#include "cpu/insn.def"
#undef INSN_FORM
};

const unsigned insn_row_count = ROW_COUNT;

static const uint16_t insn_index[FORM_COUNT][ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) \
    [FORM_##form][ZYDIS_MNEMONIC_##mnemonic] = ROW_##mnemonic##_##form,
#include "cpu/insn.def"
#undef INSN_FORM
};

unsigned insn_row_find(unsigned mnemonic, enum insn_form form)
{
    unsigned row = insn_index[form][mnemonic];
    return row != INSN_ROW_NONE ? row : insn_index[FORM_PLAIN][mnemonic];
}

static bool lock_is_legal(const struct insn *insn)
{
    bool memory = insn->op[0].kind == OPERAND_MEM || insn->op[1].kind == OPERAND_MEM;
    return (insn_rows[insn->row].flags & INSN_LOCKABLE) != 0 && memory;
}

bool insn_ends_block(const struct insn *insn)
{
    unsigned flags = insn_rows[insn->row].flags;
    bool repeated = (flags & INSN_REP) && (insn->prefixes & (PREFIX_REP | PREFIX_REPNE));
    return repeated || (flags & (INSN_END | INSN_EXACT)) != 0;
}

enum flow insn_check(struct cpu *cpu, const struct insn *insn)
{
    unsigned flags = insn_rows[insn->row].flags;
    if ((insn->prefixes & PREFIX_LOCK) && !lock_is_legal(insn)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if ((flags & INSN_PROTECTED) && cpu->mode == MODE_REAL) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if ((flags & INSN_CPL0) && cpu->cpl != 0) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    return FLOW_NEXT;
}

enum flow insn_execute(struct cpu *cpu, const struct insn *insn)
{
    const struct insn_row *row = &insn_rows[insn->row];
    enum flow flow = insn_check(cpu, insn);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (row->flags & INSN_DRAINS) {
        if (timed_wait_for_drain(cpu)) {
            return FLOW_FAULT;
        }
        mem_drain(cpu);
    }
    return row->exec(cpu, insn);
}

enum flow exec_not_modelled(struct cpu *cpu, const struct insn *insn)
{
    return cpu_not_modelled(cpu, insn_rows[insn->row].name);
}

enum flow exec_nop(struct cpu *cpu, const struct insn *insn)
{
    (void)cpu;
    (void)insn;
    return FLOW_NEXT;
}
