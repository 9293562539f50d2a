/*
 * Names of services, which the name server keeps: bound by one process, found by others, gone with the one that bound them.
 * What a program says to the server without the library does no harm either.
 */
#include "ipctest.h"

#include "lib/names.h"
#include "lib/tap.h"

#define LONGEST "a-name-of-thirty-one-characters"

static const char *wanted;
static int64_t bound_before;

/* covers: IP-20 */
static bool test_names_have_limits(void)
{
    EXPECT(make_endpoint() && sizeof(LONGEST) - 1 == NAME_LENGTH_MAX);
    EXPECT(name_bind("", endpoint, RIGHT_WRITE) == STATUS_ERR_ARGUMENT);
    EXPECT(name_bind(LONGEST "x", endpoint, RIGHT_WRITE) == STATUS_ERR_LIMIT);
    EXPECT(name_bind("a", endpoint, 1u << 9) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(name_bind("a", endpoint + (1ull << 40), RIGHT_WRITE) == STATUS_ERR_CAP_GENERATION);
    EXPECT(name_bind("a", endpoint + (1ull << 52), RIGHT_WRITE) == STATUS_ERR_CAP_INVALID);
    handle_t poor = (handle_t)sys_cap_derive(endpoint, RIGHT_READ | RIGHT_WRITE, 0);
    EXPECT(name_bind("a", poor, RIGHT_WRITE) == STATUS_ERR_CAP_RIGHTS); /* may not be passed on */
    EXPECT(name_bind("a", poor, RIGHTS_ALL) == STATUS_ERR_CAP_RIGHTS);  /* nor give what it does not have */
    EXPECT(name_find(LONGEST) == STATUS_ERR_NOT_FOUND && name_find("") == STATUS_ERR_ARGUMENT);
    EXPECT(name_bind(LONGEST, endpoint, RIGHT_WRITE) == STATUS_OK && name_find(LONGEST) > 0);
    EXPECT(name_find("a-name-of-thirty-one-character") == STATUS_ERR_NOT_FOUND);
    EXPECT(name_find(LONGEST "x") == STATUS_ERR_NOT_FOUND);
    return name_unbind(LONGEST) == STATUS_OK && name_find(LONGEST) == STATUS_ERR_NOT_FOUND;
}

/* A process that holds nothing but the names finds the service and calls it. */
static int calls_by_name(void)
{
    if (sys_cap_delete(endpoint) != STATUS_OK) {
        return 1;
    }
    int64_t found = name_find("adder");
    struct cap_info info = {0};
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    m.words[0] = 41;
    bool good = found > 0 && sys_cap_read((handle_t)found, &info) == STATUS_OK &&
                info.rights == (RIGHT_WRITE | RIGHT_GRANT) &&
                sys_ipc_call((handle_t)found, &m) == STATUS_OK && m.words[0] == 42;
    struct ipc_registers end = message(99, 0, 0, IPC_FOREVER);
    return good && sys_ipc_call((handle_t)found, &end) == STATUS_OK ? 0 : 2;
}

static int takes_the_name(void)
{
    bool refused = name_bind("adder", endpoint, RIGHT_READ) == STATUS_ERR_EXISTS &&
                   name_unbind("adder") == STATUS_ERR_PERMISSION && name_find("adder") > 0;
    return refused ? 0 : 1;
}

/* covers: IP-20 */
static bool test_a_name_leads_to_its_service(void)
{
    EXPECT(make_endpoint());
    EXPECT(name_bind("adder", endpoint, RIGHT_WRITE) == STATUS_OK);
    EXPECT(name_bind("adder", endpoint, RIGHT_WRITE) == STATUS_ERR_EXISTS);
    EXPECT(tap_status(tap_child(takes_the_name)) == 0);
    int64_t server = tap_child(echo);
    EXPECT(tap_status(tap_child(calls_by_name)) == 0 && tap_status(server) == 0);
    EXPECT(name_unbind("adder") == STATUS_OK && name_unbind("adder") == STATUS_ERR_NOT_FOUND);
    return name_find("adder") == STATUS_ERR_NOT_FOUND;
}

static int binds_and_ends(void)
{
    return name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK && name_find(wanted) > 0 ? 0 : 1;
}

static int binds_and_faults(void)
{
    if (binds_and_ends() != 0) {
        return 1;
    }
    __asm__ volatile("ud2");
    return 1;
}

/* Another program in the same process: the name went with the old one. */
static int binds_and_execs(void)
{
    static const char *const words[] = {"ipctest", "--finds-no", "short-lived", NULL};
    static const char *const environment[] = {NULL};
    return binds_and_ends() == 0 && sys_exec(words[0], words, environment) < 0 ? 1 : 2;
}

int finds_no(const char *name)
{
    return name_find(name) == STATUS_ERR_NOT_FOUND ? 7 : 1;
}

/* covers: IP-20 */
static bool test_a_name_goes_with_who_bound_it(void)
{
    EXPECT(make_endpoint());
    wanted = "short-lived";
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(tap_status(tap_child(binds_and_ends)) == 0);
        EXPECT(name_find(wanted) == STATUS_ERR_NOT_FOUND);
        EXPECT(tap_status(tap_child(binds_and_faults)) == 256 + 6);
        EXPECT(name_find(wanted) == STATUS_ERR_NOT_FOUND);
        EXPECT(tap_status(tap_child(binds_and_execs)) == 7);
    }
    EXPECT(tap_status(tap_child(binds_and_ends)) == 0); /* what nobody looks up is free for others, too */
    EXPECT(name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK);
    int64_t found = name_find(wanted);
    EXPECT(found > 0 &&
           sys_cap_revoke(endpoint) >= 2); /* what the name stood for is gone, and what was found by it */
    EXPECT(name_find(wanted) == STATUS_ERR_NOT_FOUND);
    EXPECT(name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK); /* so the name is free */
    return name_unbind(wanted) == STATUS_OK;
}

/* n000, n001, ... */
static const char *numbered(unsigned number)
{
    static char name[8] = "n000";
    name[1] = (char)('0' + number / 100);
    name[2] = (char)('0' + number / 10 % 10);
    name[3] = (char)('0' + number % 10);
    return name;
}

static unsigned bind_all(int64_t *status)
{
    unsigned made = 0;
    while ((*status = name_bind(numbered(made), endpoint, RIGHT_WRITE)) == STATUS_OK && made < 999) {
        made++;
    }
    return made;
}

static int binds_all(void)
{
    int64_t status;
    unsigned made = bind_all(&status);
    return status == STATUS_ERR_LIMIT && made == NAMES_MAX - (unsigned)bound_before ? 0 : 1;
}

/* covers: IP-20 */
static bool test_names_run_out_and_come_back(void)
{
    int64_t status;
    EXPECT(make_endpoint() && (bound_before = name_tidy()) >= 0);
    EXPECT(tap_status(tap_child(binds_all)) == 0); /* what it leaves makes room when room is needed */
    unsigned made = bind_all(&status);
    EXPECT(status == STATUS_ERR_LIMIT && made == NAMES_MAX - (unsigned)bound_before && made > 50);
    EXPECT(name_find("n000") > 0 && name_find("n049") > 0);
    EXPECT(name_unbind("n007") == STATUS_OK && name_bind("again", endpoint, RIGHT_WRITE) == STATUS_OK);
    EXPECT(name_unbind("again") == STATUS_OK && name_tidy() == bound_before + made - 1);
    while (made-- != 0) {
        EXPECT(name_unbind(numbered(made)) == (made == 7 ? STATUS_ERR_NOT_FOUND : STATUS_OK));
    }
    return name_tidy() == bound_before;
}

/* ---- lookups that wait ---- */

/* 0: it has waited for the name; 2: the name was there when it came. */
static int waits_for_it(void)
{
    uint64_t before = (uint64_t)sys_clock();
    int64_t found = name_wait(wanted, 60 * SECOND);
    uint64_t passed = (uint64_t)sys_clock() - before;
    if (found <= 0 || own_id((handle_t)found) == 0) {
        return 1;
    }
    return passed >= 10 * MS ? 0 : 2;
}

/* covers: IP-20 */
static bool test_a_lookup_waits_for_a_name(void)
{
    EXPECT(make_endpoint());
    wanted = "in-a-while";
    uint64_t before = (uint64_t)sys_clock();
    EXPECT(name_wait(wanted, 30 * MS) == STATUS_ERR_TIMEOUT && (uint64_t)sys_clock() - before >= 30 * MS);
    EXPECT(name_wait(wanted, 0) == STATUS_ERR_TIMEOUT && name_wait("", MS) == STATUS_ERR_ARGUMENT);
    int64_t waiters[NAME_WAITS + 8]; /* more than the server keeps: some have to ask again */
    for (unsigned i = 0; i < NAME_WAITS + 8; i++) {
        waiters[i] = tap_child(waits_for_it);
    }
    EXPECT(tap_child_waits(waiters[0])); /* for its answer */
    sys_sleep(100 * MS);
    EXPECT(name_bind("something-else", endpoint, RIGHT_WRITE) == STATUS_OK);
    EXPECT(name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK);
    unsigned have_waited = 0; /* all of them, unless the host is busy, in QEMU */
    for (unsigned i = 0; i < NAME_WAITS + 8; i++) {
        int32_t status = tap_status(waiters[i]);
        EXPECT(status == 0 || status == 2);
        have_waited += status == 0;
    }
    EXPECT(have_waited > 0 && name_wait(wanted, SECOND) > 0);
    return name_unbind(wanted) == STATUS_OK && name_unbind("something-else") == STATUS_OK;
}

/* Ends while it waits: its place is free, and the server lives. */
static bool test_who_waits_for_a_name_may_end(void)
{
    EXPECT(make_endpoint());
    wanted = "never";
    for (unsigned i = 0; i < NAME_WAITS + 2; i++) {
        int64_t waiter = tap_child(waits_for_it);
        EXPECT(tap_child_waits(waiter));
        EXPECT(sys_process_kill((unsigned)waiter, 3) == STATUS_OK && tap_status(waiter) == 3);
    }
    EXPECT(name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK);
    return name_wait(wanted, SECOND) > 0 && name_unbind(wanted) == STATUS_OK;
}

/* ---- without the library ---- */

static int64_t says(uint64_t tag, const char *name, handle_t service, handle_t life)
{
    struct ipc_registers m = {.tag = tag, .time = IPC_FOREVER};
    memcpy(m.words, name, strnlen(name, NAME_BYTES));
    m.words[4] = service;
    m.words[5] = life;
    int64_t status = sys_ipc_call(CAP_ENDPOINT, &m);
    return status == STATUS_OK ? (int64_t)m.words[0] : status;
}

/* What has no sense is refused, and nothing of it stays with the server: what it was given can be found nowhere. */
static bool test_the_server_checks_what_it_is_told(void)
{
    EXPECT(make_endpoint());
    handle_t deaf = (handle_t)sys_endpoint_create(0);
    handle_t poor = (handle_t)sys_cap_derive(endpoint, RIGHT_WRITE | RIGHT_GRANT, 0);
    handle_t sender = (handle_t)sys_cap_derive(deaf, RIGHT_WRITE | RIGHT_GRANT, 0);
    for (uint64_t label = 0; label < 8; label++) {
        for (unsigned words = 0; words <= IPC_WORDS; words++) {
            bool fits = (label == NAME_TIDY && words == 0) ||
                        (words == 4 && (label == NAME_FIND || label == NAME_UNBIND || label == NAME_WAIT));
            EXPECT(fits || says(ipc_tag(label, words, 0), "x", 0, 0) == STATUS_ERR_ARGUMENT);
        }
    }
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), LONGEST "x", endpoint, deaf) == STATUS_ERR_ARGUMENT); /* no end */
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), "", endpoint, deaf) == STATUS_ERR_ARGUMENT);
    EXPECT(says(ipc_tag(NAME_BIND, 6, 1), "x", 0, endpoint) == STATUS_ERR_ARGUMENT);
    handle_t weak = poor | (uint64_t)RIGHT_GRANT << IPC_REMOVE_SHIFT;
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), "x", weak, deaf) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), "x", endpoint, CAP_MEMORY) == STATUS_ERR_ARGUMENT);
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), "x", endpoint, sender) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_delete(deaf) ==
           STATUS_OK); /* nobody can receive there: the owner has ended before it began */
    EXPECT(says(ipc_tag(NAME_BIND, 6, 2), "x", endpoint, sender) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_cap_revoke(endpoint) == 1); /* the server has dropped what it was given */
    return name_find("x") == STATUS_ERR_NOT_FOUND;
}

/* ---- names that would outlive their owner ---- */

static handle_t shared_life;

/* With an endpoint that somebody else listens to, it would be there for ever: the server's own is such a one. */
static int binds_to_another_s_life(void)
{
    handle_t foreign = (handle_t)sys_cap_derive(endpoint, RIGHT_WRITE | RIGHT_GRANT, 0);
    bool refused = says(ipc_tag(NAME_BIND, 6, 2), "x", endpoint, CAP_ENDPOINT) == STATUS_ERR_CAP_RIGHTS &&
                   says(ipc_tag(NAME_BIND, 6, 2), "x", endpoint, foreign) == STATUS_ERR_CAP_RIGHTS;
    return refused && name_find("x") == STATUS_ERR_NOT_FOUND ? 0 : 1;
}

static int binds_to_a_shared_life(void)
{
    return says(ipc_tag(NAME_BIND, 6, 2), "shared", endpoint, shared_life) == STATUS_OK ? 0 : 1;
}

static int ends_when_told(void)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    return sys_ipc_receive(endpoint, &m) == STATUS_OK ? 0 : 1;
}

/* The bound: a name stays while somebody lives to whom its owner has given the right to receive, and no longer. */
static bool test_a_name_stays_with_those_who_share_it(void)
{
    EXPECT(make_endpoint());
    EXPECT(tap_status(tap_child(binds_to_another_s_life)) == 0);
    shared_life = (handle_t)sys_endpoint_create(0);
    int64_t heir = tap_child(ends_when_told);
    int64_t owner = tap_child(binds_to_a_shared_life);
    EXPECT(sys_cap_delete(shared_life) == STATUS_OK); /* the children have it */
    EXPECT(tap_status(owner) == 0 && name_find("shared") > 0);
    struct ipc_registers m = {.time = IPC_FOREVER};
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_OK);
    return tap_status(heir) == 0 && name_find("shared") == STATUS_ERR_NOT_FOUND;
}

static int has_no_names(void)
{
    if (sys_cap_delete(CAP_ENDPOINT) != STATUS_OK) {
        return 1;
    }
    bool refused = name_bind("x", endpoint, RIGHT_WRITE) == STATUS_ERR_CAP_INVALID &&
                   name_find("x") == STATUS_ERR_CAP_INVALID && name_wait("x", MS) == STATUS_ERR_CAP_INVALID &&
                   name_unbind("x") == STATUS_ERR_CAP_INVALID && name_tidy() == STATUS_ERR_CAP_INVALID;
    return refused ? 0 : 2;
}

/* Nobody but the server receives what is said to it. */
static int listens_in(void)
{
    struct ipc_registers m = {.time = 10 * MS};
    return sys_ipc_receive(CAP_ENDPOINT, &m) == STATUS_ERR_CAP_RIGHTS ? 0 : 1;
}

/* covers: IP-14 (names) */
static bool test_names_need_their_capability(void)
{
    EXPECT(make_endpoint());
    EXPECT(tap_status(tap_child(listens_in)) == 0);
    return tap_status(tap_child(has_no_names)) == 0;
}

const struct tap_test name_tests[] = {
    {"names_have_limits", test_names_have_limits},
    {"a_name_leads_to_its_service", test_a_name_leads_to_its_service},
    {"a_name_goes_with_who_bound_it", test_a_name_goes_with_who_bound_it},
    {"names_run_out_and_come_back", test_names_run_out_and_come_back},
    {"a_lookup_waits_for_a_name", test_a_lookup_waits_for_a_name},
    {"who_waits_for_a_name_may_end", test_who_waits_for_a_name_may_end},
    {"the_server_checks_what_it_is_told", test_the_server_checks_what_it_is_told},
    {"a_name_stays_with_those_who_share_it", test_a_name_stays_with_those_who_share_it},
    {"names_need_their_capability", test_names_need_their_capability},
};

const unsigned name_test_count = sizeof(name_tests) / sizeof(name_tests[0]);
