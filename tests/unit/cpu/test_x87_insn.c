/*
 * The binding of the x87 instructions to the CPU: every encoding of the escape opcodes runs here and, as the
 * same bytes, on the host; registers, status, memory, RFLAGS and AX must agree. Then the faults, the pointers
 * and the images.
 */

#define _GNU_SOURCE /* executable memory for the host's turn */

#include "sys_fixture.h"

#include <sys/mman.h>

#include "base/rng.h"
#include "cpu/fp.h"
#include "cpu/x87_image.h"
#include "host_vendor.h"

#define MEMORY_BYTES 128u
#define CASES        24u

/* What goes in and comes out of one instruction. */
struct scene {
    _Alignas(16) uint8_t image[512];
    uint8_t memory[MEMORY_BYTES];
    uint64_t rflags, rax;
};

/* On the host: rsi is the image, rdi the memory, rbx the scene's RFLAGS; the bytes come from `code`. */
static void run_on_host(uint8_t *code, const uint8_t *bytes, unsigned size_bytes, struct scene *s)
{
    static const uint8_t before[] = {0x48, 0x0f, 0xae, 0x0e, 0xff, 0x33, 0x9d}; /* load; popf */
    static const uint8_t after[] = {0x9c, 0x8f, 0x03, 0x48, 0x0f,
                                    0xae, 0x06, 0xdb, 0xe3, 0xc3}; /* pushf; save */
    memcpy(code, before, sizeof before);
    memcpy(code + sizeof before, bytes, size_bytes);
    memcpy(code + sizeof before + size_bytes, after, sizeof after);
    uint64_t rax = s->rax;
    __asm__ volatile("leaq -128(%%rsp), %%rsp; call *%1; leaq 128(%%rsp), %%rsp"
                     : "+a"(rax)
                     : "r"(code), "S"(s->image), "D"(s->memory), "b"(&s->rflags)
                     : "memory", "cc");
    s->rax = rax;
}

static struct fx_state view(struct cpu *cpu)
{
    return (struct fx_state){
        .x87 = &cpu->x87, .xmm = cpu->xmm, .mxcsr = &cpu->mxcsr, .xmm_count = 16, .wide = true};
}

static enum flow run_here(struct sys *s, const struct insn *insn, struct scene *scene)
{
    struct fx_state fx = view(&s->cpu);
    fx_load_x87(&fx, scene->image);
    cpu_set_rflags(&s->cpu, scene->rflags);
    s->cpu.gpr[RAX] = scene->rax;
    s->cpu.gpr[RDI] = DATA_AT;
    s->cpu.rip = CODE_AT;
    assert_true(bus_load(&s->bus, phys(DATA_AT), scene->memory, MEMORY_BYTES));
    enum flow flow = insn_execute(&s->cpu, insn);
    mem_drain(&s->cpu);
    assert_true(bus_peek(&s->bus, phys(DATA_AT), scene->memory, MEMORY_BYTES));
    fx_build_x87(&fx, scene->image);
    scene->rflags = cpu_rflags(&s->cpu);
    scene->rax = s->cpu.gpr[RAX];
    return flow;
}

static void random_scene(struct rng *r, bool room, struct scene *s)
{
    memset(s, 0, sizeof *s);
    uint16_t masks = rng_below(r, 3) == 0 ? (uint16_t)(rng_next(r) & 0x3f) : 0x3f;
    uint16_t fsw = (uint16_t)(rng_next(r) & (FSW_CC | FSW_TOP | FSW_SF | masks));
    store_le16(s->image, (uint16_t)((rng_next(r) & 0x0c00) | 0x0300 | masks | FCW_ONE));
    store_le16(s->image + 2, fsw);
    s->image[4] = (uint8_t)(room ? 1u << (fsw >> 11 & 7) : 0xff);
    store_le64(s->image + 8, rng_next(r) & 0xffffffff);
    store_le64(s->image + 16, rng_next(r) & 0xffffffff);
    store_le32(s->image + 24, 0x1f80);
    for (unsigned i = 0; i < 8; i++) {
        store_le64(s->image + 32 + (size_t)i * 16, rng_next(r) | BIT(63));
        store_le16(s->image + 40 + (size_t)i * 16,
                   (uint16_t)((0x3ff0 + rng_below(r, 40)) | (rng_next(r) & 0x8000)));
    }
    for (unsigned i = 0; i < MEMORY_BYTES; i += 8) {
        store_le64(s->memory + i, rng_next(r));
    }
    s->rflags = (rng_next(r) & 0x8d5) | 0x202;
    s->rax = rng_next(r);
}

/* F2XM1, FYL2X, FPTAN, FPATAN, FYL2XP1, FSINCOS, FSIN, FCOS: the last bits are our own. */
static bool is_approximate(const struct insn *insn)
{
    unsigned m = insn->modrm;
    return insn->opcode == 0xd9 &&
           ((m >= 0xf0 && m <= 0xf3) || m == 0xf9 || m == 0xfb || m == 0xfe || m == 0xff);
}

/* Pointers of instructions (image bytes 6..23, and in images that are stored) are where each ran. */
static bool scenes_agree(const struct insn *insn, const struct scene *ours, const struct scene *host)
{
    bool approximate = is_approximate(insn);
    unsigned status_mask = approximate ? FSW_TOP : 0xffff;
    bool same = load_le16(ours->image) == load_le16(host->image) && ours->image[4] == host->image[4] &&
                ((load_le16(ours->image + 2) ^ load_le16(host->image + 2)) & status_mask) == 0 &&
                ((ours->rflags ^ host->rflags) & 0x8d5) == 0 && ours->rax == host->rax &&
                memcmp(ours->memory, host->memory, MEMORY_BYTES) == 0;
    same = same && (approximate || memcmp(ours->image + 32, host->image + 32, 128) == 0);
    bool fop = host_is_amd() || (load_le16(ours->image + 2) & FSW_ES) != 0;
    return same && (!fop || load_le16(ours->image + 6) == load_le16(host->image + 6));
}

static void report_difference(const struct insn *insn, const struct scene *ours, const struct scene *host)
{
    fail_msg("%02x %02x (%s): fcw %04x fsw %04x tags %02x fop %04x, host %04x %04x %02x %04x", insn->opcode,
             insn->modrm, insn_rows[insn->row].name, load_le16(ours->image), load_le16(ours->image + 2),
             ours->image[4], load_le16(ours->image + 6), load_le16(host->image), load_le16(host->image + 2),
             host->image[4], load_le16(host->image + 6));
}

/* Runs an encoding on both; false when it is none. */
static bool compare_encoding(struct sys *s, uint8_t *code, struct rng *r, const uint8_t *bytes,
                             unsigned size_bytes)
{
    struct insn insn;
    if (insn_decode(MODE_LONG64, bytes, size_bytes, &insn) != DECODE_OK || insn.length != size_bytes) {
        return false;
    }
    for (unsigned n = 0; n < CASES; n++) {
        struct scene ours, host, before;
        random_scene(r, n % 2 == 0, &ours);
        ours.image[0] |=
            is_approximate(&insn) ? 0x3f : 0; /* flags of an operand out of range differ: all masked */
        before = ours;
        assert_int_equal(run_here(s, &insn, &ours), FLOW_NEXT);
        bool same = false;
        for (unsigned attempt = 0; attempt < 4 && !same;
             attempt++) { /* a task switch there drops old pointers */
            host = before;
            run_on_host(code, bytes, size_bytes, &host);
            same = scenes_agree(&insn, &ours, &host);
        }
        if (!same) {
            report_difference(&insn, &ours, &host);
        }
    }
    return true;
}

static void every_escape_encoding_does_what_it_does_on_the_host(void **state)
{
    struct sys *s = *state;
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(code, MAP_FAILED);
    enter_long(s);
    struct rng r;
    rng_init(&r, 11, 0);
    unsigned encodings = 0;
    for (unsigned opcode = 0xd8; opcode <= 0xdf; opcode++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            const uint8_t memory_form[] = {(uint8_t)opcode, (uint8_t)(reg << 3 | 7)}; /* [rdi] */
            const uint8_t narrow_form[] = {0x66, (uint8_t)opcode, (uint8_t)(reg << 3 | 7)};
            encodings += compare_encoding(s, code, &r, memory_form, 2);
            encodings += compare_encoding(s, code, &r, narrow_form, 3);
        }
        for (unsigned modrm = 0xc0; modrm <= 0xff; modrm++) {
            const uint8_t register_form[] = {(uint8_t)opcode, (uint8_t)modrm};
            encodings += compare_encoding(s, code, &r, register_form, 2);
        }
    }
    assert_true(encodings > 500);
    munmap(code, 4096);
}

static void escape_instructions_raise_nm_when_emulated_or_switched_out(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr0 |= CR0_TS;
    assert_fault(s, EXECUTE(s, "\xd9\xe8"), VECTOR_NM, 0);
    assert_fault(s, EXECUTE(s, "\xdb\xe3"), VECTOR_NM, 0);
    s->cpu.cr4 |= CR4_OSFXSR;
    assert_fault(s, EXECUTE(s, "\x0f\xae\x07"), VECTOR_NM, 0);
    assert_int_equal(EXECUTE(s, "\x9b"), FLOW_NEXT); /* FWAIT needs MP as well */
    s->cpu.cr0 |= CR0_MP;
    assert_fault(s, EXECUTE(s, "\x9b"), VECTOR_NM, 0);
    s->cpu.cr0 = (s->cpu.cr0 & ~(CR0_TS | CR0_MP)) | CR0_EM;
    assert_fault(s, EXECUTE(s, "\xd9\xe8"), VECTOR_NM, 0);
}

/* Leaves an unmasked stack underflow pending. */
static void make_pending(struct sys *s)
{
    x87_init(&s->cpu.x87);
    s->cpu.x87.fcw = 0x37e;
    assert_int_equal(EXECUTE(s, "\xd9\xe0"), FLOW_NEXT); /* FCHS of an empty register: no fault of its own */
    assert_true(x87_pending(&s->cpu.x87));
}

static void pending_exception_becomes_mf_at_the_next_waiting_instruction(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    make_pending(s);
    assert_fault(s, EXECUTE(s, "\xd9\xe8"), VECTOR_MF, 0);
    assert_fault(s, EXECUTE(s, "\x9b"), VECTOR_MF, 0);
    s->cpu.gpr[RDI] = DATA_AT;
    assert_fault(s, EXECUTE(s, "\xd9\x2f"), VECTOR_MF, 0); /* FLDCW */
    assert_int_equal(EXECUTE(s, "\xdf\xe0"), FLOW_NEXT);   /* FNSTSW AX */
    assert_int_equal(s->cpu.gpr[RAX] & 0xffff, 0x80c1);
    assert_int_equal(EXECUTE(s, "\xd9\x37"), FLOW_NEXT); /* FNSTENV masks everything */
    assert_int_equal(EXECUTE(s, "\xd9\xe8"), FLOW_NEXT);
    make_pending(s);
    assert_int_equal(EXECUTE(s, "\xdb\xe2"), FLOW_NEXT); /* FNCLEX */
    assert_int_equal(EXECUTE(s, "\x9b"), FLOW_NEXT);
}

static void pending_exception_without_ne_is_not_modelled(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr0 &= ~CR0_NE;
    make_pending(s);
    assert_int_equal(EXECUTE(s, "\xd9\xe8"), FLOW_STOP);
}

static void pointers_record_the_last_instruction_and_its_operand(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    x87_init(&s->cpu.x87);
    s->cpu.gpr[RDI] = DATA_AT;
    assert_int_equal(EXECUTE(s, "\xdd\x47\x08"), FLOW_NEXT); /* FLD qword [rdi+8] */
    assert_int_equal(s->cpu.x87.fip, CODE_AT);
    assert_int_equal(s->cpu.x87.fdp, DATA_AT + 8);
    assert_int_equal(s->cpu.x87.fop, 0x547);
    assert_int_equal(s->cpu.x87.fcs, SEL_CODE64);
    assert_int_equal(EXECUTE(s, "\xd9\xe0"), FLOW_NEXT); /* a register form keeps the operand's */
    assert_int_equal(s->cpu.x87.fdp, DATA_AT + 8);
    assert_int_equal(s->cpu.x87.fop, 0x1e0);
    assert_int_equal(EXECUTE(s, "\xd9\x3f"), FLOW_NEXT); /* FNSTCW is a control instruction */
    assert_int_equal(s->cpu.x87.fop, 0x1e0);
}

static void page_fault_in_a_store_leaves_the_stack_as_it_was(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    x87_init(&s->cpu.x87);
    assert_int_equal(EXECUTE(s, "\xd9\xe8"), FLOW_NEXT);
    struct x87_state before = s->cpu.x87;
    s->cpu.gpr[RDI] = UINT64_C(1) << 40;
    enum flow flow = EXECUTE(s, "\xdb\x3f"); /* FSTP tbyte [rdi] */
    assert_int_equal(flow, FLOW_FAULT);
    assert_int_equal(s->cpu.fault.vector, VECTOR_PF);
    assert_int_equal(s->cpu.x87.fsw, before.fsw);
    assert_int_equal(s->cpu.x87.in_use, before.in_use);
    assert_int_equal(s->cpu.x87.fop, before.fop);
}

static void fxsave_needs_alignment_and_writes_only_its_bytes(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr4 |= CR4_OSFXSR;
    s->cpu.gpr[RDI] = DATA_AT + 8;
    assert_fault(s, EXECUTE(s, "\x0f\xae\x07"), VECTOR_GP, 0);
    for (unsigned i = 0; i < 512; i += 8) {
        poke(s, DATA_AT + i, UINT64_MAX, 8);
    }
    s->cpu.gpr[RDI] = DATA_AT;
    s->cpu.xmm[15] = xmm_make(1, 2);
    assert_int_equal(EXECUTE(s, "\x48\x0f\xae\x07"), FLOW_NEXT);
    mem_drain(&s->cpu);
    assert_int_equal(peek(s, DATA_AT + 24, 4), MXCSR_RESET);
    assert_int_equal(peek(s, DATA_AT + 28, 4), MXCSR_WRITABLE);
    assert_int_equal(peek(s, DATA_AT + 400, 8), 2);
    assert_true(peek(s, DATA_AT + 416, 8) == UINT64_MAX);
    poke(s, DATA_AT + 24, 0x10000, 4);
    assert_fault(s, EXECUTE(s, "\x48\x0f\xae\x0f"), VECTOR_GP, 0); /* FXRSTOR64: reserved MXCSR bit */
    poke(s, DATA_AT + 24, 0x1fa0, 4);
    s->cpu.xmm[15] = xmm_make(0, 0);
    assert_int_equal(EXECUTE(s, "\x48\x0f\xae\x0f"), FLOW_NEXT);
    assert_int_equal(s->cpu.mxcsr, 0x1fa0);
    assert_int_equal(s->cpu.xmm[15].u64[0], 2);
}

static void fxsave_outside_64_bit_mode_holds_eight_xmm_registers(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.cr4 |= CR4_OSFXSR;
    poke(s, DATA_AT + 288, UINT64_MAX, 8);
    s->cpu.gpr[RDI] = DATA_AT;
    s->cpu.xmm[7] = xmm_make(3, 4);
    s->cpu.xmm[8] = xmm_make(5, 6);
    assert_int_equal(EXECUTE(s, "\x0f\xae\x07"), FLOW_NEXT);
    mem_drain(&s->cpu);
    assert_int_equal(peek(s, DATA_AT + 272, 8), 4);
    assert_true(peek(s, DATA_AT + 288, 8) == UINT64_MAX);
}

static void xsave_family_needs_osxsave_and_alignment(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RDI] = DATA_AT;
    s->cpu.gpr[RAX] = 3;
    s->cpu.gpr[RDX] = 0;
    assert_fault(s, EXECUTE(s, "\x48\x0f\xae\x27"), VECTOR_UD, 0);
    s->cpu.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    s->cpu.xcr0 = 3;
    s->cpu.gpr[RDI] = DATA_AT + 16;
    assert_fault(s, EXECUTE(s, "\x48\x0f\xae\x27"), VECTOR_GP, 0);
}

static void xsave_and_xrstor_carry_the_requested_components(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    s->cpu.xcr0 = 3;
    s->cpu.gpr[RDI] = DATA_AT;
    s->cpu.gpr[RAX] = 2;
    s->cpu.gpr[RDX] = 0;
    s->cpu.xmm[3] = xmm_make(7, 8);
    poke(s, DATA_AT, UINT64_MAX, 8);
    assert_int_equal(EXECUTE(s, "\x48\x0f\xae\x27"), FLOW_NEXT); /* XSAVE64: SSE only */
    mem_drain(&s->cpu);
    assert_int_equal(peek(s, DATA_AT + 512, 8), 2);
    assert_true(peek(s, DATA_AT, 8) == UINT64_MAX);
    s->cpu.xmm[3] = xmm_make(0, 0);
    s->cpu.x87.fcw = 0x27f;
    assert_int_equal(EXECUTE(s, "\x48\x0f\xae\x2f"), FLOW_NEXT); /* XRSTOR64 */
    assert_int_equal(s->cpu.xmm[3].u64[1], 7);
    assert_int_equal(s->cpu.x87.fcw, 0x27f);
    s->cpu.gpr[RAX] = 3;
    assert_int_equal(EXECUTE(s, "\x48\x0f\xae\x2f"), FLOW_NEXT); /* x87 is not in the image: initial state */
    assert_int_equal(s->cpu.x87.fcw, FCW_INIT);
    assert_int_equal(EXECUTE(s, "\x48\x0f\xc7\x27"), FLOW_NEXT); /* XSAVEC64 */
    mem_drain(&s->cpu);
    assert_true(peek(s, DATA_AT + 520, 8) == (XCOMP_COMPACT | 3));
    assert_int_equal(peek(s, DATA_AT + 512, 8), 2);
    poke(s, DATA_AT + 512, 7, 8);
    assert_fault(s, EXECUTE(s, "\x48\x0f\xae\x2f"), VECTOR_GP, 0);
}

static void environment_is_14_bytes_with_linear_pointers_in_real_mode(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    x87_init(&s->cpu.x87);
    s->cpu.gpr[RBX] = 0x7000;
    poke(s, 0x7000 + 14, 0xa5a5, 2);
    assert_int_equal(EXECUTE(s, "\xd9\xe8"), FLOW_NEXT);
    assert_int_equal(EXECUTE(s, "\xd9\x37"), FLOW_NEXT); /* FNSTENV [bx] */
    mem_drain(&s->cpu);
    assert_int_equal(peek(s, 0x7000, 2), FCW_INIT);
    assert_int_equal(peek(s, 0x7000 + 6, 2), CODE_AT);
    assert_int_equal(peek(s, 0x7000 + 8, 2), 0x1e8);
    assert_int_equal(peek(s, 0x7000 + 14, 2), 0xa5a5);
    assert_int_equal(EXECUTE(s, "\x66\xd9\x37"), FLOW_NEXT);
    mem_drain(&s->cpu);
    assert_int_equal(peek(s, 0x7000 + 12, 4), 0xffff0000 | CODE_AT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(every_escape_encoding_does_what_it_does_on_the_host),
        SYS_TEST(escape_instructions_raise_nm_when_emulated_or_switched_out),
        SYS_TEST(pending_exception_becomes_mf_at_the_next_waiting_instruction),
        SYS_TEST(pending_exception_without_ne_is_not_modelled),
        SYS_TEST(pointers_record_the_last_instruction_and_its_operand),
        SYS_TEST(page_fault_in_a_store_leaves_the_stack_as_it_was),
        SYS_TEST(fxsave_needs_alignment_and_writes_only_its_bytes),
        SYS_TEST(fxsave_outside_64_bit_mode_holds_eight_xmm_registers),
        SYS_TEST(environment_is_14_bytes_with_linear_pointers_in_real_mode),
        SYS_TEST(xsave_family_needs_osxsave_and_alignment),
        SYS_TEST(xsave_and_xrstor_carry_the_requested_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
