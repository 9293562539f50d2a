/* Host tests of os/kernel/lib/tree: against a plain sorted list, balance, wrapping keys. */
#include "fake/fake_arch.h"

#include "lib/tree.h"

#define ITEMS 512u
#define STEPS 200000u

struct item {
    struct tree_node node;
    uint64_t order; /* of insertion */
    bool in;
};

static struct item items[ITEMS];
static struct item *sorted[ITEMS];
static unsigned count;

static bool before(const struct item *a, const struct item *b)
{
    return a->node.key != b->node.key ? tree_key_before(a->node.key, b->node.key) : a->order < b->order;
}

static void list_add(struct item *item)
{
    unsigned at = count++;
    while (at > 0 && before(item, sorted[at - 1])) {
        sorted[at] = sorted[at - 1];
        at--;
    }
    sorted[at] = item;
}

static void list_drop(const struct item *item)
{
    unsigned at = 0;
    while (sorted[at] != item) {
        at++;
    }
    memmove(&sorted[at], &sorted[at + 1], (count - at - 1) * sizeof(sorted[0]));
    count--;
}

/* Heights and parents are right and no node leans by more than one; returns the height. */
static uint32_t assert_balanced(const struct tree_node *node, const struct tree_node *parent)
{
    if (node == NULL) {
        return 0;
    }
    assert_ptr_equal(node->parent, parent);
    uint32_t smaller = assert_balanced(node->child[0], node);
    uint32_t larger = assert_balanced(node->child[1], node);
    assert_true(smaller <= larger + 1 && larger <= smaller + 1);
    assert_int_equal(node->height, 1 + (smaller > larger ? smaller : larger));
    return node->height;
}

static void assert_same(const struct tree *tree)
{
    const struct tree_node *at = tree_first(tree);
    for (unsigned i = 0; i < count; i++, at = tree_next(at)) {
        assert_ptr_equal(at, &sorted[i]->node);
    }
    assert_null(at);
    assert_balanced(tree->root, NULL);
}

static void tree_equals_a_sorted_list_under_random_changes(void **state)
{
    (void)state;
    struct tree tree;
    uint64_t random = 0x5eed;
    tree_init(&tree);
    for (uint64_t step = 0; step < STEPS; step++) {
        struct item *item = &items[fake_random(&random) % ITEMS];
        if (item->in) {
            list_drop(item);
            tree_remove(&tree, &item->node);
        } else {
            item->order = step;
            tree_insert(&tree, &item->node,
                        UINT64_MAX - 32 + fake_random(&random) % 64); /* wraps; many equal */
            list_add(item);
        }
        item->in = !item->in;
        assert_ptr_equal(tree_first(&tree), count != 0 ? &sorted[0]->node : NULL);
        if (step % 97 == 0) {
            assert_same(&tree);
        }
    }
    assert_same(&tree);
}

static void tree_is_no_higher_than_its_bound(void **state)
{
    (void)state;
    static struct tree_node nodes[4096];
    struct tree tree;
    tree_init(&tree);
    for (uint64_t i = 0; i < 4096; i++) {
        tree_insert(&tree, &nodes[i], i);
    }
    assert_true(tree.root->height <= 13);
    for (unsigned i = 0; i < 4096; i++) {
        assert_ptr_equal(tree_first(&tree), &nodes[i]);
        tree_remove(&tree, &nodes[i]);
    }
    assert_true(tree_empty(&tree));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_equals_a_sorted_list_under_random_changes),
        cmocka_unit_test(tree_is_no_higher_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
