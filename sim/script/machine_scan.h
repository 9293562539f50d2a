#ifndef ORRERY_SCRIPT_MACHINE_SCAN_H
#define ORRERY_SCRIPT_MACHINE_SCAN_H

#include "base/status.h"

#include <stddef.h>

/* False: the text gives a key of a table twice, or in brackets. Lua keeps the last one and says nothing. The text is Lua. */
bool machine_scan(const char *text, size_t size, struct error *e);

#endif
