/*
 * Files of the loader's own volume. Source: UEFI Specification 2.10, "Loaded Image Protocol", "Simple File System
 * Protocol", "File Protocol". Deviations: none.
 */
#include "uefi/loader.h"

#define FILE_MAX_BYTES (1ull << 30)
#define PATH_MAX_CHARS 64u
#define POSITION_END   (~0ull)

bool volume_open(struct loader *l)
{
    static const struct efi_guid image_guid = EFI_LOADED_IMAGE_GUID;
    static const struct efi_guid volume_guid = EFI_SIMPLE_FILE_SYSTEM_GUID;
    void *found;
    efi_status status = l->boot->handle_protocol(l->image, &image_guid, &found);
    if (status == EFI_SUCCESS) {
        const struct efi_loaded_image *image = found;
        status = l->boot->handle_protocol(image->device, &volume_guid, &found);
    }
    if (status == EFI_SUCCESS) {
        struct efi_simple_file_system *volume = found;
        status = volume->open_volume(volume, &l->root);
    }
    return status == EFI_SUCCESS ||
           loader_fail(l, "the volume that the loader came from cannot be opened (EFI error %u)",
                       loader_error(status));
}

static efi_status file_open(struct loader *l, const char *path, struct efi_file **out)
{
    efi_char wide[PATH_MAX_CHARS];
    unsigned count = 0;
    for (; count < PATH_MAX_CHARS - 1 && path[count] != '\0'; count++) {
        wide[count] = (efi_char)path[count];
    }
    wide[count] = 0;
    return l->root->open(l->root, out, wide, EFI_FILE_MODE_READ, 0);
}

static efi_status file_size(struct efi_file *file, uint64_t *bytes)
{
    efi_status status = file->set_position(file, POSITION_END);
    if (status == EFI_SUCCESS) {
        status = file->get_position(file, bytes);
    }
    return status == EFI_SUCCESS ? file->set_position(file, 0) : status;
}

/* A firmware may read less than was asked for, but not nothing. */
static efi_status read_all(struct efi_file *file, const struct handoff_span *to)
{
    for (uint64_t done = 0; done < to->size_bytes;) {
        size_t bytes = (size_t)(to->size_bytes - done);
        efi_status status = file->read(file, &bytes, (char *)(uintptr_t)to->base + done);
        if (status != EFI_SUCCESS || bytes == 0) {
            return status != EFI_SUCCESS ? status : EFI_LOAD_ERROR;
        }
        done += bytes;
    }
    return EFI_SUCCESS;
}

bool file_read(struct loader *l, const char *path, bool needed, struct handoff_span *out)
{
    struct efi_file *file;
    *out = (struct handoff_span){0, 0};
    efi_status status = file_open(l, path, &file);
    if (status == EFI_NOT_FOUND) {
        return !needed || loader_fail(l, "%s: not found", path);
    }
    if (status != EFI_SUCCESS) {
        return loader_fail(l, "%s: cannot be opened (EFI error %u)", path, loader_error(status));
    }
    status = file_size(file, &out->size_bytes);
    if (status == EFI_SUCCESS && out->size_bytes > FILE_MAX_BYTES) {
        file->close(file);
        return loader_fail(l, "%s: more than 1 GiB", path);
    }
    if (status == EFI_SUCCESS && out->size_bytes != 0) {
        if (!loader_pages(l, EFI_LOADER_DATA, out->size_bytes, path, &out->base)) {
            file->close(file);
            return false;
        }
        status = read_all(file, out);
    }
    file->close(file);
    return status == EFI_SUCCESS ||
           loader_fail(l, "%s: cannot be read (EFI error %u)", path, loader_error(status));
}
