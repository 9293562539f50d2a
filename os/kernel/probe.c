/* Calls of the functions that a test image has put into section .probes. */
#include "probe.h"

void probe_point(const char *point)
{
    extern const probe_function probes_start[];
    extern const probe_function probes_end[];
    for (const probe_function *probe = probes_start; probe < probes_end; probe++) {
        (*probe)(point);
    }
}
