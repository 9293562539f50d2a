/*
 * The task as a process of Linux: memory where the task wants it, one CPU, faults of blocks answered by BLOCK_PAGE's memory.
 *   host IMAGE SAMPLES TIER [FIRST COUNT [ARENA_MIB]]     host IMAGE list     host IMAGE machine
 * Prints a line a job or block: what guest/guest.c prints as well, in the same words.
 */
#define _GNU_SOURCE
#include "fidelity.h"

#include <cpuid.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define LARGE_PAGE 0x200000ul

static const struct task_header *header;
static int block_memory;
static bool block_runs;
static uint64_t block_pages[BLOCK_FAULTS];
static unsigned block_page_count;

static _Noreturn void leave(const char *what)
{
    perror(what);
    exit(2);
}

static void *map_at(uint64_t address, uint64_t size, int protection, int flags, int file)
{
    void *wanted = (void *)(uintptr_t)address;
    void *got = mmap(wanted, size, protection, flags | MAP_FIXED_NOREPLACE, file, 0);
    if (got != wanted) {
        leave("mmap");
    }
    return got;
}

static void load_image(const char *path)
{
    void *image =
        map_at(TASK_BASE, TASK_SPACE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int file = open(path, O_RDONLY);
    if (file < 0 || read(file, image, TASK_SPACE) <= (ssize_t)sizeof(struct task_header)) {
        leave(path);
    }
    close(file);
    header = image;
    if (header->magic != TASK_MAGIC) {
        fprintf(stderr, "%s: no image of the task\n", path);
        exit(2);
    }
}

/* Bytes of huge pages behind the memory at address, as the kernel says. */
static uint64_t huge_bytes(uint64_t address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    uint64_t start, end, kib = 0;
    bool inside = false;
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2 &&
            strchr(line, '-') < strchr(line, ' ')) {
            inside = start <= address && address < end;
        } else if (inside && sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1) {
            break;
        }
    }
    if (maps) {
        fclose(maps);
    }
    return kib << 10;
}

/* The pages of 2 MiB: reserved ones, or those the kernel makes of ordinary memory, or none. */
static const char *map_large(uint64_t size)
{
    void *wanted = (void *)(uintptr_t)LARGE_BASE;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(wanted, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB | MAP_POPULATE, -1, 0) == wanted) {
        return "hugetlb";
    }
    map_at(LARGE_BASE, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    madvise(wanted, size, MADV_HUGEPAGE);
    for (uint64_t i = 0; i < size; i += LARGE_PAGE) {
        ((volatile char *)wanted)[i] = 0;
    }
    return huge_bytes(LARGE_BASE) >= size ? "thp" : "none";
}

static void map_memory(uint64_t arena)
{
    map_at(CODE_BASE, CODE_SPACE, PROT_READ | PROT_WRITE | PROT_EXEC,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
    void *small = map_at(SMALL_BASE, arena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    madvise(small, arena, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < arena; i += 4096) {
        ((volatile char *)small)[i] = 0;
    }
    printf("large %s\n", map_large(arena));
    block_memory = memfd_create("block", 0);
    if (block_memory < 0 || ftruncate(block_memory, 4096)) {
        leave("memfd_create");
    }
    map_at(BLOCK_PAGE, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, block_memory);
}

/* A block touched memory, or did something else: it gets the page, or is ended. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    uint64_t page = (uint64_t)(uintptr_t)info->si_addr & ~4095ul;
    ucontext_t *at = context;
    if (!block_runs) {
        _exit(128 + number);
    }
    if (number == SIGSEGV && info->si_code == SEGV_MAPERR && block_page_count < BLOCK_FAULTS &&
        page >= BLOCK_LOWEST && page < BLOCK_HIGHEST) {
        void *wanted = (void *)(uintptr_t)page;
        if (mmap(wanted, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, block_memory, 0) ==
            wanted) {
            block_pages[block_page_count++] = page;
            return;
        }
    }
    at->uc_mcontext.gregs[REG_RIP] = (greg_t)header->give_up;
}

static void catch_faults(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    for (const int *s = (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, 0}; *s; s++) {
        sigaction(*s, &action, NULL);
    }
}

/* The CPU this runs on, for good; on one that the caller may use. */
static void stay(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void print_outcome(uint64_t index)
{
    const struct outcome *o = (const struct outcome *)(uintptr_t)header->outcome;
    printf("run %" PRIx64 " %x %" PRIx64 " %x", index, o->given_up, o->result, block_page_count);
    for (uint32_t i = 0; i < o->samples; i++) {
        const struct sample *s = &o->sample[i];
        printf(" %x,%x,%x,%x", s->before, s->once, s->twice, s->after);
    }
    printf("\n");
    fflush(stdout);
}

static void run(uint64_t index, uint64_t samples)
{
    block_page_count = 0;
    block_runs = index >= header->job_count;
    ((void (*)(uint64_t, uint64_t))(uintptr_t)header->run)(index, samples);
    block_runs = false;
    print_outcome(index);
    while (block_page_count) {
        munmap((void *)(uintptr_t)block_pages[--block_page_count], 4096);
    }
}

static void list(void)
{
    const struct job *jobs = (const struct job *)(uintptr_t)header->jobs;
    for (uint64_t i = 0; i < header->job_count; i++) {
        printf("job %" PRIu64 " %u %s %u %u %" PRIu64 " %u\n", i, jobs[i].tier, jobs[i].name,
               jobs[i].repetitions, jobs[i].operations, jobs[i].bytes, jobs[i].large);
    }
    printf("blocks %" PRIu64 " %" PRIu64 "\n", header->job_count, block_count(header));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double ticks_per_second(void)
{
    double begin = now(), end = begin;
    uint64_t ticks = __builtin_ia32_rdtsc();
    while (end - begin < 0.25) {
        end = now();
    }
    return (double)(__builtin_ia32_rdtsc() - ticks) / (end - begin);
}

/* What CPUID says, which a hypervisor may have changed. */
static void print_machine(void)
{
    uint32_t brand[13] = {0}, leaf[4], vendor[4] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        __cpuid(0x80000002 + i, brand[4 * i], brand[4 * i + 1], brand[4 * i + 2], brand[4 * i + 3]);
    }
    __cpuid(0, leaf[0], vendor[0], vendor[2], vendor[1]);
    printf("vendor: %s\nbrand: %s\n", (const char *)vendor, (const char *)brand);
    __cpuid(1, leaf[0], leaf[1], leaf[2], leaf[3]);
    uint32_t family = leaf[0] >> 8 & 15, model = leaf[0] >> 4 & 15;
    model += family == 6 || family == 15 ? leaf[0] >> 12 & 0xf0 : 0;
    family += family == 15 ? leaf[0] >> 20 & 0xff : 0;
    printf("family: %u\nmodel: %u\nstepping: %u\n", family, model, leaf[0] & 15);
    memset(vendor, 0, sizeof vendor);
    if (leaf[2] >> 31) {
        __cpuid(0x40000000, leaf[0], vendor[0], vendor[1], vendor[2]);
    }
    printf("hypervisor: %s\n", vendor[0] ? (const char *)vendor : "none");
    printf("tsc-mhz: %.1f\n", ticks_per_second() * 1e-6);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr,
                "usage: host IMAGE list|machine | host IMAGE SAMPLES TIER [FIRST COUNT [ARENA_MIB]]\n");
        return 2;
    }
    load_image(argv[1]);
    if (!strcmp(argv[2], "list")) {
        list();
        return 0;
    }
    if (!strcmp(argv[2], "machine")) {
        stay();
        print_machine();
        return 0;
    }
    uint64_t samples = strtoull(argv[2], NULL, 10);
    uint64_t tier = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    uint64_t first = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    uint64_t count = argc > 5 ? strtoull(argv[5], NULL, 10) : UINT64_MAX;
    uint64_t arena = (argc > 6 ? strtoull(argv[6], NULL, 10) : 128) << 20;
    stay();
    map_memory(arena);
    catch_faults();
    run_jobs(header, &(struct chosen){tier, first, count, arena}, samples, run);
    printf("end\n");
    return 0;
}
