#ifndef ORRERY_CORE_RAM_VERSION_H
#define ORRERY_CORE_RAM_VERSION_H

/*
 * Versions of a RAM: what it had in it at some moment, to be put back later. Versions of one RAM share the pages in which they
 * do not differ, so that taking one costs what was written since the one before it, and putting one back what differs from it.
 * They may be put back and freed in any order.
 */

#include "core/ram.h"

struct ram_version;

/* What is in RAM now. Clears PAGE_DIRTY of what was written, as ram_digest does, with the same duty of the caller. */
struct ram_version *ram_version_take(struct ram *r);

/* Called for every page that gets other contents, before it gets them. */
typedef void ram_page_fn(void *target, phys_t page);

/* Makes RAM what it was. Clears PAGE_DIRTY as above. */
void ram_version_put(struct ram *r, struct ram_version *v, ram_page_fn *changes, void *target);

/* A version may outlive its RAM, but then only be freed. NULL is none. */
void ram_version_free(struct ram_version *v);

/* Bytes of host memory that all versions of a RAM hold. */
uint64_t ram_versions_bytes(const struct ram *r);

#endif
