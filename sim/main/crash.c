/*
 * The crash report. The back-trace follows frame pointers (RBP chains) and stops at the first that is unreadable or
 * does not ascend. Deviations: code built without frame pointers shows only its innermost function.
 */

#include "main/crash.h"

#include "base/bits.h"

#define FRAMES_MAX 32u

/* The general registers come first, by number. */
static const char *const register_names[] = {
#define NAME(word, value) word,
#include "script/names_registers.def"
#undef NAME
};

static void print_registers(FILE *out, const struct sim_regs *r)
{
    for (unsigned i = 0; i < 16; i++) {
        fprintf(out, "%s%-3s %016llx%s", i % 4 ? "  " : "  ", register_names[i],
                (unsigned long long)r->gpr[i], i % 4 == 3 ? "\n" : "");
    }
    fprintf(out, "  rip %016llx  rfl %016llx  cr0 %016llx  cr2 %016llx\n", (unsigned long long)r->rip,
            (unsigned long long)r->rflags, (unsigned long long)r->cr0, (unsigned long long)r->cr2);
    fprintf(out, "  cr3 %016llx  cr4 %016llx  cs %04x ss %04x  cpl %u  %u-bit code\n",
            (unsigned long long)r->cr3, (unsigned long long)r->cr4, r->selector[1], r->selector[2], r->cpl,
            r->code_bits);
}

static void print_frame(FILE *out, const struct symbols *symbols, unsigned depth, uint64_t address)
{
    char text[256];
    symbols_describe(symbols, address, text, sizeof text);
    fprintf(out, "  #%-2u %016llx %s\n", depth, (unsigned long long)address, text);
}

static void print_backtrace(FILE *out, const struct sim *s, const struct symbols *symbols, unsigned cpu,
                            const struct sim_regs *r)
{
    uint64_t frame = r->gpr[5];
    print_frame(out, symbols, 0, r->linear_rip);
    for (unsigned depth = 1; depth < FRAMES_MAX && r->code_bits == 64; depth++) {
        uint8_t words[16];
        if (!sim_read_linear(s, cpu, lin(frame), words, sizeof words) || load_le64(words + 8) == 0) {
            break;
        }
        print_frame(out, symbols, depth,
                    load_le64(words + 8) - 1); /* the call, not the instruction after it */
        if (load_le64(words) <= frame) {
            break;
        }
        frame = load_le64(words);
    }
}

void crash_print(FILE *out, const struct sim *s, const struct symbols *symbols, unsigned cpu)
{
    struct sim_regs r;
    char text[128];
    sim_get_regs(s, cpu, &r);
    fprintf(out, "cpu %u at cycle %llu, %llu instructions retired\n", cpu, (unsigned long long)r.clock_cycles,
            (unsigned long long)r.retired);
    print_registers(out, &r);
    if (sim_disassemble(s, cpu, lin(r.linear_rip), text, sizeof text)) {
        fprintf(out, "  at rip: %s\n", text);
    }
    print_backtrace(out, s, symbols, cpu, &r);
}
