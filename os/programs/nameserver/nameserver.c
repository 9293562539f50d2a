/*
 * nameserver: names of services (lib/names.h). init starts it and gives it the console, the right to make objects, and the
 * receiving side of an endpoint in the well-known slot; everybody else has the sending side. One thread, no memory but its
 * tables. Nobody tells it that an owner has ended: it finds out when the name is asked for, when room is needed, and once a
 * second while names are bound, by a message that waits for nobody to the endpoint that lives as long as the owner. That it is
 * the owner's is shown by the right to receive there, which nobody can pass on who does not have it: the server's own
 * endpoint, or another service's, keeps no name alive. The server gives that right up at once.
 * Deviations: names are found by looking at all of them.
 */
#include "lib/names.h"
#include "lib/serve.h"

#include <stdbool.h>

#define SECOND     1000000000ull
#define SLOTS_USED 256u /* the capability space grows so far at the start, not when somebody counts frames */

static struct name {
    char text[NAME_BYTES];
    handle_t service; /* 0: free */
    handle_t life;
    uint64_t owner; /* id of the capability it asks by */
} names[NAMES_MAX];

static struct wait {
    char text[NAME_BYTES];
    handle_t right; /* to answer, 0: free */
} waits[NAME_WAITS];

static unsigned next_wait;

static void drop(handle_t handle)
{
    (void)sys_cap_delete(handle); /* it may have been revoked and collected */
}

/* ---- names ---- */

static void release(struct name *name)
{
    drop(name->service);
    drop(name->life);
    *name = (struct name){.service = 0};
}

static bool is_open(handle_t endpoint)
{
    struct ipc_registers m = {.time = 0};
    int64_t status = sys_ipc_send(endpoint, &m);
    return status == STATUS_ERR_AGAIN || status == STATUS_OK;
}

static bool is_held(handle_t handle)
{
    struct cap_info info;
    return sys_cap_read(handle, &info) == STATUS_OK && (info.flags & CAP_FLAG_REVOKED) == 0;
}

/* The name, null when nobody who lives has bound it. */
static struct name *find(const char *text)
{
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        struct name *name = &names[i];
        if (name->service != 0 && memcmp(name->text, text, NAME_BYTES) == 0) {
            if (is_open(name->life) && is_held(name->service)) {
                return name;
            }
            release(name);
        }
    }
    return NULL;
}

/* Frees what belonged to those who have ended; how many names are left. */
static unsigned tidy(void)
{
    unsigned left = 0;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        left += names[i].service != 0 && find(names[i].text) != NULL;
    }
    return left;
}

static bool any_bound(void)
{
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (names[i].service != 0) {
            return true;
        }
    }
    return false;
}

static struct name *free_place(void)
{
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (names[i].service == 0) {
            return &names[i];
        }
    }
    return NULL;
}

/* ---- answers ---- */

static struct ipc_registers status_message(int64_t status)
{
    return (struct ipc_registers){.tag = ipc_tag(0, 1, 0), .words = {(uint64_t)status}};
}

/* Answers with the capability of a name; right 0: the call received last. */
static void answer_with(handle_t right, const struct name *name)
{
    struct ipc_registers m = {.tag = ipc_tag(0, 2, 1), .words = {STATUS_OK, name->service}};
    int64_t status = sys_ipc_reply(right, &m);
    if (status != STATUS_OK && status != STATUS_ERR_PEER) {
        m = status_message(STATUS_ERR_NOT_FOUND); /* it was revoked this moment */
        (void)sys_ipc_reply(right, &m);
    }
}

static void answer(int64_t status)
{
    struct ipc_registers m = status_message(status);
    (void)sys_ipc_reply(0, &m); /* who asked may have gone */
}

/* ---- lookups that wait ---- */

static void end_wait(struct wait *wait, const struct name *name)
{
    if (name != NULL) {
        answer_with(wait->right, name);
    } else if (wait->right != 0) {
        struct ipc_registers m = status_message(STATUS_ERR_AGAIN);
        (void)sys_ipc_reply(wait->right, &m);
    }
    drop(wait->right);
    wait->right = 0;
}

/* The call received last waits for a name. In the place of the oldest one, which has gone or asks again. */
static void begin_wait(const char *text)
{
    struct wait *wait = &waits[next_wait++ % NAME_WAITS];
    if (wait->right != 0) {
        end_wait(wait, NULL);
    }
    int64_t right = sys_ipc_reply_save();
    if (right < 0) {
        answer(right);
        return;
    }
    memcpy(wait->text, text, NAME_BYTES);
    wait->right = (handle_t)right;
}

static void end_waits(const struct name *name)
{
    for (unsigned i = 0; i < NAME_WAITS; i++) {
        if (waits[i].right != 0 && (name == NULL || memcmp(waits[i].text, name->text, NAME_BYTES) == 0)) {
            end_wait(&waits[i], name);
        }
    }
}

/* ---- calls ---- */

/* What a message brought that is to be bound. STATUS_ERR_ARGUMENT: not what it takes. */
static int64_t check_bind(const struct ipc_registers *m)
{
    struct cap_info service;
    for (unsigned i = 4; i < 6; i++) {
        if ((int64_t)m->words[i] <= 0) {
            return m->words[i] != 0 ? (int64_t)m->words[i] : STATUS_ERR_ARGUMENT;
        }
    }
    struct cap_info life = {.rights = 0};
    int64_t status = sys_cap_read(m->words[4], &service);
    if (status == STATUS_OK && (service.rights & RIGHT_GRANT) == 0) {
        status = STATUS_ERR_CAP_RIGHTS;
    }
    if (status == STATUS_OK && !is_open(m->words[5])) {
        status = STATUS_ERR_ARGUMENT;
    }
    if (status == STATUS_OK) {
        status = sys_cap_read(m->words[5], &life);
    }
    return status == STATUS_OK && (life.rights & RIGHT_READ) == 0 ? STATUS_ERR_CAP_RIGHTS : status;
}

/* A handle that can only send where the given one, which is given up, can receive too; else a negative status. */
static int64_t only_sends(handle_t life)
{
    int64_t sender = sys_cap_derive(life, RIGHT_WRITE, 0);
    if (sender > 0) {
        drop(life);
    }
    return sender;
}

static int64_t bind(const char *text, const struct ipc_registers *m, struct name **bound)
{
    int64_t status = check_bind(m);
    if (status != STATUS_OK) {
        return status;
    }
    if (find(text) != NULL) {
        return STATUS_ERR_EXISTS;
    }
    struct name *place = free_place();
    if (place == NULL && tidy() < NAMES_MAX) {
        place = free_place();
    }
    if (place == NULL) {
        return STATUS_ERR_LIMIT;
    }
    int64_t life = only_sends(m->words[5]);
    if (life < 0) {
        return life;
    }
    *place = (struct name){.service = m->words[4], .life = (handle_t)life, .owner = m->badge};
    memcpy(place->text, text, NAME_BYTES);
    *bound = place;
    return STATUS_OK;
}

static void serve_bind(const char *text, const struct ipc_registers *m)
{
    struct name *bound = NULL;
    int64_t status = bind(text, m, &bound);
    if (status != STATUS_OK) { /* before the answer: who gets it may look for what the server has kept */
        drop(m->words[4]);
        drop(m->words[5]);
    }
    answer(status);
    if (status == STATUS_OK) {
        end_waits(bound);
    }
}

static void serve_find(const char *text, bool waits_for_it)
{
    const struct name *name = find(text);
    if (name != NULL) {
        answer_with(0, name);
    } else if (waits_for_it) {
        begin_wait(text);
    } else {
        answer(STATUS_ERR_NOT_FOUND);
    }
}

static int64_t unbind(const char *text, uint64_t owner)
{
    struct name *name = find(text);
    if (name == NULL) {
        return STATUS_ERR_NOT_FOUND;
    }
    if (name->owner != owner) {
        return STATUS_ERR_PERMISSION;
    }
    release(name);
    return STATUS_OK;
}

static void serve_tidy(void)
{
    end_waits(NULL);
    struct ipc_registers m = {.tag = ipc_tag(0, 2, 0), .words = {STATUS_OK, tidy()}};
    (void)sys_ipc_reply(0, &m);
}

/* The name of a message, filled up with zeros; false: there is none, or it has no end. */
static bool read_name(const struct ipc_registers *m, char *text)
{
    size_t length = strnlen((const char *)m->words, NAME_BYTES);
    memset(text, 0, NAME_BYTES);
    memcpy(text, m->words, length < NAME_BYTES ? length : 0);
    return length != 0 && length < NAME_BYTES;
}

static void serve(const struct ipc_registers *m)
{
    char text[NAME_BYTES];
    uint64_t label = ipc_tag_label(m->tag);
    bool named = label >= NAME_BIND && label <= NAME_UNBIND && read_name(m, text) &&
                 m->tag == (label == NAME_BIND ? ipc_tag(label, 6, 2) : ipc_tag(label, 4, 0));
    if (named && label == NAME_BIND) {
        serve_bind(text, m);
    } else if (named && label == NAME_UNBIND) {
        answer(unbind(text, m->badge));
    } else if (named) {
        serve_find(text, label == NAME_WAIT);
    } else if (m->tag == ipc_tag(NAME_TIDY, 0, 0)) {
        serve_tidy();
    } else {
        serve_drop_handles(m);
        answer(STATUS_ERR_ARGUMENT);
    }
}

/* Makes room for capabilities, which stays. */
static void make_room(void)
{
    handle_t made[SLOTS_USED];
    unsigned count = 0;
    for (int64_t handle; count < SLOTS_USED && (handle = sys_cap_derive(CAP_MEMORY, 0, 0)) > 0; count++) {
        made[count] = (handle_t)handle;
    }
    while (count != 0) {
        drop(made[--count]);
    }
}

int main(void);

int main(void)
{
    make_room();
    for (;;) {
        struct ipc_registers m = {.time = any_bound() ? SECOND : IPC_FOREVER};
        int64_t status = sys_ipc_receive(CAP_ENDPOINT, &m);
        if (status == STATUS_OK) {
            serve(&m);
        } else if (status == STATUS_ERR_TIMEOUT) {
            (void)tidy();
        } else {
            print("nameserver: ended: %s\n", status_text((status_t)status));
            return 1;
        }
    }
}
