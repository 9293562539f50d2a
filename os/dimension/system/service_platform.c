/*
 * Memory that clients can map, and files of the boot image or of a disk, for the dimension server. Deviations: while a sealed page changes from private memory to the region its addresses are free for a moment: no other thread of
 * the server may map memory during a change.
 */
#include "dimension/system/service_platform.h"

#define READ_MOST 65536u /* bytes that FILE_READ copies at a time */

static status_t status_of(int64_t result)
{
    return result < 0 ? (status_t)result : STATUS_OK;
}

/* ---- places ---- */

static struct service_place *place_at(struct service_platform *service, uint64_t address)
{
    for (uint32_t i = 0; i < SERVICE_PLACES; i++) {
        if (service->places[i].address == address) {
            return &service->places[i];
        }
    }
    return NULL;
}

static status_t reserve(void *context, uint64_t bytes, uint64_t *address)
{
    struct service_platform *service = context;
    struct service_place *place = NULL;
    mutex_lock(&service->lock);
    if (bytes == service->region_bytes) {
        place = place_at(service, 0);
    }
    status_t status = bytes == service->region_bytes && place == NULL
                          ? STATUS_ERR_LIMIT
                          : service->base.reserve(&service->memory, bytes, address);
    if (status == STATUS_OK && place != NULL) {
        *place = (struct service_place){.address = *address};
    }
    mutex_unlock(&service->lock);
    return status;
}

/* Deletes the capability; the region goes with the last one of the clients. */
static void let_go(handle_t region)
{
    (void)sys_cap_delete(region);
}

/* Makes room by letting the oldest go. Locked. */
static void retire(struct service_platform *service, handle_t region)
{
    struct service_retired *last = &service->retired[SERVICE_RETIRED - 1];
    uint32_t i = 0;
    while (i < SERVICE_RETIRED && service->retired[i].region != 0) {
        i++;
    }
    if (i == SERVICE_RETIRED) {
        let_go(service->retired[0].region);
        memmove(&service->retired[0], &service->retired[1], (SERVICE_RETIRED - 1) * sizeof *last);
        i = SERVICE_RETIRED - 1;
    }
    service->retired[i] = (struct service_retired){.region = region, .dimension = service->dimension};
}

/* Its place has nothing sealed in it any more. */
static void empty_place(struct service_platform *service, uint64_t address)
{
    mutex_lock(&service->lock);
    struct service_place *place = address != 0 ? place_at(service, address) : NULL;
    if (place != NULL && place->region != 0) {
        retire(service, place->region);
        place->region = 0;
    }
    mutex_unlock(&service->lock);
}

static status_t release(void *context, uint64_t address, uint64_t bytes)
{
    struct service_platform *service = context;
    status_t status = service->base.release(&service->memory, address, bytes);
    if (bytes == service->region_bytes) {
        empty_place(service, address);
        mutex_lock(&service->lock);
        struct service_place *place = place_at(service, address);
        if (place != NULL) {
            *place = (struct service_place){0};
        }
        mutex_unlock(&service->lock);
    }
    return status;
}

static status_t commit(void *context, uint64_t address, uint64_t bytes)
{
    struct service_platform *service = context;
    return service->base.commit(&service->memory, address, bytes);
}

/* A region with a copy of what is at the address; 0 < bytes. */
static int64_t region_with(uint64_t address, uint64_t bytes)
{
    int64_t region = sys_region_create(bytes, -1);
    if (region < 0) {
        return region;
    }
    int64_t window = sys_region_map((handle_t)region, 0, bytes, 0, PROTECT_READ | PROTECT_WRITE);
    if (window < 0) {
        let_go((handle_t)region);
        return window;
    }
    memcpy((void *)(uintptr_t)window, (const void *)(uintptr_t)address, bytes);
    status_t status = status_of(sys_unmap((uint64_t)window, bytes));
    status = status == STATUS_OK ? status_of(sys_region_seal((handle_t)region)) : status;
    if (status != STATUS_OK) {
        let_go((handle_t)region);
        return status;
    }
    return region;
}

/* Maps the region where the private memory was. After a failure the addresses are reserved, with nothing there. */
static status_t exchange(handle_t region, uint64_t address, uint64_t bytes)
{
    status_t status = status_of(sys_unmap(address, bytes));
    if (status == STATUS_OK) {
        status = status_of(sys_region_map(region, address, bytes, 0, PROTECT_READ | MAP_EXACT));
        if (status != STATUS_OK) {
            (void)sys_map(address, bytes, MAP_EXACT);
        }
    }
    return status;
}

static status_t seal(void *context, uint64_t address, uint64_t bytes)
{
    struct service_platform *service = context;
    struct service_place *place = place_at(service, address);
    if (place == NULL) {
        return service->base.seal(&service->memory, address, bytes);
    }
    int64_t region = region_with(address, bytes);
    status_t status = region < 0 ? (status_t)region : exchange((handle_t)region, address, bytes);
    if (status != STATUS_OK) {
        if (region > 0) {
            let_go((handle_t)region);
        }
        return status;
    }
    mutex_lock(&service->lock);
    place->region = (handle_t)region;
    service->regions++;
    mutex_unlock(&service->lock);
    return STATUS_OK;
}

static status_t map(void *context, uint64_t address, uint64_t bytes, uint64_t handle)
{
    struct service_platform *service = context;
    return service->base.map(&service->memory, address, bytes, handle);
}

static status_t unmap(void *context, uint64_t address, uint64_t bytes)
{
    struct service_platform *service = context;
    status_t status = service->base.unmap(&service->memory, address, bytes);
    empty_place(service, address);
    return status;
}

status_t service_platform_use_disk(struct service_platform *service)
{
    service->from_disk = true;
    return service_disk_find(&service->disk, NULL, NULL);
}

handle_t service_platform_region(struct service_platform *service, uint64_t address)
{
    mutex_lock(&service->lock);
    const struct service_place *place = address != 0 ? place_at(service, address) : NULL;
    handle_t region = place != NULL ? place->region : 0;
    mutex_unlock(&service->lock);
    return region;
}

/* ---- retired regions ---- */

static bool is_mapped(handle_t region)
{
    struct region_info info;
    return sys_region_info(region, &info) == STATUS_OK && info.mappings != 0;
}

/* Takes those of a dimension away, or those that nobody maps. Keeps the order of the others. */
static void thin_out(struct service_platform *service, bool unmapped_only, uint32_t dimension)
{
    uint32_t kept = 0;
    mutex_lock(&service->lock);
    for (uint32_t i = 0; i < SERVICE_RETIRED && service->retired[i].region != 0; i++) {
        struct service_retired r = service->retired[i];
        bool goes =
            unmapped_only ? !is_mapped(r.region) : dimension == SERVICE_NOBODY || dimension == r.dimension;
        service->retired[i].region = 0;
        if (goes) {
            sys_cap_revoke(r.region);
            let_go(r.region);
        } else {
            service->retired[kept++] = r;
        }
    }
    mutex_unlock(&service->lock);
}

void service_platform_sweep(struct service_platform *service)
{
    thin_out(service, true, SERVICE_NOBODY);
}

void service_platform_recall(struct service_platform *service, uint32_t dimension)
{
    thin_out(service, false, dimension);
}

/* ---- files ---- */

static bool reaches(const char *path, uint64_t offset)
{
    char byte;
    return sys_file_read(path, offset, &byte, 1) == 1;
}

/* By doubling, then halving: there is no call that tells. */
static status_t size_of(const char *path, uint64_t *bytes)
{
    char byte;
    int64_t first = sys_file_read(path, 0, &byte, 1);
    uint64_t low = 0, high = 1; /* a byte at low - 1, none at high */
    if (first < 0) {
        return (status_t)first;
    }
    while (first > 0 && reaches(path, high)) {
        high *= 2;
    }
    while (first > 0 && high - low > 1) {
        uint64_t middle = (low + high) / 2;
        if (reaches(path, middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *bytes = first > 0 ? high : 0;
    return STATUS_OK;
}

/* Where a file is, and how long it is. */
static status_t look_for(struct service_platform *service, const char *name,
                         struct service_disk_file *on_disk, uint64_t *bytes)
{
    *on_disk = (struct service_disk_file){0};
    if (!service->from_disk) {
        return size_of(name, bytes);
    }
    status_t status = service_disk_find(&service->disk, name, on_disk);
    *bytes = on_disk->bytes;
    return status;
}

static struct service_file *file_of(struct service_platform *service, uint64_t handle)
{
    uint64_t index = handle & UINT32_MAX;
    struct service_file *file = index < SERVICE_FILES ? &service->files[index] : NULL;
    return file != NULL && file->path[0] != '\0' && file->serial == handle >> 32 ? file : NULL;
}

static status_t open_file(void *context, const char *name, struct dim_object *object)
{
    struct service_platform *service = context;
    uint64_t bytes = 0;
    uint32_t index = 0;
    struct service_disk_file on_disk;
    status_t status = strnlen(name, PATH_MAX_BYTES) < PATH_MAX_BYTES
                          ? look_for(service, name, &on_disk, &bytes)
                          : STATUS_ERR_LIMIT;
    if (status != STATUS_OK) {
        return status;
    }
    mutex_lock(&service->lock);
    while (index < SERVICE_FILES && service->files[index].path[0] != '\0') {
        index++;
    }
    if (index < SERVICE_FILES) {
        struct service_file *file = &service->files[index];
        memcpy(file->path, name, strlen(name) + 1);
        file->size_bytes = bytes;
        file->serial = ++service->serial;
        file->on_disk = on_disk;
        *object = (struct dim_object){file->serial << 32 | index, bytes};
    }
    mutex_unlock(&service->lock);
    return index < SERVICE_FILES ? STATUS_OK : STATUS_ERR_LIMIT;
}

static status_t read_file(void *context, uint64_t handle, uint64_t offset, void *to, uint64_t bytes)
{
    struct service_platform *service = context;
    const struct service_file *file = file_of(service, handle);
    if (file == NULL || offset > file->size_bytes || bytes > file->size_bytes - offset) {
        return STATUS_ERR_DIM_BACKING;
    }
    if (file->on_disk.serial != 0) {
        return service_disk_read(&service->disk, &file->on_disk, offset, to, bytes);
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t piece = bytes - done < READ_MOST ? bytes - done : READ_MOST;
        int64_t got = sys_file_read(file->path, offset + done, (char *)to + done, piece);
        if (got <= 0) {
            return got < 0 ? (status_t)got : STATUS_ERR_DIM_BACKING;
        }
        done += (uint64_t)got;
    }
    return STATUS_OK;
}

static status_t check_file(void *context, const struct dim_object *object)
{
    struct service_platform *service = context;
    const struct service_file *file = file_of(service, object->handle);
    struct service_disk_file on_disk;
    uint64_t bytes = 0;
    bool same = file != NULL && look_for(service, file->path, &on_disk, &bytes) == STATUS_OK &&
                bytes == object->size_bytes && on_disk.serial == file->on_disk.serial;
    return same ? STATUS_OK : STATUS_ERR_DIM_BACKING;
}

static status_t close_file(void *context, uint64_t handle)
{
    struct service_file *file = file_of(context, handle);
    if (file == NULL) {
        return STATUS_ERR_DIM_BACKING;
    }
    file->path[0] = '\0';
    return STATUS_OK;
}

static void write_log(void *context, enum dim_log_level level, const char *line)
{
    struct service_platform *service = context;
    service->memory.log_lines++;
    if (level != DIM_LOG_INFO) {
        print("dimstore: %s\n", line);
    }
}

void service_platform_init(struct service_platform *service, struct dim_platform *platform,
                           uint64_t region_bytes)
{
    memset(service, 0, sizeof *service);
    system_platform_init(&service->memory, &service->base, NULL, 0);
    service->region_bytes = region_bytes;
    service->dimension = SERVICE_NOBODY;
    *platform = service->base;
    platform->context = service;
    platform->reserve = reserve;
    platform->release = release;
    platform->commit = commit;
    platform->seal = seal;
    platform->map = map;
    platform->unmap = unmap;
    platform->open = open_file;
    platform->read = read_file;
    platform->check = check_file;
    platform->close = close_file;
    platform->log = write_log;
}
