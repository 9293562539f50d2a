/*
 * The buddy of eight blocks in every state that taking and giving groups can bring it to: the map of what is taken and the
 * order of all free lists. In each, every operation is tried and compared with what the rules say: free groups are the
 * largest that fit, nothing is handed out twice, and who asks gets a group when there is one.
 */
#include "fake/fake_arch.h"

#include "mm/frame_internal.h"

#define BLOCKS     8u
#define ORDERS     4u /* groups of 1, 2, 4, 8 */
#define STATES_MAX 60000u
#define DEPTH_MAX  64u
#define GIVE       ORDERS /* operation GIVE + n: gives the group that begins at block n */
#define OPERATIONS (ORDERS + BLOCKS)
#define NOTHING    0xff

struct shape {
    uint8_t taken[BLOCKS];         /* at the head of a group its order + 1, at its others NOTHING, 0: free */
    uint8_t lists[ORDERS][BLOCKS]; /* heads in order, NOTHING at the end */
};

static struct {
    struct shape shape;
    uint32_t parent;
    uint8_t operation;
} states[STATES_MAX];

static uint32_t state_count;
static struct frame_zone *zone;
static uint32_t base; /* number of the first of the eight */
static uint8_t taken[BLOCKS];

static void begin(void)
{
    uint32_t numbers[512];
    uint32_t count = 0;
    fake_machine(64, 1);
    zone = &frame_manager.nodes[0].zones[FRAME_ZONE_NORMAL];
    assert_true(buddy_take(zone, 3, &base));
    while (count < 512 && buddy_take(zone, 0, &numbers[count])) { /* nothing else is free */
        count++;
    }
    assert_int_equal(base % BLOCKS, 0);
    buddy_insert(zone, base, 3);
}

static bool give(unsigned block)
{
    if (taken[block] == 0 || taken[block] == NOTHING) {
        return false;
    }
    unsigned order = taken[block] - 1u;
    memset(&taken[block], 0, 1u << order);
    buddy_insert(zone, base + block, order);
    return true;
}

/* Is there a free group of that order, by the map alone? */
static bool has_room(unsigned order)
{
    for (unsigned at = 0; at < BLOCKS; at += 1u << order) {
        bool room = true;
        for (unsigned i = 0; i < 1u << order; i++) {
            room &= taken[at + i] == 0;
        }
        if (room) {
            return true;
        }
    }
    return false;
}

static bool take(unsigned order)
{
    uint32_t number;
    bool wanted = has_room(order);
    assert_int_equal(buddy_take(zone, order, &number), wanted);
    if (!wanted) {
        return false;
    }
    assert_true(number >= base && number + (1u << order) <= base + BLOCKS);
    unsigned at = number - base;
    assert_int_equal(at % (1u << order), 0);
    for (unsigned i = 0; i < 1u << order; i++) {
        assert_int_equal(taken[at + i], 0);
        taken[at + i] = NOTHING;
    }
    taken[at] = (uint8_t)(order + 1);
    return true;
}

static bool operate(unsigned operation)
{
    return operation < GIVE ? take(operation) : give(operation - GIVE);
}

/* The order of the free group that must begin at a block: the largest aligned one that is wholly free; NOTHING: none. */
static uint8_t free_order(unsigned block)
{
    for (unsigned order = ORDERS; order-- > 0;) {
        unsigned head = block & ~((1u << order) - 1);
        bool room = true;
        for (unsigned i = 0; i < 1u << order; i++) {
            room &= taken[head + i] == 0;
        }
        if (room) {
            return head == block ? (uint8_t)order : NOTHING;
        }
    }
    return NOTHING;
}

static void read_shape(struct shape *shape)
{
    unsigned heads = 0;
    memset(shape, NOTHING, sizeof(*shape));
    memcpy(shape->taken, taken, BLOCKS);
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        unsigned length = 0;
        for (uint32_t at = zone->buddy_heads[order]; at != BLOCK_NONE; at = block_table[at].next) {
            assert_true(order < ORDERS && at >= base && at < base + BLOCKS && length < BLOCKS);
            assert_int_equal(free_order(at - base), order);
            shape->lists[order][length++] = (uint8_t)(at - base);
            heads++;
        }
    }
    for (unsigned block = 0; block < BLOCKS; block++) {
        heads -= free_order(block) != NOTHING;
    }
    assert_int_equal(heads, 0); /* each that must be there is, once */
}

static void give_all(void)
{
    for (unsigned block = 0; block < BLOCKS; block++) {
        (void)give(block);
    }
}

/* Brings the buddy into a state by the way that first led there. */
static void restore(uint32_t state)
{
    uint8_t path[DEPTH_MAX];
    unsigned depth = 0;
    give_all();
    for (; state != 0; state = states[state].parent) {
        assert_true(depth < DEPTH_MAX);
        path[depth++] = states[state].operation;
    }
    while (depth != 0) {
        assert_true(operate(path[--depth]));
    }
}

static void remember(const struct shape *shape, uint32_t parent, unsigned operation)
{
    for (uint32_t i = 0; i < state_count; i++) {
        if (memcmp(&states[i].shape, shape, sizeof(*shape)) == 0) {
            return;
        }
    }
    assert_true(state_count < STATES_MAX);
    states[state_count].shape = *shape;
    states[state_count].parent = parent;
    states[state_count++].operation = (uint8_t)operation;
}

/* Page tables, revocation and endpoints are tried as exhaustively by test_pagetable, test_cap_model and test_endpoint, each of
 * which prints its number of states. covers: TS-12 (D), MM-03 (U: every state of a small one) */
static void every_state_of_eight_blocks_obeys_the_rules(void **state)
{
    (void)state;
    struct shape shape;
    uint64_t transitions = 0;
    begin();
    read_shape(&shape);
    state_count = 0;
    remember(&shape, 0, 0);
    for (uint32_t at = 0; at < state_count; at++) {
        for (unsigned operation = 0; operation < OPERATIONS; operation++) {
            restore(at);
            read_shape(&shape);
            assert_memory_equal(&shape, &states[at].shape, sizeof(shape));
            if (operate(operation)) {
                transitions++;
                read_shape(&shape);
                remember(&shape, at, operation);
            }
        }
    }
    give_all();
    read_shape(&shape);
    assert_memory_equal(&shape, &states[0].shape, sizeof(shape)); /* one group of eight again */
    print_message("buddy: %u blocks: %u states, %llu transitions\n", BLOCKS, state_count,
                  (unsigned long long)transitions);
    assert_true(state_count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_state_of_eight_blocks_obeys_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
