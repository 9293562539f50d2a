/* Names of services: bound by one process, found by others, gone with the one that bound them. */
#include "ipctest.h"

#include "lib/tap.h"

#define LONGEST "a-name-of-thirty-one-characters"

static const char *wanted;

/* covers: IP-20 (limits) */
static bool test_names_have_limits(void)
{
    EXPECT(make_endpoint() && sizeof(LONGEST) - 1 == NAME_LENGTH_MAX);
    EXPECT(sys_name_bind("", endpoint, RIGHT_WRITE) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_name_bind(LONGEST "x", endpoint, RIGHT_WRITE) == STATUS_ERR_LIMIT);
    EXPECT(sys_name_bind((const char *)8, endpoint, RIGHT_WRITE) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_name_bind((const char *)(1ull << 63), endpoint, RIGHT_WRITE) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_name_bind("a", endpoint, 1u << 9) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_name_bind("a", endpoint + (1ull << 40), RIGHT_WRITE) < 0);
    handle_t poor = (handle_t)sys_cap_derive(endpoint, RIGHT_READ | RIGHT_WRITE, 0);
    EXPECT(sys_name_bind("a", poor, RIGHT_WRITE) == STATUS_ERR_CAP_RIGHTS); /* may not be passed on */
    EXPECT(sys_name_find(LONGEST) == STATUS_ERR_NOT_FOUND && sys_name_find("") == STATUS_ERR_ARGUMENT);
    EXPECT(sys_name_bind(LONGEST, endpoint, RIGHT_WRITE) == STATUS_OK && sys_name_find(LONGEST) > 0);
    EXPECT(sys_name_find("a-name-of-thirty-one-character") == STATUS_ERR_NOT_FOUND);
    return sys_name_unbind(LONGEST) == STATUS_OK && sys_name_find(LONGEST) == STATUS_ERR_NOT_FOUND;
}

/* A process that holds nothing but the names finds the service and calls it. */
static int calls_by_name(void)
{
    if (sys_cap_delete(endpoint) != STATUS_OK) {
        return 1;
    }
    int64_t found = sys_name_find("adder");
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
    bool refused = sys_name_bind("adder", endpoint, RIGHT_READ) == STATUS_ERR_EXISTS &&
                   sys_name_unbind("adder") == STATUS_ERR_PERMISSION && sys_name_find("adder") > 0;
    return refused ? 0 : 1;
}

/* covers: IP-20 (binding, conflict, lookup) */
static bool test_a_name_leads_to_its_service(void)
{
    EXPECT(make_endpoint());
    EXPECT(sys_name_bind("adder", endpoint, RIGHT_WRITE) == STATUS_OK);
    EXPECT(sys_name_bind("adder", endpoint, RIGHT_WRITE) == STATUS_ERR_EXISTS);
    EXPECT(tap_status(tap_child(takes_the_name)) == 0);
    int64_t server = tap_child(echo);
    EXPECT(tap_status(tap_child(calls_by_name)) == 0 && tap_status(server) == 0);
    EXPECT(sys_name_unbind("adder") == STATUS_OK && sys_name_unbind("adder") == STATUS_ERR_NOT_FOUND);
    return sys_name_find("adder") == STATUS_ERR_NOT_FOUND;
}

static int binds_and_ends(void)
{
    return sys_name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK && sys_name_find(wanted) > 0 ? 0 : 1;
}

static int binds_and_faults(void)
{
    if (binds_and_ends() != 0) {
        return 1;
    }
    __asm__ volatile("ud2");
    return 1;
}

/* covers: IP-20 (unbind on the owner's exit) */
static bool test_a_name_goes_with_who_bound_it(void)
{
    EXPECT(make_endpoint());
    wanted = "short-lived";
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(tap_status(tap_child(binds_and_ends)) == 0);
        EXPECT(sys_name_find(wanted) == STATUS_ERR_NOT_FOUND);
        EXPECT(tap_status(tap_child(binds_and_faults)) == 256 + 6);
        EXPECT(sys_name_find(wanted) == STATUS_ERR_NOT_FOUND);
    }
    EXPECT(sys_name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK);
    int64_t found = sys_name_find(wanted);
    EXPECT(found > 0 &&
           sys_cap_revoke(endpoint) >= 2); /* what the name stood for is gone, and what was found by it */
    EXPECT(sys_name_find(wanted) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_name_bind(wanted, endpoint, RIGHT_WRITE) == STATUS_OK); /* so the name is free */
    return sys_name_unbind(wanted) == STATUS_OK;
}

/* covers: IP-20 (limits) */
static bool test_names_run_out_and_come_back(void)
{
    EXPECT(make_endpoint());
    char name[8] = "n000";
    unsigned made = 0;
    int64_t status = STATUS_OK;
    while (status == STATUS_OK && made < 1000) {
        name[1] = (char)('0' + made / 100);
        name[2] = (char)('0' + made / 10 % 10);
        name[3] = (char)('0' + made % 10);
        status = sys_name_bind(name, endpoint, RIGHT_WRITE);
        made += status == STATUS_OK;
    }
    EXPECT(status == STATUS_ERR_LIMIT && made > 50);
    EXPECT(sys_name_find("n000") > 0 && sys_name_find("n049") > 0);
    EXPECT(sys_name_unbind("n007") == STATUS_OK &&
           sys_name_bind("again", endpoint, RIGHT_WRITE) == STATUS_OK);
    EXPECT(sys_name_unbind("again") == STATUS_OK);
    while (made-- != 0) {
        name[1] = (char)('0' + made / 100);
        name[2] = (char)('0' + made / 10 % 10);
        name[3] = (char)('0' + made % 10);
        EXPECT(sys_name_unbind(name) == (made == 7 ? STATUS_ERR_NOT_FOUND : STATUS_OK));
    }
    return true;
}

static int has_no_names(void)
{
    if (sys_cap_delete(CAP_NAMES) != STATUS_OK) {
        return 1;
    }
    bool refused = sys_name_bind("x", endpoint, RIGHT_WRITE) == STATUS_ERR_CAP_INVALID &&
                   sys_name_find("x") == STATUS_ERR_CAP_INVALID &&
                   sys_name_unbind("x") == STATUS_ERR_CAP_INVALID;
    return refused ? 0 : 2;
}

/* covers: IP-14 (names) */
static bool test_names_need_their_capability(void)
{
    EXPECT(make_endpoint());
    return tap_status(tap_child(has_no_names)) == 0;
}

const struct tap_test name_tests[] = {
    {"names_have_limits", test_names_have_limits},
    {"a_name_leads_to_its_service", test_a_name_leads_to_its_service},
    {"a_name_goes_with_who_bound_it", test_a_name_goes_with_who_bound_it},
    {"names_run_out_and_come_back", test_names_run_out_and_come_back},
    {"names_need_their_capability", test_names_need_their_capability},
};

const unsigned name_test_count = sizeof(name_tests) / sizeof(name_tests[0]);
