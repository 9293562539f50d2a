/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT.
 *
 * Source: AMD64 APM vol. 3, SYSCALL, SYSRET, SYSENTER, SYSEXIT (pseudo code); vol. 2, "Fast Transfer of
 * Control". AMD's rules, where they differ from Intel's: SYSCALL works in legacy and compatibility mode
 * (STAR.EIP, CSTAR); SYSRET leaves base, limit and attributes of SS alone and does not check RCX (the fetch
 * at the target faults, at the outer level); SYSENTER and SYSEXIT do not exist in long mode.
 * Deviations: SYSCALL in real mode is not modelled.
 */

#include "cpu/cpuid.h"
#include "cpu/debug_regs.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

#define FLAT_LIMIT         UINT32_MAX
#define ATTR_CODE(level)   (SEG_G | SEG_P | SEG_S | TYPE_CODE | TYPE_READABLE | TYPE_ACCESSED | (level) << 5)
#define ATTR_CODE64(level) (ATTR_CODE(level) | SEG_L)
#define ATTR_CODE32(level) (ATTR_CODE(level) | SEG_DB)
#define ATTR_STACK(level)  (SEG_G | SEG_DB | SEG_P | SEG_S | TYPE_WRITABLE | TYPE_ACCESSED | (level) << 5)

/* RFLAGS that SYSRET restores from R11: all defined ones but RF and VM. */
#define SYSRET_FLAGS                                                                                        \
    (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC | RFLAGS_VIF | \
     RFLAGS_VIP | RFLAGS_ID)

static struct segment flat_segment(uint64_t selector, unsigned attr)
{
    return (struct segment){.limit = FLAT_LIMIT, .selector = (uint16_t)selector, .attr = (uint16_t)attr};
}

static void enter_kernel(struct cpu *cpu, uint64_t selector, unsigned code_attr, uint64_t rip,
                         uint64_t rflags)
{
    trace_hit(&cpu->trace, TRACE_SYSCALL, cpu_now(cpu), cpu->gpr[RAX], cpu->rip, rip, 0);
    cpu->seg[SEG_CS] = flat_segment(selector & 0xfffc, code_attr);
    cpu->seg[SEG_SS] = flat_segment((selector & 0xfffc) + 8, ATTR_STACK(0));
    cpu_set_rflags(cpu, rflags);
    cpu->cpl = 0;
    cpu->rip = rip;
    cpu_update_mode(cpu);
}

/* Alone among all instructions SYSCALL and SYSRET are single steps by the TF that they leave behind: no trap in a kernel
 * whose mask clears it, and one right after the return. */
static void step_by_new_flag(struct cpu *cpu)
{
    if (cpu->rflags & RFLAGS_TF) {
        cpu->pending_db |= DR6_BS;
        cpu->chain_cut = true;
    }
}

enum flow exec_syscall(struct cpu *cpu, const struct insn *insn)
{
    if (!(cpu->efer & EFER_SCE)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (cpu->mode == MODE_REAL) {
        return cpu_not_modelled(cpu, "SYSCALL in real mode");
    }
    uint64_t selector = bits_get(cpu->msrs.star, 47, 32);
    uint64_t rflags = cpu_rflags(cpu) & ~RFLAGS_RF;
    uint64_t next_rip = insn_next_rip(cpu, insn);
    if (in_long_mode(cpu)) {
        uint64_t target = cpu->mode == MODE_LONG64 ? cpu->msrs.lstar : cpu->msrs.cstar;
        cpu->gpr[RCX] = next_rip;
        cpu->gpr[R11] = rflags;
        enter_kernel(cpu, selector, ATTR_CODE64(0u), target, (rflags & ~cpu->msrs.sfmask) | RFLAGS_ONE);
    } else {
        cpu->gpr[RCX] = next_rip;
        enter_kernel(cpu, selector, ATTR_CODE32(0u), (uint32_t)cpu->msrs.star,
                     rflags & ~(RFLAGS_IF | RFLAGS_VM));
    }
    step_by_new_flag(cpu);
    return FLOW_JUMP;
}

enum flow exec_sysret(struct cpu *cpu, const struct insn *insn)
{
    if (!(cpu->efer & EFER_SCE)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (cpu->mode == MODE_REAL || cpu->cpl != 0) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    uint64_t selector = bits_get(cpu->msrs.star, 63, 48);
    bool from64 = cpu->mode == MODE_LONG64;
    bool to64 = from64 && insn->operand_size_bytes == 8;
    uint64_t rflags = from64 ? (cpu->gpr[R11] & SYSRET_FLAGS) | RFLAGS_ONE : cpu_rflags(cpu) | RFLAGS_IF;
    cpu->seg[SEG_CS] = to64 ? flat_segment((selector + 16) | 3, ATTR_CODE64(3u))
                            : flat_segment(selector | 3, ATTR_CODE32(3u));
    cpu->seg[SEG_SS].selector = (uint16_t)(selector + 8);
    cpu->rip = to64 ? cpu->gpr[RCX] : (uint32_t)cpu->gpr[RCX];
    cpu_set_rflags(cpu, rflags);
    cpu->cpl = 3;
    cpu_update_mode(cpu);
    step_by_new_flag(cpu);
    return FLOW_JUMP;
}

enum flow exec_sysenter(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint64_t selector = cpu->msrs.sysenter_cs;
    if (in_long_mode(cpu)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (cpu->mode == MODE_REAL || SELECTOR_NULL(selector)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    cpu->gpr[RSP] = (uint32_t)cpu->msrs.sysenter_esp;
    enter_kernel(cpu, selector, ATTR_CODE32(0u), (uint32_t)cpu->msrs.sysenter_eip,
                 cpu_rflags(cpu) & ~(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF));
    return FLOW_JUMP;
}

enum flow exec_sysexit(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint64_t selector = cpu->msrs.sysenter_cs;
    if (cpu->mode == MODE_REAL ||
        cpu->cpl != 0) { /* comes first on the reference silicon, in long mode too */
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (in_long_mode(cpu)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (SELECTOR_NULL(selector)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    cpu->seg[SEG_CS] = flat_segment((selector + 16) | 3, ATTR_CODE32(3u));
    cpu->seg[SEG_SS] = flat_segment((selector + 24) | 3, ATTR_STACK(3u));
    cpu->gpr[RSP] = (uint32_t)cpu->gpr[RCX];
    cpu->rip = (uint32_t)cpu->gpr[RDX];
    cpu->cpl = 3;
    cpu_update_mode(cpu);
    return FLOW_JUMP;
}
