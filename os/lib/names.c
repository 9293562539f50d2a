/* Calls of the name server. */
#include "lib/names.h"

#include "lib/sync.h"

#define MS 1000000ull

static struct mutex lock;
static handle_t life; /* an endpoint that nobody else receives from, and no child inherits */
static int64_t life_pid;

/* A handle of an endpoint which goes with this process; negative: a status. */
static int64_t own_life(void)
{
    int64_t status = STATUS_OK;
    mutex_lock(&lock);
    if (life == 0 || life_pid != sys_getpid()) {
        int64_t made = sys_endpoint_create(0);
        status = made < 0 ? made
                          : sys_cap_derive((handle_t)made, RIGHT_READ | RIGHT_WRITE | RIGHT_GRANT,
                                           CAP_FLAG_INHERIT_NONE);
        if (made > 0) {
            (void)sys_cap_delete((handle_t)made);
        }
        life = status > 0 ? (handle_t)status : 0;
        life_pid = sys_getpid();
    }
    status = life != 0 ? (int64_t)life : status;
    mutex_unlock(&lock);
    return status;
}

/* A message with a name, and with words that are handles. */
static int64_t name_message(struct ipc_registers *m, unsigned label, const char *name, unsigned handles)
{
    size_t length = strnlen(name, NAME_BYTES);
    *m =
        (struct ipc_registers){.tag = ipc_tag(label, NAME_BYTES / 8 + handles, handles), .time = IPC_FOREVER};
    if (length == 0 || length > NAME_LENGTH_MAX) {
        return length == 0 ? STATUS_ERR_ARGUMENT : STATUS_ERR_LIMIT;
    }
    memcpy(m->words, name, length);
    return STATUS_OK;
}

static int64_t ask(struct ipc_registers *m)
{
    int64_t status = sys_ipc_call(CAP_ENDPOINT, m);
    return status == STATUS_OK ? (int64_t)m->words[0] : status;
}

int64_t name_bind(const char *name, handle_t handle, unsigned rights)
{
    struct ipc_registers m;
    struct cap_info info;
    if ((rights & ~RIGHTS_ALL) != 0) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    int64_t status = name_message(&m, NAME_BIND, name, 2);
    if (status == STATUS_OK) {
        status = sys_cap_read(handle, &info);
    }
    if (status == STATUS_OK && (rights & ~info.rights) != 0) {
        status = STATUS_ERR_CAP_RIGHTS;
    }
    int64_t alive = status == STATUS_OK ? own_life() : status;
    if (alive < 0) {
        return alive;
    }
    m.words[4] = handle | (uint64_t)(RIGHTS_ALL & ~(rights | RIGHT_GRANT)) << IPC_REMOVE_SHIFT;
    m.words[5] = (uint64_t)alive;
    return ask(&m);
}

static int64_t found(struct ipc_registers *m)
{
    int64_t status = ask(m);
    return status == STATUS_OK ? (int64_t)m->words[1] : status;
}

int64_t name_find(const char *name)
{
    struct ipc_registers m;
    int64_t status = name_message(&m, NAME_FIND, name, 0);
    if (status != STATUS_OK) {
        return status == STATUS_ERR_LIMIT ? STATUS_ERR_NOT_FOUND : status;
    }
    return found(&m);
}

int64_t name_wait(const char *name, uint64_t patience_ns)
{
    struct ipc_registers m;
    uint64_t start = (uint64_t)sys_clock();
    uint64_t passed = 0;
    int64_t status;
    do {
        status = name_message(&m, NAME_WAIT, name, 0);
        if (status == STATUS_OK) {
            m.time = patience_ns == IPC_FOREVER ? IPC_FOREVER : patience_ns - passed;
            status = found(&m);
        }
        if (status == STATUS_ERR_AGAIN) {
            sys_sleep(MS); /* there are more who wait than the server keeps */
        }
        passed = (uint64_t)sys_clock() - start;
    } while (status == STATUS_ERR_AGAIN && passed < patience_ns);
    return status == STATUS_ERR_AGAIN ? STATUS_ERR_TIMEOUT : status;
}

int64_t name_unbind(const char *name)
{
    struct ipc_registers m;
    int64_t status = name_message(&m, NAME_UNBIND, name, 0);
    return status == STATUS_OK ? ask(&m) : status;
}

int64_t name_tidy(void)
{
    struct ipc_registers m = {.tag = ipc_tag(NAME_TIDY, 0, 0), .time = IPC_FOREVER};
    return found(&m);
}
