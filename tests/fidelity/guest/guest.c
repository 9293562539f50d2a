/*
 * The task on a bare machine: its image is the first module, the command line "SAMPLES TIER FIRST COUNT ARENA_MIB"
 * (decimal). Gives the task in ring 3 the memory that fidelity.h says and prints on the debug console what host.c prints.
 */
#include "guest.h"

#include "../../guest/ports.h"
#include "../fidelity.h"

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
};

struct module {
    uint64_t address, size, command_line, reserved;
};

#define CONSOLE_PORT 0xe9
#define EXIT_PORT    0xf4
#define EXIT_PASS    16
#define EXIT_FAIL    17
#define PAGE         4096ul
#define LARGE_PAGE   0x200000ul
#define ADDRESS      0x000ffffffffff000
#define MAX_FRAMES   131072 /* of the arena in pages of 4 KiB */
#define ALL          (PRESENT | WRITABLE | USER)

static const struct task_header *header;
static uint64_t free_memory = LOW_END; /* physical; what lies behind is nobody's yet */
static uint64_t block_frame;
static uint64_t block_pages[BLOCK_FAULTS];
static unsigned block_page_count;
static int block_runs;
static uint32_t scattered[MAX_FRAMES];

static void print(const char *text)
{
    for (; *text; text++) {
        out8(CONSOLE_PORT, (uint8_t)*text);
    }
}

static void print_hex(const char *before, uint64_t value)
{
    int shift = 60;
    print(before);
    while (shift && !(value >> shift)) {
        shift -= 4;
    }
    for (; shift >= 0; shift -= 4) {
        out8(CONSOLE_PORT, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
    }
}

static _Noreturn void leave(uint8_t code)
{
    out8(EXIT_PORT, code);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static _Noreturn void give_up(const char *why)
{
    print(why);
    print("\n");
    leave(EXIT_FAIL);
}

static uint64_t take_memory(uint64_t size, uint64_t alignment)
{
    uint64_t at = (free_memory + alignment - 1) & ~(alignment - 1);
    free_memory = at + size;
    return at;
}

static uint64_t *table_at(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)(DIRECT_MAP + (entry & ADDRESS));
}

/* The entry that maps a page of 4 KiB, or of 2 MiB; tables that are missing are made. Memory is zero at the start. */
static uint64_t *entry_of(uint64_t address, int large)
{
    uint64_t *table = top_table;
    for (int shift = 39; shift > (large ? 21 : 12); shift -= 9) {
        uint64_t *entry = &table[address >> shift & 511];
        if (!*entry) {
            *entry = take_memory(PAGE, PAGE) | ALL;
        }
        table = table_at(*entry);
    }
    return &table[address >> (large ? 21 : 12) & 511];
}

static void map_range(uint64_t address, uint64_t physical, uint64_t size)
{
    for (uint64_t i = 0; i < size; i += PAGE) {
        *entry_of(address + i, 0) = (physical + i) | ALL;
    }
}

/* Pages of 4 KiB lie as they come in a system that has run for a while: anywhere. */
static void map_arenas(uint64_t size)
{
    uint32_t frames = (uint32_t)(size / PAGE);
    uint64_t random = 0x9e3779b97f4a7c15;
    uint64_t small = take_memory(size, PAGE);
    uint64_t large = take_memory(size, LARGE_PAGE);
    if (frames > MAX_FRAMES) {
        give_up("the arena is too large");
    }
    for (uint32_t i = 0; i < frames; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t other = (uint32_t)((random >> 32) * (i + 1) >> 32);
        scattered[i] = scattered[other];
        scattered[other] = i;
    }
    for (uint32_t i = 0; i < frames; i++) {
        *entry_of(SMALL_BASE + i * PAGE, 0) = (small + scattered[i] * PAGE) | ALL;
    }
    for (uint64_t i = 0; i < size; i += LARGE_PAGE) {
        *entry_of(LARGE_BASE + i, 1) = (large + i) | ALL | LARGE;
    }
}

static void map_task(const struct module *image)
{
    uint64_t task = take_memory(TASK_SPACE, PAGE);
    const uint64_t *from = (const uint64_t *)(uintptr_t)(DIRECT_MAP + image->address);
    uint64_t *to = (uint64_t *)(uintptr_t)(DIRECT_MAP + task);
    if (image->address < task + TASK_SPACE || image->size > TASK_SPACE) {
        give_up("the image is in the way");
    }
    for (uint64_t i = 0; i < (image->size + 7) / 8; i++) {
        to[i] = from[i];
    }
    map_range(TASK_BASE, task, TASK_SPACE);
    map_range(CODE_BASE, take_memory(CODE_SPACE, PAGE), CODE_SPACE);
    map_range(STACK_TOP - 0x10000, take_memory(0x10000, PAGE), 0x10000);
    block_frame = take_memory(PAGE, PAGE);
    map_range(BLOCK_PAGE, block_frame, PAGE);
    header = (const struct task_header *)(uintptr_t)TASK_BASE;
    if (header->magic != TASK_MAGIC) {
        give_up("the module is no image of the task");
    }
}

/* A block touched memory, or did something else: it gets the page, or is ended. */
void guest_trap(struct trap *t)
{
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    uint64_t page = address & ~(PAGE - 1);
    if (t->cs != USER_CODE || !block_runs) {
        print_hex("trap ", t->vector);
        print_hex(" at ", t->rip);
        print_hex(" address ", address);
        give_up("");
    }
    if (t->vector == VECTOR_PAGE_FAULT && !(t->error & PRESENT) && block_page_count < BLOCK_FAULTS &&
        page >= BLOCK_LOWEST && page < BLOCK_HIGHEST) {
        *entry_of(page, 0) = block_frame | ALL;
        block_pages[block_page_count++] = page;
    } else {
        t->rip = header->give_up;
    }
}

static void print_outcome(uint64_t index)
{
    const struct outcome *o = (const struct outcome *)(uintptr_t)header->outcome;
    print_hex("run ", index);
    print_hex(" ", o->given_up);
    print_hex(" ", o->result);
    print_hex(" ", block_page_count);
    for (uint32_t i = 0; i < o->samples; i++) {
        print_hex(" ", o->sample[i].before);
        print_hex(",", o->sample[i].once);
        print_hex(",", o->sample[i].twice);
        print_hex(",", o->sample[i].after);
    }
    print("\n");
}

static void run(uint64_t index, uint64_t samples)
{
    uint64_t *top = (uint64_t *)(uintptr_t)(STACK_TOP - 8);
    *top = header->finished;
    block_page_count = 0;
    block_runs = index >= header->job_count;
    enter_user(header->run, STACK_TOP - 8, index, samples);
    block_runs = 0;
    print_outcome(index);
    while (block_page_count) {
        uint64_t page = block_pages[--block_page_count];
        *entry_of(page, 0) = 0;
        __asm__ volatile("invlpg (%0)" ::"r"(page) : "memory");
    }
}

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

void guest_main(const struct start_info *info)
{
    const char *text = (const char *)(uintptr_t)(DIRECT_MAP + info->command_line);
    if (!info->module_count || !info->command_line) {
        give_up("no module, or no command line");
    }
    uint64_t samples = read_number(&text);
    uint64_t tier = read_number(&text);
    uint64_t first = read_number(&text);
    uint64_t count = read_number(&text);
    uint64_t arena = read_number(&text) << 20;
    map_task((const struct module *)(uintptr_t)(DIRECT_MAP + info->modules));
    map_arenas(arena);
    run_jobs(header, &(struct chosen){tier, first, count, arena}, samples, run);
    print("end\n");
    leave(EXIT_PASS);
}
