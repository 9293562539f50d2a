/*
 * Objects of the heap that live long: each under a checksum, looked at and replaced by one CPU after the other. The word
 * soak=SECONDS of the command line tells for how long; without it the test is over in a few milliseconds.
 */
#include "arch/x86_64/clock.h"
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
#define SECOND_NS      1000000000ull
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
    uint64_t made;
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

/* A worker has other slots in each round, so an object is made, looked at and freed on different CPUs. */
static void use_slots(void *unused, unsigned number)
{
    (void)unused;
    uint64_t seed = (soak.rounds * WORKERS + number + 1) * 0x9e3779b97f4a7c15ull;
    uint64_t first = (number + soak.rounds) % WORKERS * SLOTS_EACH;
    bool last = soak.rounds % ROUNDS == ROUNDS - 1;
    for (uint64_t slot = first; slot < first + SLOTS_EACH; slot++) {
        struct object *object = soak.slots[slot];
        if (object != NULL && (object->slot != slot || object->checksum != checksum(object))) {
            __atomic_add_fetch(&soak.wrong, 1, __ATOMIC_RELAXED);
        }
        if (object == NULL || last || random_next(&seed) % 2 == 0) {
            kfree(object);
            soak.slots[slot] = last ? NULL : make(slot, &seed);
        }
    }
}

/* Free frames when all that the heap keeps for later was given back; the dead workers are gone. */
static uint64_t frames_at_rest(void)
{
    (void)reaper_reclaim();
    quiesce();
    return frame_free_count();
}

static bool run_generation(uint64_t pause_ns)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!workers_run(WORKERS, use_slots, NULL, ROUND_LIMIT_NS) || kheap_check() != 0) {
            return false;
        }
        soak.rounds++;
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(pause_ns));
    }
    return true;
}

static uint64_t seconds_asked(void)
{
    char word[8];
    uint64_t seconds = 0;
    if (boot_argument("soak", word, sizeof(word))) {
        for (const char *at = word; *at >= '0' && *at <= '9'; at++) {
            seconds = seconds * 10 + (uint64_t)(*at - '0');
        }
    }
    return seconds;
}

/* covers: HP-23 */
void ktest_heap_objects_keep_their_checksums_for_long(void)
{
    uint64_t seconds = seconds_asked();
    uint64_t end = clock_cycles() + clock_cycles_from_ns(seconds * SECOND_NS);
    struct kheap_stats first = {0}, now;
    uint64_t frames = 0;
    KEXPECT(workers_reaper());
    for (unsigned generation = 0; generation < GENERATIONS || clock_cycles() < end; generation++) {
        KEXPECT(run_generation(seconds == 0 ? SECOND_NS / 1000 : SECOND_NS / 10));
        KEXPECT(soak.wrong == 0 && soak.refused == 0);
        uint64_t at_rest = frames_at_rest();
        kheap_stats_read(&now);
        if (generation == 0) {
            frames = at_rest;
            first = now;
        }
        KEXPECT(at_rest == frames && now.live_objects == first.live_objects);
        KEXPECT(now.large_count == first.large_count && now.allocs - now.frees == first.allocs - first.frees);
    }
    console_printf("# soak: %llu objects in %llu rounds of at least %llu seconds\n",
                   (unsigned long long)soak.made, (unsigned long long)soak.rounds,
                   (unsigned long long)seconds);
}
