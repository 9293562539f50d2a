/* What a recording asks of the host. */

#define _POSIX_C_SOURCE 200809L

#include "main/record.h"

#include "main/console.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

/* A second one ends the program at once, as if nobody had caught the first. */
static void on_interrupt(int number)
{
    interrupted = 1;
    signal(number, SIG_DFL);
}

bool record_interrupted(void)
{
    return interrupted != 0;
}

bool record_reserve(const struct options *o, struct error *e)
{
    char name[4200];
    struct stat s;
    if (!o->record) {
        return !o->embed || error_set(e, "--embed: there is no --record");
    }
    if (console_is_input(o, o->record)) {
        return error_set(e, "--record '%s': is read by this run", o->record);
    }
    if (stat(o->record, &s) == 0 && !S_ISREG(s.st_mode)) {
        return error_set(e, "%s: not a regular file", o->record);
    }
    snprintf(name, sizeof name, "%s.tmp", o->record);
    FILE *f = fopen(name, "wb");
    if (!f) {
        return error_set(e, "%s: %s", o->record, strerror(errno));
    }
    fclose(f);
    unlink(name);
    signal(SIGINT, on_interrupt);
    return true;
}
