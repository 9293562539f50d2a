/* Files of a disk. Deviations: what is written to the disk while it is in use is not noticed. */
#include "dimension/system/service_disk.h"

#include "lib/format.h"

#define PATIENCE_NS 1000000000ull /* for a driver that is just being started */

static status_t read_disk(void *context, uint64_t offset, void *to, uint64_t bytes)
{
    return disk_read(context, offset, to, bytes);
}

/* Locked. */
static void detach(struct service_disk *service)
{
    if (service->attached) {
        disk_close(&service->disk);
        service->attached = false;
    }
}

/* Locked. */
static status_t attach(struct service_disk *service)
{
    if (service->attached) {
        return STATUS_OK;
    }
    status_t status = disk_open(&service->disk, PATIENCE_NS);
    if (status != STATUS_OK) {
        return status == STATUS_ERR_TIMEOUT ? STATUS_ERR_PEER : status;
    }
    const struct archive_source source = {read_disk, &service->disk, service->disk.bytes};
    service->attached = true;
    service->serial++;
    status = archive_index(&service->archive, &source, &service->bad_at);
    if (status != STATUS_OK) {
        detach(service);
    }
    return status;
}

status_t service_disk_find(struct service_disk *service, const char *name, struct service_disk_file *file)
{
    mutex_lock(&service->lock);
    status_t status = attach(service);
    if (status == STATUS_OK && name != NULL) {
        const struct archive_file *found = archive_find(&service->archive, name);
        status = found != NULL ? STATUS_OK : STATUS_ERR_NOT_FOUND;
        if (found != NULL) {
            *file = (struct service_disk_file){found->offset, found->bytes, service->serial};
        }
    }
    mutex_unlock(&service->lock);
    return status;
}

status_t service_disk_read(struct service_disk *service, const struct service_disk_file *file,
                           uint64_t offset, void *to, uint64_t bytes)
{
    mutex_lock(&service->lock);
    bool same = service->attached && service->serial == file->serial;
    status_t status =
        same ? disk_read(&service->disk, file->offset + offset, to, bytes) : STATUS_ERR_DIM_BACKING;
    if (same && status != STATUS_OK) {
        detach(service);
    }
    mutex_unlock(&service->lock);
    return status;
}

const char *service_disk_text(const struct service_disk *service, status_t status,
                              char text[SERVICE_DISK_TEXT])
{
    if (status == STATUS_ERR_BAD_IMAGE) {
        (void)ksnprintf(text, SERVICE_DISK_TEXT, "its archive is damaged or cut off at byte %llu",
                        (unsigned long long)service->bad_at);
    } else {
        (void)ksnprintf(text, SERVICE_DISK_TEXT, "%s",
                        status == STATUS_ERR_PEER ? "nobody serves one" : status_text(status));
    }
    return text;
}
