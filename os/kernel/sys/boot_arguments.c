/* The kernel command line: a copy, as the handoff block that it comes in is given back. What follows the word "--" is a program's. */
#include "sys/boot_arguments.h"

#include "lib/string.h"
#include "proc/usercopy.h"

static char line[BOOT_ARGUMENTS_MAX];

void boot_arguments_set(const char *text, uint64_t bytes)
{
    uint64_t length = bytes < sizeof(line) - 1 ? bytes : sizeof(line) - 1;
    memcpy(line, text, length);
    while (length != 0 && (line[length - 1] == ' ' || line[length - 1] == '\0')) {
        length--;
    }
    line[length] = '\0';
}

bool boot_argument(const char *name, char *buffer, uint64_t bytes)
{
    size_t name_length = strlen(name);
    for (const char *at = line; *at != '\0';) {
        size_t word = 0;
        while (at[word] != '\0' && at[word] != ' ') {
            word++;
        }
        if (word == 2 && strncmp(at, "--", 2) == 0) {
            return false;
        }
        if (word > name_length && at[name_length] == '=' && strncmp(at, name, name_length) == 0) {
            size_t length = word - name_length - 1;
            if (length >= bytes) {
                return false;
            }
            memcpy(buffer, at + name_length + 1, length);
            buffer[length] = '\0';
            return true;
        }
        at += word;
        while (*at == ' ') {
            at++;
        }
    }
    return false;
}

int64_t boot_arguments_copy_out(vaddr_t buffer, uint64_t bytes)
{
    size_t length = strlen(line);
    if (bytes == 0) {
        return (int64_t)length;
    }
    size_t count = length < bytes - 1 ? length : bytes - 1;
    status_t status = user_write(buffer, line, count);
    if (status == STATUS_OK) {
        status = user_write(vaddr_add(buffer, count), "", 1);
    }
    return status != STATUS_OK ? status : (int64_t)length;
}
