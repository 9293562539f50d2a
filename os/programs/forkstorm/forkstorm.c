/*
 * forkstorm: a tree of processes. Each child checks what it inherited, writes to its copy, runs its part of
 * the tree and ends with a status its parent can work out; each parent checks the statuses and that its own
 * memory stayed as it was. The latencies are those of the root's own children, from before fork to after
 * wait.
 */
#include <stdbool.h>

#include "lib/orrery.h"

#define WORK_PAGES     4u
#define PAGE_BYTES     4096u
#define WORDS_PER_PAGE (PAGE_BYTES / sizeof(uint64_t))
#define BREADTH_MAX    64u
#define PROCESSES_MAX  100000u
#define DEPTH_MAX      32u
#define STATUS_BROKEN  255

static uint64_t work[WORK_PAGES * WORDS_PER_PAGE] __attribute__((aligned(PAGE_BYTES)));

static struct {
    unsigned processes;
    unsigned depth;
    unsigned breadth;
} options = {.processes = 1000, .depth = 1, .breadth = 8};

static struct {
    uint64_t *samples; /* cycles, root only */
    unsigned count;
    unsigned wrong;
} result;

static int expected_status(unsigned serial, unsigned depth)
{
    return (int)((serial * 7 + depth) % 100);
}

static void fill(uint64_t value)
{
    for (unsigned page = 0; page < WORK_PAGES; page++) {
        work[page * WORDS_PER_PAGE] = value + page;
    }
}

static bool filled(uint64_t value)
{
    for (unsigned page = 0; page < WORK_PAGES; page++) {
        if (work[page * WORDS_PER_PAGE] != value + page) {
            return false;
        }
    }
    return true;
}

static bool run_tree(unsigned processes, unsigned depth, uint64_t mark, bool root);

static _Noreturn void child(unsigned serial, unsigned processes, unsigned depth, uint64_t parent_mark)
{
    uint64_t mark = parent_mark * 31 + serial + 1;
    bool good = filled(parent_mark);
    fill(mark);
    good = good && filled(mark);
    good = run_tree(processes, depth - 1, mark, false) && good && filled(mark);
    sys_exit(good ? expected_status(serial, depth) : STATUS_BROKEN);
}

struct slot {
    int64_t pid;
    unsigned serial;
    uint64_t started;
};

static bool wait_one(struct slot *slots, unsigned count, unsigned depth, bool root)
{
    int32_t status = 0;
    int64_t pid = sys_wait(0, &status, 0);
    uint64_t now = cycles();
    for (unsigned i = 0; i < count; i++) {
        if (slots[i].pid != pid) {
            continue;
        }
        slots[i].pid = 0;
        if (root) {
            result.samples[result.count++] = now - slots[i].started;
        }
        if (status != expected_status(slots[i].serial, depth)) {
            result.wrong++;
            return false;
        }
        return true;
    }
    result.wrong++;
    return false; /* a child nobody started, or none at all */
}

/* Makes `processes` descendants: `breadth` at a time, on the last level as many rounds as it takes. */
static bool run_tree(unsigned processes, unsigned depth, uint64_t mark, bool root)
{
    struct slot slots[BREADTH_MAX] = {{0}};
    unsigned serial = 0;
    bool good = true;
    while (processes != 0 && depth != 0) {
        unsigned children = processes < options.breadth ? processes : options.breadth;
        unsigned rest = depth > 1 ? processes - children : 0;
        for (unsigned i = 0; i < children; i++) {
            unsigned share = rest / children + (i < rest % children);
            /* cppcheck-suppress unknownEvaluationOrder ; one side effect */
            slots[i] = (struct slot){.serial = serial++, .started = cycles()};
            slots[i].pid = sys_fork();
            if (slots[i].pid == 0) {
                child(slots[i].serial, share, depth, mark);
            }
            if (slots[i].pid < 0) {
                print("forkstorm: fork: %s\n", status_text((status_t)slots[i].pid));
                result.wrong++;
                good = false;
            }
        }
        for (unsigned i = 0; i < children; i++) {
            good = (slots[i].pid < 0 || wait_one(slots, children, depth, root)) && good;
        }
        processes -= children + rest;
    }
    return good;
}

static void sift_down(uint64_t *values, unsigned root, unsigned count)
{
    for (unsigned child_index; (child_index = 2 * root + 1) < count; root = child_index) {
        child_index += child_index + 1 < count && values[child_index + 1] > values[child_index];
        if (values[root] >= values[child_index]) {
            return;
        }
        uint64_t swap = values[root];
        values[root] = values[child_index];
        values[child_index] = swap;
    }
}

static void heap_sort(uint64_t *values, unsigned count)
{
    for (unsigned i = count / 2; i-- > 0;) {
        sift_down(values, i, count);
    }
    for (unsigned end = count; end-- > 1;) {
        uint64_t swap = values[0];
        values[0] = values[end];
        values[end] = swap;
        sift_down(values, 0, end);
    }
}

static void print_result(bool good)
{
    print("forkstorm: processes %u depth %u breadth %u\n", options.processes, options.depth, options.breadth);
    print("forkstorm: wrong %u\n", result.wrong);
    if (result.count != 0) {
        heap_sort(result.samples, result.count);
        print("forkstorm: latency cycles samples %10u\n", result.count);
        print("forkstorm: latency cycles min     %10llu\n", (unsigned long long)result.samples[0]);
        print("forkstorm: latency cycles p50     %10llu\n",
              (unsigned long long)result.samples[result.count / 2]);
        print("forkstorm: latency cycles p99     %10llu\n",
              (unsigned long long)result.samples[(uint64_t)result.count * 99 / 100]);
        print("forkstorm: latency cycles max     %10llu\n",
              (unsigned long long)result.samples[result.count - 1]);
    }
    print("forkstorm: %s\n", good ? "passed" : "FAILED");
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        int64_t value = i + 1 < argc ? parse_number(argv[i + 1]) : -1;
        if (strcmp(argv[i], "--processes") == 0 && value > 0 && value <= PROCESSES_MAX) {
            options.processes = (unsigned)value;
        } else if (strcmp(argv[i], "--depth") == 0 && value > 0 && value <= DEPTH_MAX) {
            options.depth = (unsigned)value;
        } else if (strcmp(argv[i], "--breadth") == 0 && value > 0 && value <= BREADTH_MAX) {
            options.breadth = (unsigned)value;
        } else {
            print("usage: forkstorm [--processes 1..100000] [--depth 1..32] [--breadth 1..64]\n");
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        return 2;
    }
    result.samples = malloc(options.processes * sizeof(uint64_t));
    if (result.samples == NULL) {
        print("forkstorm: no memory\n");
        return 1;
    }
    const uint64_t mark = 0x5eed;
    fill(mark);
    bool good = run_tree(options.processes, options.depth, mark, true) && filled(mark);
    print_result(good);
    return good ? 0 : 1;
}
