/*
 * The benchmark guest: one loop of those in loops.c, chosen by the command line "NAME ROUNDS" (decimal).
 * Prints on the debug console (port 0xe9) the lines "begin", "end" and "checksum: HEX", then leaves through
 * the debug-exit port. Whoever times it takes the arrival of the first two lines.
 */
#include "loops.h"

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
};

#define CONSOLE_PORT 0xe9
#define EXIT_PORT    0xf4
#define EXIT_PASS    16
#define EXIT_FAIL    17

static void print(const char *text)
{
    for (; *text; text++) {
        out8(CONSOLE_PORT, (uint8_t)*text);
    }
}

static void print_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4) {
        out8(CONSOLE_PORT, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
    }
    print("\n");
}

static _Noreturn void leave(uint8_t code)
{
    out8(EXIT_PORT, code);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void bench_fault(uint64_t vector, uint64_t top_of_frame)
{
    print("fault: vector and top of the frame: ");
    print_hex(vector);
    print_hex(top_of_frame);
    leave(EXIT_FAIL);
}

/* The loop named at *text, which is moved behind the name; NULL when there is none. */
static const struct loop *find_loop(const char **text)
{
    for (const struct loop *l = loops; l->name; l++) {
        const char *a = l->name;
        const char *b = *text;
        while (*a && *a == *b) {
            a++;
            b++;
        }
        if (!*a && (*b == ' ' || !*b)) {
            *text = b;
            return l;
        }
    }
    return 0;
}

static uint64_t read_number(const char *text)
{
    uint64_t value = 0;
    while (*text == ' ') {
        text++;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value;
}

void bench_main(const struct start_info *info)
{
    const char *text = info->command_line ? (const char *)(uintptr_t)info->command_line : "";
    const struct loop *l = find_loop(&text);
    if (!l) {
        print("unknown loop\n");
        leave(EXIT_FAIL);
    }
    uint64_t rounds = read_number(text);
    l->prepare();
    print("begin\n");
    uint64_t checksum = l->run(rounds);
    print("end\nchecksum: ");
    print_hex(checksum);
    leave(EXIT_PASS);
}
