/* Bytes between a socket and a session. */

#define _POSIX_C_SOURCE 200809L

#include "gdb/server.h"

#include "base/alloc.h"
#include "gdb/session.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERRUPT 0x03

struct gdb_server {
    int listening, connected; /* -1: not */
    struct gdb_reader reader;
    struct gdb_text packet; /* sent last */
    bool acknowledges, lost;
};

/* ---- listening ---- */

static bool split(const char *where, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t length = colon ? (size_t)(colon - where) : 0;
    *port = colon ? colon + 1 : where;
    if (length >= size || (colon && length == 0) || (*port)[0] < '0' || (*port)[0] > '9') {
        return false;
    }
    memcpy(host, where, length);
    host[length] = 0;
    return true;
}

static int listen_at(const struct addrinfo *a)
{
    const int yes = 1;
    int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

struct gdb_server *gdb_server_open(const char *where, struct error *e)
{
    char host[256];
    const char *port;
    const struct addrinfo hints = {
        .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (!split(where, host, sizeof host, &port)) {
        error_set(e, "--gdb '%s': [HOST:]PORT", where);
        return NULL;
    }
    int failed = getaddrinfo(host[0] ? host : "127.0.0.1", port, &hints, &found);
    int fd = found ? listen_at(found) : -1;
    if (fd < 0) {
        error_set(e, "--gdb '%s': %s", where, failed ? gai_strerror(failed) : strerror(errno));
    }
    if (found) {
        freeaddrinfo(found);
    }
    if (fd < 0) {
        return NULL;
    }
    struct gdb_server *v = alloc_zeroed(1, sizeof *v);
    v->listening = fd;
    v->connected = -1;
    return v;
}

static void disconnect(struct gdb_server *v)
{
    if (v->connected >= 0) {
        close(v->connected);
        v->connected = -1;
    }
}

void gdb_server_close(struct gdb_server *v)
{
    if (v) {
        disconnect(v);
        close(v->listening);
        gdb_text_deinit(&v->packet);
        free(v);
    }
}

void gdb_server_address(const struct gdb_server *v, char *text, size_t size)
{
    struct sockaddr_in a = {0};
    socklen_t length = sizeof a;
    getsockname(v->listening, (struct sockaddr *)&a, &length);
    const uint8_t *host = (const uint8_t *)&a.sin_addr;
    snprintf(text, size, "%u.%u.%u.%u:%u", host[0], host[1], host[2], host[3], ntohs(a.sin_port));
}

/* ---- bytes ---- */

static void send_all(struct gdb_server *v, const char *bytes, size_t size)
{
    while (size > 0 && !v->lost) {
        ssize_t sent = send(v->connected, bytes, size, MSG_NOSIGNAL);
        v->lost = sent < 0 && errno != EINTR;
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

static void send_packet(struct gdb_server *v, const struct gdb_text *data)
{
    v->packet.size = 0;
    gdb_put_packet(&v->packet, data);
    send_all(v, v->packet.bytes, v->packet.size);
}

/* Is there something from the debugger that is no answer to a packet? Looks, and takes only what asks to stop. */
static bool interrupted(void *server)
{
    struct gdb_server *v = server;
    struct pollfd p = {.fd = v->connected, .events = POLLIN};
    uint8_t byte = 0;
    while (poll(&p, 1, 0) > 0) {
        ssize_t got = recv(v->connected, &byte, 1, MSG_PEEK);
        if (got <= 0 || (byte != INTERRUPT && byte != '+')) {
            v->lost = v->lost || got <= 0;
            return true; /* it is gone, or wants something else already */
        }
        if (recv(v->connected, &byte, 1, 0) == 1 && byte == INTERRUPT) {
            return true;
        }
    }
    return false;
}

/* ---- one debugger ---- */

static enum gdb_reply answer(struct gdb_server *v, struct gdb_session *g)
{
    struct gdb_text data = {0};
    if (v->acknowledges) {
        send_all(v, "+", 1);
    }
    enum gdb_reply reply = gdb_session_answer(g, v->reader.data, v->reader.size, &data);
    if (reply != GDB_KILL || data.size > 0) {
        send_packet(v, &data);
    }
    v->acknowledges = v->acknowledges && reply != GDB_NO_ACK;
    gdb_text_deinit(&data);
    return reply;
}

static enum gdb_reply take_byte(struct gdb_server *v, struct gdb_session *g, uint8_t byte)
{
    switch (gdb_reader_take(&v->reader, byte)) {
    case GDB_PACKET:
        return answer(v, g);
    case GDB_DAMAGED:
        if (v->acknowledges) {
            send_all(v, "-", 1);
        }
        break;
    case GDB_AGAIN:
        send_all(v, v->packet.bytes, v->packet.size);
        break;
    case GDB_NOTHING:
    case GDB_INTERRUPT: /* it does not run */
        break;
    }
    return GDB_REPLY;
}

static enum gdb_reply talk(struct gdb_server *v, struct gdb_session *g)
{
    enum gdb_reply reply = GDB_REPLY;
    while (!v->lost && reply != GDB_DETACH && reply != GDB_KILL) {
        uint8_t byte;
        ssize_t got = recv(v->connected, &byte, 1, 0);
        v->lost = got == 0 || (got < 0 && errno != EINTR);
        if (got == 1) {
            reply = take_byte(v, g, byte);
        }
    }
    return reply;
}

enum gdb_end gdb_server_serve(struct gdb_server *v, struct sim *s, struct travel *t, uint64_t limit_cycles)
{
    const struct gdb_options o = {limit_cycles, interrupted, v};
    const int yes = 1;
    do {
        v->connected = accept(v->listening, NULL, NULL);
    } while (v->connected < 0 && errno == EINTR);
    if (v->connected < 0) {
        return GDB_DETACHED;
    }
    setsockopt(v->connected, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    v->acknowledges = true;
    v->lost = false;
    v->packet.size = 0;
    gdb_reader_init(&v->reader);
    struct gdb_session *g = gdb_session_create(s, t, &o);
    enum gdb_reply reply = talk(v, g);
    gdb_session_free(g);
    disconnect(v);
    return reply == GDB_KILL ? GDB_KILLED : GDB_DETACHED;
}
