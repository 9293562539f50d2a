#ifndef OS_KERNEL_LIB_TREE_H
#define OS_KERNEL_LIB_TREE_H

/*
 * Intrusive balanced search tree (AVL) of 64-bit keys. Keys are compared by their difference, so they may wrap as long
 * as all keys of one tree lie within 2^63 of each other. Equal keys keep the order of their insertion.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *parent;
    struct tree_node *child[2]; /* smaller, larger or equal */
    uint64_t key;
    uint32_t height; /* of the subtree, 1 for a leaf */
};

struct tree {
    struct tree_node *root;
    struct tree_node *first; /* smallest key */
};

/* The object that holds the node at `pointer`. */
#define tree_entry(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void tree_init(struct tree *tree)
{
    tree->root = NULL;
    tree->first = NULL;
}

static inline bool tree_empty(const struct tree *tree)
{
    return tree->root == NULL;
}

/* Node of the smallest key, the one inserted first among equals; null when the tree is empty. Bound: O(1). */
static inline struct tree_node *tree_first(const struct tree *tree)
{
    return tree->first;
}

/* a comes before b. */
static inline bool tree_key_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* Bound: O(log n), n < 2^32. */
void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key);
void tree_remove(struct tree *tree, struct tree_node *node);

/* Node after this one in order of keys, null at the end. Bound: O(log n). */
struct tree_node *tree_next(const struct tree_node *node);

#endif
