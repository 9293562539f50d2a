#ifndef OS_KERNEL_PROBE_H
#define OS_KERNEL_PROBE_H

/*
 * Named points at which a test image's functions are called: every stage of the start-up by its name,
 * "processor" (an application processor on its way up), "nmi" (in the handler), "panic" (its header is printed)
 * and "start" (thread context, everything but init runs). The shipped image links no such function.
 */

typedef void (*probe_function)(const char *point);

#define PROBE(function) \
    static const probe_function probe_##function __attribute__((used, section(".probes"))) = function

/* Calls every probe, in link order. */
void probe_point(const char *point);

#endif
