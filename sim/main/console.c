/* The serial console of the command line. */

#define _POSIX_C_SOURCE 200809L

#include "main/console.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void temporary_name(const struct options *o, char *name, size_t size)
{
    snprintf(name, size, "%s.tmp", o->serial_file);
}

/* A terminal, a pipe, a device: written in place. */
static bool is_special(const char *name)
{
    struct stat s;
    return stat(name, &s) == 0 && !S_ISREG(s.st_mode);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat s, t;
    return a && b && stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

bool console_is_input(const struct options *o, const char *name)
{
    bool found =
        is_same_file(name, o->kernel) || is_same_file(name, o->initrd) || is_same_file(name, o->file);
    for (unsigned i = 0; i < o->config.disk_count; i++) {
        found = found || is_same_file(name, o->config.disks[i]);
    }
    return found;
}

bool console_open(struct console *c, const struct options *o, enum serial_kind fallback, struct error *e)
{
    enum serial_kind kind = o->given_serial ? o->serial : fallback;
    *c = (struct console){.out = kind == SERIAL_STDIO ? stdout : NULL};
    if (kind == SERIAL_FILE) {
        char name[4096];
        if (console_is_input(o, o->serial_file)) {
            return error_set(e, "--serial '%s': is read by this run", o->serial_file);
        }
        c->in_place = is_special(o->serial_file);
        temporary_name(o, name, sizeof name);
        c->out = fopen(c->in_place ? o->serial_file : name, "wb");
        c->own = true;
        return c->out || error_set(e, "%s: %s", o->serial_file, strerror(errno));
    }
    return true;
}

bool console_close(struct console *c, const struct options *o, struct error *e)
{
    if (!c->own) {
        return !c->out || fflush(c->out) == 0;
    }
    char name[4096];
    temporary_name(o, name, sizeof name);
    bool ok = fflush(c->out) == 0 && !ferror(c->out) && (c->in_place || fsync(fileno(c->out)) == 0);
    ok = fclose(c->out) == 0 && ok && (c->in_place || rename(name, o->serial_file) == 0);
    c->out = NULL;
    return ok || error_set(e, "%s: %s", o->serial_file, strerror(errno));
}

void console_output(void *console, unsigned port, uint8_t byte, uint64_t now_cycles)
{
    struct console *c = console;
    (void)now_cycles;
    if (c->out && (port == 0 || port == SIM_SERIAL_PORTS)) {
        fputc(byte, c->out);
        if (byte == '\n') {
            fflush(c->out); /* whoever reads a pipe sees lines as they come */
        }
    }
}
