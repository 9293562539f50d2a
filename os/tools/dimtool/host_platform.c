/*
 * Memory and files of a POSIX host for the dimension store. A handle is (serial number << 32 | index), so that a handle
 * closed before or made up is recognised. Deviation: a file that another program changes while it is mapped changes in
 * the mapping too; the kernel's objects cannot be changed by others.
 */
#define _DEFAULT_SOURCE
#include "tools/dimtool/host_platform.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

static status_t reserve(void *context, uint64_t bytes, uint64_t *address)
{
    struct host_platform *host = context;
    void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return STATUS_ERR_NO_MEMORY;
    }
    host->reserved_bytes += bytes;
    host->reservations++;
    *address = (uint64_t)(uintptr_t)at;
    return STATUS_OK;
}

static status_t release(void *context, uint64_t address, uint64_t bytes)
{
    struct host_platform *host = context;
    if (munmap(pointer(address), bytes) != 0) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    host->reserved_bytes -= bytes;
    host->reservations--;
    return STATUS_OK;
}

static status_t replace(uint64_t address, uint64_t bytes, int protection, int flags, int descriptor)
{
    void *at = mmap(pointer(address), bytes, protection, MAP_FIXED | MAP_PRIVATE | flags, descriptor, 0);
    return at == MAP_FAILED ? STATUS_ERR_NO_MEMORY : STATUS_OK;
}

static status_t commit(void *context, uint64_t address, uint64_t bytes)
{
    struct host_platform *host = context;
    status_t status = replace(address, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    __atomic_fetch_add(&host->backed_bytes, status == STATUS_OK ? bytes : 0, __ATOMIC_RELAXED);
    return status;
}

static status_t seal(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    return mprotect(pointer(address), bytes, PROT_READ) == 0 ? STATUS_OK : STATUS_ERR_BAD_ADDRESS;
}

static struct host_file *file_of(struct host_platform *host, uint64_t handle)
{
    uint64_t index = handle & UINT32_MAX;
    if (index >= HOST_PLATFORM_FILES || host->files[index].descriptor < 0 ||
        host->files[index].serial != handle >> 32) {
        return NULL;
    }
    return &host->files[index];
}

static status_t map(void *context, uint64_t address, uint64_t bytes, uint64_t handle)
{
    struct host_platform *host = context;
    const struct host_file *file = file_of(host, handle);
    if (!file) {
        return STATUS_ERR_DIM_BACKING;
    }
    status_t status = replace(address, bytes, PROT_READ, 0, file->descriptor);
    uint64_t whole = (bytes + DIM_PAGE_BYTES - 1) / DIM_PAGE_BYTES * DIM_PAGE_BYTES;
    __atomic_fetch_add(&host->backed_bytes, status == STATUS_OK ? whole : 0, __ATOMIC_RELAXED);
    return status;
}

static status_t unmap(void *context, uint64_t address, uint64_t bytes)
{
    struct host_platform *host = context;
    status_t status = replace(address, bytes, PROT_NONE, MAP_ANONYMOUS | MAP_NORESERVE, -1);
    __atomic_fetch_sub(&host->backed_bytes, status == STATUS_OK ? bytes : 0, __ATOMIC_RELAXED);
    return status;
}

static status_t open_error(void)
{
    switch (errno) {
    case ENOENT:
        return STATUS_ERR_NOT_FOUND;
    case EACCES:
        return STATUS_ERR_PERMISSION;
    default:
        return STATUS_ERR_DIM_BACKING;
    }
}

static status_t open_file(void *context, const char *name, struct dim_object *object)
{
    struct host_platform *host = context;
    struct stat about;
    char path[4096];
    uint32_t index = 0;
    while (index < HOST_PLATFORM_FILES && host->files[index].descriptor >= 0) {
        index++;
    }
    if (index == HOST_PLATFORM_FILES ||
        snprintf(path, sizeof path, "%s/%s", host->folder, name) >= (int)sizeof path) {
        return STATUS_ERR_LIMIT;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return open_error();
    }
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(descriptor);
        return STATUS_ERR_UNSUPPORTED;
    }
    host->files[index] = (struct host_file){descriptor, ++host->serial};
    host->open_files++;
    *object = (struct dim_object){(uint64_t)host->serial << 32 | index, (uint64_t)about.st_size};
    return STATUS_OK;
}

static status_t read_file(void *context, uint64_t handle, uint64_t offset, void *to, uint64_t bytes)
{
    const struct host_file *file = file_of(context, handle);
    char *at = to;
    while (file && bytes > 0) {
        ssize_t got = pread(file->descriptor, at, bytes, (off_t)offset);
        if (got <= 0) {
            return STATUS_ERR_DIM_BACKING;
        }
        at += got;
        offset += (uint64_t)got;
        bytes -= (uint64_t)got;
    }
    return file ? STATUS_OK : STATUS_ERR_DIM_BACKING;
}

static status_t check(void *context, const struct dim_object *object)
{
    const struct host_file *file = file_of(context, object->handle);
    struct stat about;
    if (!file || fstat(file->descriptor, &about) != 0 || (uint64_t)about.st_size != object->size_bytes) {
        return STATUS_ERR_DIM_BACKING;
    }
    return STATUS_OK;
}

static status_t close_file(void *context, uint64_t handle)
{
    struct host_platform *host = context;
    struct host_file *file = file_of(host, handle);
    if (!file) {
        return STATUS_ERR_DIM_BACKING;
    }
    int failed = close(file->descriptor);
    file->descriptor = -1;
    host->open_files--;
    return failed ? STATUS_ERR_DIM_BACKING : STATUS_OK;
}

static void write_log(void *context, enum dim_log_level level, const char *line)
{
    static const char *const names[] = {"info", "warning", "error"};
    const struct host_platform *host = context;
    if (host->log) {
        fprintf(host->log, "%s: %s\n", names[level], line);
    }
}

static void relax(void *context)
{
    (void)context;
    usleep(1);
}

void host_platform_init(struct host_platform *host, struct dim_platform *platform, const char *folder,
                        FILE *log)
{
    memset(host, 0, sizeof *host);
    host->folder = folder;
    host->log = log;
    for (uint32_t i = 0; i < HOST_PLATFORM_FILES; i++) {
        host->files[i].descriptor = -1;
    }
    *platform = (struct dim_platform){
        .context = host,
        .reserve = reserve,
        .release = release,
        .commit = commit,
        .seal = seal,
        .map = map,
        .unmap = unmap,
        .open = open_file,
        .read = read_file,
        .check = check,
        .close = close_file,
        .log = write_log,
        .relax = relax,
    };
}
