/* One kind of file for all that is kept: packed, with a checksum. */

#include "replay/container.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define HEAD_BYTES     48u
#define CHECKSUM_AT    32u
#define CHECKSUM_BYTES 16u
#define PACK_LEVEL     9

/* As in PNG: a transfer that changes line ends, or takes the eighth bit away, is told from other damage. */
static const uint8_t magic[8] = {0x8f, 'O', 'R', 'E', 'C', '\r', '\n', 0x1a};

static const char *kind_name(uint32_t kind)
{
    return kind == CONTAINER_RECORDING  ? "a recording"
           : kind == CONTAINER_SNAPSHOT ? "a snapshot"
                                        : "unknown";
}

/* Of the head without its checksum, and of what follows it. */
static struct digest checksum_of(const uint8_t *bytes, size_t size)
{
    uint8_t both[CHECKSUM_AT + CHECKSUM_BYTES];
    struct digest rest = digest_bytes(bytes + HEAD_BYTES, size - HEAD_BYTES);
    memcpy(both, bytes, CHECKSUM_AT);
    store_le64(both + CHECKSUM_AT, rest.hi);
    store_le64(both + CHECKSUM_AT + 8, rest.lo);
    return digest_bytes(both, sizeof both);
}

bool container_save(const char *name, enum container_kind kind, uint32_t version,
                    const struct state_buffer *payload, struct error *e)
{
    struct state_buffer out = {0};
    size_t room = ZSTD_compressBound(payload->size);
    uint8_t *head = state_buffer_extend(&out, HEAD_BYTES + room);
    size_t packed = ZSTD_compress(head + HEAD_BYTES, room, payload->bytes, payload->size, PACK_LEVEL);
    CHECK(!ZSTD_isError(packed), "packing: %s", ZSTD_getErrorName(packed));
    memcpy(head, magic, sizeof magic);
    store_le32(head + 8, (uint32_t)kind);
    store_le32(head + 12, version);
    store_le64(head + 16, payload->size);
    store_le64(head + 24, packed);
    struct digest sum = checksum_of(head, HEAD_BYTES + packed);
    store_le64(head + CHECKSUM_AT, sum.hi);
    store_le64(head + CHECKSUM_AT + 8, sum.lo);
    bool good = file_write(name, out.bytes, HEAD_BYTES + packed, e);
    state_buffer_deinit(&out);
    return good;
}

static bool head_is_good(const char *name, const uint8_t *bytes, size_t size, enum container_kind kind,
                         uint32_t version, struct error *e)
{
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0) {
        return error_set(e, "%s: not %s", name, kind_name(kind));
    }
    if (size < HEAD_BYTES || load_le64(bytes + 24) > size - HEAD_BYTES) {
        return error_set(e, "%s: damaged: it ends too early", name);
    }
    struct digest sum = checksum_of(bytes, size);
    if (load_le64(bytes + 24) != size - HEAD_BYTES ||
        !digest_equal(sum,
                      (struct digest){load_le64(bytes + CHECKSUM_AT), load_le64(bytes + CHECKSUM_AT + 8)})) {
        return error_set(e, "%s: damaged: its checksum is another", name);
    }
    if (load_le32(bytes + 8) != (uint32_t)kind) {
        return error_set(e, "%s: %s, not %s", name, kind_name(load_le32(bytes + 8)), kind_name(kind));
    }
    return load_le32(bytes + 12) == version ||
           error_set(e, "%s: written in version %u of the format; this program reads version %u", name,
                     load_le32(bytes + 12), version);
}

bool container_unpack(const char *name, const uint8_t *bytes, size_t size, enum container_kind kind,
                      uint32_t version, struct state_buffer *payload, struct error *e)
{
    *payload = (struct state_buffer){0};
    if (!head_is_good(name, bytes, size, kind, version, e)) {
        return false;
    }
    uint64_t unpacked = load_le64(bytes + 16);
    if (unpacked > CONTAINER_MAX_BYTES ||
        ZSTD_getFrameContentSize(bytes + HEAD_BYTES, size - HEAD_BYTES) != unpacked) {
        return error_set(e, "%s: damaged: its size is another", name);
    }
    payload->bytes = malloc(unpacked + 1);
    if (payload->bytes == NULL) {
        return error_set(e, "%s: no memory for %llu bytes", name, (unsigned long long)unpacked);
    }
    payload->size = payload->capacity = unpacked;
    size_t got = ZSTD_decompress(payload->bytes, unpacked, bytes + HEAD_BYTES, size - HEAD_BYTES);
    if (got != unpacked) {
        state_buffer_deinit(payload);
        return error_set(e, "%s: damaged: it cannot be unpacked", name);
    }
    return true;
}

bool container_load(const char *name, enum container_kind kind, uint32_t version,
                    struct state_buffer *payload, struct error *e)
{
    struct file_bytes file;
    *payload = (struct state_buffer){0};
    if (!file_read(name, CONTAINER_MAX_BYTES, &file, e)) {
        return false;
    }
    bool good = container_unpack(name, file.bytes, file.size, kind, version, payload, e);
    file_free(&file);
    return good;
}
