-- Purpose: the disk's driver and the dimension store with a disk that is missing, damaged, or does not keep to the rules.
-- Expects: one line says what is wrong with an archive, the store stays up and answers; without a disk the driver says so and
-- ends; a device that writes anything into its ring makes requests fail, never gives wrong data for right, and driver and disk go
-- on when it has stopped.
-- covers: DS-10 (files of a disk)
-- Options: --cpus N; --board pc|microvm; --set folder=FOLDER with the disks of tests/e2e/kernel_disk.sh; --set rest=ADDRESS of
-- comes_to_rest() in the driver.

local folder = orrery.args.folder
local WINDOW <const> = "virtio_mmio.device=512@0xfeb00000:16"
local PAGE <const>, USED <const> = 4096, 1024 -- of the queue, and where its used ring is

local function booted(disk, words)
    return orrery.machine { kernel = "orrery", cpus = orrery.args.cpus or 4, memory = "128M", disk = disk and folder .. "/" .. disk,
        append = words or WINDOW }:boot()
end

local function count(text, pattern)
    local n = 0
    for _ in text:gmatch(pattern) do n = n + 1 end
    return n
end

-- Starts driver and store; the console once the store is ready.
local function with_store(disk)
    local m = booted(disk)
    m:command("virtblk")
    m:wait_for { text = "virtblk: ready, " }
    m:command("dimstore --disk --load")
    m:wait_for { text = "dimstore: ready, " }
    m:run(orrery.ms(1))
    return m, m:console(0):gsub("\r", "")
end

local function list(m)
    expect(m:command("disktest --list"):wait().status):to_be(0)
    return tonumber(m:console(0):match("disktest: (%d+) dimensions"))
end

describe("dimensions from a disk", function()
    it("are all there when the disk is good", function()
        local m, console = with_store("good")
        expect((console:find("dimstore: ready, 14 dimensions, 0 simulated, 0 failed", 1, true))):to_be_at_least(1)
        expect(list(m)):to_be(14)
    end)

    it("are simulated where the disk has no file", function()
        local _, console = with_store("some")
        expect((console:find("dimstore: ready, 14 dimensions, 12 simulated, 0 failed", 1, true))):to_be_at_least(1)
    end)

    for disk, message in pairs {
        header = "its archive is damaged or cut off at byte %d+", -- a letter of the third header
        cut = "its archive is damaged or cut off at byte %d+",    -- the last half is missing
        trailer = "its archive is damaged or cut off at byte %d+", -- nothing but zeros behind the last file
        zeros = "its archive is damaged or cut off at byte 0",
        sector = "its archive is damaged or cut off at byte 0",   -- one sector, with the beginning of an archive
    } do
        it("stay out, and the store up, when the archive is damaged: " .. disk, function()
            local m, console = with_store(disk)
            expect(count(console, "dimstore: the disk: " .. message .. "\n"), "lines that say so"):to_be(1)
            expect(count(console, "dimstore: "), "lines of the store"):to_be(2)
            expect((console:find("dimstore: ready, 0 dimensions, 0 simulated, 14 failed", 1, true))):to_be_at_least(1)
            expect(list(m)):to_be(0)
        end)
    end

    it("stay out alone when one file is damaged", function()
        local m, console = with_store("payload")
        expect(count(console, "dimstore: dimension 9, [^\n]+ the layer.s checksum differs[^\n]*\n"), "lines that say so"):to_be(1)
        expect((console:find("dimstore: ready, 13 dimensions, 0 simulated, 1 failed", 1, true))):to_be_at_least(1)
        expect(list(m)):to_be(13)
    end)

    it("stay out when nobody serves a disk", function()
        local m = booted()
        m:command("dimstore --disk --load")
        m:wait_for { text = "dimstore: ready, 0 dimensions, 0 simulated, 14 failed" }
        expect(count(m:console(0), "dimstore: the disk: nobody serves one\r?\n")):to_be(1)
        expect(list(m)):to_be(0)
    end)
end)

-- A machine whose driver is ready, and the physical address of its queue.
local function with_driver()
    local m, queue = booted("good"), nil
    m:command("virtblk")
    m:wait_for { text = "virtblk: ready, " }
    for _, region in ipairs(m.kernel.objects("region", "region_object")) do
        if region.pages == 1 and region.physical.number == 0 then queue = region.frames[0] * PAGE end
    end
    expect(queue ~= nil):to_be(true)
    return m, queue
end

describe("the disk's driver", function()
    for words, message in pairs {
        [""] = "no virtio_mmio.device on the command line",
        [WINDOW] = "no disk answers at the windows of the command line", -- all ones
        ["virtio_mmio.device=512@0x100000:16"] = "the window at 100000: not permitted", -- memory
        ["virtio_mmio.device=512@0xfec00000:16"] = "the window at fec00000: not permitted", -- the I/O APIC
        ["virtio_mmio.device=512@0xfeb00000"] = "no virtio_mmio.device on the command line", -- no line
    } do
        it("says that there is no disk, and ends: '" .. words .. "'", function()
            local m = booted(nil, words)
            expect(m:command("virtblk"):wait().status):to_be(1)
            expect(count(m:console(0), "virtblk: " .. message .. "\r?\n")):to_be(1)
        end)
    end

    it("believes no device that writes anything into the ring", function()
        local m, queue = with_driver()
        local reader = m:command("disktest --read 400")
        for i = 1, 400 do
            m:run(orrery.us(7 + 5 * i % 29))
            local index = string.unpack("<I2", m:read(-0x800000000000 + queue + USED + 2, 2))
            local lies = { -- an index that jumps; another chain; more bytes than there is room for; anything
                function() m:write_physical(queue + USED + 2, string.pack("<I2", (index + 2 + i) & 0xffff)) end,
                function() m:write_physical(queue + USED + 4, string.pack("<I4I4", i << 16, 513):rep(8)) end,
                function() m:write_physical(queue + USED + 4, string.pack("<I4I4", 0, 0xffffffff):rep(8)) end,
                function() m:write_physical(queue + USED, ("\255\1\0\127"):rep(17)) end,
            }
            lies[i % #lies + 1]()
        end
        expect(reader:wait { within = orrery.seconds(400) }.status):to_be(0)
        local good, failed, wrong = m:console(0):match("disktest: (%d+) good, (%d+) failed, (%d+) wrong")
        expect(tonumber(good) + tonumber(failed)):to_be(400)
        expect(tonumber(wrong)):to_be(0)
        expect(tonumber(failed), "requests that failed"):to_be_at_least(1)
        expect(tonumber(good), "requests that did not"):to_be_at_least(300)
        expect(m:command("disktest --read 64"):wait().status):to_be(0) -- it has stopped
        expect((m:console(0):find("disktest: 64 good, 0 failed, 0 wrong", 1, true))):to_be_at_least(1)
    end)

    it("gives no buffer away that a device which cannot be reset may still write to", function()
        local m, queue = with_driver()
        local resets = 0
        local id = m:probe(orrery.args.rest, function(cpu) -- comes_to_rest() of the driver: it does not
            if m.kernel.current_task(cpu).name ~= "virtblk" then return end -- another program has other code there
            local rsp = m:register(cpu, "rsp")
            m:set_register(cpu, "rip", (string.unpack("<I8", m:read(rsp, 8, cpu))))
            m:set_register(cpu, "rsp", rsp + 8)
            m:set_register(cpu, "rax", 0)
            resets = resets + 1
        end)
        local reader = m:command("disktest --stuck")
        for _ = 1, 400 do
            if resets > 0 then break end
            m:run(orrery.us(7))
            local index = string.unpack("<I2", m:read(-0x800000000000 + queue + USED + 2, 2))
            m:write_physical(queue + USED + 2, string.pack("<I2", (index + 2) & 0xffff)) -- one that jumps
        end
        m:wait_for { text = "disktest: the buffer " }
        m:unprobe(id)
        expect(reader:wait { within = orrery.seconds(400) }.status):to_be(0)
        expect((m:console(0):find("disktest: the buffer stays out of use", 1, true))):to_be_at_least(1)
        expect(resets, "resets that were not seen"):to_be_at_least(5)
    end)
end)
