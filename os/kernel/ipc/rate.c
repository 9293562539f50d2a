/* Token bucket in integers. Deviations: none. */
#include "ipc/rate.h"

void rate_limit_init(struct rate_limit *limit, uint32_t per_second, uint32_t burst, uint64_t hz, uint64_t now)
{
    *limit = (struct rate_limit){
        .credit = burst * hz, .since = now, .hz = hz, .per_second = per_second, .burst = burst};
}

/* Credit at a later time. What would overflow the bucket is not multiplied: the product stays below 2^64. */
static uint64_t credit_at(const struct rate_limit *limit, uint64_t now)
{
    uint64_t most = limit->burst * limit->hz;
    uint64_t missing = most - limit->credit;
    uint64_t elapsed = now - limit->since;
    return elapsed > missing / limit->per_second ? most : limit->credit + elapsed * limit->per_second;
}

bool rate_limit_take(struct rate_limit *limit, uint64_t now)
{
    if (limit->per_second == 0) {
        return true;
    }
    limit->credit = credit_at(limit, now);
    limit->since = now;
    if (limit->credit < limit->hz) {
        return false;
    }
    limit->credit -= limit->hz;
    return true;
}
