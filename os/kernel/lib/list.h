#ifndef OS_KERNEL_LIB_LIST_H
#define OS_KERNEL_LIB_LIST_H

/* Intrusive circular doubly linked list. A head and an unlinked node both point to themselves. */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

/* The object that holds the node at `pointer`. */
#define list_entry(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Walks all nodes; the body must not remove `it`. */
#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* Walks all nodes; the body may remove `it` (not its successor). */
#define list_for_each_safe(it, after, head) \
    for (struct list *it = (head)->next, *after = it->next; it != (head); it = after, after = it->next)

static inline void list_init(struct list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Puts node after `where` (first of the list when `where` is the head). */
static inline void list_insert_after(struct list *where, struct list *node)
{
    node->next = where->next;
    node->prev = where;
    where->next->prev = node;
    where->next = node;
}

/* Puts node before `where` (last of the list when `where` is the head). */
static inline void list_insert_before(struct list *where, struct list *node)
{
    list_insert_after(where->prev, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

/* Unlinks node; it is a list of its own afterwards, so removing it again does nothing. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Unlinks and returns the first node, null when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    if (list_empty(head)) {
        return NULL;
    }
    struct list *first = head->next;
    list_remove(first);
    return first;
}

#endif
