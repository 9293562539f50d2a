/*
 * The benchmark guest: one loop of those in loops.c, chosen by the command line "NAME ROUNDS [VCPUS]" (decimal). With more than
 * one vCPU each runs the loop, at the same time, in a copy of the whole program that only it has. Prints on the debug console (port 0xe9) the lines "begin", "end" and "checksum: HEX", then leaves through
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

/* The number at *text, which is moved behind it; 0 when there is none. */
static uint64_t read_number(const char **text)
{
    uint64_t value = 0;
    while (**text == ' ') {
        ++*text;
    }
    for (; **text >= '0' && **text <= '9'; ++*text) {
        value = value * 10 + (uint64_t)(**text - '0');
    }
    return value;
}

/* ---- several vCPUs ---- */

/* At SHARED_BASE. */
struct meeting {
    _Alignas(64) volatile uint32_t prepared;
    _Alignas(64) volatile uint32_t go;
    _Alignas(64) volatile uint32_t ended;
    volatile uint64_t checksums[VCPUS_MAX];
};

static struct meeting *const meeting = (struct meeting *)SHARED_BASE;

/* Set before the copies are made. */
static const struct loop *chosen;
static uint64_t chosen_rounds;

static void count_in(volatile uint32_t *counter)
{
    __asm__ volatile("lock incl %0" : "+m"(*counter) : : "memory");
}

static void wait_for(const volatile uint32_t *counter, uint32_t value)
{
    while (*counter != value) {
        __asm__ volatile("pause" ::: "memory");
    }
}

/* The memory of vCPU n lies OWN_PAGES * n + n pages up; it sees it where the first one sees its own. */
static void make_tables(uint32_t n)
{
    enum { PRESENT_WRITE = 3, LARGE = 0x80, APIC_DIRECTORY = 3 };
    uint64_t(*t)[512] = other_tables[n - 1];
    t[0][0] = (uint64_t)(uintptr_t)t[1] | PRESENT_WRITE;
    t[1][0] = (uint64_t)(uintptr_t)t[2] | PRESENT_WRITE;
    t[1][APIC_DIRECTORY] = (uint64_t)(uintptr_t)pd_apic | PRESENT_WRITE;
    for (uint64_t page = 0; page < OWN_PAGES; page++) {
        t[2][page] = ((OWN_PAGES + 1) * n + page) * LARGE_PAGE | PRESENT_WRITE | LARGE;
    }
    t[2][SHARED_BASE / LARGE_PAGE] = SHARED_BASE | PRESENT_WRITE | LARGE;
}

static void copy_memory(uint64_t to, uint64_t from, uint64_t end)
{
    for (uint64_t at = from; at < end; at += 8) {
        *(uint64_t *)(to + at) = *(const uint64_t *)at;
    }
}

static void wait_cycles(uint32_t cycles)
{
    uint32_t low, high, first;
    __asm__ volatile("rdtsc" : "=a"(first), "=d"(high));
    do {
        __asm__ volatile("pause; rdtsc" : "=a"(low), "=d"(high));
    } while (low - first < cycles);
}

static void start_others(uint32_t vcpus)
{
    volatile uint32_t *apic = (volatile uint32_t *)APIC_BASE;
    enum { TRAMPOLINE = 0x8000, ENABLE = 0xf0 / 4, COMMAND = 0x300 / 4 };
    for (uint64_t i = 0; i < (uint64_t)(trampoline_end - trampoline); i++) {
        ((volatile unsigned char *)TRAMPOLINE)[i] = trampoline[i];
    }
    for (uint32_t n = 1; n < vcpus; n++) {
        make_tables(n);
        copy_memory((OWN_PAGES + 1) * (uint64_t)n * LARGE_PAGE, 0x100000, (uint64_t)(uintptr_t)bss_end);
    }
    apic[ENABLE] = 0x100 | SPURIOUS_VECTOR;
    apic[COMMAND] = 0xc4500; /* INIT to all others */
    wait_cycles(1000000);
    apic[COMMAND] = 0xc4600 | TRAMPOLINE >> 12;
}

void bench_other(uint32_t number)
{
    chosen->prepare();
    count_in(&meeting->prepared);
    wait_for(&meeting->go, 1);
    meeting->checksums[number + 1] = chosen->run(chosen_rounds);
    count_in(&meeting->ended);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Runs the loop on all of them; returns the checksum of the first. */
static uint64_t run_all(uint32_t vcpus)
{
    chosen->prepare();
    wait_for(&meeting->prepared, vcpus - 1);
    print("begin\n");
    meeting->go = 1;
    uint64_t checksum = chosen->run(chosen_rounds);
    wait_for(&meeting->ended, vcpus - 1);
    print("end\nchecksum: ");
    for (uint32_t n = 1; n < vcpus; n++) {
        if (meeting->checksums[n] != checksum) {
            print("another one: ");
            print_hex(meeting->checksums[n]);
            leave(EXIT_FAIL);
        }
    }
    return checksum;
}

void bench_main(const struct start_info *info)
{
    const char *text = info->command_line ? (const char *)(uintptr_t)info->command_line : "";
    chosen = find_loop(&text);
    if (!chosen) {
        print("unknown loop\n");
        leave(EXIT_FAIL);
    }
    chosen_rounds = read_number(&text);
    uint64_t vcpus = read_number(&text);
    if (vcpus > VCPUS_MAX) {
        print("too many vCPUs\n");
        leave(EXIT_FAIL);
    }
    if (vcpus > 1) {
        start_others((uint32_t)vcpus);
    }
    print_hex(run_all(vcpus > 1 ? (uint32_t)vcpus : 1));
    leave(EXIT_PASS);
}
