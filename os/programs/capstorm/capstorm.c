/*
 * capstorm [PROCESSES [ROUNDS]]: a storm of capabilities. Every process grows trees of capabilities for an object of its own,
 * moves and deletes some, revokes the rest at once, and finds its space as it was; meanwhile all of them derive from one
 * object of the first process, which revokes it under their hands. Passes when every space came back.
 */
#include "lib/random.h"
#include "lib/tap.h"

#define TREE 96u

static handle_t shared;
static uint64_t random_state;

static unsigned next(unsigned limit)
{
    return (unsigned)(random_next(&random_state) % limit);
}

static unsigned count_own(void)
{
    unsigned count = 0;
    struct cap_info info;
    for (int64_t at = sys_cap_next(0); at > 0; at = sys_cap_next((handle_t)at)) {
        count += sys_cap_read((handle_t)at, &info) == STATUS_OK && (info.flags & CAP_FLAG_REVOKED) == 0;
    }
    return count;
}

/* Each new one is derived from, or is a copy of, one that there is. False: something failed that cannot. */
static bool grow_and_cut(void)
{
    handle_t tree[TREE];
    int64_t root = sys_notification_create();
    bool good = root > 0;
    tree[0] = (handle_t)root;
    for (unsigned i = 1; good && i < TREE; i++) {
        handle_t from = tree[next(i)];
        int64_t made =
            i % 4 == 0 && from != tree[0] ? sys_cap_copy(from) : sys_cap_derive(from, RIGHTS_ALL, 0);
        good = made > 0;
        tree[i] = (handle_t)made;
        if (good && i % 8 == 0) {
            int64_t moved = sys_cap_move(tree[i], 0);
            good = moved > 0;
            tree[i] = (handle_t)moved;
        }
    }
    int64_t revoked = good ? sys_cap_revoke(tree[0]) : 0;
    return good && revoked == TREE - 1 && sys_cap_delete(tree[0]) == STATUS_OK;
}

/* Under the hands of who revokes: each call works or says that it is too late. */
static bool use_shared(void)
{
    int64_t made = sys_cap_derive(shared, RIGHTS_ALL, 0);
    int64_t again = made > 0 ? sys_cap_derive((handle_t)made, RIGHT_READ, 0) : made;
    bool known = again > 0 || again == STATUS_ERR_CAP_REVOKED || again == STATUS_ERR_CAP_INVALID ||
                 again == STATUS_ERR_CAP_GENERATION;
    if (made > 0) {
        (void)sys_cap_delete((handle_t)made);
    }
    if (again > 0) {
        (void)sys_cap_delete((handle_t)again);
    }
    return known;
}

static int storm(unsigned number, unsigned rounds)
{
    random_state = number * 0x9e3779b97f4a7c15ull + 1;
    unsigned before = count_own();
    for (unsigned round = 0; round < rounds; round++) {
        if (!grow_and_cut() || !use_shared()) {
            return 1;
        }
    }
    unsigned after = count_own();
    return after == before || after + 1 == before ? 0 : 2; /* the shared one may have been revoked */
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    int64_t processes = argc > 1 ? parse_number(argv[1]) : 8;
    int64_t rounds = argc > 2 ? parse_number(argv[2]) : 10;
    unsigned before = count_own();
    int64_t endpoint = sys_endpoint_create(0);
    int64_t begun = 0;
    bool good = processes > 0 && rounds > 0 && endpoint > 0;
    shared = (handle_t)endpoint;
    for (; good && begun < processes; begun++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(storm((unsigned)begun, (unsigned)rounds));
        }
        good = pid > 0;
    }
    sys_sleep(1000000);
    int64_t revoked = sys_cap_revoke(shared);
    for (int64_t i = 0; i < begun; i++) {
        int32_t status = -1;
        good &= sys_wait(0, &status, 0) > 0 && status == 0;
    }
    good &= revoked >= 0 && sys_cap_delete(shared) == STATUS_OK && count_own() == before;
    print("capstorm: %lld processes, %lld revoked from the first one, %s\n", (long long)begun,
          (long long)revoked, good ? "all spaces came back" : "failed");
    return good ? 0 : 1;
}
