/*
 * Objects of the heap that live long: each under a checksum, looked at and replaced by one CPU after the other. The word
 * soak=SECONDS of the command line tells for how long, with a pause after each round; busy=MILLISECONDS for how long
 * before that without pauses, all CPUs at work. Without them the test is over in a few milliseconds.
 */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "sys/boot_arguments.h"
#include "sys/quiesce.h"
#include "test/ktest.h"
#include "test/random.h"
#include "test/workers.h"

#define WORKERS    16u
#define SLOTS_EACH 32u
/* Of a generation: one that fills the slots, some that change them, one that empties them. */
#define ROUNDS         8u
#define GENERATIONS    3u /* at least: the first one shows what stays in the caches of a heap that was used */
#define LOAD_PASSES    16u /* of a worker over its slots in a round when a time is asked for */
#define SECOND_NS      1000000000ull
#define MS_NS          1000000ull
#define ROUND_LIMIT_NS (20 * SECOND_NS)

struct object {
    uint64_t checksum;
    uint64_t slot;
    uint64_t words;
    uint64_t content[];
};

static struct {
    struct object *slots[WORKERS * SLOTS_EACH];
    uint64_t rounds;
    uint64_t passes; /* in each round */
    uint64_t pause_ns;
    uint64_t made;
    uint64_t looked_at;
    uint64_t frames; /* after the first generation */
    struct kheap_stats first;
    uint32_t wrong;   /* objects whose checksum or place differs */
    uint32_t refused; /* allocations */
} soak;

static uint64_t checksum(const struct object *object)
{
    uint64_t sum = object->slot;
    for (uint64_t i = 0; i < object->words; i++) {
        sum = ((sum << 5 | sum >> 59) ^ object->content[i]) * 0x9e3779b97f4a7c15ull;
    }
    return sum;
}

static struct object *make(uint64_t slot, uint64_t *seed)
{
    uint64_t kind = random_next(seed) % 64;
    uint64_t most = kind == 0 ? 4000 : (kind < 6 ? 700 : 60); /* pages of their own, buddies, slabs */
    uint64_t words = random_next(seed) % most;
    struct object *object = kmalloc(sizeof(*object) + words * sizeof(object->content[0]));
    if (object == NULL) {
        __atomic_add_fetch(&soak.refused, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    object->slot = slot;
    object->words = words;
    for (uint64_t i = 0; i < words; i++) {
        object->content[i] = random_next(seed);
    }
    object->checksum = checksum(object);
    __atomic_add_fetch(&soak.made, 1, __ATOMIC_RELAXED);
    return object;
}

/* One pass over the slots from first on: each object is looked at; half of them are replaced, or all are freed. */
static void use_slots(uint64_t first, uint64_t *seed, bool last)
{
    uint64_t looked_at = 0;
    for (uint64_t slot = first; slot < first + SLOTS_EACH; slot++) {
        struct object *object = soak.slots[slot];
        looked_at += object != NULL;
        if (object != NULL && (object->slot != slot || object->checksum != checksum(object))) {
            __atomic_add_fetch(&soak.wrong, 1, __ATOMIC_RELAXED);
        }
        if (object == NULL || last || random_next(seed) % 2 == 0) {
            kfree(object);
            soak.slots[slot] = last ? NULL : make(slot, seed);
        }
    }
    __atomic_add_fetch(&soak.looked_at, looked_at, __ATOMIC_RELAXED);
}

/* A worker has other slots in each round, so an object is made, looked at and freed on different CPUs. */
static void work_round(void *unused, unsigned number)
{
    (void)unused;
    uint64_t seed = (soak.rounds * WORKERS + number + 1) * 0x9e3779b97f4a7c15ull;
    uint64_t first = (number + soak.rounds) % WORKERS * SLOTS_EACH;
    for (uint64_t pass = 0; pass < soak.passes; pass++) {
        use_slots(first, &seed, soak.rounds % ROUNDS == ROUNDS - 1 && pass == soak.passes - 1);
    }
}

/* Free frames when all that the heap keeps for later was given back; the dead workers are gone. */
static uint64_t frames_at_rest(void)
{
    (void)reaper_reclaim();
    quiesce();
    return frame_free_count();
}

static bool run_generation(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!workers_run(WORKERS, work_round, NULL, ROUND_LIMIT_NS) || kheap_check() != 0) {
            return false;
        }
        soak.rounds++;
        if (soak.pause_ns != 0) {
            sched_sleep_until(clock_cycles() + clock_cycles_from_ns(soak.pause_ns));
        }
    }
    return true;
}

static uint64_t number_of(const char *word)
{
    uint64_t number = 0;
    for (; *word >= '0' && *word <= '9'; word++) {
        number = number * 10 + (uint64_t)(*word - '0');
    }
    return number;
}

/* What all CPUs together have spent since they came up. */
static struct sched_times times_of_all(void)
{
    struct sched_times sum = {0}, times;
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        sched_times_read(cpu_table[cpu], &times);
        sum.busy_cycles += times.busy_cycles;
        sum.elapsed_cycles += times.elapsed_cycles;
    }
    return sum;
}

static void tell(const char *how, const struct sched_times *begin)
{
    struct sched_times now = times_of_all();
    uint64_t elapsed = now.elapsed_cycles - begin->elapsed_cycles;
    uint64_t share = (now.busy_cycles - begin->busy_cycles) * 10000 / (elapsed + 1);
    console_printf("# soak: %s: %llu objects looked at %llu times in %llu rounds, %u wrong, %u refused; ",
                   how, (unsigned long long)soak.made, (unsigned long long)soak.looked_at,
                   (unsigned long long)soak.rounds, soak.wrong, soak.refused);
    console_printf("CPUs busy %llu.%02llu %% of %llu ms\n", (unsigned long long)share / 100,
                   (unsigned long long)share % 100,
                   (unsigned long long)(elapsed / cpu_count_online() / clock_cycles_from_ns(MS_NS)));
}

static bool all_came_back(void)
{
    struct kheap_stats now;
    uint64_t at_rest = frames_at_rest();
    kheap_stats_read(&now);
    if (soak.frames == 0) {
        soak.frames = at_rest;
        soak.first = now;
    }
    return at_rest == soak.frames && now.live_objects == soak.first.live_objects &&
           now.large_count == soak.first.large_count &&
           now.allocs - now.frees == soak.first.allocs - soak.first.frees;
}

/* So many generations at least, and until so much time has passed. */
static bool run_generations(const char *how, unsigned least, uint64_t ns)
{
    struct sched_times begin = times_of_all();
    uint64_t end = clock_cycles() + clock_cycles_from_ns(ns);
    bool good = true;
    soak.rounds = soak.made = soak.looked_at = 0;
    for (unsigned i = 0; good && (i < least || clock_cycles() < end); i++) {
        good = run_generation() && soak.wrong == 0 && soak.refused == 0 && all_came_back();
    }
    tell(how, &begin);
    return good;
}

/* covers: HP-23 */
void ktest_heap_objects_keep_their_checksums_for_long(void)
{
    char word[8];
    uint64_t seconds = boot_argument("soak", word, sizeof(word)) ? number_of(word) : 0;
    uint64_t busy_ms = boot_argument("busy", word, sizeof(word)) ? number_of(word) : 0;
    KEXPECT(workers_reaper());
    soak.passes = 1;
    soak.pause_ns = MS_NS;
    KEXPECT(run_generations("short pauses", GENERATIONS, 0));
    if (busy_ms != 0) {
        soak.passes = LOAD_PASSES;
        soak.pause_ns = 0;
        KEXPECT(run_generations("no pauses", 1, busy_ms * MS_NS));
    }
    if (seconds != 0) {
        soak.passes = LOAD_PASSES;
        soak.pause_ns = SECOND_NS / 10;
        KEXPECT(run_generations("long pauses", 1, seconds * SECOND_NS));
    }
}
