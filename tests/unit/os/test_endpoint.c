/*
 * Host tests of endpoints: every reachable state of a few parties at two endpoints, each operation in each of them,
 * against a specification that is written down apart.
 */
#include "fake/fake_arch.h"

#include "ipc/endpoint.c" /* the pure state machine, with what is static in it */

#define PARTIES   3
#define ENDPOINTS 2
#define HOLDERS   (PARTIES + 1) /* the last one: a right that was put aside */
#define ASIDE     PARTIES
#define NOBODY    PARTIES /* caller of a right: has gone */
#define NO_RIGHT  0xff

static const uint32_t numa_node[PARTIES] = {0, 1, 0}; /* where each party runs */

/* The parties of a test, and their nodes. */
static const struct ipc_party *base;
static const uint32_t *nodes;

uint32_t ipc_party_numa_node(const struct ipc_party *party)
{
    return nodes[party - base];
}

/* ---- the specification ---- */

struct spec {
    uint8_t closed[ENDPOINTS];
    uint8_t length[ENDPOINTS];
    uint8_t queue[ENDPOINTS][PARTIES]; /* who waits, in order; all send or all receive */
    uint8_t state[PARTIES];            /* enum ipc_state */
    uint8_t at[PARTIES];               /* endpoint, when not IDLE */
    uint8_t dead[PARTIES];
    uint8_t right[HOLDERS]; /* caller, NOBODY or NO_RIGHT */
};

enum verb {
    SEND,
    CALL,
    RECEIVE,
    REPLY,
    REPLY_ASIDE,
    ABANDON,
    PUT_ASIDE,
    CANCEL,
    DIE,
    EVICT,
    EVICT_ANY,
    CLOSE,
    VERBS
};

struct operation {
    enum verb verb;
    uint8_t party;
    uint8_t endpoint;
    bool block;
};

/* What an operation is to answer. */
struct answer {
    status_t status;
    bool blocked;
    int partner;   /* party that runs again, -1: none */
    int delivered; /* party that gets a message, -1: none */
    int from;      /* whose */
};

static void spec_leave_queue(struct spec *s, unsigned endpoint, unsigned party)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->length[endpoint]; i++) {
        if (s->queue[endpoint][i] != party) {
            s->queue[endpoint][kept++] = s->queue[endpoint][i];
        }
    }
    for (unsigned i = kept; i < PARTIES; i++) {
        s->queue[endpoint][i] = 0;
    }
    s->length[endpoint] = (uint8_t)kept;
}

static void spec_idle(struct spec *s, unsigned party)
{
    spec_leave_queue(s, s->at[party], party);
    s->state[party] = IPC_IDLE;
    s->at[party] = 0;
}

static void spec_wait(struct spec *s, unsigned endpoint, unsigned party, enum ipc_state state)
{
    s->state[party] = (uint8_t)state;
    s->at[party] = (uint8_t)endpoint;
    s->queue[endpoint][s->length[endpoint]++] = (uint8_t)party;
}

static void spec_await_answer(struct spec *s, unsigned endpoint, unsigned caller, unsigned receiver)
{
    spec_leave_queue(s, endpoint, caller);
    s->state[caller] = IPC_ANSWER;
    s->at[caller] = (uint8_t)endpoint;
    s->right[receiver] = (uint8_t)caller;
}

static void spec_drop_right(struct spec *s, unsigned holder)
{
    s->right[holder] = NO_RIGHT;
}

/* Of those who receive, the first one of the sender's node gets a message, or the first one. */
static unsigned spec_receiver(const struct spec *s, unsigned endpoint, unsigned sender)
{
    for (unsigned i = 0; i < s->length[endpoint]; i++) {
        if (numa_node[s->queue[endpoint][i]] == numa_node[sender]) {
            return s->queue[endpoint][i];
        }
    }
    return s->queue[endpoint][0];
}

static void spec_meet(struct spec *s, struct operation op, struct answer *a)
{
    unsigned e = op.endpoint;
    bool sends = op.verb != RECEIVE;
    if (!sends && s->right[op.party] != NO_RIGHT) {
        a->status = STATUS_ERR_STATE;
        return;
    }
    if (s->closed[e]) {
        a->status = STATUS_ERR_DEAD;
        return;
    }
    unsigned first = sends ? spec_receiver(s, e, op.party) : s->queue[e][0];
    bool met = s->length[e] > 0 && (s->state[first] == IPC_RECEIVING) == sends;
    if (!met) {
        a->blocked = op.block;
        a->status = op.block ? STATUS_OK : STATUS_ERR_AGAIN;
        if (op.block) {
            spec_wait(s, e, op.party,
                      op.verb == SEND   ? IPC_SENDING
                      : op.verb == CALL ? IPC_CALLING
                                        : IPC_RECEIVING);
        }
        return;
    }
    unsigned sender = sends ? op.party : first;
    unsigned receiver = sends ? first : op.party;
    bool call = sends ? op.verb == CALL : s->state[first] == IPC_CALLING;
    a->delivered = (int)receiver;
    a->from = (int)sender;
    if (sends) {
        spec_idle(s, receiver);
        a->partner = (int)receiver;
        a->blocked = call;
    } else if (!call) {
        spec_idle(s, sender);
        a->partner = (int)sender;
    }
    if (call) {
        spec_await_answer(s, e, sender, receiver);
    }
}

static void spec_end_right(struct spec *s, unsigned holder, unsigned from, bool with_message,
                           struct answer *a)
{
    unsigned caller = s->right[holder];
    spec_drop_right(s, holder);
    if (caller < PARTIES) {
        spec_idle(s, caller);
        a->partner = (int)caller;
        a->delivered = with_message ? (int)caller : -1;
        a->from = (int)from;
    } else if (with_message) {
        a->status = caller == NOBODY ? STATUS_ERR_PEER : STATUS_ERR_STATE;
    }
}

static void spec_cancel(struct spec *s, unsigned party)
{
    for (unsigned h = 0; h < HOLDERS; h++) {
        if (s->state[party] == IPC_ANSWER && s->right[h] == party) {
            s->right[h] = NOBODY;
        }
    }
    spec_idle(s, party);
}

static struct answer spec_do(struct spec *s, struct operation op)
{
    struct answer a = {STATUS_OK, false, -1, -1, -1};
    switch (op.verb) {
    case SEND:
    case CALL:
    case RECEIVE:
        spec_meet(s, op, &a);
        break;
    case REPLY:
        spec_end_right(s, op.party, op.party, true, &a);
        break;
    case REPLY_ASIDE:
        spec_end_right(s, ASIDE, op.party, true, &a);
        break;
    case ABANDON:
        spec_end_right(s, op.party, op.party, false, &a);
        break;
    case PUT_ASIDE:
        s->right[ASIDE] = s->right[op.party];
        spec_drop_right(s, op.party);
        break;
    case CANCEL:
        spec_cancel(s, op.party);
        break;
    case DIE:
        if (s->state[op.party] != IPC_IDLE) {
            spec_cancel(s, op.party);
        }
        spec_end_right(s, op.party, op.party, false, &a);
        s->dead[op.party] = 1;
        break;
    case EVICT:
    case EVICT_ANY:
        for (unsigned i = 0; i < s->length[op.endpoint]; i++) {
            unsigned party = s->queue[op.endpoint][i];
            if (op.verb == EVICT_ANY || party == op.party) {
                spec_idle(s, party);
                a.partner = (int)party;
                break;
            }
        }
        if (op.verb == EVICT && a.partner < 0 && s->state[op.party] == IPC_ANSWER &&
            s->at[op.party] == op.endpoint) {
            spec_cancel(s, op.party);
            a.partner = op.party;
        }
        break;
    case CLOSE:
        s->closed[op.endpoint] = 1;
        break;
    case VERBS:
        break;
    }
    return a;
}

/* Whether the kernel would ever do it in this state. */
static bool spec_allows(const struct spec *s, struct operation op)
{
    bool first_party = op.party == 0;
    bool first_endpoint = op.endpoint == 0;
    bool plain = first_endpoint && !op.block;
    bool idle = s->state[op.party] == IPC_IDLE && !s->dead[op.party];
    switch (op.verb) {
    case SEND:
    case CALL:
    case RECEIVE:
        return idle;
    case REPLY:
    case REPLY_ASIDE:
        return idle && plain;
    case ABANDON:
        return idle && plain;
    case PUT_ASIDE:
        return idle && plain && s->right[op.party] != NO_RIGHT && s->right[ASIDE] == NO_RIGHT;
    case CANCEL:
        return plain && s->state[op.party] != IPC_IDLE;
    case DIE:
        return plain && !s->dead[op.party];
    case EVICT:
        return !op.block;
    case EVICT_ANY:
        return !op.block && first_party;
    case CLOSE:
        return !op.block && first_party && !s->closed[op.endpoint];
    case VERBS:
        break;
    }
    return false;
}

/* ---- the real machine, put into a state of the specification and read back ---- */

struct real {
    struct endpoint endpoints[ENDPOINTS];
    struct ipc_party parties[PARTIES];
    struct reply_right aside;
};

static struct reply_right *right_of(struct real *r, unsigned holder)
{
    return holder == ASIDE ? &r->aside : &r->parties[holder].right;
}

static void real_build(struct real *r, const struct spec *s)
{
    base = r->parties;
    nodes = numa_node;
    for (unsigned e = 0; e < ENDPOINTS; e++) {
        endpoint_init(&r->endpoints[e]);
        r->endpoints[e].closed = s->closed[e] ? STATUS_ERR_DEAD : STATUS_OK;
    }
    r->aside = (struct reply_right){NULL, NULL, false};
    for (unsigned p = 0; p < PARTIES; p++) {
        struct ipc_party *party = &r->parties[p];
        ipc_party_init(party);
        party->state = (enum ipc_state)s->state[p];
        party->endpoint = party->state != IPC_IDLE ? &r->endpoints[s->at[p]] : NULL;
        party->message = (struct ipc_message){
            .tag = ipc_tag(p, 8, 1), .words = {p + 100}, .badge = p + 1, .stamp = p + 1000};
    }
    for (unsigned e = 0; e < ENDPOINTS; e++) {
        for (unsigned i = 0; i < s->length[e]; i++) {
            struct ipc_party *party = &r->parties[s->queue[e][i]];
            bool receives = party->state == IPC_RECEIVING;
            list_push_back(receives ? &r->endpoints[e].receivers : &r->endpoints[e].senders, &party->node);
        }
    }
    for (unsigned h = 0; h < HOLDERS; h++) {
        if (s->right[h] != NO_RIGHT) {
            struct ipc_party *caller = s->right[h] < PARTIES ? &r->parties[s->right[h]] : NULL;
            *right_of(r, h) = (struct reply_right){caller ? caller->endpoint : NULL, caller, caller == NULL};
            if (caller) {
                caller->answers = right_of(r, h);
                list_push_back(&caller->endpoint->callers, &caller->node);
            }
        }
    }
}

static void read_queue(struct real *r, struct spec *s, unsigned e, struct list *queue)
{
    list_for_each(node, queue)
    {
        assert_true(s->length[e] < PARTIES);
        s->queue[e][s->length[e]++] = (uint8_t)(list_entry(node, struct ipc_party, node) - r->parties);
    }
}

/* Reads the state back; every pointer must agree with every other. */
static void real_read(struct real *r, struct spec *s)
{
    for (unsigned e = 0; e < ENDPOINTS; e++) {
        s->closed[e] = r->endpoints[e].closed != STATUS_OK;
        assert_true(list_empty(&r->endpoints[e].senders) || list_empty(&r->endpoints[e].receivers));
        read_queue(r, s, e, &r->endpoints[e].senders);
        read_queue(r, s, e, &r->endpoints[e].receivers);
    }
    for (unsigned p = 0; p < PARTIES; p++) {
        const struct ipc_party *party = &r->parties[p];
        s->state[p] = (uint8_t)party->state;
        assert_int_equal(party->state == IPC_IDLE, party->endpoint == NULL);
        assert_int_equal(party->state == IPC_ANSWER, party->answers != NULL);
        assert_int_equal(party->state != IPC_IDLE, !list_empty(&party->node));
        s->at[p] = party->endpoint ? (uint8_t)(party->endpoint - r->endpoints) : 0;
        assert_true(party->answers == NULL || party->answers->caller == party);
    }
    for (unsigned h = 0; h < HOLDERS; h++) {
        const struct reply_right *right = right_of(r, h);
        s->right[h] = right->caller ? (uint8_t)(right->caller - r->parties) : right->gone ? NOBODY : NO_RIGHT;
        assert_ptr_equal(right->endpoint, right->caller ? right->caller->endpoint : NULL);
        assert_false(right->caller && right->gone);
        assert_true(right->caller == NULL || right->caller->answers == right);
    }
}

static struct ipc_step real_do(struct real *r, struct operation op)
{
    struct ipc_party *party = &r->parties[op.party];
    struct endpoint *endpoint = &r->endpoints[op.endpoint];
    struct ipc_step step = {STATUS_OK, false, NULL};
    switch (op.verb) {
    case SEND:
        return endpoint_send_locked(endpoint, party, op.block);
    case CALL:
        return endpoint_call_locked(endpoint, party, op.block);
    case RECEIVE:
        return endpoint_receive_locked(endpoint, party, op.block);
    case REPLY:
        return endpoint_reply_locked(&party->right, &party->message);
    case REPLY_ASIDE:
        return endpoint_reply_locked(&r->aside, &party->message);
    case ABANDON:
        step.partner = endpoint_abandon_locked(&party->right, STATUS_ERR_NO_ANSWER);
        break;
    case PUT_ASIDE:
        endpoint_move_right_locked(&party->right, &r->aside);
        break;
    case CANCEL:
        assert_true(endpoint_cancel_locked(party, STATUS_ERR_TIMEOUT));
        assert_int_equal(party->result, STATUS_ERR_TIMEOUT);
        break;
    case DIE:
        (void)endpoint_cancel_locked(party, STATUS_ERR_INTERRUPTED);
        step.partner = endpoint_abandon_locked(&party->right, STATUS_ERR_PEER);
        assert_false(endpoint_cancel_locked(party, STATUS_ERR_INTERRUPTED));
        break;
    case EVICT:
        step.partner = endpoint_evict_locked(endpoint, op.party + 1u, STATUS_ERR_CAP_REVOKED);
        break;
    case EVICT_ANY:
        step.partner = endpoint_evict_locked(endpoint, 0, STATUS_ERR_DEAD);
        break;
    case CLOSE:
        endpoint_close_locked(endpoint, STATUS_ERR_DEAD);
        break;
    case VERBS:
        break;
    }
    return step;
}

/* What a party that runs again is told. */
static status_t told(struct operation op, const struct answer *a)
{
    switch (op.verb) {
    case ABANDON:
        return STATUS_ERR_NO_ANSWER;
    case DIE:
        return STATUS_ERR_PEER;
    case EVICT:
        return STATUS_ERR_CAP_REVOKED;
    case EVICT_ANY:
        return STATUS_ERR_DEAD;
    case SEND:
    case CALL:
    case RECEIVE:
    case REPLY:
    case REPLY_ASIDE:
    case PUT_ASIDE:
    case CANCEL:
    case CLOSE:
    case VERBS:
        break;
    }
    return a->status;
}

static void compare(const struct spec *before, struct operation op, struct spec *after)
{
    static struct real real;
    real_build(&real, before);
    *after = *before;
    struct answer wanted = spec_do(after, op);
    struct ipc_step step = real_do(&real, op);
    struct spec read = {0};
    memcpy(read.dead, after->dead, sizeof read.dead);
    real_read(&real, &read);
    assert_memory_equal(&read, after, sizeof read);
    assert_int_equal(step.blocked, wanted.blocked);
    assert_true(step.blocked || step.status == wanted.status);
    assert_ptr_equal(step.partner, wanted.partner < 0 ? NULL : &real.parties[wanted.partner]);
    if (step.partner) {
        assert_int_equal(step.partner->result, told(op, &wanted));
    }
    for (unsigned p = 0; p < PARTIES; p++) {
        unsigned from = (int)p == wanted.delivered ? (unsigned)wanted.from : p;
        assert_int_equal(real.parties[p].message.words[0], from + 100);
        assert_int_equal(real.parties[p].message.badge, from + 1);
        assert_int_equal(real.parties[p].message.tag,
                         ipc_tag(from, 8, wanted.delivered >= 0 && (int)p == wanted.from ? 0 : 1));
        assert_int_equal(real.parties[p].message.stamp, from + 1000);
    }
}

/* ---- all states ---- */

#define TABLE (1u << 22)

static struct spec *states;
static uint32_t *table; /* index + 1 by hash, open addressing */
static uint32_t state_count;

static bool add_state(const struct spec *s)
{
    const uint8_t *bytes = (const uint8_t *)s;
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < sizeof *s; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211ull;
    }
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32) % TABLE;; at = (at + 1) % TABLE) {
        if (table[at] == 0) {
            assert_true(state_count < TABLE / 2);
            states[state_count++] = *s;
            table[at] = state_count;
            return true;
        }
        if (memcmp(&states[table[at] - 1], s, sizeof *s) == 0) {
            return false;
        }
    }
}

/* covers: IP-09 IP-15 IP-17 CP-16 TS-12 (D: endpoints) */
static void every_operation_in_every_state_does_what_the_specification_says(void **state)
{
    (void)state;
    states = calloc(TABLE / 2, sizeof *states);
    table = calloc(TABLE, sizeof *table);
    struct spec start = {0};
    memset(start.right, NO_RIGHT, sizeof start.right);
    state_count = 0;
    add_state(&start);
    uint64_t steps = 0;
    for (uint32_t i = 0; i < state_count; i++) {
        for (unsigned code = 0; code < VERBS * PARTIES * ENDPOINTS * 2; code++) {
            struct operation op = {(enum verb)(code % VERBS), (uint8_t)(code / VERBS % PARTIES),
                                   (uint8_t)(code / VERBS / PARTIES % ENDPOINTS),
                                   code / VERBS / PARTIES / ENDPOINTS == 1};
            if (spec_allows(&states[i], op)) {
                struct spec after;
                compare(&states[i], op, &after);
                add_state(&after);
                steps++;
            }
        }
    }
    print_message("endpoints: %u parties at %u endpoints: %u states, %llu steps\n", PARTIES, ENDPOINTS,
                  state_count, (unsigned long long)steps);
    assert_true(state_count > 10000);
    free(states);
    free(table);
}

/* From every state all who wait come free when the endpoints close and the rights are given up. */
static void closing_leaves_nobody_behind(void **state)
{
    (void)state;
    static struct real real;
    uint64_t seed = 5;
    for (unsigned run = 0; run < 20000; run++) {
        struct spec s = {0};
        memset(s.right, NO_RIGHT, sizeof s.right);
        for (unsigned i = 0; i < 30; i++) {
            uint64_t r = fake_random(&seed);
            struct operation op = {(enum verb)(r % VERBS), (uint8_t)(r >> 8) % PARTIES,
                                   (uint8_t)(r >> 16) % ENDPOINTS, (r >> 24) % 4 != 0};
            if (op.verb != CLOSE && op.verb != DIE && spec_allows(&s, op)) {
                (void)spec_do(&s, op);
            }
        }
        real_build(&real, &s);
        unsigned waiting = 0;
        unsigned freed = 0;
        for (unsigned p = 0; p < PARTIES; p++) {
            waiting += real.parties[p].state != IPC_IDLE;
        }
        for (unsigned e = 0; e < ENDPOINTS; e++) {
            endpoint_close_locked(&real.endpoints[e], STATUS_ERR_DEAD);
            for (struct ipc_party *p;
                 (p = endpoint_evict_locked(&real.endpoints[e], 0, STATUS_ERR_DEAD)) != NULL;) {
                assert_int_equal(p->result, STATUS_ERR_DEAD);
                freed++;
            }
        }
        for (unsigned h = 0; h < HOLDERS; h++) {
            freed += endpoint_abandon_locked(right_of(&real, h), STATUS_ERR_PEER) != NULL;
        }
        assert_int_equal(freed, waiting);
        for (unsigned p = 0; p < PARTIES; p++) {
            assert_int_equal(real.parties[p].state, IPC_IDLE);
        }
    }
}

/* However many wait, a sender looks at ENDPOINT_LOOK of them. covers: IP-09 */
static void a_message_stays_on_its_node_as_far_as_its_sender_looks(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct ipc_party receivers[ENDPOINT_LOOK + 3];
    struct ipc_party *sender = &receivers[ENDPOINT_LOOK + 2];
    uint32_t where[ENDPOINT_LOOK + 3];
    base = receivers;
    nodes = where;
    for (unsigned near = 0; near < ENDPOINT_LOOK + 2; near++) { /* the only one of the sender's node */
        endpoint_init(&endpoint);
        for (unsigned i = 0; i < ENDPOINT_LOOK + 2; i++) {
            ipc_party_init(&receivers[i]);
            where[i] = i == near ? 2 : 3 + i % 2;
            assert_true(endpoint_receive_locked(&endpoint, &receivers[i], true).blocked);
        }
        ipc_party_init(sender);
        where[ENDPOINT_LOOK + 2] = 2;
        struct ipc_step step = endpoint_send_locked(&endpoint, sender, false);
        assert_int_equal(step.status, STATUS_OK);
        assert_ptr_equal(step.partner, &receivers[near < ENDPOINT_LOOK ? near : 0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_in_every_state_does_what_the_specification_says),
        cmocka_unit_test(closing_leaves_nobody_behind),
        cmocka_unit_test(a_message_stays_on_its_node_as_far_as_its_sender_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
