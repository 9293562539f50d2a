/* The host's platform against the cases that every platform must pass. */

#include "fault_platform.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dimension/platform_cases.h"

static bool faults(uint64_t address, bool write)
{
    volatile uint8_t *at = (volatile uint8_t *)(uintptr_t)address;
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's report */
        signal(SIGBUS, SIG_DFL);
        uint8_t value = *at;
        if (write) {
            *at = value;
        }
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status);
}

/* covers: DS-32 (D) */
static void the_host_s_platform_passes_every_case(void **state)
{
    static uint8_t bytes[5000];
    char folder[] = "/tmp/dimension_XXXXXX", path[64];
    struct host_platform host;
    struct platform_under_test t = {
        .name = "object", .bytes = bytes, .size_bytes = sizeof bytes, .faults = faults};
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    snprintf(path, sizeof path, "%s/object", folder);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, out), sizeof bytes);
    fclose(out);
    host_platform_init(&host, &t.platform, folder, NULL);
    for (unsigned i = 0; i < PLATFORM_CASES; i++) {
        const char *wrong = platform_cases[i].function(&t);
        if (wrong) {
            fail_msg("%s: %s", platform_cases[i].name, wrong);
        }
        assert_int_equal(host.reserved_bytes + host.open_files, 0);
    }
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_s_platform_passes_every_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
