/*
 * Random bytes as guest code: any sim_stop is right; a sanitizer's report, a failed CHECK, a hang or a difference
 * between two ways of running the same guest is not.
 *
 * Each case is a machine in one of five starts with page tables, descriptor tables, handlers and code in RAM, part of
 * them damaged at random. It runs in blocks, then one plain instruction at a time, then in blocks but cut into other
 * slices of time: all three must end in the same state.
 */

#include "fuzz_code.h"

#include "base/bits.h"
#include "cpu/mem.h"
#include "machine/machine.h"

#include "guest_image.h"

#define CYCLES       20000u
#define SLICES       4u
#define CODE_AT      0x40000u
#define CODE_BYTES   0x3000u
#define DATA_AT      0x60000u
#define HANDLER_AT   0x30000u
#define HANDLER_STEP 80u
#define STACK_AT     0x58000u
#define PML4_AT      0x10000u
#define PDPT_AT      0x11000u
#define PD_LOW_AT    0x12000u
#define PD_HIGH_AT   0x13000u
#define PT_AT        0x14000u
#define PD32_AT      0x16000u
#define GDT_AT       0x20000u
#define IDT_AT       0x21000u
#define TSS_AT       0x23000u
#define TABLES_END   0x24000u
#define MEMORY_BYTES (UINT64_C(16) << 20)

enum start { START_REAL, START_PROTECTED, START_PAGED, START_PAE, START_COMPAT, START_LONG, START_COUNT };

static const char *const start_names[START_COUNT] = {"real", "protected", "paged", "pae", "compat", "long"};

/* How one case is set up; the same for all its runs. */
struct plan {
    struct sim_config config;
    enum start start;
    bool user, flat_bytes;
    uint8_t ram[TABLES_END];
    uint8_t handlers[256 * HANDLER_STEP];
    uint8_t code[CODE_BYTES];
    uint8_t data[0x4000];
    uint64_t gpr[GPR_COUNT], rip[4], cr4, rflags;
    bool effects;
    uint64_t effect_seed;
};

/* ---- tables ---- */

#define GDT_CODE64  0x08u
#define GDT_DATA    0x10u
#define GDT_CODE32  0x18u
#define GDT_CODE16  0x20u
#define GDT_DATA16  0x28u
#define GDT_UCODE32 0x30u
#define GDT_UDATA   0x38u
#define GDT_UCODE64 0x40u
#define GDT_TSS     0x50u
#define GDT_LDT     0x60u
#define GDT_GATE    0x70u
#define GDT_BYTES   0x200u

static void put(struct plan *p, uint64_t at, uint64_t value)
{
    store_le64(p->ram + at, value);
}

static void make_gdt(struct rng *r, struct plan *p)
{
    static const uint64_t rows[] = {
        0,
        0x00af9b000000ffff, /* 64-bit code */
        0x00cf93000000ffff, /* data */
        0x00cf9b000000ffff, /* 32-bit code */
        0x00009b000000ffff, /* 16-bit code */
        0x000093000000ffff, /* 16-bit data */
        0x00cffb000000ffff, /* user 32-bit code */
        0x00cff3000000ffff, /* user data */
        0x00affb000000ffff, /* user 64-bit code */
    };
    fuzz_fill(r, p->ram + GDT_AT, GDT_BYTES);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(p, GDT_AT + 8 * i, rows[i]);
    }
    bool wide = p->start == START_LONG || p->start == START_COMPAT;
    put(p, GDT_AT + GDT_TSS, 0x0000890000000067 | (uint64_t)(TSS_AT & 0xffffff) << 16);
    put(p, GDT_AT + GDT_TSS + 8, 0);
    put(p, GDT_AT + GDT_LDT, 0x000082000000ffff | (uint64_t)GDT_AT << 16);
    put(p, GDT_AT + GDT_LDT + 8, 0);
    uint64_t gate = 0x0000ec0000000000 | (uint64_t)(wide ? GDT_CODE64 : GDT_CODE32) << 16;
    put(p, GDT_AT + GDT_GATE, gate | (HANDLER_AT & 0xffffu) | (uint64_t)(HANDLER_AT >> 16) << 48);
    put(p, GDT_AT + GDT_GATE + 8, 0);
}

static void make_idt(struct rng *r, struct plan *p)
{
    bool wide = p->start == START_LONG || p->start == START_COMPAT;
    for (unsigned v = 0; v < 256; v++) {
        uint64_t to = HANDLER_AT + v * HANDLER_STEP, type = fuzz_one_in(r, 4) ? 0xef : 0xee;
        uint64_t selector = wide ? GDT_CODE64 : GDT_CODE32;
        if (fuzz_one_in(r, 64)) {
            selector = rng_next(r) & 0xffff;
            type = rng_next(r) & 0xff;
        }
        uint64_t gate = (to & 0xffff) | selector << 16 | type << 40 | (to >> 16) << 48;
        if (!wide) {
            put(p, IDT_AT + 8 * v, gate);
        } else {
            put(p, IDT_AT + 16 * v, gate | (fuzz_one_in(r, 16) ? rng_below(r, 8) << 32 : 0));
            put(p, IDT_AT + 16 * v + 8, 0);
        }
    }
    for (unsigned v = 0; p->start == START_REAL && v < 256; v++) {
        store_le32(p->ram + 4 * v, (uint32_t)(HANDLER_AT >> 4) << 16 | v * HANDLER_STEP);
    }
}

static void make_tss(struct rng *r, struct plan *p)
{
    if (fuzz_one_in(r, 8)) {
        fuzz_fill(r, p->ram + TSS_AT, 0x100);
    }
    if (p->start == START_LONG || p->start == START_COMPAT) {
        for (unsigned i = 0; i < 10; i++) {
            put(p, TSS_AT + 4 + 8 * i, STACK_AT - 0x400 * i);
        }
    } else {
        store_le32(p->ram + TSS_AT + 4, STACK_AT);
        store_le32(p->ram + TSS_AT + 8, GDT_DATA);
    }
    store_le16(p->ram + TSS_AT + 0x66, (uint16_t)(fuzz_one_in(r, 4) ? rng_next(r) : 0x68));
}

/* Tables and handlers are the supervisor's; code and data belong to who runs first. */
static unsigned page_rights(const struct plan *p, uint64_t page)
{
    bool tables = page >= PML4_AT >> PAGE_SHIFT && page < CODE_AT >> PAGE_SHIFT;
    return p->user && !tables ? 7 : 3;
}

/* The first 2 MiB in 4 KiB pages, the rest in large ones, the devices below 4 GiB too. */
static void make_paging(struct rng *r, struct plan *p)
{
    unsigned damage = fuzz_one_in(r, 2) ? 0 : 2 + fuzz_below(r, 60);
    put(p, PML4_AT, PDPT_AT | 7);
    put(p, PML4_AT + 8 * 511, PML4_AT | 3); /* the tables themselves */
    unsigned top = p->start == START_PAE ? 1 : 7;
    put(p, PDPT_AT, PD_LOW_AT | top);
    put(p, PDPT_AT + 8, PD_LOW_AT | top);
    put(p, PDPT_AT + 16, PD_HIGH_AT | top);
    put(p, PDPT_AT + 24, PD_HIGH_AT | top);
    for (uint64_t i = 0; i < 512; i++) {
        put(p, PD_LOW_AT + 8 * i, (i << 21) | 0x87);
        put(p, PD_HIGH_AT + 8 * i, (UINT64_C(0xc0000000) + (i << 21)) | 0x87);
        put(p, PT_AT + 8 * i, (i << 12) | page_rights(p, i) | (fuzz_one_in(r, 8) ? BIT(8) : 0));
    }
    put(p, PD_LOW_AT, PT_AT | 7);
    for (uint32_t i = 0; i < 1024; i++) {
        store_le32(p->ram + PD32_AT + 4 * i, (i << 22) | 0x87);
        store_le32(p->ram + PD32_AT + 0x1000 + 4 * i, (i << 12) | page_rights(p, i));
    }
    store_le32(p->ram + PD32_AT, (PD32_AT + 0x1000) | 7);
    for (; damage > 0; damage--) {
        uint64_t table = PML4_AT + PAGE_SIZE_BYTES * rng_below(r, 8), at = table + 8 * rng_below(r, 512);
        uint64_t page = PAGE_SIZE_BYTES * rng_below(r, 256);
        put(p, at, fuzz_one_in(r, 4) ? rng_next(r) : page | (rng_next(r) & 0x80000000000001ff));
    }
}

/* ---- code ---- */

static unsigned code_bits(enum start start)
{
    return start == START_REAL ? 16 : start == START_LONG ? 64 : 32;
}

/* Skips a random number of bytes of the instruction that faulted, so that the guest lives on. */
static void make_handlers(struct rng *r, struct plan *p)
{
    bool wide = p->start == START_LONG || p->start == START_COMPAT;
    struct fuzz_code c = {p->handlers, 0, 0, wide ? 64u : p->start == START_REAL ? 16u : 32u};
    for (unsigned v = 0; v < 256; v++) {
        c.at = v * HANDLER_STEP;
        c.end = c.at + HANDLER_STEP - 16;
        if (fuzz_one_in(r, 4)) {
            fuzz_emit(r, &c);
        }
        bool has_code = v == 8 || (v >= 10 && v <= 14) || v == 17;
        fuzz_emit_return(&c, has_code && c.bits != 16,
                         (uint8_t)(v < 32 && v != 1 && v != 3 ? 1 + fuzz_below(r, 4) : 0));
    }
}

static void make_code(struct rng *r, struct plan *p)
{
    struct fuzz_code c = {p->code, CODE_BYTES, 0, code_bits(p->start)};
    p->flat_bytes = fuzz_one_in(r, 8);
    if (p->flat_bytes) {
        fuzz_fill(r, p->code, CODE_BYTES);
        return;
    }
    while (c.at + FUZZ_GROUP_BYTES + 16 < CODE_BYTES) {
        fuzz_emit(r, &c);
        if (fuzz_one_in(r, 40)) {
            fuzz_emit_jump(&c, (int32_t)rng_below(r, c.at + 1) - (int32_t)c.at);
        }
    }
    fuzz_emit_jump(&c, -(int32_t)c.at);
}

static void make_plan(struct rng *r, struct plan *p)
{
    static const uint32_t cpu_counts[] = {1, 1, 1, 2, 2, 3, 4};
    static const char *const models[] = {NULL, NULL, "tcg72", "orrery,-x2apic", "orrery,-pcid"};
    memset(p, 0, sizeof *p);
    sim_config_init(&p->config);
    p->config.cpus = FUZZ_PICK(r, cpu_counts);
    p->config.memory_bytes = MEMORY_BYTES;
    p->config.board = fuzz_one_in(r, 3) ? BOARD_MICROVM : BOARD_PC;
    p->config.engine = fuzz_one_in(r, 3) ? ENGINE_TIMED : ENGINE_FAST;
    p->config.memory_model = fuzz_one_in(r, 2) ? MODEL_TSO : MODEL_SC;
    p->config.store_capacity = fuzz_one_in(r, 2) ? 0 : 1 + fuzz_below(r, 8);
    p->config.seed = rng_next(r);
    p->config.cpu_model = FUZZ_PICK(r, models);
    p->config.instant_serial = fuzz_one_in(r, 2);
    p->start = (enum start)fuzz_below(r, START_COUNT);
    p->user = p->start != START_REAL && fuzz_one_in(r, 4);
    p->effects = fuzz_one_in(r, 2);
    p->effect_seed = rng_next(r);
    make_gdt(r, p);
    make_idt(r, p);
    make_tss(r, p);
    make_paging(r, p);
    make_handlers(r, p);
    make_code(r, p);
    fuzz_fill(r, p->data, sizeof p->data);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        p->gpr[i] = fuzz_one_in(r, 2) ? fuzz_value(r) : DATA_AT + 8 * rng_below(r, 512);
    }
    p->gpr[RSP] = STACK_AT - 0x1000;
    for (unsigned i = 0; i < 4; i++) {
        p->rip[i] = i == 0 || fuzz_one_in(r, 2) ? 0 : rng_below(r, CODE_BYTES);
    }
    p->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | (fuzz_one_in(r, 2) ? CR4_PGE | CR4_OSXSAVE : 0) |
             (fuzz_one_in(r, 4) ? CR4_SMEP | CR4_SMAP : 0) |
             (fuzz_one_in(r, 4) ? CR4_FSGSBASE | CR4_UMIP : 0);
    p->rflags = RFLAGS_ONE | (rng_next(r) & (RFLAGS_STATUS | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC));
    p->rflags |= fuzz_one_in(r, 16) ? RFLAGS_TF : 0;
}

/* ---- the machine ---- */

static void set_segment(struct segment *s, uint16_t selector, uint16_t attr)
{
    *s = (struct segment){.limit = UINT32_MAX, .selector = selector, .attr = attr};
}

static void set_segments(struct cpu *cpu, const struct plan *p)
{
    uint16_t dpl = p->user ? 3 : 0, user = (uint16_t)(dpl << 5);
    uint16_t data = p->user ? GDT_UDATA | 3 : GDT_DATA;
    uint16_t code = p->start == START_LONG ? (p->user ? GDT_UCODE64 | 3 : GDT_CODE64)
                                           : (p->user ? GDT_UCODE32 | 3 : GDT_CODE32);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        set_segment(&cpu->seg[i], data, SEG_P | SEG_S | 0x3u | SEG_DB | SEG_G | user);
    }
    set_segment(&cpu->seg[SEG_CS], code, SEG_P | SEG_S | 0xbu | SEG_G | user);
    cpu->seg[SEG_CS].attr |= p->start == START_LONG ? SEG_L : SEG_DB;
    cpu->tr = (struct segment){TSS_AT, 0x67, GDT_TSS, SEG_P | 0xbu};
    cpu->gdtr = (struct table_reg){GDT_AT, GDT_BYTES - 1};
    cpu->idtr =
        (struct table_reg){IDT_AT, p->start == START_LONG || p->start == START_COMPAT ? 0xfff : 0x7ff};
    cpu->cpl = (uint8_t)dpl;
}

static void set_real(struct cpu *cpu)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = (struct segment){DATA_AT, 0xffff, DATA_AT >> 4, SEG_P | SEG_S | 0x3u};
    }
    cpu->seg[SEG_CS] = (struct segment){CODE_AT, 0xffff, CODE_AT >> 4, SEG_P | SEG_S | 0xbu};
    cpu->seg[SEG_SS] =
        (struct segment){STACK_AT - 0x8000, 0xffff, (STACK_AT - 0x8000) >> 4, SEG_P | SEG_S | 0x3u};
    cpu->gdtr = (struct table_reg){GDT_AT, GDT_BYTES - 1};
    cpu->idtr = (struct table_reg){0, 0x3ff};
    cpu->cr0 = CR0_ET;
}

static void start_cpu(struct sim *s, unsigned n, const struct plan *p)
{
    struct cpu *cpu = &s->cpus[n];
    bool wide = p->start == START_LONG || p->start == START_COMPAT;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_MP | (p->start != START_PROTECTED ? CR0_PG : 0);
    cpu->cr3 = p->start == START_PAE ? PDPT_AT : wide ? PML4_AT : PD32_AT;
    cpu->cr4 = p->cr4 | (wide || p->start == START_PAE ? CR4_PAE : CR4_PSE);
    cpu->cr4 &= cpuid_has(cpu, FEATURE_SMAP) ? UINT64_MAX : ~CR4_SMAP;
    cpu->efer = wide ? EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE : 0;
    set_segments(cpu, p);
    if (p->start == START_REAL) {
        set_real(cpu);
    }
    memcpy(cpu->gpr, p->gpr, sizeof p->gpr);
    cpu->gpr[RSP] = p->start == START_REAL ? 0x7000 : p->gpr[RSP] - 0x2000 * n;
    cpu->rip = (p->start == START_REAL ? 0 : CODE_AT) + p->rip[n];
    cpu_set_rflags(cpu, p->rflags);
    cpu->activity = CPU_ACTIVE;
    cpu_update_mode(cpu);
}

GUEST_CODE(stub, ".code32\n hlt\n.code64");

static struct sim *make_machine(const struct plan *p, bool single)
{
    struct sim_config c = p->config;
    c.single_step_blocks = single;
    struct sim *s = guest_create(&c, stub, stub_end);
    bus_load(&s->bus, phys(0), p->ram, sizeof p->ram);
    bus_load(&s->bus, phys(HANDLER_AT), p->handlers, sizeof p->handlers);
    bus_load(&s->bus, phys(CODE_AT), p->code, sizeof p->code);
    bus_load(&s->bus, phys(DATA_AT), p->data, sizeof p->data);
    for (unsigned i = 0; i < p->config.cpus; i++) {
        start_cpu(s, i, p);
    }
    return s;
}

static void apply_effects(struct sim *s, struct rng *r)
{
    struct effect f = {.cpu = (uint16_t)fuzz_below(r, s->config.cpus)};
    switch (fuzz_below(r, 6)) {
    case 0:
    case 1:
        f.kind = EFFECT_INTERRUPT;
        f.arg[0] = 16 + rng_below(r, 241);
        break;
    case 2:
        f.kind = EFFECT_SERIAL_INPUT;
        f.arg[0] = rng_below(r, 2);
        f.byte_count = 4;
        break;
    case 3:
        f.kind = EFFECT_MEMORY;
        f.arg[0] = CODE_AT + rng_below(r, CODE_BYTES - 8);
        f.byte_count = 4;
        fuzz_fill(r, f.bytes, 4);
        break;
    case 4:
        f.kind = EFFECT_STALL;
        f.arg[0] = rng_below(r, CYCLES);
        f.arg[1] = rng_below(r, 300);
        break;
    default:
        f.kind = EFFECT_INTERRUPT_RANGE;
        f.arg[0] = CODE_AT + rng_below(r, CODE_BYTES);
        f.arg[1] = f.arg[0] + 8;
        f.arg[2] = 32 + rng_below(r, 200);
        break;
    }
    sim_effect(s, &f, NULL);
}

/* Runs a case up to a moment; cuts: also stop at every so many cycles. */
static enum sim_stop run_until(struct sim *s, const struct plan *p, uint64_t end, uint64_t cuts)
{
    struct rng r;
    enum sim_stop stop = SIM_STOP_CYCLES;
    rng_init(&r, p->effect_seed, 0);
    for (uint64_t slice = 1; slice <= SLICES && stop == SIM_STOP_CYCLES; slice++) {
        uint64_t to = CYCLES / SLICES * slice;
        for (uint64_t at = sim_cycles(s); cuts && at + cuts < to && at < end && stop == SIM_STOP_CYCLES;
             at += cuts) {
            stop = sim_run(s, at + cuts < end ? at + cuts : end);
        }
        if (stop == SIM_STOP_CYCLES) {
            stop = sim_run(s, to < end ? to : end);
        }
        if (to >= end) {
            break;
        }
        if (p->effects) {
            apply_effects(s, &r);
        }
    }
    return stop;
}

/* ---- the oracle ---- */

struct variant {
    const char *name;
    bool single;
    uint64_t cuts;
};

static bool alike(struct sim *a, enum sim_stop stop_a, struct digest b, enum sim_stop stop_b,
                  uint64_t cycles_b)
{
    return stop_a == stop_b && sim_cycles(a) == cycles_b && digest_equal(sim_state_hash(a), b);
}

static bool differ_at(const struct plan *p, const struct variant *v, uint64_t end, bool print)
{
    struct sim *a = make_machine(p, false), *b = make_machine(p, v->single);
    enum sim_stop stop_a = run_until(a, p, end, 0), stop_b = run_until(b, p, end, v->cuts);
    bool same = alike(a, stop_a, sim_state_hash(b), stop_b, sim_cycles(b));
    if (print) {
        struct state_buffer buffer = {0};
        char where[200] = "";
        sim_save(a, VISIT_MACHINE, &buffer);
        buffer.position = 0;
        bool differs = sim_differs(b, VISIT_MACHINE, &buffer, where, sizeof where);
        print_message("until cycle %llu: %s; blocks: %s at %llu; %s: %s at %llu\n", (unsigned long long)end,
                      differs ? where
                      : same  ? "the same"
                              : "in RAM or cycles",
                      sim_stop_name(stop_a), (unsigned long long)sim_cycles(a), v->name,
                      sim_stop_name(stop_b), (unsigned long long)sim_cycles(b));
        state_buffer_deinit(&buffer);
        for (unsigned i = 0; i < p->config.cpus; i++) {
            char text[2][100];
            struct sim_regs r[2];
            sim_get_regs(a, i, &r[0]);
            sim_get_regs(b, i, &r[1]);
            sim_disassemble(a, i, lin(a->cpus[i].seg[SEG_CS].base + r[0].rip), text[0], 100);
            sim_disassemble(b, i, lin(b->cpus[i].seg[SEG_CS].base + r[1].rip), text[1], 100);
            print_message(
                "  cpu %u: cr0 %llx cr3 %llx cr4 %llx efer %llx cs %x:%llx rflags %llx, code at %llx\n", i,
                (unsigned long long)r[0].cr0, (unsigned long long)r[0].cr3, (unsigned long long)r[0].cr4,
                (unsigned long long)r[0].efer, r[0].selector[1],
                (unsigned long long)a->cpus[i].seg[SEG_CS].base, (unsigned long long)r[0].rflags,
                (unsigned long long)a->cpus[i].fetch.phys_page);
            print_message("  cpu %u: blocks %llx %s (clock %llu) | other %llx %s (clock %llu)\n", i,
                          (unsigned long long)r[0].rip, text[0], (unsigned long long)r[0].clock_cycles,
                          (unsigned long long)r[1].rip, text[1], (unsigned long long)r[1].clock_cycles);
        }
    }
    sim_destroy(a);
    sim_destroy(b);
    return !same;
}

static void print_plan(const struct plan *p)
{
    print_message("start %s%s, %u cpus, board %s, %s, %s (%u), effects %u, bytes %s\n", start_names[p->start],
                  p->user ? " user" : "", p->config.cpus, p->config.board == BOARD_PC ? "pc" : "microvm",
                  p->config.engine == ENGINE_FAST ? "fast" : "timed",
                  p->config.memory_model == MODEL_TSO ? "tso" : "sc", p->config.store_capacity, p->effects,
                  p->flat_bytes ? "random" : "made");
}

/* Finds the first cycle at which the two ways differ (a difference that stays, as they do). */
static void explain(const struct plan *p, const struct variant *v)
{
    uint64_t low = 0, high = CYCLES;
    print_plan(p);
    while (low + 1 < high) {
        uint64_t middle = (low + high) / 2;
        if (differ_at(p, v, middle, false)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    differ_at(p, v, low, true);
    differ_at(p, v, high, true);
}

static const struct variant variants[] = {
    {"one by one", true, 0},
    {"cut", false, 97},
};

static unsigned stops[SIM_STOP_NOT_MODELLED + 1];
static uint64_t total_instructions;

static bool compare(struct plan *p, const struct variant *v, enum sim_stop stop, uint64_t cycles,
                    struct digest hash)
{
    struct sim *other = make_machine(p, v->single);
    enum sim_stop other_stop = run_until(other, p, CYCLES, v->cuts);
    bool same = alike(other, other_stop, hash, stop, cycles);
    sim_destroy(other);
    if (!same) {
        explain(p, v);
        print_message("blocks and %s differ; again with: %s", v->name, fuzz_command);
    }
    return same;
}

static void guest_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    struct plan *p = malloc(sizeof *p);
    assert_non_null(p);
    make_plan(r, p);
    if (getenv("VERBOSE")) {
        print_plan(p);
    }
    struct sim *s = make_machine(p, false);
    enum sim_stop stop = run_until(s, p, CYCLES, 0);
    if (getenv("VERBOSE")) {
        print_message("%s: %s\n", sim_stop_name(stop), sim_stop_text(s));
    }
    stops[stop]++;
    total_instructions += sim_instructions(s);
    struct digest hash = sim_state_hash(s);
    uint64_t cycles = sim_cycles(s);
    sim_destroy(s);
    unsigned same = 0, count = sizeof variants / sizeof variants[0];
    for (unsigned i = 0; i < count; i++) {
        same += compare(p, &variants[i], stop, cycles, hash);
    }
    free(p);
    *(unsigned *)arg += same != count;
}

static void random_guests_end_alike_in_blocks_and_one_by_one(void **state)
{
    unsigned different = 0;
    (void)state;
    fuzz_run("guest", 100, guest_case, &different);
    for (unsigned i = 0; i <= SIM_STOP_NOT_MODELLED; i++) {
        if (stops[i]) {
            printf("  %u ended with: %s\n", stops[i], sim_stop_name((enum sim_stop)i));
        }
    }
    printf("  %llu instructions\n", (unsigned long long)total_instructions);
    assert_int_equal(different, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_guests_end_alike_in_blocks_and_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
