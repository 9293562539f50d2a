-- Purpose: the kernel dies wherever it is: at a call of any of these functions, under whatever locks, on whatever CPU.
-- Expects: one message with registers and a trace, nothing allocated on the way, the other CPUs stopped, the machine ended.
-- covers: ER-05 (X)

local FORMAT <const> = "line" -- the command line lies there: a text to panic with
local CPUS <const>, TURNS <const> = 4, 40

-- Under the locks of a run queue, of zones, caches and the heap, of trees of processes and capabilities, of consoles; in
-- interrupts and faults; under none.
local places = { "run_queue_add", "run_queue_take", "buddy_insert", "block_list_push", "frame_alloc", "frame_free", "slab_alloc_sized",
    "slab_free_site", "pt_map", "vm_fault", "vm_clone", "process_link_locked", "process_exit", "process_wait", "sched_block", "sched_wake",
    "sched_timer_interrupt", "arch_space_load", "cap_space_clone", "cap_tree_add_child", "cap_lookup", "uart_write", "console_printf",
    "kmap_stacks_free", "reaper_add", "shootdown_flush", "shootdown_serve", "syscall_dispatch", "trap_dispatch", "rcu_synchronize" }

-- nil, or how often the place was come to when that was less often.
local function survives(place, call)
    local m = orrery.machine { kernel = "build/os/orrery.elf", initrd = "build/os/initrd.cpio", memory = "64M", cpus = CPUS,
        memory_model = "sc", append = "-- forkstorm --processes 60 --depth 3" }
    assert(m:wait_text(0, "init: ready", orrery.seconds(3)))
    local calls, owner, allocated = 0, nil, 0
    m:on_entry(place, function(cpu)
        calls = calls + 1
        if calls == call and not owner then
            owner = cpu
            m:set_register(cpu, "rdi", (m:symbol(FORMAT)))
            m:set_register(cpu, "rip", (m:symbol("panic")))
        end
    end)
    for _, name in ipairs { "frame_alloc", "slab_alloc_sized", "kheap_pages_alloc" } do
        m:on_entry(name, function(cpu) if cpu == owner and name ~= place then allocated = allocated + 1 end end)
    end
    local why = m:run(orrery.seconds(2))
    if not owner then return calls end
    expect(why, place):to_be("debug-exit")
    expect(select(2, m:console(0):gsub("panic: %-%- forkstorm", "")), "messages"):to_be(1)
    expect(m:console(0)):to_match("rip %x+")
    expect(m:console(0)):to_match("panic: cpu " .. owner)
    expect(allocated, "allocations on the way"):to_be(0)
    expect(m.sym.stopped_cpus, "stopped CPUs"):to_be(CPUS - 1)
end

describe("a panic", function()
    local died = 0
    for turn = 1, TURNS do
        local place = places[(turn - 1) % #places + 1]
        local call = math.random(turn <= #places and 30 or 3)
        it("at call " .. call .. " of " .. place, function()
            local calls = survives(place, call)
            if calls and calls > 0 then calls = survives(place, math.random(calls)) end
            died = died + (calls and 0 or 1)
        end)
    end
    it("came at most of the points", function()
        orrery.note(string.format("at %d of %d", died, TURNS))
        expect(died):to_be_at_least(TURNS * 3 // 4)
    end)
end)
