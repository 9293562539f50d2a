#ifndef OS_TOOLS_DIMTOOL_DIMTOOL_H
#define OS_TOOLS_DIMTOOL_DIMTOOL_H

/* The commands of dimtool. Each returns the exit status: 0 done, 1 a file is wrong, 2 usage, or a file that cannot be used. */

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *paths[16];
    uint32_t count; /* of paths */
    uint64_t seed;
    uint64_t
        fill_bytes; /* of a simulated layer, or to print; UINT64_MAX: what makes the file a full region */
    bool fill_given;
    bool text;
    bool compress;
};

int command_init(const struct options *options);
int command_convert(const struct options *options);
int command_validate(const struct options *options);
int command_dump(const struct options *options);
int command_query(const struct options *options);

#endif
