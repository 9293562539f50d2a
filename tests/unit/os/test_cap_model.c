/*
 * Derivation trees against a model that keeps a parent pointer a capability: random operations over several spaces, and
 * every state of a few capabilities with every operation in it.
 */

#include "fake/fake_arch.h"

#include "fake/fake_cap.h"

#define SPACES 3u
#define NODES  400u
#define DEAD   256u

enum life { FREE, LIVE, REVOKED };

struct node {
    enum life life;
    unsigned space;
    cap_handle_t handle;
    uint64_t id;
    int parent; /* -1: root */
    uint32_t rights;
};

static struct {
    struct cap_space *spaces[SPACES];
    struct node nodes[NODES];
    unsigned live;
    struct {
        unsigned space;
        cap_handle_t handle;
    } dead[DEAD];
    unsigned dead_count;
} world;

static int node_new(unsigned space, cap_handle_t handle, int parent, uint32_t rights)
{
    for (int i = 0; i < (int)NODES; i++) {
        if (world.nodes[i].life == FREE) {
            struct cap_view view;
            assert_ok(look(world.spaces[space], handle, CAP_CONSOLE, 0, &view));
            world.nodes[i] = (struct node){LIVE, space, handle, view.id, parent, rights};
            world.live++;
            return i;
        }
    }
    fail_msg("the model is full");
    return -1;
}

static void node_dead(int index)
{
    struct node *node = &world.nodes[index];
    world.dead[world.dead_count % DEAD].space = node->space;
    world.dead[world.dead_count++ % DEAD].handle = node->handle;
    node->life = FREE;
}

static bool is_below(int index, int ancestor)
{
    for (int at = world.nodes[index].parent; at >= 0; at = world.nodes[at].parent) {
        if (at == ancestor) {
            return true;
        }
    }
    return false;
}

/* ---- comparison ---- */

static uint32_t reference_of(const struct node *node)
{
    return slot_reference(world.spaces[node->space], (uint32_t)node->handle.word);
}

/* The node of a live capability with that parent. */
static bool is_live_below(uint32_t reference, int parent)
{
    for (int i = 0; i < (int)NODES; i++) {
        if (world.nodes[i].life == LIVE && world.nodes[i].parent == parent &&
            reference_of(&world.nodes[i]) == reference) {
            return true;
        }
    }
    return false;
}

/* The ring of a root holds roots only, and is the same in both directions. */
static void assert_ring(int index)
{
    uint32_t root = reference_of(&world.nodes[index]);
    uint32_t at = root;
    do {
        uint32_t next = record_of(at)->siblings.next;
        assert_int_equal(next & REF_CHILDREN, 0);
        assert_int_equal(record_of(next)->siblings.prev, at);
        assert_true(is_live_below(next, -1));
        at = next;
    } while (at != root);
}

/* The children that the kernel's list holds are those of the model. */
static void assert_children(int index)
{
    unsigned expected = 0;
    unsigned met = 0;
    for (int i = 0; i < (int)NODES; i++) {
        expected += world.nodes[i].life == LIVE && world.nodes[i].parent == index;
    }
    uint32_t end = reference_of(&world.nodes[index]) | REF_CHILDREN;
    uint32_t first = record_of(end)->first_child;
    uint32_t before = 0;
    for (uint32_t at = first; at != 0 && at != end; at = record_of(at)->siblings.next) {
        assert_int_equal(at & REF_CHILDREN, 0);
        assert_true(before == 0 || record_of(at)->siblings.prev == before);
        assert_true(is_live_below(at, index));
        before = at;
        met++;
    }
    assert_true(first == 0 || record_of(first)->siblings.prev == before);
    assert_int_equal(met, expected);
}

static void assert_equal_to_model(void)
{
    unsigned used[SPACES] = {0};
    for (int i = 0; i < (int)NODES; i++) {
        const struct node *node = &world.nodes[i];
        struct cap_view view;
        if (node->life == FREE) {
            continue;
        }
        used[node->space]++;
        status_t status = look(world.spaces[node->space], node->handle, CAP_CONSOLE, node->rights, &view);
        if (node->life == REVOKED) {
            assert_int_equal(status, STATUS_ERR_CAP_REVOKED);
            continue;
        }
        assert_ok(status);
        assert_int_equal(view.id, node->id);
        assert_int_equal(view.rights, node->rights);
        assert_children(i);
        if (node->parent == -1) {
            assert_ring(i);
        }
    }
    for (unsigned i = 0; i < SPACES; i++) {
        assert_int_equal(world.spaces[i]->used, used[i]);
    }
    for (unsigned i = 0; i < DEAD && i < world.dead_count; i++) {
        assert_int_not_equal(usable(world.spaces[world.dead[i].space], world.dead[i].handle), STATUS_OK);
    }
}

/* ---- operations on both ---- */

static void op_insert(unsigned space)
{
    cap_handle_t handle;
    assert_ok(cap_insert(world.spaces[space], &thing.object, RIGHTS_ALL, 0, &handle));
    node_new(space, handle, -1, RIGHTS_ALL);
}

static void op_derive(int index, unsigned to, uint32_t rights)
{
    struct node *node = &world.nodes[index];
    cap_handle_t handle;
    bool allowed = (rights & ~node->rights) == 0 && (to == node->space || (node->rights & RIGHT_GRANT) != 0);
    status_t status =
        cap_derive(world.spaces[node->space], node->handle, world.spaces[to], rights, 0, &handle);
    assert_int_equal(status, allowed ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
    if (allowed) {
        node_new(to, handle, index, rights);
    }
}

static void op_copy(int index)
{
    struct node *node = &world.nodes[index];
    cap_handle_t handle;
    bool allowed = (node->rights & RIGHT_GRANT) != 0;
    status_t status = cap_copy(world.spaces[node->space], node->handle, &handle);
    assert_int_equal(status, allowed ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
    if (allowed) {
        node_new(node->space, handle, node->parent, node->rights);
    }
}

static void op_move(int index, unsigned to)
{
    struct node *node = &world.nodes[index];
    cap_handle_t handle;
    bool allowed = to == node->space || (node->rights & RIGHT_GRANT) != 0;
    status_t status = cap_move(world.spaces[node->space], node->handle, world.spaces[to], 0, &handle);
    assert_int_equal(status, allowed ? STATUS_OK : STATUS_ERR_CAP_RIGHTS);
    if (allowed) {
        struct node old = *node;
        node_dead(index); /* the old handle is */
        *node = old;
        node->space = to;
        node->handle = handle;
    }
}

static void op_delete(int index)
{
    struct node *node = &world.nodes[index];
    assert_ok(cap_delete(world.spaces[node->space], node->handle));
    for (int i = 0; i < (int)NODES; i++) {
        if (world.nodes[i].life == LIVE && world.nodes[i].parent == index) {
            world.nodes[i].parent = node->parent;
        }
    }
    world.live -= node->life == LIVE;
    node_dead(index);
}

static void op_revoke(int index)
{
    uint64_t count;
    uint64_t expected = 0;
    static bool below[NODES];
    const struct node *node = &world.nodes[index];
    for (int i = 0; i < (int)NODES; i++) {
        below[i] = world.nodes[i].life == LIVE && is_below(i, index);
    }
    for (int i = 0; i < (int)NODES; i++) {
        if (below[i]) {
            expected++;
            world.live--;
            world.nodes[i].life = REVOKED;
            world.nodes[i].parent = -1;
        }
    }
    assert_ok(cap_revoke(world.spaces[node->space], node->handle, &count));
    assert_int_equal(count, expected);
}

static void op_collect(void)
{
    cap_collect();
    for (int i = 0; i < (int)NODES; i++) {
        if (world.nodes[i].life == REVOKED) {
            node_dead(i);
        }
    }
}

static int random_live(uint64_t *seed)
{
    int index;
    do {
        index = (int)(fake_random(seed) % NODES);
    } while (world.nodes[index].life != LIVE);
    return index;
}

static void random_operation(uint64_t *seed)
{
    uint64_t random = fake_random(seed);
    unsigned to = (unsigned)(random >> 32) % SPACES;
    uint32_t rights = (uint32_t)(random >> 40) & RIGHTS_ALL;
    unsigned kind = (unsigned)(random % 100);
    if (world.live > NODES / 3) {
        kind = 62 + kind % 38; /* room is short: move, delete, revoke, collect */
    }
    if (world.live == 0 || kind < 4) {
        op_insert(to);
    } else if (kind < 50) {
        op_derive(random_live(seed), to, kind < 35 ? world.nodes[random_live(seed)].rights : rights);
    } else if (kind < 62) {
        op_copy(random_live(seed));
    } else if (kind < 74) {
        op_move(random_live(seed), to);
    } else if (kind < 92) {
        op_delete(random_live(seed));
    } else if (kind < 97) {
        op_revoke(random_live(seed));
    } else {
        op_collect();
    }
    unsigned taken = 0;
    for (unsigned i = 0; i < NODES; i++) {
        taken += world.nodes[i].life != FREE;
    }
    if (taken > NODES / 2) {
        op_collect();
    }
}

static void begin(void)
{
    start_caps();
    memset(&world, 0, sizeof world);
    fake_object_init(&thing);
    for (unsigned i = 0; i < SPACES; i++) {
        world.spaces[i] = cap_space_create((struct pid){i + 1});
        assert_non_null(world.spaces[i]);
    }
}

static void finish(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        cap_space_destroy(world.spaces[i]);
    }
    object_put(&thing.object);
    rcu_barrier();
    assert_true(thing.released);
    assert_int_equal(thing.added, thing.removed);
    end_caps();
}

/* covers: CP-03 CP-07 CP-27 */
static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    const char *chosen = getenv("SEED");
    uint64_t first = chosen != NULL ? strtoull(chosen, NULL, 0) : 1;
    uint64_t last = chosen != NULL ? first : 12;
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("SEED=%llu\n", (unsigned long long)seed);
        uint64_t random = seed * 0x9e3779b97f4a7c15;
        begin();
        for (unsigned i = 0; i < 2500; i++) {
            random_operation(&random);
            fake_cpu = (unsigned)(fake_random(&random) % 2);
            if (i % 4 == 0) {
                assert_equal_to_model();
            }
        }
        fake_cpu = 0;
        finish();
    }
}

/* ---- every state of up to SMALL capabilities ---- */

#define SMALL      6u
#define STATES_MAX 4096u
#define STEPS_MAX  32u
#define OPERATIONS 5u

struct step {
    uint8_t operation;
    uint8_t target; /* in the order of `describe` */
};

struct small_state {
    char shape[4 * SMALL];
    struct step path[STEPS_MAX];
    unsigned steps;
};

static struct small_state states[STATES_MAX];
static unsigned state_count;
static int order[SMALL]; /* nodes as `describe` met them */
static unsigned ordered;

static void describe_node(int index, char **text)
{
    order[ordered++] = index;
    *(*text)++ = '(';
    uint32_t end = reference_of(&world.nodes[index]) | REF_CHILDREN;
    for (uint32_t at = record_of(end)->first_child; at != 0 && at != end; at = record_of(at)->siblings.next) {
        for (int i = 0; i < (int)NODES; i++) {
            if (world.nodes[i].life == LIVE && reference_of(&world.nodes[i]) == at) {
                describe_node(i, text);
                break;
            }
        }
    }
    *(*text)++ = ')';
}

/* The forest as brackets, children in the order of their list, roots in the order of their making. */
static void describe(char *text)
{
    ordered = 0;
    for (int i = 0; i < (int)NODES; i++) {
        if (world.nodes[i].life == LIVE && world.nodes[i].parent == -1) {
            describe_node(i, &text);
        }
    }
    *text = '\0';
}

/* False: not possible in this state. */
static bool apply(struct step step)
{
    char text[4 * SMALL];
    describe(text);
    bool grows = step.operation <= 2;
    if ((step.operation != 0 && step.target >= ordered) || (step.operation == 0 && step.target != 0) ||
        (grows && ordered == SMALL)) {
        return false;
    }
    switch (step.operation) {
    case 0:
        op_insert(0);
        break;
    case 1:
        op_derive(order[step.target], 0, RIGHTS_ALL);
        break;
    case 2:
        op_copy(order[step.target]);
        break;
    case 3:
        op_delete(order[step.target]);
        break;
    default:
        op_revoke(order[step.target]);
        op_collect();
        break;
    }
    return true;
}

static void restart(const struct small_state *from)
{
    for (unsigned i = 0; i < SPACES; i++) {
        cap_space_destroy(world.spaces[i]);
        world.spaces[i] = cap_space_create((struct pid){i + 1});
    }
    rcu_barrier();
    memset(world.nodes, 0, sizeof world.nodes);
    world.live = 0;
    world.dead_count = 0;
    for (unsigned i = 0; i < from->steps; i++) {
        assert_true(apply(from->path[i]));
    }
}

static void remember(const struct small_state *from, struct step step)
{
    char shape[4 * SMALL];
    describe(shape);
    for (unsigned i = 0; i < state_count; i++) {
        if (strcmp(states[i].shape, shape) == 0) {
            return;
        }
    }
    assert_true(state_count < STATES_MAX && from->steps < STEPS_MAX);
    struct small_state *state = &states[state_count++];
    *state = *from;
    strcpy(state->shape, shape);
    state->path[state->steps++] = step;
}

/* covers: CP-07, TS-12 (D: revocation) */
static void every_small_state_agrees_with_the_model_after_every_operation(void **state)
{
    (void)state;
    unsigned transitions = 0;
    begin();
    states[0] = (struct small_state){.steps = 0};
    state_count = 1;
    for (unsigned at = 0; at < state_count; at++) {
        for (unsigned i = 0; i < OPERATIONS * SMALL; i++) {
            struct step step = {(uint8_t)(i / SMALL), (uint8_t)(i % SMALL)};
            restart(&states[at]);
            if (apply(step)) {
                transitions++;
                assert_equal_to_model();
                remember(&states[at], step);
            }
        }
    }
    print_message("%u states of up to %u capabilities, %u transitions\n", state_count, SMALL, transitions);
    /* every ordered forest of up to SMALL nodes: the sum of the Catalan numbers */
    assert_int_equal(state_count, 1 + 1 + 2 + 5 + 14 + 42 + 132);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(every_small_state_agrees_with_the_model_after_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
