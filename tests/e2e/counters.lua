-- Counters of the timing model that need page tables or several vCPUs: they count, and no more than there was to count.

it("walks, transfers and what is taken away are counted", function()
    local m = orrery.machine { kernel = "orrery", cpus = 4, memory = "64M", machine = "zen4-like" }
    m:boot()
    expect(m:command("forkstorm --processes 100 --depth 2"):wait().status):to_be(0)
    local c = m.counters
    for _, name in ipairs { "dtlb-misses", "itlb-misses", "tlb-walks", "walk-cycles", "cache-transfers", "upgrades", "invalidations",
        "drains-put-off", "store-forwards" } do
        expect(c[(name:gsub("-", "_"))], name):to_be_at_least(1)
    end
    expect(c.dtlb_misses + c.itlb_misses, "misses of the first-level TLBs"):to_be_at_least(c.tlb_walks)
    expect(c.walk_cycles, "cycles of walks"):to_be_at_least(c.tlb_walks)
    expect(c.invalidations, "lines taken away"):to_be_at_least(c.upgrades // 4)
    -- A miss of a first cache is served by one of these, which also serve stores and walks.
    expect(c.l2_hits + c.l3_hits + c.memory_reads + c.cache_transfers, "lines that came"):to_be_at_least(c.l1d_misses // 2)
    expect(c.branches):to_be_at_least(c.mispredicts + c.decode_redirects)
end)
