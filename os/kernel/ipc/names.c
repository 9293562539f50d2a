/*
 * Names of services: a table, and a capability space of the kernel's own that holds what the names stand for. Deviations:
 * names are found by looking at all of them.
 */
#include "ipc/names.h"

#include "abi/ipc.h"
#include "lib/string.h"

static struct name {
    char text[NAME_LENGTH_MAX];
    uint32_t bytes; /* 0: free */
    pid_t owner;
    cap_handle_t handle; /* in `bound` */
} names[NAMES_MAX];

static struct spinlock lock = SPINLOCK_INIT("ipc.names", IPC_NAMES);
static uint32_t count;
static struct cap_space *bound;

status_t names_init(void)
{
    bound = cap_space_create((pid_t){0});
    return bound != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

/* The name, or null; *free_one is a place for it. Locked. */
static struct name *find(const char *text, uint64_t bytes, struct name **free_one)
{
    *free_one = NULL;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        struct name *name = &names[i];
        if (name->bytes == bytes && memcmp(name->text, text, bytes) == 0) {
            return name;
        }
        *free_one = name->bytes == 0 && *free_one == NULL ? name : *free_one;
    }
    return NULL;
}

/* Frees the place of a name; its capability is for the caller to delete. Locked. */
static cap_handle_t clear(struct name *name)
{
    cap_handle_t handle = name->handle;
    *name = (struct name){.bytes = 0};
    count--;
    return handle;
}

/* What was bound may have been revoked meanwhile, then its place is empty in all but name. */
static bool is_live(cap_handle_t handle)
{
    struct cap_info info;
    return cap_read(bound, handle, &info) == STATUS_OK && (info.flags & CAP_FLAG_REVOKED) == 0;
}

static void drop(cap_handle_t handle)
{
    status_t status = cap_delete(bound, handle);
    (void)status; /* it was collected after a revocation */
}

/* Puts a name in. *replaced: a dead capability that had it, word 0 when there was none. */
static status_t enter(const struct name *made, cap_handle_t *replaced)
{
    struct name *place;
    status_t status = STATUS_OK;
    uint64_t flags = spin_lock_irqsave(&lock);
    struct name *name = find(made->text, made->bytes, &place);
    if (name != NULL && !is_live(name->handle)) {
        *replaced = clear(name);
        place = name;
        name = NULL;
    }
    if (name != NULL) {
        status = STATUS_ERR_EXISTS;
    } else if (place == NULL) {
        status = STATUS_ERR_LIMIT;
    } else {
        *place = *made;
        count++;
    }
    spin_unlock_irqrestore(&lock, flags);
    return status;
}

status_t names_bind(pid_t owner, struct cap_space *space, const char *text, uint64_t bytes,
                    cap_handle_t source, uint32_t rights)
{
    struct name made = {.bytes = (uint32_t)bytes, .owner = owner};
    cap_handle_t replaced = {0};
    memcpy(made.text, text, bytes);
    status_t status = cap_derive(space, source, bound, rights | RIGHT_GRANT, 0, &made.handle);
    if (status != STATUS_OK) {
        return status;
    }
    status = enter(&made, &replaced);
    if (status != STATUS_OK) {
        drop(made.handle);
    }
    if (replaced.word != 0) {
        drop(replaced);
    }
    return status;
}

status_t names_find(struct cap_space *to, const char *text, uint64_t bytes, cap_handle_t *out)
{
    struct name *unused;
    struct cap_view view;
    cap_handle_t handle = {0};
    uint64_t flags = spin_lock_irqsave(&lock);
    const struct name *name = find(text, bytes, &unused);
    if (name != NULL) {
        handle = name->handle;
    }
    spin_unlock_irqrestore(&lock, flags);
    if (name == NULL || cap_get(bound, handle, CAP_NONE, 0, &view) != STATUS_OK) {
        return STATUS_ERR_NOT_FOUND;
    }
    status_t status = cap_derive(bound, handle, to, view.rights, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(view.object);
    return status;
}

status_t names_unbind(pid_t owner, const char *text, uint64_t bytes)
{
    struct name *unused;
    cap_handle_t handle = {0};
    uint64_t flags = spin_lock_irqsave(&lock);
    struct name *name = find(text, bytes, &unused);
    status_t status = name == NULL ? STATUS_ERR_NOT_FOUND : STATUS_OK;
    if (name != NULL && name->owner.number != owner.number) {
        status = STATUS_ERR_PERMISSION;
    }
    if (status == STATUS_OK) {
        handle = clear(name);
    }
    spin_unlock_irqrestore(&lock, flags);
    if (status == STATUS_OK) {
        drop(handle);
    }
    return status;
}

void names_process_end(pid_t owner)
{
    if (__atomic_load_n(&count, __ATOMIC_RELAXED) == 0) {
        return; /* what this process bound, it bound itself: nobody else adds to it now */
    }
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        cap_handle_t handle = {0};
        uint64_t flags = spin_lock_irqsave(&lock);
        if (names[i].bytes != 0 && names[i].owner.number == owner.number) {
            handle = clear(&names[i]);
        }
        spin_unlock_irqrestore(&lock, flags);
        if (handle.word != 0) {
            drop(handle);
        }
    }
}
