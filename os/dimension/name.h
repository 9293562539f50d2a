#ifndef OS_DIMENSION_NAME_H
#define OS_DIMENSION_NAME_H

/* Where the file of a dimension is looked for. */

#include "dimension/types.h"

#define DIM_FILE_NAME_BYTES 24u

/* "dimNN.SUFFIX", the number with at least two digits; suffix: odim or txt. Returns name, of DIM_FILE_NAME_BYTES. */
const char *dim_file_name(dim_id_t id, const char *suffix, char *name);

#endif
