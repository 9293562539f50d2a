/*
 * Threads that meet: readers and writers of a store, threads at the limit of a pool, threads that allocate while another
 * one looks at the sums. Every part checks what it sees; who watches from outside makes the threads meet at bad moments.
 */
#include "dimbench.h"

#include "dimension/pool.h"
#include "lib/sync.h"

/* ---- readers and writers ---- */

#define CHANGES       12u /* of each writer */
#define WRITERS       2u
#define READER_STRIDE 61u
#define TOTALS_EVERY  16u

static uint32_t writers_left;         /* atomic */
static uint64_t torn, missed, failed; /* atomic */

/* Whether a slice is the whole content of one file. */
static bool is_whole(const struct dim_slice *slice)
{
    uint8_t letter = slice->bytes[0];
    if (slice->size_bytes != letter_bytes(letter) || slice->bytes[slice->size_bytes - 1] != letter) {
        return false;
    }
    for (uint64_t i = 0; i < slice->size_bytes; i += READER_STRIDE) {
        if (slice->bytes[i] != letter) {
            return false;
        }
    }
    return true;
}

static void note(uint64_t *counter, bool happened)
{
    if (happened) {
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    }
}

/* One section: what was found first must be whole before and after a second look. */
static void read_once(struct worker *worker, struct dim_reader *reader)
{
    struct dim_slice first, second;
    dim_id_t id = id_of((worker->count + worker->number) % 2);
    dim_read_begin(reader);
    status_t status = dim_access_layer(reader, id, layer_of(0), &first);
    if (status == STATUS_OK) {
        note(&torn, !is_whole(&first));
        status = dim_access_layer(reader, id, layer_of(0), &second);
        note(&torn, (status == STATUS_OK && !is_whole(&second)) || !is_whole(&first));
    } else {
        worker->sample_count++; /* one access, not two */
    }
    note(&missed, status == STATUS_ERR_DIM_NOT_LOADED);
    note(&failed, status != STATUS_OK && status != STATUS_ERR_DIM_NOT_LOADED);
    dim_read_end(reader);
    worker->count++;
}

/* Totals are those of one moment: of two dimensions, one of which may be away, with a layer each. */
static bool totals_are_consistent(void)
{
    struct dim_stats stats;
    dim_store_stats(&store, &stats);
    return stats.layers == stats.dimensions && stats.dimensions >= 1 && stats.dimensions <= 2 &&
           stats.dimensions == stats.loads - stats.unloads && stats.simulated == 0 &&
           stats.used_bytes <= stats.peak_bytes && stats.peak_bytes <= stats.limit_bytes;
}

static bool read_all_the_time(struct worker *worker)
{
    struct dim_reader *reader;
    if (dim_reader_join(&store, &reader) != STATUS_OK) {
        return false;
    }
    start_together();
    while (__atomic_load_n(&writers_left, __ATOMIC_ACQUIRE) > 0) {
        read_once(worker, reader);
        if (worker->count % TOTALS_EVERY == 0) {
            note(&failed, !totals_are_consistent());
        }
    }
    dim_reader_leave(reader);
    return true;
}

/* Both writers change both dimensions; dimension 1 is away at times. */
static bool write_all_the_time(struct worker *worker)
{
    bool good = true;
    start_together();
    for (unsigned i = 0; i < CHANGES; i++) {
        struct dim_error own;
        status_t status = dim_store_switch(&store, id_of(0), i % 2 ? "A" : "B", &own);
        good = good && status == STATUS_OK;
        status = worker->number == 0 ? dim_store_switch(&store, id_of(1), i % 2 ? "C" : "D", &own)
                 : i % 2             ? dim_store_load(&store, id_of(1), "D", &own)
                                     : dim_store_unload(&store, id_of(1), &own);
        good = good && (status == STATUS_OK || (status == STATUS_ERR_DIM_NOT_LOADED && worker->number == 0));
        worker->count += status == STATUS_OK ? 2 : 1;
    }
    __atomic_fetch_sub(&writers_left, 1, __ATOMIC_RELEASE);
    return good;
}

static bool read_or_write(struct worker *worker)
{
    return worker->number < WRITERS ? write_all_the_time(worker) : read_all_the_time(worker);
}

/* Totals against what the threads counted. */
static bool totals_agree(unsigned count)
{
    struct dim_stats stats;
    uint64_t accesses = 0, changes = 0;
    for (unsigned i = 0; i < count; i++) {
        accesses += i < WRITERS ? 0 : 2 * workers[i].count - workers[i].sample_count;
        changes += i < WRITERS ? workers[i].count : 0;
    }
    dim_store_stats(&store, &stats);
    print("dimbench: race sections %llu torn %llu missed %llu failed %llu changes %llu\n",
          (unsigned long long)((accesses + missed) / 2), (unsigned long long)torn, (unsigned long long)missed,
          (unsigned long long)failed, (unsigned long long)changes);
    return stats.accesses == accesses && stats.access_failures == missed && stats.dimensions == 2 &&
           stats.loads + stats.switches + stats.unloads == changes + 2 && stats.loads - stats.unloads == 2 &&
           stats.used_bytes + stats.metadata_bytes == system_memory.backed_bytes;
}

/* Two writers and count - 2 readers, until each writer has made its changes. */
static bool race_store(unsigned count, unsigned cpus)
{
    torn = missed = failed = 0;
    writers_left = WRITERS;
    bool good = count > WRITERS && open_store() &&
                dim_store_load(&store, id_of(0), "A", &error) == STATUS_OK &&
                dim_store_load(&store, id_of(1), "D", &error) == STATUS_OK;
    system_memory.quiet = true; /* what fails on purpose need not be told */
    good = good && run_workers(count, cpus, read_or_write);
    return good && totals_agree(count) && torn == 0 && failed == 0 && close_store();
}

/* ---- the limit of a pool ---- */

#define LIMIT_ROUNDS 8u
#define LIMIT_BLOCKS 64u /* 256 KiB of 4 KiB */

static struct block_pool pool;

/* Where things are, for who watches from outside (tests/e2e/dimension_race.lua). */
extern const uint64_t watched_pool[5];
const uint64_t watched_pool[5] = {
    (uint64_t)&pool.allocated_bytes, (uint64_t)&pool.lock,       (uint64_t)pool.chunks,
    sizeof(struct block_pool_chunk), BLOCK_POOL_MAX_BLOCKS / 64,
};

static struct barrier round_barrier;
static uint32_t winners; /* atomic */

/* Returns at the same moment in all who call it within some 60,000 cycles of each other, mostly. */
static void meet(void)
{
    uint64_t at = (cycles() | 0xffff) + 1;
    while (cycles() < at) {
    }
}

/* Everybody wants the last block; whoever has it gives it back when all have tried. */
static bool want_the_last_block(struct worker *worker)
{
    bool good = true;
    start_together();
    for (unsigned i = 0; i < LIMIT_ROUNDS; i++) {
        void *block = NULL;
        barrier_wait(&round_barrier);
        meet();
        status_t status = block_pool_alloc(&pool, BLOCK_POOL_LEAST, &block);
        __atomic_fetch_add(&winners, status == STATUS_OK, __ATOMIC_RELAXED);
        worker->count += status == STATUS_OK;
        good = good && (status == STATUS_OK || status == STATUS_ERR_LIMIT);
        barrier_wait(&round_barrier);
        good = good && __atomic_load_n(&winners, __ATOMIC_RELAXED) == i + 1;
        good = (status != STATUS_OK || block_pool_free(&pool, block) == STATUS_OK) && good;
    }
    return good;
}

static bool open_pool(uint64_t limit_bytes)
{
    const struct block_pool_config config = {limit_bytes, BLOCK_POOL_GREATEST};
    system_platform_init(&system_memory, &platform, NULL, 0);
    return block_pool_init(&pool, &config, &platform) == STATUS_OK;
}

/* `count` threads at one block below the limit. */
static bool race_limit(unsigned count, unsigned cpus)
{
    struct block_pool_stats stats;
    void *block;
    bool good = open_pool((uint64_t)LIMIT_BLOCKS * BLOCK_POOL_LEAST);
    for (unsigned i = 0; good && i < LIMIT_BLOCKS - 1; i++) {
        good = block_pool_alloc(&pool, BLOCK_POOL_LEAST, &block) == STATUS_OK;
    }
    winners = 0;
    barrier_init(&round_barrier, count);
    good = good && run_workers(count, cpus, want_the_last_block);
    block_pool_stats_read(&pool, &stats);
    print("dimbench: limit rounds %u winners %u refused %llu peak %llu of %llu\n", LIMIT_ROUNDS, winners,
          (unsigned long long)stats.refused, (unsigned long long)stats.peak_bytes,
          (unsigned long long)stats.limit_bytes);
    return good && stats.refused == LIMIT_ROUNDS * (count - 1) && stats.peak_bytes == stats.limit_bytes &&
           stats.allocated_bytes == stats.limit_bytes - BLOCK_POOL_LEAST &&
           block_pool_deinit(&pool) == STATUS_OK;
}

/* ---- the sums of a pool ---- */

#define CHURN_TURNS 24u
#define CHURN_HELD  4u

static uint32_t churning; /* atomic; threads that still allocate */

/* A snapshot of the sums is one of a moment: what is allocated is the sum of the used blocks. */
static bool sums_are_exact(struct block_pool_stats *stats)
{
    uint64_t used = 0;
    block_pool_stats_read(&pool, stats);
    for (unsigned i = 0; i < BLOCK_POOL_CLASSES; i++) {
        used += stats->classes[i].used_blocks * stats->classes[i].block_bytes;
    }
    return used == stats->allocated_bytes && used <= stats->peak_bytes &&
           stats->peak_bytes <= stats->limit_bytes && stats->committed_bytes <= stats->limit_bytes;
}

static bool look_at_the_sums(struct worker *worker)
{
    struct block_pool_stats stats;
    bool good = true;
    while (good && __atomic_load_n(&churning, __ATOMIC_ACQUIRE) > 0) {
        good = sums_are_exact(&stats);
        worker->count++;
    }
    return good;
}

/* Sizes that follow from the thread and the turn; some are refused. */
static bool allocate_and_free(struct worker *worker)
{
    void *held[CHURN_HELD] = {NULL};
    uint32_t random = worker->number * 2654435761u + 1;
    bool good = true;
    for (unsigned i = 0; i < CHURN_TURNS; i++) {
        void **slot = &held[i % CHURN_HELD];
        if (*slot != NULL) {
            good = block_pool_free(&pool, *slot) == STATUS_OK && good;
            *slot = NULL;
        }
        random = random * 1664525u + 1013904223u;
        status_t status = block_pool_alloc(&pool, BLOCK_POOL_LEAST << (2 * (random >> 24 & 3)), slot);
        good = good && (status == STATUS_OK || status == STATUS_ERR_LIMIT);
        worker->count += status == STATUS_OK;
    }
    for (unsigned i = 0; i < CHURN_HELD; i++) {
        good = (held[i] == NULL || block_pool_free(&pool, held[i]) == STATUS_OK) && good;
    }
    __atomic_fetch_sub(&churning, 1, __ATOMIC_RELEASE);
    return good;
}

static bool churn_or_look(struct worker *worker)
{
    start_together();
    return worker->number == 0 ? look_at_the_sums(worker) : allocate_and_free(worker);
}

/* One thread looks at the sums while count - 1 allocate and free. */
static bool race_sums(unsigned count, unsigned cpus)
{
    struct block_pool_stats stats;
    churning = count - 1;
    bool good = count > 1 && open_pool(5 * (uint64_t)BLOCK_POOL_GREATEST) &&
                run_workers(count, cpus, churn_or_look) && sums_are_exact(&stats);
    print("dimbench: sums looked at %llu times, peak %llu, refused %llu\n",
          (unsigned long long)workers[0].count, (unsigned long long)stats.peak_bytes,
          (unsigned long long)stats.refused);
    return good && stats.allocated_bytes == 0 && block_pool_deinit(&pool) == STATUS_OK;
}

/* ---- a race on purpose, for who looks for races ---- */

#define UNGUARDED_TURNS 300u

static volatile uint64_t unguarded;

static __attribute__((noinline)) void count_unguarded(void)
{
    unguarded = unguarded + 1;
}

static bool count_without_a_lock(struct worker *worker)
{
    start_together();
    for (unsigned i = 0; i < UNGUARDED_TURNS; i++) {
        count_unguarded();
        worker->count++;
    }
    return worker->count == UNGUARDED_TURNS;
}

static bool race_unguarded(unsigned count, unsigned cpus)
{
    bool good = run_workers(count, cpus, count_without_a_lock);
    print("dimbench: counted to %llu of %u\n", (unsigned long long)unguarded, count * UNGUARDED_TURNS);
    return good;
}

const struct part race_parts[] = {
    {"store", race_store},
    {"limit", race_limit},
    {"sums", race_sums},
    {"unguarded", race_unguarded},
};
const unsigned race_part_count = sizeof race_parts / sizeof race_parts[0];
