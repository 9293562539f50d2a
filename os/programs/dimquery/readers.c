/*
 * Processes that query the server at the same time, by messages and through views. Each query checks the whole layer against
 * the checksum of its record, the record against the flags of its neighbours, and the generation against what other readers have
 * seen of it: content that is half old and half new is found, and so are two contents of one generation.
 */
#include "dimension/crc32c.h"
#include "dimquery.h"
#include "lib/thread.h"

#define CLIENTS_MAX   256u
#define THREADS_MAX_  64u
#define SEEN          16u /* generations remembered of a dimension */
#define MESSAGE_EVERY 8u  /* queries */
#define PAUSE_NS      100000ull
#define SHARED_BYTES  65536u

/* Of all processes. */
struct shared {
    uint64_t arrived;
    uint64_t begun;
    uint64_t stop;
    uint64_t start_cycles;
    uint64_t end_cycles; /* the latest */
    struct reader_totals totals;
    uint64_t seen[DIM_MAX_DIMENSIONS][SEEN]; /* generation << 32 | checksum of the header */
};

_Static_assert(sizeof(struct shared) <= SHARED_BYTES, "what is shared fits");

struct options options = {.clients = 4, .threads = 1, .queries = 64, .rounds = 3, .pause_ns = 1000000};

static struct shared *shared;
static int64_t pids[CLIENTS_MAX];
static struct dim_client client; /* of a reading process */

struct reader {
    struct dim_view views[DIM_MAX_DIMENSIONS];
    struct reader_totals done;
    uint64_t random;
    int failed; /* line of the first failure */
};

#define CHECK(reader, condition)         \
    do {                                 \
        if (!(condition)) {              \
            (reader)->failed = __LINE__; \
            return false;                \
        }                                \
    } while (0)

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void add(uint64_t *sum, uint64_t more)
{
    __atomic_fetch_add(sum, more, __ATOMIC_RELAXED);
}

static uint64_t draw(struct reader *r, uint64_t below)
{
    r->random = r->random * 6364136223846793005ull + 1442695040888963407ull;
    return (r->random >> 33) % below;
}

/* ---- one query ---- */

/* All layers of a generation are simulated, or none is: the files of the boot image have no others. */
static bool flags_agree(const struct dim_view *view)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)view->file;
    const struct dim_file_record *records = dim_file_records(view->file);
    bool same = true;
    for (unsigned i = 1; i < h->layer_count; i++) {
        same &= ((records[i].flags ^ records[0].flags) & DIM_LAYER_SIMULATED) == 0;
    }
    return same;
}

/* The first reader of a generation leaves its checksum, the others compare. */
static bool seen_alike(const struct dim_view *view)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)view->file;
    uint64_t *slot = &shared->seen[view->id.number][view->generation % SEEN];
    uint64_t mine = view->generation << 32 | h->header_crc, there = load(slot);
    while (there >> 32 < view->generation &&
           !__atomic_compare_exchange_n(slot, &there, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
    return there >> 32 != view->generation || there == mine;
}

/* A view of what is loaded now; false when nothing is, or after a failure. */
static bool have_current(struct reader *r, struct dim_view *view, dim_id_t id)
{
    if (dim_view_is_current(&client, view)) {
        return true;
    }
    dim_view_close(view);
    status_t status = dim_client_open(&client, id, view);
    r->done.opened += status == STATUS_OK;
    r->done.absent += status == STATUS_ERR_DIM_NOT_LOADED;
    CHECK(r, status == STATUS_OK || status == STATUS_ERR_DIM_NOT_LOADED);
    return status == STATUS_OK;
}

static bool query_view(struct reader *r, const struct dim_view *view, dim_layer_t layer)
{
    struct dim_slice slice;
    uint64_t start = cycles();
    status_t status = dim_view_layer(view, layer, &slice);
    r->done.find_cycles += cycles() - start;
    CHECK(r, status == STATUS_OK);
    const struct dim_file_record *record = dim_view_record(view, layer);
    CHECK(r, slice.bytes >= view->file && slice.bytes + slice.size_bytes <= view->file + view->bytes);
    CHECK(r, slice.size_bytes > 0 && crc32c(0, slice.bytes, slice.size_bytes) == record->content_crc);
    CHECK(r, flags_agree(view) && seen_alike(view));
    r->done.queries++;
    return true;
}

/* The server says the same of the layer, if it speaks of the same generation. */
static bool query_message(struct reader *r, const struct dim_view *view, dim_layer_t layer)
{
    struct dim_message answer;
    const struct dim_file_record *record = dim_view_record(view, layer);
    uint64_t start = cycles();
    status_t status = dim_client_ask(&client, DIM_OP_LAYER, view->id.number, layer.number, &answer, NULL);
    r->done.message_cycles += cycles() - start;
    r->done.messages++;
    CHECK(r, status == STATUS_OK && answer.count == 4 && answer.words[3] >= view->generation);
    CHECK(r, answer.words[3] > view->generation ||
                 (answer.words[1] == record->offset && answer.words[2] == record->content_bytes));
    return true;
}

static bool query(struct reader *r)
{
    unsigned number = (unsigned)draw(r, client.dimensions);
    dim_layer_t layer = layer_of((unsigned)draw(r, DIM_LAYERS));
    struct dim_view *view = &r->views[number];
    if (!have_current(r, view, id_of(number))) {
        return r->failed == 0;
    }
    return query_view(r, view, layer) &&
           (r->done.queries % MESSAGE_EVERY != 1 || query_message(r, view, layer));
}

/* ---- a reader ---- */

static void hand_over(const struct reader *r)
{
    uint64_t now = cycles(), last = load(&shared->end_cycles);
    add(&shared->totals.queries, r->done.queries);
    add(&shared->totals.messages, r->done.messages);
    add(&shared->totals.opened, r->done.opened);
    add(&shared->totals.absent, r->done.absent);
    add(&shared->totals.find_cycles, r->done.find_cycles);
    add(&shared->totals.message_cycles, r->done.message_cycles);
    while (last < now && !__atomic_compare_exchange_n(&shared->end_cycles, &last, now, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static uint64_t read_on(void *argument)
{
    struct reader *r = malloc(sizeof *r);
    if (r == NULL) {
        return __LINE__;
    }
    memset(r, 0, sizeof *r);
    r->random = (uint64_t)(uintptr_t)argument;
    add(&shared->arrived, 1);
    while (load(&shared->begun) == 0) {
        (void)sys_sleep(PAUSE_NS);
    }
    for (unsigned i = 0; r->failed == 0 && (i < options.queries || load(&shared->stop) == 0); i++) {
        (void)query(r); /* a failure is noted in *r */
        if (i >= options.queries) {
            (void)sys_sleep(PAUSE_NS);
        }
    }
    hand_over(r);
    for (unsigned i = 0; i < client.dimensions; i++) {
        dim_view_close(&r->views[i]);
    }
    uint64_t failed = (uint64_t)r->failed;
    free(r);
    return failed;
}

/* A reading process: 0, or 1 after a failure, which it tells. */
static int reads(unsigned number)
{
    int64_t tids[THREADS_MAX_];
    status_t status = dim_client_connect(&client, false, PATIENCE_NS);
    uint64_t failed = status == STATUS_OK ? 0 : __LINE__;
    for (unsigned i = 0; i < options.threads && failed == 0; i++) {
        tids[i] = thread_start(read_on, (void *)(uintptr_t)(number * THREADS_MAX_ + i + 1), 0);
        failed = tids[i] > 0 ? 0 : __LINE__;
    }
    for (unsigned i = 0; i < options.threads && failed == 0; i++) {
        failed = thread_join(tids[i], &failed) == STATUS_OK ? failed : __LINE__;
    }
    if (failed != 0) {
        print("# reader %u: line %u, %s\n", number, (unsigned)failed, status_text(status));
        add(&shared->arrived, options.threads); /* nobody waits for it */
    }
    dim_client_close(&client);
    return failed == 0 ? 0 : 1;
}

/* ---- all of them ---- */

bool readers_prepare(void)
{
    int64_t at = sys_region_create(SHARED_BYTES, -1);
    at = at > 0 ? sys_region_map((handle_t)at, 0, SHARED_BYTES, 0, PROTECT_READ | PROTECT_WRITE) : at;
    shared = at > 0 ? (struct shared *)(uintptr_t)at : NULL;
    return shared != NULL && options.clients >= 1 && options.clients <= CLIENTS_MAX && options.threads >= 1 &&
           options.threads <= THREADS_MAX_;
}

bool readers_start(void)
{
    memset(shared, 0, sizeof *shared);
    for (unsigned i = 0; i < options.clients; i++) {
        pids[i] = sys_fork();
        if (pids[i] == 0) {
            sys_exit(reads(i));
        }
        if (pids[i] < 0) {
            print("# reader %u: %s\n", i, status_text((status_t)pids[i]));
            return false;
        }
    }
    while (load(&shared->arrived) < (uint64_t)options.clients * options.threads) {
        (void)sys_sleep(PAUSE_NS);
    }
    shared->start_cycles = cycles();
    __atomic_store_n(&shared->begun, 1, __ATOMIC_RELEASE);
    return true;
}

void readers_stop(void)
{
    __atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
}

bool readers_wait(struct reader_totals *totals)
{
    bool good = true;
    for (unsigned i = 0; i < options.clients; i++) {
        int status = -1;
        good &= pids[i] > 0 && sys_wait((unsigned)pids[i], &status, 0) == pids[i] && status == 0;
    }
    *totals = shared->totals;
    totals->elapsed_cycles = shared->end_cycles - shared->start_cycles;
    return good;
}

void readers_print(const struct reader_totals *t)
{
    print("# readers: %u, in %u processes\n", options.clients * options.threads, options.clients);
    print("# queries: %llu, messages %llu, views opened %llu\n", (unsigned long long)t->queries,
          (unsigned long long)t->messages, (unsigned long long)t->opened);
    if (t->queries != 0 && t->messages != 0 && t->elapsed_cycles > 1000000) {
        print("# a layer found in a view: mean %llu cycles, with the clock; asked of the server: mean %llu "
              "cycles\n",
              (unsigned long long)(t->find_cycles / t->queries),
              (unsigned long long)(t->message_cycles / t->messages));
        print("# %llu queries a simulated ms, each layer checked whole\n",
              (unsigned long long)(t->queries * 3000 / (t->elapsed_cycles / 1000)));
    }
}
