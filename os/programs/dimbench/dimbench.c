/*
 * dimbench: the dimension store with several threads at once, for who measures or watches it from outside.
 *
 *     dimbench PART [COUNT [CPUS]]
 *
 * Parts that measure (measure.c) print figures, parts in which threads meet (race.c) and parts that are made to fail
 * (failure.c) print what came of it. Status 0: it worked.
 */
#include "dimbench.h"

#include "dimension/build.h"
#include "lib/thread.h"

#define PAGE       4096u
#define FILE_BYTES (PAGE * (1 + DIM_LAYERS))
#define LETTERS    4u

struct worker workers[WORKERS_MAX];
struct dim_store store;
struct system_platform system_memory;
struct dim_platform platform;
struct dim_error error;

/* ---- files ---- */

static _Alignas(16) uint8_t files[DIM_COUNT][FILE_BYTES];
static _Alignas(16) uint8_t letter_files[LETTERS][FILE_BYTES];
static char file_names[DIM_COUNT][12];
static struct system_object objects[DIM_COUNT + LETTERS];
static const uint16_t letter_sizes[LETTERS] = {5000, 9000, 3000, 7000};
static const char letter_names[LETTERS][2] = {"A", "B", "C", "D"};

uint64_t letter_bytes(uint8_t letter)
{
    return letter >= 'A' && letter < 'A' + LETTERS ? letter_sizes[letter - 'A'] : 0;
}

static bool make_file(dim_id_t id, unsigned layer_count, uint8_t letter, uint64_t bytes, uint8_t *file,
                      struct system_object *object)
{
    static uint8_t content[3 * PAGE];
    struct dim_layer_entry layers[DIM_LAYERS] = {{.name = ""}};
    memset(content, letter, bytes);
    for (unsigned i = 0; i < layer_count; i++) {
        layers[i] = (struct dim_layer_entry){
            .number = layer_of(i), .name = "layer", .content = content, .content_bytes = bytes};
    }
    struct dim_entry entry = {
        .id = id, .layer_count = (uint16_t)layer_count, .name = "letters", .layers = layers};
    struct dim_build_options options = {.seed = 0};
    object->bytes = file;
    return dim_build(&entry, &options, file, FILE_BYTES, &object->size_bytes, &error) == STATUS_OK;
}

static bool make_files(void)
{
    bool good = true;
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        static const char usual[] = "dim00.odim";
        memcpy(file_names[i], usual, sizeof usual);
        file_names[i][3] = (char)('0' + i / 10);
        file_names[i][4] = (char)('0' + i % 10);
        objects[i].name = file_names[i];
        good = good && make_file(id_of(i), DIM_LAYERS, (uint8_t)('a' + i), PAGE, files[i], &objects[i]);
    }
    for (unsigned i = 0; i < LETTERS; i++) {
        objects[DIM_COUNT + i].name = letter_names[i];
        good = good && make_file(id_of(i / 2), 1, (uint8_t)('A' + i), letter_sizes[i], letter_files[i],
                                 &objects[DIM_COUNT + i]);
    }
    return good;
}

/* ---- the store ---- */

bool open_store(void)
{
    static bool made;
    made = made || make_files();
    system_platform_init(&system_memory, &platform, objects, DIM_COUNT + LETTERS);
    return made && dim_store_init(&store, &dim_config_standard, &platform, &error) == STATUS_OK;
}

bool load_all(void)
{
    bool good = true;
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        good = good && dim_store_load(&store, id_of(i), NULL, &error) == STATUS_OK;
    }
    return good;
}

bool close_store(void)
{
    return dim_store_close(&store, &error) == STATUS_OK && system_memory.reserved_bytes == 0 &&
           system_memory.backed_bytes == 0 && system_memory.open == 0;
}

/* ---- threads ---- */

static worker_function work;
static uint32_t arrived, expected; /* arrived: atomic */
static uint64_t start_at;          /* atomic; 0: not all are there */

uint64_t start_together(void)
{
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == expected) {
        __atomic_store_n(&start_at, cycles() + 30000, __ATOMIC_RELEASE);
    }
    uint64_t at;
    while ((at = __atomic_load_n(&start_at, __ATOMIC_ACQUIRE)) == 0) {
        sys_yield();
    }
    while (cycles() < at) {
        __asm__ volatile("pause");
    }
    return at;
}

static uint64_t run_worker(void *argument)
{
    struct worker *worker = argument;
    bool pinned = sys_sched_affinity(SCHED_THREAD, 0, 1ull << worker->cpu) == STATUS_OK;
    worker->good = work(worker) && pinned;
    return 0;
}

bool run_workers(unsigned count, unsigned cpus, worker_function function)
{
    bool good = true;
    work = function;
    arrived = 0;
    expected = count;
    start_at = 0;
    for (unsigned i = 0; i < count; i++) {
        workers[i].number = i;
        workers[i].cpu = i % cpus;
        workers[i].good = false;
        workers[i].count = 0;
        workers[i].sample_count = 0;
        workers[i].tid = thread_start(run_worker, &workers[i], 0);
        if (workers[i].tid <= 0) {
            print("dimbench: thread %u: %s\n", i, status_text((status_t)workers[i].tid));
            sys_exit(1); /* the others would wait for it for ever */
        }
    }
    for (unsigned i = 0; i < count; i++) {
        good = thread_join(workers[i].tid, NULL) == STATUS_OK && workers[i].good && good;
    }
    return good;
}

/* What two readings of the counter with nothing in between cost: the least of many. */
static uint64_t empty_sample(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t start = cycles(), spent = cycles() - start;
        least = spent < least ? spent : least;
    }
    return least;
}

void add_sample(struct worker *worker, uint64_t spent)
{
    static uint64_t empty; /* every thread finds the same */
    uint64_t cost = __atomic_load_n(&empty, __ATOMIC_RELAXED);
    if (cost == 0) {
        cost = empty_sample();
        __atomic_store_n(&empty, cost, __ATOMIC_RELAXED);
    }
    if (worker->sample_count < SAMPLES_MAX) {
        worker->samples[worker->sample_count++] = spent > cost ? spent - cost : 0;
    }
}

/* ---- the command line ---- */

static const struct part *find_part(const char *name)
{
    const struct {
        const struct part *parts;
        unsigned count;
    } groups[] = {
        {measure_parts, measure_part_count},
        {race_parts, race_part_count},
        {failure_parts, failure_part_count},
    };
    for (unsigned g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (unsigned i = 0; i < groups[g].count; i++) {
            if (strcmp(groups[g].parts[i].name, name) == 0) {
                return &groups[g].parts[i];
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct part *part = argc >= 2 && argc <= 4 ? find_part(argv[1]) : NULL;
    int64_t count = argc > 2 ? parse_number(argv[2]) : 1;
    int64_t cpus = argc > 3 ? parse_number(argv[3]) : count;
    if (part == NULL || count < 1 || count > WORKERS_MAX || cpus < 1 || cpus > 64) {
        print("usage: dimbench PART [COUNT [CPUS]]: 1 to %u threads on so many CPUs\n", WORKERS_MAX);
        return 2;
    }
    bool good = part->run((unsigned)count, (unsigned)cpus);
    if (!good) {
        print("dimbench: %s failed\n", part->name);
    }
    return good ? 0 : 1;
}
