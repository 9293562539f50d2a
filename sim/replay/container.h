#ifndef ORRERY_REPLAY_CONTAINER_H
#define ORRERY_REPLAY_CONTAINER_H

/*
 * The files that Orrery itself writes and reads again: recordings and snapshots. Little-endian:
 *
 *    magic  kind  version | bytes unpacked  bytes packed | XXH3-128 of all other bytes | one zstd frame
 *    8      4     4         8               8              16
 *
 * A file is whole, of a kind and a version that this program reads, or it is refused with one line.
 */

#include "base/status.h"
#include "base/visit.h"

enum container_kind { CONTAINER_RECORDING = 1, CONTAINER_SNAPSHOT = 2 };

#define CONTAINER_MAX_BYTES (UINT64_C(16) << 30) /* unpacked */

/* Writes the payload under a temporary name, and then under this one. False with "name: reason". */
bool container_save(const char *name, enum container_kind kind, uint32_t version,
                    const struct state_buffer *payload, struct error *e);

/* Reads a payload, which the caller deinits. False with "name: reason"; the payload is then empty. */
bool container_load(const char *name, enum container_kind kind, uint32_t version,
                    struct state_buffer *payload, struct error *e);

/* The same, of bytes that were read already; name is for messages. */
bool container_unpack(const char *name, const uint8_t *bytes, size_t size, enum container_kind kind,
                      uint32_t version, struct state_buffer *payload, struct error *e);

#endif
