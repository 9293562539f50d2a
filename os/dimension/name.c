/* Names of dimension files. Deviations: none. */

#include "kernel/lib/format.h"

#include "dimension/name.h"

const char *dim_file_name(dim_id_t id, const char *suffix, char *name)
{
    ksnprintf(name, DIM_FILE_NAME_BYTES, "dim%02u.%s", id.number, suffix);
    return name;
}
