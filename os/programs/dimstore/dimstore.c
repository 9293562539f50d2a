/*
 * dimstore: the dimension store as a service of the system. It owns the store, loads files of the boot image, with --disk
 * those of the disk (lib/disk.h), or simulated contexts, and answers at two names: one for all that changes nothing, by several threads, one for changes
 * (dimension/protocol.h). Who opens a dimension gets a capability of a sealed region and reads there; the server
 * touches no content of a layer once it is loaded.
 *
 *     dimstore [--load] [--disk] [--limit-kib N] [--region-kib N] [--fill BYTES] [--seed N]
 */
#include "dimension/protocol.h"
#include "dimension/system/service_platform.h"
#include "lib/names.h"
#include "lib/serve.h"
#include "lib/thread.h"

#define QUERY_THREADS 3u
#define KIB           1024u
#define LEAST_REGION  (4u << 20) /* bytes: more than the metadata's, which is no region */
#define CLIENT_REMOVE ((uint64_t)(RIGHTS_ALL & ~RIGHT_READ) << IPC_REMOVE_SHIFT)

static struct dim_store store;
static struct service_platform service;
static handle_t board_region;
static uint64_t *board;
static handle_t queries;
static handle_t changes;

/* ---- the page of generations ---- */

static void publish(void)
{
    for (uint32_t i = 0; i < store.config.dimensions; i++) {
        struct dim_info info;
        bool loaded = dim_store_info(&store, (dim_id_t){(uint16_t)i}, &info);
        __atomic_store_n(&board[i], loaded ? info.generation : 0, __ATOMIC_RELEASE);
    }
}

static int64_t make_board(void)
{
    int64_t status = sys_region_create(DIM_BOARD_BYTES, -1);
    if (status > 0) {
        board_region = (handle_t)status;
        status = sys_region_map(board_region, 0, DIM_BOARD_BYTES, 0, PROTECT_READ | PROTECT_WRITE);
        board = (uint64_t *)(uintptr_t)status;
    }
    return status;
}

/* ---- answers ---- */

/* The capability of what an OPEN has told, 0 when that is no more. */
static handle_t region_of(const struct dim_message *request, const struct dim_message *answer)
{
    struct dim_info info;
    dim_id_t id = {(uint16_t)request->words[0]};
    if (!dim_store_info(&store, id, &info) || info.generation != answer->words[2]) {
        return 0;
    }
    handle_t region = service_platform_region(&service, info.region);
    /* the place may hold another one by now */
    bool same = dim_store_info(&store, id, &info) && info.generation == answer->words[2];
    return same ? region : 0;
}

static struct ipc_registers failure(uint64_t label, status_t status)
{
    return (struct ipc_registers){.words = {(uint64_t)(int64_t)status}, .tag = ipc_tag(label, 1, 0)};
}

_Static_assert(DIM_WORDS == IPC_WORDS, "words are copied as they are, a capability behind them");

/* The answer as a message, with the capability of that region. */
static struct ipc_registers message_of(const struct dim_message *request, const struct dim_message *answer,
                                       enum dim_region with)
{
    struct ipc_registers m = {.tag = ipc_tag(answer->label, answer->count, 0)};
    memcpy(m.words, answer->words, sizeof m.words);
    if (with != DIM_REGION_NONE) {
        handle_t region = with == DIM_REGION_BOARD ? board_region : region_of(request, answer);
        if (region == 0) {
            return failure(request->label, STATUS_ERR_AGAIN);
        }
        m.words[answer->count] = region | CLIENT_REMOVE;
        m.tag = ipc_tag(answer->label, answer->count + 1, 1);
    }
    return m;
}

/* A change: what was shared of a dimension stays with who has it until it is unloaded or the store closed. */
static struct dim_effect change(const struct dim_message *request, struct dim_message *answer)
{
    service.dimension = (uint32_t)request->words[0];
    struct dim_effect effect = dim_serve(&store, true, request, answer);
    publish();
    service_platform_sweep(&service);
    if (effect.unloaded || effect.closed) {
        service_platform_recall(&service, effect.closed ? SERVICE_NOBODY : service.dimension);
    }
    return effect;
}

/* *closed: the store was, there is nothing to answer any more. */
static struct ipc_registers answer_to(const struct ipc_registers *m, bool may_change, bool *closed)
{
    struct dim_message request = {.label = ipc_tag_label(m->tag), .count = ipc_tag_words(m->tag)};
    struct dim_message answer;
    memcpy(request.words, m->words, sizeof request.words);
    serve_drop_handles(m); /* nobody is asked for capabilities: what comes goes */
    struct dim_effect effect =
        may_change ? change(&request, &answer) : dim_serve(&store, false, &request, &answer);
    *closed = effect.closed;
    return message_of(&request, &answer, effect.region);
}

/* Answers, then receives. An answer whose region has just been taken away becomes another one. */
static int64_t pass_on(handle_t endpoint, struct ipc_registers *m)
{
    struct ipc_registers sent = *m;
    sent.time = IPC_FOREVER;
    int64_t status = serve_next(endpoint, &sent);
    if (status != STATUS_OK && ipc_tag_handles(m->tag) != 0) {
        sent = failure(ipc_tag_label(m->tag), STATUS_ERR_AGAIN);
        sent.time = IPC_FOREVER;
        status = serve_next(endpoint, &sent);
    }
    *m = sent;
    return status;
}

/* Until the endpoint fails or, of that for changes, until the store was closed. */
static int64_t serve(handle_t endpoint, bool may_change)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK) {
        bool closed;
        m = answer_to(&m, may_change, &closed);
        if (closed) {
            (void)name_unbind(DIM_SERVICE); /* so that they are free at the answer, not at the end */
            (void)name_unbind(DIM_SERVICE_CHANGES);
            return sys_ipc_reply(0, &m);
        }
        status = pass_on(endpoint, &m);
    }
    return status;
}

static uint64_t serve_queries(void *argument)
{
    (void)argument;
    print("dimstore: a thread has ended: %s\n", status_text((status_t)serve(queries, false)));
    return 1;
}

/* ---- start ---- */

struct choices {
    bool load;
    bool disk;
};

/* All other options are numbers behind their names; false: told, and not understood. */
static bool take_options(int argc, char **argv, struct dim_config *config, struct choices *choices)
{
    for (int i = 1; i < argc; i++) {
        int64_t value = i + 1 < argc ? parse_number(argv[i + 1]) : -1;
        if (strcmp(argv[i], "--load") == 0 || strcmp(argv[i], "--disk") == 0) {
            choices->load |= argv[i][2] == 'l';
            choices->disk |= argv[i][2] == 'd';
            continue;
        }
        if (value >= 0 && strcmp(argv[i], "--limit-kib") == 0) {
            config->limit_bytes = (uint64_t)value * KIB;
        } else if (value >= 0 && strcmp(argv[i], "--region-kib") == 0) {
            config->region_bytes = (uint64_t)value * KIB;
        } else if (value >= 0 && strcmp(argv[i], "--fill") == 0) {
            config->simulated_bytes = (uint64_t)value;
        } else if (value >= 0 && strcmp(argv[i], "--seed") == 0) {
            config->seed = (uint64_t)value;
        } else {
            print("dimstore: %s is no option, or lacks its number\n", argv[i]);
            return false;
        }
        i++;
    }
    return true;
}

static status_t open_store(const struct dim_config *config)
{
    char text[DIM_ERROR_TEXT_BYTES];
    struct dim_platform platform;
    struct dim_error error;
    service_platform_init(&service, &platform, config->region_bytes);
    if (config->region_bytes < LEAST_REGION) {
        print("dimstore: a region has at least %u KiB\n", LEAST_REGION / KIB);
        return STATUS_ERR_DIM_CONFIG;
    }
    status_t status = dim_store_init(&store, config, &platform, &error);
    if (status == STATUS_OK) {
        status =
            dim_store_set_catalog(&store, catalog_start, (uint64_t)(catalog_end - catalog_start), &error);
    }
    if (status != STATUS_OK) {
        print("dimstore: %s\n", dim_error_text(&error, text, sizeof text));
    }
    return status;
}

/* False, and one line says why: the disk cannot be used now. Each load tries again. */
static bool use_disk(void)
{
    char text[SERVICE_DISK_TEXT];
    status_t status = service_platform_use_disk(&service);
    if (status != STATUS_OK) {
        print("dimstore: the disk: %s\n", service_disk_text(&service.disk, status, text));
    }
    return status == STATUS_OK;
}

/* Every dimension, from its file or simulated. What fails is told by the store and stays out; how many did. */
static uint32_t load_all(void)
{
    uint32_t failures = 0;
    for (uint32_t i = 0; i < store.config.dimensions; i++) {
        struct dim_error error;
        failures += dim_store_load(&store, (dim_id_t){(uint16_t)i}, NULL, &error) != STATUS_OK;
    }
    service_platform_sweep(&service);
    return failures;
}

static int64_t open_doors(void)
{
    int64_t status = make_board();
    if (status > 0) {
        publish();
        status = sys_endpoint_create(0);
        queries = (handle_t)status;
    }
    if (status > 0) {
        status = sys_endpoint_create(0);
        changes = (handle_t)status;
    }
    for (unsigned i = 0; i < QUERY_THREADS && status > 0; i++) {
        status = thread_start_detached(serve_queries, NULL, 0);
    }
    status = status > 0 ? name_bind(DIM_SERVICE_CHANGES, changes, RIGHT_WRITE) : status;
    return status == STATUS_OK ? name_bind(DIM_SERVICE, queries, RIGHT_WRITE) : status;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    struct dim_config config = dim_config_standard;
    struct choices choices = {0};
    if (!take_options(argc, argv, &config, &choices) || open_store(&config) != STATUS_OK) {
        return 1;
    }
    bool can_load = !choices.disk || use_disk();
    uint32_t failures = choices.load ? (can_load ? load_all() : store.config.dimensions) : 0;
    int64_t status = open_doors();
    if (status == STATUS_OK) {
        struct dim_stats s;
        dim_store_stats(&store, &s);
        print("dimstore: ready, %llu dimensions, %llu simulated, %u failed, %llu of %llu KiB\n",
              (unsigned long long)s.dimensions, (unsigned long long)s.simulated, failures,
              (unsigned long long)s.used_bytes / KIB, (unsigned long long)s.limit_bytes / KIB);
        status = serve(changes, true);
    }
    print("dimstore: ended: %s\n", status_text((status_t)status));
    return status == STATUS_OK ? 0 : 1;
}
