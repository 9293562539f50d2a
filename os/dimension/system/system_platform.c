/*
 * Memory and objects of a program of this system for the dimension store. Deviation: memory is given back by unmapping
 * and mapping again without access; a thread that maps at an address of its own choice could take the gap meanwhile.
 */
#include "dimension/system/system_platform.h"

#include <stdbool.h>

#include "lib/orrery.h"

static status_t status_of(int64_t result)
{
    return result < 0 ? (status_t)result : STATUS_OK;
}

static status_t reserve(void *context, uint64_t bytes, uint64_t *address)
{
    struct system_platform *system = context;
    int64_t at = sys_map(0, bytes, 0);
    if (at >= 0) {
        *address = (uint64_t)at;
        __atomic_fetch_add(&system->reserved_bytes, bytes, __ATOMIC_RELAXED);
    }
    return status_of(at);
}

static status_t release(void *context, uint64_t address, uint64_t bytes)
{
    struct system_platform *system = context;
    status_t status = status_of(sys_unmap(address, bytes));
    __atomic_fetch_sub(&system->reserved_bytes, status == STATUS_OK ? bytes : 0, __ATOMIC_RELAXED);
    return status;
}

static status_t commit(void *context, uint64_t address, uint64_t bytes)
{
    struct system_platform *system = context;
    status_t status = status_of(sys_protect(address, bytes, PROTECT_READ | PROTECT_WRITE));
    __atomic_fetch_add(&system->backed_bytes, status == STATUS_OK ? bytes : 0, __ATOMIC_RELAXED);
    return status;
}

static status_t seal(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    return status_of(sys_protect(address, bytes, PROTECT_READ));
}

/* Objects lie among other data of the program, not on pages of their own. */
static status_t map(void *context, uint64_t address, uint64_t bytes, uint64_t handle)
{
    (void)context;
    (void)address;
    (void)bytes;
    (void)handle;
    return STATUS_ERR_UNSUPPORTED;
}

static status_t unmap(void *context, uint64_t address, uint64_t bytes)
{
    struct system_platform *system = context;
    status_t status = status_of(sys_unmap(address, bytes));
    if (status == STATUS_OK) {
        status = status_of(sys_map(address, bytes, MAP_EXACT));
        __atomic_fetch_sub(&system->backed_bytes, bytes, __ATOMIC_RELAXED);
    }
    return status;
}

static struct system_handle *handle_of(struct system_platform *system, uint64_t handle)
{
    uint64_t index = handle & UINT32_MAX;
    if (index >= SYSTEM_PLATFORM_OPEN || !system->handles[index].object ||
        system->handles[index].serial != handle >> 32) {
        return NULL;
    }
    return &system->handles[index];
}

static const struct system_object *find(const struct system_platform *system, const char *name)
{
    for (uint32_t i = 0; i < system->object_count; i++) {
        if (strcmp(system->objects[i].name, name) == 0) {
            return &system->objects[i];
        }
    }
    return NULL;
}

static status_t open_object(void *context, const char *name, struct dim_object *object)
{
    struct system_platform *system = context;
    const struct system_object *found = find(system, name);
    uint32_t index = 0;
    if (!found) {
        return STATUS_ERR_NOT_FOUND;
    }
    while (index < SYSTEM_PLATFORM_OPEN && system->handles[index].object) {
        index++;
    }
    if (index == SYSTEM_PLATFORM_OPEN) {
        return STATUS_ERR_LIMIT;
    }
    system->handles[index] = (struct system_handle){found, ++system->serial, 0};
    system->open++;
    *object = (struct dim_object){(uint64_t)system->serial << 32 | index, found->size_bytes};
    return STATUS_OK;
}

static status_t read_object(void *context, uint64_t handle, uint64_t offset, void *to, uint64_t bytes)
{
    const struct system_handle *open = handle_of(context, handle);
    if (!open || offset > open->object->size_bytes || bytes > open->object->size_bytes - offset) {
        return STATUS_ERR_DIM_BACKING;
    }
    memcpy(to, (const char *)open->object->bytes + offset, bytes);
    return STATUS_OK;
}

static status_t check(void *context, const struct dim_object *object)
{
    const struct system_handle *open = handle_of(context, object->handle);
    return open && open->object->size_bytes == object->size_bytes ? STATUS_OK : STATUS_ERR_DIM_BACKING;
}

static status_t close_object(void *context, uint64_t handle)
{
    struct system_platform *system = context;
    struct system_handle *open = handle_of(system, handle);
    if (!open) {
        return STATUS_ERR_DIM_BACKING;
    }
    open->object = NULL;
    system->open--;
    return STATUS_OK;
}

static void write_log(void *context, enum dim_log_level level, const char *line)
{
    struct system_platform *system = context;
    system->log_lines++;
    if (level != DIM_LOG_INFO && !system->quiet) {
        print("# %s\n", line);
    }
}

static uint64_t ticks(void *context)
{
    (void)context;
    return cycles();
}

static void relax(void *context)
{
    (void)context;
    sys_yield();
}

void system_platform_init(struct system_platform *system, struct dim_platform *platform,
                          const struct system_object *objects, uint32_t object_count)
{
    memset(system, 0, sizeof *system);
    system->objects = objects;
    system->object_count = object_count;
    *platform = (struct dim_platform){
        .context = system,
        .reserve = reserve,
        .release = release,
        .commit = commit,
        .seal = seal,
        .map = map,
        .unmap = unmap,
        .open = open_object,
        .read = read_object,
        .check = check,
        .close = close_object,
        .log = write_log,
        .ticks = ticks,
        .relax = relax,
    };
}
