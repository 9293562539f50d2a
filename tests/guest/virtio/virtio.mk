# The driver of virtio devices on bare metal: $(BUILD)/guest/virtio.elf, entered as the benchmark guest is.
VIRTIO_ROOT := tests/guest/virtio/
VIRTIO_OBJECTS := $(addprefix $(GUEST_OUT)/virtio/,driver.o virtio.o)

.PHONY: guest-virtio
guests: guest-virtio
guest-virtio: $(GUEST_OUT)/virtio.elf

$(GUEST_OUT)/virtio/%.o: $(VIRTIO_ROOT)%.c $(VIRTIO_ROOT)driver.h $(wildcard $(BENCH_ROOT)*.h)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(BENCH_FLAGS) -I$(VIRTIO_ROOT) -c $< -o $@

$(GUEST_OUT)/virtio.elf: $(GUEST_OUT)/bench/start.o $(VIRTIO_OBJECTS) $(BENCH_ROOT)bench.ld
	$(Q)$(GUEST_CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	    -Wl,--no-warn-rwx-segments -T $(BENCH_ROOT)bench.ld $(GUEST_OUT)/bench/start.o $(VIRTIO_OBJECTS) -o $@
