/*
 * Intrusive AVL tree. Source: Adelson-Velsky and Landis, "An algorithm for the organization of information"; nodes have
 * parent pointers, so nothing recurses. Deviations: none.
 */
#include "lib/tree.h"

static uint32_t height(const struct tree_node *node)
{
    return node != NULL ? node->height : 0;
}

static void update_height(struct tree_node *node)
{
    uint32_t smaller = height(node->child[0]);
    uint32_t larger = height(node->child[1]);
    node->height = 1 + (smaller > larger ? smaller : larger);
}

/* Puts `with` (may be null) where `node` hangs below `parent` (null: the root). */
static void replace(struct tree *tree, struct tree_node *parent, const struct tree_node *node,
                    struct tree_node *with)
{
    if (parent == NULL) {
        tree->root = with;
    } else {
        parent->child[parent->child[1] == node] = with;
    }
    if (with != NULL) {
        with->parent = parent;
    }
}

/* The child opposite to `side` takes the place of node, which becomes its child at `side`. */
static struct tree_node *rotate(struct tree *tree, struct tree_node *node, unsigned side)
{
    struct tree_node *up = node->child[!side];
    struct tree_node *inner = up->child[side];
    replace(tree, node->parent, node, up);
    node->child[!side] = inner;
    if (inner != NULL) {
        inner->parent = node;
    }
    up->child[side] = node;
    node->parent = up;
    update_height(node);
    update_height(up);
    return up;
}

/* Restores heights and balance from node upwards, as far as something changes. */
static void rebalance(struct tree *tree, struct tree_node *node)
{
    while (node != NULL) {
        uint32_t before = node->height;
        uint32_t smaller = height(node->child[0]);
        uint32_t larger = height(node->child[1]);
        if (smaller > larger + 1 || larger > smaller + 1) {
            unsigned heavy = larger > smaller;
            struct tree_node *child = node->child[heavy];
            if (height(child->child[!heavy]) > height(child->child[heavy])) {
                rotate(tree, child, heavy);
            }
            node = rotate(tree, node, !heavy);
        } else {
            update_height(node);
        }
        if (node->height == before) {
            break;
        }
        node = node->parent;
    }
}

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key)
{
    struct tree_node *parent = NULL;
    struct tree_node **link = &tree->root;
    bool first = true;
    while (*link != NULL) {
        parent = *link;
        bool larger = !tree_key_before(key, parent->key);
        first &= !larger;
        link = &parent->child[larger];
    }
    *node = (struct tree_node){.parent = parent, .key = key, .height = 1};
    *link = node;
    if (first) {
        tree->first = node;
    }
    rebalance(tree, parent);
}

struct tree_node *tree_next(const struct tree_node *node)
{
    if (node->child[1] != NULL) {
        struct tree_node *next = node->child[1];
        while (next->child[0] != NULL) {
            next = next->child[0];
        }
        return next;
    }
    struct tree_node *up = node->parent;
    while (up != NULL && up->child[1] == node) {
        node = up;
        up = up->parent;
    }
    return up;
}

/* Takes out a node with two children: its successor takes its place. Returns where heights may have changed. */
static struct tree_node *remove_inner(struct tree *tree, struct tree_node *node)
{
    struct tree_node *next = tree_next(node);
    struct tree_node *changed = next->parent == node ? next : next->parent;
    replace(tree, next->parent, next, next->child[1]);
    for (unsigned side = 0; side < 2; side++) {
        next->child[side] = node->child[side];
        if (next->child[side] != NULL) {
            next->child[side]->parent = next;
        }
    }
    next->height = node->height;
    replace(tree, node->parent, node, next);
    return changed;
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *changed = node->parent;
    if (tree->first == node) {
        tree->first = tree_next(node);
    }
    if (node->child[0] != NULL && node->child[1] != NULL) {
        changed = remove_inner(tree, node);
    } else {
        replace(tree, node->parent, node, node->child[node->child[0] == NULL]);
    }
    rebalance(tree, changed);
}
