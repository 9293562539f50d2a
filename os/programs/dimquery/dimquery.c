/*
 * dimquery: load on the dimension server, and what the service promises. Without names all tests but the large one run, each
 * with a server of its own.
 *
 *     dimquery [--clients N] [--threads N] [--queries N] [--rounds N] [--pause-ns N] [--attach] [TEST...]
 *
 * --attach queries the server that is there, with all that is loaded in it.
 */
#include "dimquery.h"
#include "dimension/store.h"
#include "lib/tap.h"

#define FILL          "4096" /* bytes of a simulated layer: a page each, and a page of head: */
#define PAGES         5u
#define KILLED        (STATUS_KILLED_BASE + 14) /* by a page fault */
#define ALL           ((1u << DIM_COUNT) - 1)
#define WITH_FILES    (1u << 3 | 1u << 7) /* os/initrd */
#define LIMIT_DIMS    13u                 /* what fits under the limit of the test of limits */
#define LARGE_FILL    "5238784"           /* 5 MiB less a page */
#define LARGE_LIMIT   (280ull << 20)
#define LARGE_CEILING ((280ull + 2) << 20)

static struct dim_client client;

static bool list_is(unsigned loaded, unsigned simulated)
{
    struct dim_message answer;
    return dim_client_ask(&client, DIM_OP_LIST, 0, 0, &answer, NULL) == STATUS_OK &&
           answer.words[1] == loaded && answer.words[2] == simulated;
}

static struct dim_stats stats(void)
{
    struct dim_stats s;
    if (!server_stats(&client, &s)) {
        memset(&s, 0xff, sizeof s);
    }
    return s;
}

/* ---- the whole flow ---- */

/* Warnings that use of so many of the limit's dimensions has led to. */
static uint64_t warnings_at(unsigned loaded)
{
    static const unsigned percents[] = {75, 85, 95};
    uint64_t count = 0;
    for (unsigned i = 0; i < 3; i++) {
        count += loaded * 100 >= percents[i] * LIMIT_DIMS;
    }
    return count;
}

/* Refused, with figures, and nothing has changed. */
static bool refused_at_the_limit(void)
{
    struct dim_message answer;
    EXPECT(server_change(&client, DIM_OP_LOAD, LIMIT_DIMS, &answer) == STATUS_ERR_LIMIT);
    EXPECT(answer.words[1] == LIMIT_DIMS && answer.words[2] == PAGES * DIM_PAGE_BYTES);
    EXPECT(answer.words[3] == LIMIT_DIMS * PAGES * DIM_PAGE_BYTES && answer.words[4] == answer.words[3]);
    return list_is(ALL >> 1, (ALL >> 1) & ~WITH_FILES);
}

/* covers: DS-35 (S), DS-39 (S: through the server), DS-08 (S: through the server) */
static bool test_flow_from_init_to_limits(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, "--limit-kib", "260", NULL};
    struct reader_totals totals;
    EXPECT(server_start(arguments, &client) && list_is(0, 0));
    for (unsigned i = 0; i < LIMIT_DIMS; i++) {
        unsigned loaded = (2u << i) - 1;
        EXPECT(server_change(&client, DIM_OP_LOAD, i, NULL) == STATUS_OK);
        EXPECT(list_is(loaded, loaded & ~WITH_FILES) && stats().warnings == warnings_at(i + 1));
    }
    EXPECT(server_change(&client, DIM_OP_LOAD, 0, NULL) == STATUS_ERR_EXISTS);
    EXPECT(server_change(&client, DIM_OP_VALIDATE, 0, NULL) == STATUS_OK);
    EXPECT(readers_start());
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(refused_at_the_limit());
    }
    readers_stop();
    EXPECT(readers_wait(&totals) && totals.absent > 0);
    EXPECT(totals.queries + totals.absent >= (uint64_t)options.clients * options.threads * options.queries);
    EXPECT(stats().used_bytes == stats().limit_bytes && stats().peak_bytes == stats().limit_bytes);
    EXPECT(server_change(&client, DIM_OP_UNLOAD, 0, NULL) == STATUS_OK);
    EXPECT(server_change(&client, DIM_OP_LOAD, LIMIT_DIMS, NULL) == STATUS_OK &&
           list_is(ALL & ~1u, ALL & ~1u & ~WITH_FILES));
    EXPECT(stats().dimensions == LIMIT_DIMS && stats().failures == 5 &&
           stats().peak_bytes == stats().limit_bytes);
    return server_stop(&client);
}

/* ---- many readers, and switches ---- */

/* Those that have files to them; one that has none stays as it is. */
static bool switch_all(void)
{
    EXPECT(server_change(&client, DIM_OP_SWITCH, 0, NULL) == STATUS_ERR_NOT_FOUND);
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT((WITH_FILES >> i & 1) == 0 || server_change(&client, DIM_OP_SWITCH, i, NULL) == STATUS_OK);
    }
    return true;
}

/* covers: DS-18 (S), DS-29 (S: readers of the service) */
static bool test_readers_see_whole_contents(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, NULL};
    struct reader_totals totals;
    EXPECT(server_start(arguments, &client));
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(server_change(&client, DIM_OP_SIMULATE, i, NULL) == STATUS_OK);
    }
    EXPECT(list_is(ALL, ALL) && readers_start());
    for (unsigned round = 0; round < options.rounds; round++) {
        EXPECT(switch_all() && list_is(ALL, ALL & ~WITH_FILES));
        (void)sys_sleep(options.pause_ns);
    }
    readers_stop();
    EXPECT(readers_wait(&totals) && totals.absent == 0);
    EXPECT(stats().switches == 2 * options.rounds && stats().simulated == 12);
    EXPECT(totals.queries >= (uint64_t)options.clients * options.threads * options.queries);
    readers_print(&totals);
    return server_stop(&client);
}

/* ---- what a client may not ---- */

/* Status of a child that reads or writes there. */
static int32_t child_touches(const uint8_t *at, bool write)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)at;
        if (write) {
            *byte = 1;
        }
        sys_exit(*byte == 0 ? 3 : 0);
    }
    return tap_status(pid);
}

/* covers: DS-11 (S), DS-13 (S: through the server) */
static bool test_layers_are_read_in_place(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, "--load", NULL};
    struct cap_info cap;
    struct region_info info;
    struct dim_view view;
    struct dim_slice slice;
    EXPECT(server_start(arguments, &client));
    EXPECT(dim_client_open(&client, id_of(3), &view) == STATUS_OK && view.bytes == PAGES * DIM_PAGE_BYTES);
    for (unsigned i = 0; i < DIM_LAYERS; i++) {
        EXPECT(dim_view_layer(&view, layer_of(i), &slice) == STATUS_OK);
        EXPECT(slice.bytes == view.file + (1 + i) * DIM_PAGE_BYTES && slice.size_bytes > 0);
    }
    EXPECT(slice.size_bytes == 43 &&
           memcmp(slice.bytes, "Where there is tension, there can be fire.\n", 43) == 0);
    EXPECT(dim_view_layer(&view, layer_of(4), &slice) == STATUS_ERR_DIM_LAYER);
    EXPECT(sys_cap_read(view.region, &cap) == STATUS_OK && cap.type == CAP_REGION &&
           cap.rights == RIGHT_READ);
    EXPECT(sys_region_info(view.region, &info) == STATUS_OK && info.sealed == 1 && info.bytes == view.bytes);
    EXPECT(sys_region_map(view.region, 0, 4096, 0, PROTECT_READ | PROTECT_WRITE) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_protect((uint64_t)(uintptr_t)view.file, 4096, PROTECT_READ | PROTECT_WRITE) < 0);
    EXPECT(sys_region_seal(view.region) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(child_touches(slice.bytes, false) == 0 && child_touches(slice.bytes, true) == KILLED);
    EXPECT(child_touches((const uint8_t *)client.board, true) == KILLED);
    dim_view_close(&view);
    return server_stop(&client);
}

/* covers: DS-30 (S: mappings of clients) */
static bool test_unloading_takes_mappings_away(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, NULL};
    struct dim_view old, now, other;
    EXPECT(server_start(arguments, &client));
    EXPECT(server_change(&client, DIM_OP_SIMULATE, 3, NULL) == STATUS_OK);
    EXPECT(server_change(&client, DIM_OP_LOAD, 5, NULL) == STATUS_OK);
    EXPECT(dim_client_open(&client, id_of(3), &old) == STATUS_OK);
    EXPECT(dim_client_open(&client, id_of(5), &other) == STATUS_OK);
    EXPECT(server_change(&client, DIM_OP_SWITCH, 3, NULL) == STATUS_OK);
    EXPECT(!dim_view_is_current(&client, &old) && dim_client_open(&client, id_of(3), &now) == STATUS_OK);
    EXPECT(now.generation > old.generation && dim_view_is_current(&client, &now));
    EXPECT(child_touches(old.file, false) == 0 && child_touches(now.file, false) == 0);
    EXPECT(server_change(&client, DIM_OP_UNLOAD, 3, NULL) == STATUS_OK);
    EXPECT(!dim_view_is_current(&client, &now) && dim_view_is_current(&client, &other));
    EXPECT(child_touches(old.file, false) == KILLED && child_touches(now.file, false) == KILLED);
    EXPECT(child_touches(other.file, false) == 0);
    EXPECT(sys_region_map(now.region, 0, 4096, 0, PROTECT_READ) == STATUS_ERR_CAP_REVOKED);
    dim_view_close(&old);
    dim_view_close(&now);
    EXPECT(dim_client_open(&client, id_of(3), &now) == STATUS_ERR_DIM_NOT_LOADED);
    EXPECT(server_stop(&client) && child_touches(other.file, false) == KILLED);
    dim_view_close(&other);
    return true;
}

/* Sends words as they are; the status in the answer. */
static status_t send_to(handle_t endpoint, uint64_t label, unsigned words, unsigned handles, uint64_t first)
{
    struct ipc_registers m = {.words = {first}, .tag = ipc_tag(label, words, handles), .time = IPC_FOREVER};
    int64_t status = sys_ipc_call(endpoint, &m);
    return status != STATUS_OK ? (status_t)status : (status_t)(int64_t)m.words[0];
}

/* By the endpoint for queries. */
static status_t send_raw(uint64_t label, unsigned words, unsigned handles, uint64_t first)
{
    return send_to(client.server, label, words, handles, first);
}

/* Who reads an old generation keeps it, whatever is asked for in a wrong way. */
static bool test_refused_changes_take_nothing_away(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, NULL};
    static const struct {
        uint64_t label;
        unsigned words;
        uint64_t first;
        status_t status;
    } refused[] = {
        {DIM_OP_CLOSE, 1, 0, STATUS_ERR_ARGUMENT},        {DIM_OP_CLOSE, 8, 3, STATUS_ERR_ARGUMENT},
        {DIM_OP_UNLOAD, 0, 0, STATUS_ERR_ARGUMENT},       {DIM_OP_UNLOAD, 2, 3, STATUS_ERR_ARGUMENT},
        {DIM_OP_UNLOAD, 1, 65539, STATUS_ERR_RANGE},      {DIM_OP_UNLOAD, 1, UINT32_MAX, STATUS_ERR_RANGE},
        {DIM_OP_UNLOAD, 1, 5, STATUS_ERR_DIM_NOT_LOADED},
    };
    struct dim_view old;
    EXPECT(server_start(arguments, &client));
    EXPECT(server_change(&client, DIM_OP_SIMULATE, 3, NULL) == STATUS_OK);
    EXPECT(dim_client_open(&client, id_of(3), &old) == STATUS_OK);
    EXPECT(server_change(&client, DIM_OP_SWITCH, 3, NULL) == STATUS_OK &&
           !dim_view_is_current(&client, &old));
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        EXPECT(send_to(client.changes, refused[i].label, refused[i].words, 0, refused[i].first) ==
               refused[i].status);
        EXPECT(child_touches(old.file, false) == 0);
    }
    EXPECT(send_raw(DIM_OP_CLOSE, 0, 0, 0) == STATUS_ERR_PERMISSION && child_touches(old.file, false) == 0);
    EXPECT(list_is(1u << 3, 0) && server_stop(&client) && child_touches(old.file, false) == KILLED);
    dim_view_close(&old);
    return true;
}

static bool test_wrong_requests_are_answered(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", FILL, NULL};
    EXPECT(server_start(arguments, &client));
    EXPECT(send_raw(DIM_OP_LOAD, 1, 0, 3) == STATUS_ERR_PERMISSION && list_is(0, 0));
    EXPECT(send_raw(DIM_OP_CLOSE, 0, 0, 0) == STATUS_ERR_PERMISSION);
    EXPECT(send_raw(99, 1, 0, 3) == STATUS_ERR_UNSUPPORTED &&
           send_raw(DIM_OP_INFO, 0, 0, 3) == STATUS_ERR_ARGUMENT);
    EXPECT(send_raw(DIM_OP_INFO, 1, 0, 1ull << 40) == STATUS_ERR_RANGE);
    EXPECT(send_raw(DIM_OP_INFO, 1, 0, 14) == STATUS_ERR_DIM_UNKNOWN);
    EXPECT(send_raw(DIM_OP_OPEN, 1, 0, 13) == STATUS_ERR_DIM_NOT_LOADED);
    for (unsigned i = 0; i < 100; i++) { /* more than its space holds without giving them back? */
        handle_t gift = (handle_t)sys_notification_create();
        EXPECT(send_raw(DIM_OP_OPEN, 1, 1, gift) < 0 && sys_cap_delete(gift) == STATUS_OK);
    }
    return server_stop(&client);
}

/* ---- a server that is there ---- */

static bool test_queries_of_a_running_server(void)
{
    struct reader_totals totals;
    struct dim_message list;
    EXPECT(dim_client_connect(&client, false, PATIENCE_NS) == STATUS_OK);
    EXPECT(dim_client_ask(&client, DIM_OP_LIST, 0, 0, &list, NULL) == STATUS_OK && list.words[1] != 0);
    EXPECT(readers_start());
    readers_stop();
    EXPECT(readers_wait(&totals) && totals.queries != 0 && (totals.absent != 0) == (list.words[1] != ALL));
    readers_print(&totals);
    dim_client_close(&client);
    return true;
}

/* ---- the core in full size ---- */

/* covers: DS-33 (S), DS-39 (S: in full size) */
static bool test_the_footprint_is_280_mib(void)
{
    static const char *const arguments[] = {"dimstore", "--fill", LARGE_FILL, NULL};
    static const char *const small[] = {"dimstore", NULL};
    EXPECT(server_start(small, &client) &&
           server_stop(&client)); /* what the kernel keeps from a first time is kept now */
    uint64_t before = tap_free_frames();
    EXPECT(server_start(arguments, &client));
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(server_change(&client, DIM_OP_SIMULATE, i, NULL) == STATUS_OK);
    }
    uint64_t taken = (before - tap_free_frames()) * DIM_PAGE_BYTES;
    struct dim_stats s = stats();
    print("# core: %llu bytes of content, %llu of metadata, %llu in all\n", (unsigned long long)s.used_bytes,
          (unsigned long long)s.metadata_bytes, (unsigned long long)taken);
    EXPECT(s.dimensions == DIM_COUNT && s.limit_bytes == LARGE_LIMIT && s.warnings == 3);
    EXPECT(s.used_bytes <= LARGE_LIMIT && s.used_bytes > LARGE_LIMIT / 100 * 99 &&
           s.metadata_bytes <= DIM_MAX_METADATA);
    EXPECT(taken <= LARGE_CEILING);
    return server_stop(&client);
}

static const struct tap_test tests[] = {
    {"flow_from_init_to_limits", test_flow_from_init_to_limits},
    {"readers_see_whole_contents", test_readers_see_whole_contents},
    {"layers_are_read_in_place", test_layers_are_read_in_place},
    {"unloading_takes_mappings_away", test_unloading_takes_mappings_away},
    {"refused_changes_take_nothing_away", test_refused_changes_take_nothing_away},
    {"wrong_requests_are_answered", test_wrong_requests_are_answered},
};

static const struct tap_test attached[] = {{"queries_of_a_running_server", test_queries_of_a_running_server}};
static const struct tap_test large[] = {{"the_footprint_is_280_mib", test_the_footprint_is_280_mib}};

/* Takes the options out; how many words are left, -1 for a wrong one. */
static int take_options(int argc, char **argv, const struct tap_test **chosen)
{
    int left = 1;
    for (int i = 1; i < argc; i++) {
        unsigned *number = strcmp(argv[i], "--clients") == 0    ? &options.clients
                           : strcmp(argv[i], "--threads") == 0  ? &options.threads
                           : strcmp(argv[i], "--queries") == 0  ? &options.queries
                           : strcmp(argv[i], "--rounds") == 0   ? &options.rounds
                           : strcmp(argv[i], "--pause-ns") == 0 ? &options.pause_ns
                                                                : NULL;
        if (strcmp(argv[i], "--attach") == 0) {
            *chosen = attached;
        } else if (strcmp(argv[i], large[0].name) == 0) {
            *chosen = large;
        } else if (number == NULL) {
            argv[left++] = argv[i];
        } else {
            int64_t value = i + 1 < argc ? parse_number(argv[++i]) : -1;
            if (value < 0 || value > UINT32_MAX) {
                return -1;
            }
            *number = (unsigned)value;
        }
    }
    return left;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct tap_test *chosen = tests;
    int left = take_options(argc, argv, &chosen);
    if (left < 0 || !readers_prepare()) {
        print("dimquery: options are wrong, or there is no memory\n");
        return 1;
    }
    const struct tap_group group = {chosen, chosen == tests ? sizeof tests / sizeof tests[0] : 1};
    return tap_run(&group, 1, chosen == tests ? left : 1, argv);
}
