/*
 * captest: a client that wants a server to use rights which the server has and the client has not. It sends what means something
 * only to the server, numbers of its handles and addresses of its memory, where the server expects what is the client's; and it
 * asks the kernel about processes and capabilities that are the server's.
 */
#include "captest.h"

#include "dimension/protocol.h"
#include "lib/names.h"

#define SERVER_SLOTS       96u
#define SERVER_GENERATIONS 3u
#define NAME_SERVER        2u /* the first child of init */
#define SECOND             1000000000ull

static handle_t endpoint;

static int64_t says(uint64_t tag, uint64_t service, uint64_t life)
{
    struct ipc_registers m = {.tag = tag, .time = IPC_FOREVER};
    memcpy(m.words, "deputy", 7);
    m.words[4] = service;
    m.words[5] = life;
    int64_t status = sys_ipc_call(CAP_ENDPOINT, &m);
    return status == STATUS_OK ? (int64_t)m.words[0] : status;
}

/* Numbers that are handles in the server, as words and as what is passed on; the client has none of these. */
static bool lends_no_handle(void)
{
    const uint64_t plain = ipc_tag(NAME_BIND, 6, 0);
    for (uint64_t generation = 0; generation < SERVER_GENERATIONS; generation++) {
        for (uint64_t slot = 1; slot < SERVER_SLOTS; slot++) {
            uint64_t theirs = generation << 32 | slot;
            EXPECT(says(plain, theirs, theirs) == STATUS_ERR_ARGUMENT);
            EXPECT(says(ipc_tag(NAME_BIND, 6, 1), theirs, endpoint) == STATUS_ERR_ARGUMENT);
            struct cap_info info;
            if (sys_cap_read(theirs, &info) != STATUS_OK) {
                EXPECT(is_capability_error(says(ipc_tag(NAME_BIND, 6, 2), theirs, endpoint)));
            }
        }
    }
    return name_find("deputy") == STATUS_ERR_NOT_FOUND;
}

/* Addresses of the kernel and of the server's own code, data and stack. */
static bool looks_at_no_address(void)
{
    static const uint64_t addresses[] = {0x400000, 0x405000, 0x7fffffffe000, 0xffff800000000000,
                                         0xffffffff80100000};
    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct ipc_registers m = {.tag = ipc_tag(NAME_FIND, 4, 0), .time = IPC_FOREVER};
        for (unsigned word = 0; word < 4; word++) {
            m.words[word] = addresses[i];
        }
        m.words[3] &= 0xffffffffffffff; /* a name has an end */
        EXPECT(sys_ipc_call(CAP_ENDPOINT, &m) == STATUS_OK &&
               (int64_t)m.words[0] < 0); /* no such name, or none */
        EXPECT(says(ipc_tag(NAME_BIND, 6, 0), addresses[i], addresses[i]) == STATUS_ERR_ARGUMENT);
    }
    return true;
}

/* What can be said to the kernel about a process that is neither the own one nor a descendant. */
static bool acts_on_no_stranger(void)
{
    static const unsigned strangers[] = {1, NAME_SERVER};
    static struct process_info info;
    const struct sched_params params = {.policy = SCHED_FAIR};
    for (unsigned i = 0; i < 2; i++) {
        unsigned pid = strangers[i];
        EXPECT(sys_process_kill(pid, 0) < 0 && sys_process_info(pid, &info) < 0);
        EXPECT(sys_sched_set(SCHED_PROCESS, pid, &params) < 0 &&
               sys_sched_affinity(SCHED_PROCESS, pid, 1) < 0);
        EXPECT(sys_cap_give(endpoint, pid, 0, 0) == STATUS_ERR_NO_PROCESS);
    }
    return true;
}

static bool works_as_before(int64_t before)
{
    EXPECT(name_tidy() == before && name_bind("deputy", endpoint, RIGHT_WRITE) == STATUS_OK);
    return name_find("deputy") > 0 && name_unbind("deputy") == STATUS_OK;
}

/* Runs in a child, which gives up what the name server has, too, the console among it: its status is the part that failed. */
static void use_the_name_server(void)
{
    static bool (*const parts[])(void) = {lends_no_handle, looks_at_no_address, acts_on_no_stranger};
    endpoint = (handle_t)sys_endpoint_create(0);
    int64_t before = name_tidy();
    if (before < 0 || sys_cap_delete(CAP_CONSOLE) != STATUS_OK || sys_cap_delete(CAP_DRIVER) != STATUS_OK) {
        sys_exit(1);
    }
    for (int i = 0; i < 3; i++) {
        if (!parts[i]()) {
            sys_exit(2 + i);
        }
    }
    sys_exit(works_as_before(before) ? 0 : 5);
}

/* covers: TS-05 (S) */
bool test_the_name_server_lends_nobody_its_rights(void)
{
    EXPECT(tap_in_child(use_the_name_server) == 0);
    return true;
}

/* ---- the dimension store ---- */

static const struct {
    uint64_t label;
    unsigned words;
    bool changes;
    bool lends;
} operations[] = {
#define DIM_OPERATION(number, id, count, answer, change, region, text) \
    {number, count, (change) != 0, DIM_REGION_##region != DIM_REGION_NONE},
#include "dimension/operations.def"
#undef DIM_OPERATION
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))
#define LOADED     3u /* the dimension that there is */

static struct ipc_registers ask(handle_t server, uint64_t tag, uint64_t word, uint64_t last)
{
    struct ipc_registers m = {.tag = tag, .time = IPC_FOREVER, .words = {word, word, word, word}};
    if (ipc_tag_handles(tag) != 0) {
        m.words[ipc_tag_words(tag) - 1] = last;
    }
    int64_t status = sys_ipc_call(server, &m);
    return status == STATUS_OK ? m : (struct ipc_registers){.words = {(uint64_t)status}};
}

/* A region that came with an answer can be read and nothing else. */
static bool only_reads(handle_t region)
{
    struct cap_info info;
    EXPECT(sys_cap_read(region, &info) == STATUS_OK && info.type == CAP_REGION && info.rights == RIGHT_READ);
    EXPECT(sys_region_map(region, 0, 4096, 0, PROTECT_READ | PROTECT_WRITE) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_region_seal(region) == STATUS_ERR_CAP_RIGHTS && sys_cap_copy(region) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_derive(region, RIGHT_WRITE, 0) == STATUS_ERR_CAP_RIGHTS);
    return sys_cap_delete(region) == STATUS_OK;
}

/* Numbers of the server's handles, of dimensions there are, and addresses, for each operation. */
static bool answers_with_its_own_only(handle_t queries)
{
    static const uint64_t words[] = {
        0, 1, 2, 3, 16, 32, 33, 34, 40, 1ull << 32 | 33, 0x400000, 0x7fffffffe000, 0xffffffff80100000};
    unsigned regions = 0, expected = 0;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
            uint64_t tag = ipc_tag(operations[i].label, operations[i].words, 0);
            struct ipc_registers m = ask(queries, tag, words[k], 0);
            int64_t status = (int64_t)m.words[0];
            expected += operations[i].lends && (operations[i].words == 0 || words[k] == LOADED);
            bool number = operations[i].words == 0 || words[k] < 65536;
            EXPECT(number || status == STATUS_ERR_RANGE);
            EXPECT(!number || !operations[i].changes || status == STATUS_ERR_PERMISSION);
            if (ipc_tag_handles(m.tag) != 0) {
                EXPECT(status == STATUS_OK && operations[i].lends &&
                       only_reads(m.words[ipc_tag_words(m.tag) - 1]));
                regions++;
            }
        }
    }
    return regions == expected && regions > 1; /* of the dimension and of the board */
}

/* A capability of the client's in the place of a dimension: it is dropped, not used. */
static bool keeps_nothing(handle_t server)
{
    int64_t mine = sys_region_create(4096, -1);
    EXPECT(mine > 0);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned words = operations[i].words != 0 ? operations[i].words : 1;
        struct ipc_registers m = ask(server, ipc_tag(operations[i].label, words, 1), 0, (handle_t)mine);
        unsigned handles = ipc_tag_handles(m.tag);
        EXPECT(handles == 0 || sys_cap_delete(m.words[ipc_tag_words(m.tag) - 1]) == STATUS_OK);
        EXPECT(operations[i].words != 0 || (int64_t)m.words[0] == STATUS_ERR_ARGUMENT);
    }
    return sys_cap_revoke((handle_t)mine) == 0 && sys_cap_delete((handle_t)mine) == STATUS_OK;
}

static bool use_the_store(void)
{
    int64_t changes = name_wait(DIM_SERVICE_CHANGES, 5 * SECOND);
    int64_t queries = name_wait(DIM_SERVICE, 5 * SECOND);
    EXPECT(changes > 0 && queries > 0);
    EXPECT(ask((handle_t)changes, ipc_tag(DIM_OP_SIMULATE, 1, 0), LOADED, 0).words[0] == STATUS_OK);
    bool good = answers_with_its_own_only((handle_t)queries) && keeps_nothing((handle_t)queries) &&
                keeps_nothing((handle_t)changes);
    EXPECT(ask((handle_t)changes, ipc_tag(DIM_OP_CLOSE, 0, 0), 0, 0).words[0] == STATUS_OK);
    return sys_cap_delete((handle_t)changes) == STATUS_OK && sys_cap_delete((handle_t)queries) == STATUS_OK &&
           good;
}

/* covers: TS-05 (S) */
bool test_the_dimension_store_lends_nobody_its_rights(void)
{
    static const char *const words[] = {"dimstore", "--fill", "4096", NULL};
    int64_t server = sys_fork();
    if (server == 0) {
        sys_exec(words[0], words, NULL);
        sys_exit(127);
    }
    bool good = server > 0 && use_the_store();
    if (!good) {
        (void)sys_process_kill((unsigned)server, 1);
    }
    return tap_status(server) == 0 && good;
}
