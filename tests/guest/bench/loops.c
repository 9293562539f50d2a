/*
 * What is measured. Each loop does one thing, keeps its result in a checksum, and takes the same number of
 * instructions on every machine. Memory is in plain arrays below 128 MiB, mapped in pages of 2 MiB.
 */
#include "loops.h"

#define GOLDEN          0x9e3779b97f4a7c15u
#define WORDS           512
#define NODE_BYTES      64
#define SMALL_NODES     (256 * 1024 / NODE_BYTES)
#define LARGE_NODES     (8 * 1024 * 1024 / NODE_BYTES)
#define SORT_COUNT      65536
#define INSERTION_LIMIT 8
#define SIEVE_BYTES     (1u << 20)
#define COPY_WORDS      (8u * 1024 * 1024 / 8)
#define SCRATCH_PORT    0x3ff /* scratch register of the first serial port: read back as written, no effect */
#define TIMER_TICKS     1000

struct node {
    struct node *next;
    uint8_t rest[NODE_BYTES - sizeof(struct node *)];
};

/* Nobody clears these: each loop fills what it reads. */
#define ARRAY __attribute__((section(".arrays"), aligned(4096)))

ARRAY static uint64_t words[WORDS];
ARRAY static struct node nodes[LARGE_NODES];
ARRAY static uint32_t order[LARGE_NODES];
ARRAY static uint32_t numbers[SORT_COUNT];
ARRAY static uint8_t composite[SIEVE_BYTES];
ARRAY static uint64_t source[COPY_WORDS];
ARRAY static uint64_t target[COPY_WORDS];
ARRAY static uint64_t frames[WINDOW_PAGES][4096 / 8];
static uint64_t state;

/* Xorshift: the sequence of seed 1 is the same everywhere. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void prepare_nothing(void)
{
    state = 1;
}

/* ---- integer hashing: multiply, rotate, xor over 4 KiB ---- */

static void prepare_hash(void)
{
    state = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = next_random();
    }
}

static uint64_t run_hash(uint64_t rounds)
{
    uint64_t h = GOLDEN;
    for (uint64_t r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t k = words[i] * 0x87c37b91114253d5u;
            k = k << 31 | k >> 33;
            h ^= k * 0x4cf5ad432745937fu;
            h = (h << 27 | h >> 37) * 5 + 0x52dce729;
        }
    }
    return h;
}

/* ---- pointer chases: a random cycle of lines of 64 bytes ---- */

static void make_cycle(unsigned count)
{
    state = 1;
    for (unsigned i = 0; i < count; i++) {
        order[i] = i;
    }
    for (unsigned i = count - 1; i > 0; i--) { /* Sattolo: one cycle through all */
        unsigned j = (unsigned)(next_random() % i);
        uint32_t old = order[i];
        order[i] = order[j];
        order[j] = old;
    }
    for (unsigned i = 0; i < count; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % count]];
    }
}

static void prepare_chase_small(void)
{
    make_cycle(SMALL_NODES);
}

static void prepare_chase_large(void)
{
    make_cycle(LARGE_NODES);
}

static uint64_t run_chase(uint64_t rounds)
{
    const struct node *p = &nodes[0];
    for (uint64_t i = 0; i < rounds * 1024; i++) {
        p = p->next;
        __asm__ volatile("" : "+r"(p));
    }
    return (uint64_t)(p - nodes);
}

/* ---- quicksort of 65536 numbers ---- */

static void insertion_sort(uint32_t *a, long count)
{
    for (long i = 1; i < count; i++) {
        uint32_t value = a[i];
        long j = i;
        for (; j > 0 && a[j - 1] > value; j--) {
            a[j] = a[j - 1];
        }
        a[j] = value;
    }
}

static void quicksort(uint32_t *a, long count)
{
    while (count > INSERTION_LIMIT) {
        uint32_t pivot = a[count / 2];
        long i = -1;
        long j = count;
        for (;;) {
            do {
                i++;
            } while (a[i] < pivot);
            do {
                j--;
            } while (a[j] > pivot);
            if (i >= j) {
                break;
            }
            uint32_t old = a[i];
            a[i] = a[j];
            a[j] = old;
        }
        quicksort(a, j + 1);
        a += j + 1;
        count -= j + 1;
    }
    insertion_sort(a, count);
}

static uint64_t run_quicksort(uint64_t rounds)
{
    uint64_t sum = 0;
    for (uint64_t r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < SORT_COUNT; i++) {
            numbers[i] = (uint32_t)(next_random() >> 32);
        }
        quicksort(numbers, SORT_COUNT);
        for (unsigned i = 0; i < SORT_COUNT; i++) {
            sum = sum * 31 + numbers[i];
        }
    }
    return sum;
}

/* ---- unpredictable branches and indirect calls ---- */

static __attribute__((noinline)) uint64_t step_add(uint64_t x, uint64_t y)
{
    return x + y;
}

static __attribute__((noinline)) uint64_t step_rotate(uint64_t x, uint64_t y)
{
    return x << 9 ^ x >> 55 ^ y;
}

static __attribute__((noinline)) uint64_t step_choose(uint64_t x, uint64_t y)
{
    if (y & 0x1000) {
        return x - y;
    }
    return y & 0x2000 ? x ^ y : x * 3;
}

static __attribute__((noinline)) uint64_t step_count(uint64_t x, uint64_t y)
{
    for (uint64_t n = y >> 20 & 7; n > 0; n--) {
        x += x >> 3;
    }
    return x;
}

static __attribute__((noinline)) uint64_t step_call(uint64_t x, uint64_t y)
{
    return step_choose(step_add(x, y), y >> 16) + 1;
}

static uint64_t (*const volatile steps[8])(uint64_t, uint64_t) = {
    step_add, step_rotate, step_choose, step_count, step_call, step_rotate, step_add, step_choose,
};

static uint64_t run_branches(uint64_t rounds)
{
    uint64_t x = GOLDEN;
    uint64_t taken = 0;
    for (uint64_t i = 0; i < rounds * 1024; i++) {
        uint64_t y = next_random();
        x = steps[y >> 40 & 7](x, y);
        if (x & 0x40) {
            taken++;
        } else if (y & 0x400) {
            taken += 3;
        }
        if ((x ^ y) & 0x8000) {
            x += 7;
        }
    }
    return x ^ taken;
}

/* ---- sieve of Eratosthenes over 1 MiB ---- */

static uint64_t run_sieve(uint64_t rounds)
{
    uint64_t primes = 0;
    for (uint64_t r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < SIEVE_BYTES; i++) {
            composite[i] = 0;
        }
        for (unsigned i = 2; i < SIEVE_BYTES; i++) {
            if (composite[i]) {
                continue;
            }
            primes++;
            for (uint64_t j = (uint64_t)i * i; j < SIEVE_BYTES; j += i) {
                composite[j] = 1;
            }
        }
    }
    return primes;
}

/* ---- streaming copy of 8 MiB, word by word ---- */

static void prepare_copy(void)
{
    state = 1;
    for (unsigned i = 0; i < COPY_WORDS; i++) {
        source[i] = next_random();
    }
}

static uint64_t run_copy(uint64_t rounds)
{
    for (uint64_t r = 0; r < rounds; r++) {
        source[r % COPY_WORDS] += r;
        for (unsigned i = 0; i < COPY_WORDS; i += 4) {
            target[i] = source[i];
            target[i + 1] = source[i + 1];
            target[i + 2] = source[i + 2];
            target[i + 3] = source[i + 3];
        }
        __asm__ volatile("" : : : "memory");
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < COPY_WORDS; i++) {
        sum = sum * 31 + target[i];
    }
    return sum;
}

/* ---- page mapping: map, touch, take away, INVLPG ---- */

static void prepare_pages(void)
{
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        frames[i][0] = 0;
    }
}

static uint64_t run_pages(uint64_t rounds)
{
    uint64_t sum = 0;
    volatile uint64_t *table = window_table;
    for (uint64_t r = 0; r < rounds; r++) {
        uint64_t page = r % WINDOW_PAGES;
        uint64_t frame = r * 7 % WINDOW_PAGES;
        volatile uint64_t *at = (uint64_t *)(WINDOW_BASE + page * 4096);
        table[page] = (uint64_t)(uintptr_t)frames[frame] | 3;
        *at += r;
        sum = sum * 31 + *at;
        table[page] = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
    }
    return sum;
}

/* ---- interrupts of the local APIC's timer, waited for in HLT ---- */

static void prepare_timer(void)
{
    interrupts_taken = 0;
    volatile uint32_t *apic = (uint32_t *)APIC_BASE;
    apic[0xf0 / 4] = 0x100 | SPURIOUS_VECTOR;
    apic[0x3e0 / 4] = 0xb;          /* divide by 1 */
    apic[0x320 / 4] = TIMER_VECTOR; /* one-shot */
}

static uint64_t run_timer(uint64_t rounds)
{
    volatile uint32_t *apic = (uint32_t *)APIC_BASE;
    for (uint64_t r = 0; r < rounds; r++) {
        apic[0x380 / 4] = TIMER_TICKS;
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    return interrupts_taken;
}

/* ---- INT and IRET ---- */

static void prepare_int(void)
{
    interrupts_taken = 0;
}

static uint64_t run_int(uint64_t rounds)
{
    for (uint64_t r = 0; r < rounds; r++) {
        __asm__ volatile("int %0" : : "i"(INT_VECTOR) : "memory");
    }
    return interrupts_taken;
}

/* ---- port access ---- */

static uint64_t run_port(uint64_t rounds)
{
    uint64_t sum = 0;
    for (uint64_t r = 0; r < rounds; r++) {
        out8(SCRATCH_PORT, (uint8_t)(r ^ r >> 8));
        sum = sum * 31 + in8(SCRATCH_PORT);
    }
    return sum;
}

/* ---- REP STOS and REP MOVS: clear a page, copy a page ---- */

static uint64_t run_rep(uint64_t rounds)
{
    uint64_t sum = 0;
    for (uint64_t r = 0; r < rounds; r++) {
        uint64_t *to = frames[r % (WINDOW_PAGES / 2) * 2];
        uint64_t *from = frames[r % (WINDOW_PAGES / 2) * 2 + 1];
        void *at = from;
        uint64_t count = 512;
        __asm__ volatile("rep stosq" : "+D"(at), "+c"(count) : "a"(r) : "memory");
        at = to;
        const void *source_at = from;
        count = 512;
        __asm__ volatile("rep movsq" : "+D"(at), "+S"(source_at), "+c"(count) : : "memory");
        sum = sum * 31 + to[r % 512];
    }
    return sum;
}

/* ---- self-modifying code: patch a function, call it ---- */

static uint64_t run_patch(uint64_t rounds)
{
    uint64_t sum = 0;
    for (uint64_t r = 0; r < rounds; r++) {
        uint32_t value = (uint32_t)(r * GOLDEN >> 32);
        *(volatile uint32_t *)(patched_function + 1) = value;
        uint32_t result;
        __asm__ volatile("call patched_function" : "=a"(result) : : "memory");
        sum = sum * 31 + result;
    }
    return sum;
}

const struct loop loops[] = {
    {"hash", prepare_hash, run_hash},
    {"chase-256k", prepare_chase_small, run_chase},
    {"quicksort", prepare_nothing, run_quicksort},
    {"branches", prepare_nothing, run_branches},
    {"sieve", prepare_nothing, run_sieve},
    {"copy", prepare_copy, run_copy},
    {"chase-8m", prepare_chase_large, run_chase},
    {"pages", prepare_pages, run_pages},
    {"timer", prepare_timer, run_timer},
    {"int", prepare_int, run_int},
    {"port", prepare_nothing, run_port},
    {"rep", prepare_nothing, run_rep},
    {"patch", prepare_nothing, run_patch},
    {0, 0, 0},
};
