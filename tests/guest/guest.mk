# Bare-metal guests: programs that run without the kernel, in Orrery and in other machines. Included by the root Makefile.
GUEST_CC ?= gcc
GUEST_OUT := $(BUILD)/guest
GUEST_ROOT := $(dir $(lastword $(MAKEFILE_LIST)))
BENCH_ROOT := $(GUEST_ROOT)bench/
BENCH_FLAGS := -std=c17 -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
    -Werror -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
    -fno-tree-loop-distribute-patterns -fno-strict-aliasing -mno-red-zone -mgeneral-regs-only -mno-sse \
    -ffile-prefix-map=$(CURDIR)/= -I$(BENCH_ROOT)
BENCH_HEADERS := $(wildcard $(BENCH_ROOT)*.h $(GUEST_ROOT)*.h $(GUEST_ROOT)*.inc)
BENCH_OBJECTS := $(addprefix $(GUEST_OUT)/bench/,start.o bench.o loops.o)

.PHONY: guests guests-bench
guests: guests-bench guest-sys
bench: guests
guests-bench: $(GUEST_OUT)/bench.elf $(GUEST_OUT)/bench.rom

$(GUEST_OUT)/bench/%.o: $(BENCH_ROOT)%.c $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(BENCH_FLAGS) -c $< -o $@

$(GUEST_OUT)/bench/start.o: $(BENCH_ROOT)start.S $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(BENCH_FLAGS) -c $< -o $@

$(GUEST_OUT)/bench.elf: $(BENCH_OBJECTS) $(BENCH_ROOT)bench.ld
	$(Q)$(GUEST_CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	    -Wl,--no-warn-rwx-segments -T $(BENCH_ROOT)bench.ld $(BENCH_OBJECTS) -o $@

# the same code as a ROM, for machines that load neither ELF nor PVH
$(GUEST_OUT)/bench.bin: $(GUEST_OUT)/bench.elf
	$(Q)objcopy -O binary $< $@

$(GUEST_OUT)/bench.rom: $(BENCH_ROOT)rom.S $(GUEST_OUT)/bench.bin
	$(Q)$(GUEST_CC) -c -DBENCH_IMAGE='"$(GUEST_OUT)/bench.bin"' $< -o $(GUEST_OUT)/bench/rom.o
	$(Q)ld -Ttext=0 --entry=0 -e rom $(GUEST_OUT)/bench/rom.o -o $(GUEST_OUT)/bench/rom.elf
	$(Q)objcopy -O binary -j .rom $(GUEST_OUT)/bench/rom.elf $@

-include $(GUEST_ROOT)sys/sys.mk
-include $(GUEST_ROOT)virtio/virtio.mk
