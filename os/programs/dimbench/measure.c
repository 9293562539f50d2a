/*
 * What the store costs in cycles, and how much of it goes on at once. Each figure is a line
 *
 *     dimbench: latency NAME threads T n N cold C min M p50 M p99 M max M
 *     dimbench: throughput NAME threads T operations O cycles C
 *
 * cold: the slowest of the threads' first samples; warm, the other five: all from each thread's tenth sample on.
 */
#include "dimbench.h"

#include "dimension/pool.h"

#define WARM_FROM       9u /* samples of a thread before are neither cold nor warm, but for the first */
#define OPENINGS        32u
#define RUN_CYCLES      600000u /* of a throughput: 200 us */
#define SECTION_READS   16u
#define POOL_LIMIT      (8u << 20)
#define POOL_BYTES      (1u << 20)
#define LATENCY_READS   SAMPLES_MAX
#define LATENCY_SECTION 8u

static uint64_t sorted[WORKERS_MAX * SAMPLES_MAX];

/* Shell's sort. */
static void sort(uint64_t *values, unsigned count)
{
    for (unsigned gap = count / 2; gap > 0; gap /= 2) {
        for (unsigned i = gap; i < count; i++) {
            uint64_t value = values[i];
            unsigned at = i;
            for (; at >= gap && values[at - gap] > value; at -= gap) {
                values[at] = values[at - gap];
            }
            values[at] = value;
        }
    }
}

/* The figures of the samples of the first `threads` workers. False: there are none that are warm. */
static bool print_latency(const char *name, unsigned threads)
{
    unsigned count = 0;
    uint64_t cold = 0;
    for (unsigned t = 0; t < threads; t++) {
        cold = workers[t].samples[0] > cold ? workers[t].samples[0] : cold;
        for (unsigned i = WARM_FROM; i < workers[t].sample_count; i++) {
            sorted[count++] = workers[t].samples[i];
        }
    }
    if (count == 0) {
        return false;
    }
    sort(sorted, count);
    print("dimbench: latency %s threads %u n %u cold %llu min %llu p50 %llu p99 %llu max %llu\n", name,
          threads, count, (unsigned long long)cold, (unsigned long long)sorted[0],
          (unsigned long long)sorted[(count - 1) / 2],
          (unsigned long long)sorted[(uint64_t)(count - 1) * 99 / 100],
          (unsigned long long)sorted[count - 1]);
    return true;
}

static void print_throughput(const char *name, unsigned threads)
{
    uint64_t sum = 0;
    for (unsigned t = 0; t < threads; t++) {
        sum += workers[t].count;
    }
    print("dimbench: throughput %s threads %u operations %llu cycles %u\n", name, threads,
          (unsigned long long)sum, RUN_CYCLES);
}

/* ---- start ---- */

/* The store is made and closed again and again; the other CPUs are idle. */
static bool measure_init(unsigned count, unsigned cpus)
{
    struct worker *samples = &workers[0];
    (void)count;
    (void)cpus;
    bool good = true;
    samples->sample_count = 0;
    for (unsigned i = 0; good && i < OPENINGS; i++) {
        system_platform_init(&system_memory, &platform, NULL, 0);
        uint64_t start = cycles();
        good = dim_store_init(&store, &dim_config_standard, &platform, &error) == STATUS_OK;
        add_sample(samples, cycles() - start);
        good = good && close_store();
    }
    return good && print_latency("init", 1);
}

/* ---- reading ---- */

/* Goes through all layers of all dimensions, without a division. */
struct place {
    unsigned dimension, layer;
};

static inline void next_place(struct place *place)
{
    place->layer++;
    if (place->layer == DIM_LAYERS) {
        place->layer = 0;
        place->dimension = place->dimension + 1 == DIM_COUNT ? 0 : place->dimension + 1;
    }
}

static bool time_accesses(struct worker *worker)
{
    struct place place = {worker->number % DIM_COUNT, 0};
    struct dim_reader *reader;
    struct dim_slice slice;
    bool good = dim_reader_join(&store, &reader) == STATUS_OK;
    start_together();
    for (unsigned i = 0; good && i < LATENCY_READS; i++) {
        if (i % LATENCY_SECTION == 0) {
            dim_read_begin(reader);
        }
        uint64_t start = cycles();
        status_t status = dim_access_layer(reader, id_of(place.dimension), layer_of(place.layer), &slice);
        add_sample(worker, cycles() - start);
        good = status == STATUS_OK && slice.bytes[0] == 'a' + place.dimension &&
               slice.size_bytes == DIM_PAGE_BYTES;
        next_place(&place);
        if (i % LATENCY_SECTION == LATENCY_SECTION - 1) {
            dim_read_end(reader);
        }
    }
    dim_reader_leave(reader);
    return good;
}

static bool measure_access(unsigned count, unsigned cpus)
{
    return open_store() && load_all() && run_workers(count, cpus, time_accesses) &&
           print_latency("access", count) && close_store();
}

/* Reads until the time is over, in sections of so many accesses; counts what was finished by then. */
static bool count_accesses(struct worker *worker, unsigned section)
{
    struct place place = {worker->number % DIM_COUNT, 0};
    struct dim_reader *reader;
    struct dim_slice slice;
    bool good = dim_reader_join(&store, &reader) == STATUS_OK;
    uint64_t end = start_together() + RUN_CYCLES;
    while (good) {
        dim_read_begin(reader);
        for (unsigned i = 0; i < section; i++) {
            good &=
                dim_access_layer(reader, id_of(place.dimension), layer_of(place.layer), &slice) == STATUS_OK;
            next_place(&place);
        }
        dim_read_end(reader);
        if (cycles() >= end) {
            break;
        }
        worker->count += section;
    }
    dim_reader_leave(reader);
    return good;
}

static bool count_in_long_sections(struct worker *worker)
{
    return count_accesses(worker, SECTION_READS);
}

static bool count_in_short_sections(struct worker *worker)
{
    return count_accesses(worker, 1);
}

static bool measure_throughput(unsigned count, unsigned cpus)
{
    bool good = open_store() && load_all() && run_workers(count, cpus, count_in_long_sections);
    print_throughput("access", count);
    good = good && run_workers(count, cpus, count_in_short_sections);
    print_throughput("section", count);
    return good && close_store();
}

/* ---- the pool ---- */

static struct block_pool pool;
static uint64_t block_bytes;

static bool time_allocations(struct worker *worker)
{
    bool good = true;
    start_together();
    for (unsigned i = 0; good && i < SAMPLES_MAX; i++) {
        void *block;
        uint64_t start = cycles();
        status_t status = block_pool_alloc(&pool, block_bytes, &block);
        add_sample(worker, cycles() - start);
        good = status == STATUS_OK && block_pool_free(&pool, block) == STATUS_OK;
    }
    return good;
}

static bool open_pool(void)
{
    const struct block_pool_config config = {POOL_LIMIT, POOL_BYTES};
    system_platform_init(&system_memory, &platform, NULL, 0);
    return block_pool_init(&pool, &config, &platform) == STATUS_OK;
}

static bool close_pool(void)
{
    struct block_pool_stats stats;
    block_pool_stats_read(&pool, &stats);
    return stats.allocated_bytes == 0 && block_pool_deinit(&pool) == STATUS_OK &&
           system_memory.reserved_bytes == 0;
}

/* One thread and blocks of every size; then `count` threads at once, who wait for each other. */
static bool measure_pool(unsigned count, unsigned cpus)
{
    static const char *const names[BLOCK_POOL_CLASSES] = {"pool-4k", "pool-16k", "pool-64k", "pool-256k"};
    bool good = true;
    for (unsigned i = 0; good && i < BLOCK_POOL_CLASSES; i++) {
        block_bytes = BLOCK_POOL_LEAST << (2 * i);
        good =
            open_pool() && run_workers(1, 1, time_allocations) && print_latency(names[i], 1) && close_pool();
    }
    block_bytes = BLOCK_POOL_LEAST;
    return good && open_pool() && run_workers(count, cpus, time_allocations) &&
           print_latency("pool-shared", count) && close_pool();
}

const struct part measure_parts[] = {
    {"init", measure_init},
    {"access", measure_access},
    {"throughput", measure_throughput},
    {"pool", measure_pool},
};
const unsigned measure_part_count = sizeof measure_parts / sizeof measure_parts[0];
