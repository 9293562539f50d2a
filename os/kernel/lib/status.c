/* Names and texts of the status values: the rows of abi/status.def. Deviations: none. */

#include "abi/status.h"

struct status_row {
    status_t value;
    const char *name;
    const char *text;
};

static const struct status_row rows[] = {
#define STATUS_ROW(name, value, text) {name, #name, text},
#include "abi/status.def"
#undef STATUS_ROW
};

static const struct status_row *find_row(status_t status)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].value == status) {
            return &rows[i];
        }
    }
    return 0;
}

const char *status_text(status_t status)
{
    const struct status_row *row = find_row(status);
    return row ? row->text : "unknown status";
}

const char *status_name(status_t status)
{
    const struct status_row *row = find_row(status);
    return row ? row->name : "STATUS_UNKNOWN";
}
