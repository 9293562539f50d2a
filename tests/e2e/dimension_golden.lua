-- Medians in cycles of what dimbench measures, and operations in its 600,000 cycles, by number of CPUs. More than 2 % above
-- (operations: below) fails tests/e2e/dimension_bench.lua; what becomes slower on purpose changes this file in the same commit.
-- Not here: init, which is the kernel's mapping of addresses (scripts/bench-kernel), and pool-shared, whose threads may fall into step in
-- several ways.
return {
    latency = {
        ["access"] = { [1] = 100, [2] = 100, [4] = 100, [8] = 100 },
        ["pool-4k"] = { [1] = 180, [2] = 180, [4] = 180, [8] = 180 },
        ["pool-16k"] = { [1] = 180, [2] = 180, [4] = 180, [8] = 180 },
        ["pool-64k"] = { [1] = 180, [2] = 180, [4] = 180, [8] = 180 },
        ["pool-256k"] = { [1] = 180, [2] = 180, [4] = 180, [8] = 180 },
    },
    throughput = {
        ["access"] = { [1] = 5024, [2] = 10048, [4] = 20096, [8] = 40192 },
        ["section"] = { [1] = 2422, [2] = 4844, [4] = 9688, [8] = 19376 },
    },
}
