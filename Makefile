# Orrery: one non-recursive Makefile. Objects live in $(BUILD)/$(MODE)/; the release binary is $(BUILD)/orrery.
#
#   make                the simulator (release) and the guest images
#   make MODE=dbg       -O0; asan: address and undefined-behaviour sanitisers; tiny: TLBs of 1 to 4 entries
#   make test           unit, differential and end-to-end tests        make check   house rules
#   make bench          the numbers, each with its peer                make lint    clang-tidy, cppcheck, format
#   make stencils       machine code for the translator, after a change of handlers; needs clang-19
#   make bench-kernel   what the kernel's operations cost in cycles, against golden figures
#   make fuzz-timing    stamps of random programs against the oracle's (SEEDS=20000 FIRST=1)
#   make golden-stamps  the stamps in tests/golden anew, confirmed by the oracle
#   make validate-timing  cycles of this host and of Orrery, on the same bytes (VALIDATE="--tier 1 --machine NAME")
#   make CC=clang ...   another compiler                               make BUILD=/tmp/x ...  another place

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

BUILD ?= build
MODE  ?= rel
O     := $(BUILD)/$(MODE)
GEN   := $(BUILD)/gen

ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O2

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wswitch-enum -Wvla -Werror
FLAGS_rel  := $(OPT) -g
FLAGS_dbg  := -O0 -g
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tiny := -O2 -g -DORRERY_TINY
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null)
# Statically, so that some calls of Lua come to us: the one by which it would take a seed from the clock (sim/script/sandbox.c),
# and functions whose last bits are the C library's affair (sim/script/libm.c).
LUA_WRAPS  := luaS_hash acos asin atan2 cos cosh exp log log10 log2 pow sin sinh tan tanh
LUA_LIBS    = $(LUA_WRAPS:%=-Wl,--wrap=%) -l:liblua5.4.a $(SIM_LIB)

CPPFLAGS_ALL := -Isim -I$(GEN) "-ffile-prefix-map=$(CURDIR)/=" $(LUA_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   := -std=c17 $(WARN) $(FLAGS_$(MODE)) -fcf-protection=none -fno-plt $(CFLAGS)
, := ,
LDLIBS        = $(LUA_LIBS) -lZydis -lmpfr -lgmp -ldw -lelf -lxxhash -lzstd -lm
LDFLAGS_ALL  := $(if $(filter asan,$(MODE)),-fsanitize=address$(,)undefined) $(LDFLAGS)

# make V=1 shows the commands
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)")

# ---- the simulator -------------------------------------------------------------------------------------------

SIM_SRC  := $(sort $(filter-out sim/main/main.c,$(wildcard sim/*/*.c)))
SIM_OBJ  := $(SIM_SRC:%.c=$(O)/%.o)
SIM_LIB  := $(O)/libsim.a
ORRERY   := $(O)/orrery

.PHONY: all sim os tools test test-unit test-diff test-e2e check lint stencils bench bench-kernel soak clean install format
.PHONY: install-nightly
all: sim os tools
sim: $(ORRERY) $(if $(filter rel,$(MODE)),$(BUILD)/orrery)

$(BUILD)/orrery: $(BUILD)/rel/orrery
	@ln -sfn rel/orrery $@

$(ORRERY): $(O)/sim/main/main.o $(SIM_LIB)
	$(call say,LINK  $@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $^ $(LDLIBS) -o $@

$(SIM_LIB): $(SIM_OBJ)
	@rm -f $@
	$(Q)ar rcsD $@ $^

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC    $<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# gperf tables of the names that people type, made from the .def rows that declare them
NAMES := $(wildcard sim/*/names_*.def)
define names_rule
$(GEN)/$(1).inc: $(2) scripts/make-gperf
	@mkdir -p $$(@D)
	scripts/make-gperf $(1) $(2) > $$@
$(foreach m,rel dbg asan tiny,$(BUILD)/$(m)/$(3).o): $(GEN)/$(1).inc
endef
$(eval $(call names_rule,cpu_features,sim/cpu/cpuid.def,sim/cpu/lookup))
$(eval $(call names_rule,parameters,sim/machine/config.def,sim/machine/config))
$(eval $(call names_rule,counters,sim/machine/counter.def sim/timing/counter.def sim/core/trace.def,sim/machine/counter))
$(foreach n,$(NAMES),$(eval $(call names_rule,$(notdir $(n:.def=)),$(n),$(dir $(n))lookup)))

# the Lua part of the scenario language, inside the binary
$(GEN)/prelude.inc: scenarios/lib/prelude.lua scripts/embed
	@mkdir -p $(@D)
	scripts/embed $< > $@
$(foreach m,rel dbg asan tiny,$(BUILD)/$(m)/sim/script/script.o): $(GEN)/prelude.inc

# the machines of machines/, inside the binary
MACHINES := $(sort $(wildcard machines/*.lua))
$(GEN)/machines.inc: $(MACHINES) scripts/embed
	@mkdir -p $(@D)
	scripts/embed --rows MACHINE $(MACHINES) > $@
$(foreach m,rel dbg asan tiny,$(BUILD)/$(m)/sim/script/machine_file.o): $(GEN)/machines.inc

# ---- the guest -----------------------------------------------------------------------------------------------

-include os/os.mk
-include tests/guest/guest.mk
-include tests/fidelity/fidelity.mk

# ---- the dimension store on the host: its library and its tool ---------------------------------------------------

DIM_SRC  := $(sort $(wildcard os/dimension/*.c))
DIM_BASE := os/kernel/lib/format.c os/kernel/lib/status.c
DIM_TOOL := $(sort $(wildcard os/tools/dimtool/*.c))
DIM_LIB  := $(O)/libdimension.a
DIM_FLAGS := -std=c17 $(WARN) -Ios -Ios/kernel -ffile-prefix-map=$(CURDIR)/= $(CFLAGS)

tools: $(O)/dimtool

$(O)/os/%.o: os/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC    $<)
	$(Q)$(CC) $(DIM_FLAGS) $(FLAGS_$(MODE)) -MMD -MP -c $< -o $@

$(DIM_LIB): $(DIM_SRC:%.c=$(O)/%.o)
	@rm -f $@
	$(Q)ar rcsD $@ $^

$(O)/dimtool: $(DIM_TOOL:%.c=$(O)/%.o) $(DIM_LIB) $(DIM_BASE)
	$(call say,LINK  $@)
	$(Q)$(CC) $(DIM_FLAGS) $(FLAGS_$(MODE)) $(LDFLAGS_ALL) $(DIM_TOOL:%.c=$(O)/%.o) $(DIM_BASE) $(DIM_LIB) -o $@

# ---- the oracle of the timing model: docs/timing.md a second time ------------------------------------------------

ORACLE_SRC := $(sort $(wildcard tests/oracle/*.c))

oracle: $(O)/oracle
.PHONY: oracle

$(O)/oracle: $(ORACLE_SRC) tests/oracle/oracle.h tests/oracle/classes.def tests/oracle/params.def Makefile
	@mkdir -p $(@D)
	$(call say,LINK  $@)
	$(Q)$(CC) -std=c17 $(WARN) $(FLAGS_$(MODE)) $(CFLAGS) $(LDFLAGS_ALL) $(ORACLE_SRC) -lZydis -o $@

# ---- tests: every tests/KIND/**/test_*.c is one cmocka program ---------------------------------------------------

UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/diff/test_*.c tests/vectors/test_*.c tests/fuzz/test_*.c))
SIM_TEST_SRC := $(filter-out tests/unit/os/% tests/unit/dimension/%,$(UNIT_SRC))
OS_TEST_SRC  := $(filter tests/unit/os/%,$(UNIT_SRC))
DIM_TEST_SRC := $(filter tests/unit/dimension/%,$(UNIT_SRC))
SIM_TESTS := $(SIM_TEST_SRC:%.c=$(O)/%)
OS_TESTS  := $(OS_TEST_SRC:%.c=$(O)/%)
DIM_TESTS := $(DIM_TEST_SRC:%.c=$(O)/%)
TEST_SUPPORT := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/support/*.c)))

# What a test links besides the simulator
TEST_CFLAGS_test_fuzz_dimension := -Ios
TEST_LIBS_test_fuzz_dimension   := $(DIM_LIB) $(DIM_BASE) -Ios/kernel
$(O)/tests/fuzz/test_fuzz_dimension: $(DIM_LIB)

$(SIM_TESTS): $(O)/%: %.c $(TEST_SUPPORT) $(SIM_LIB)
	@mkdir -p $(@D)
	$(call say,TEST  $@)
	$(Q)$(CC) $(CPPFLAGS_ALL) -Itests/support -Itests $(CFLAGS_ALL) $(TEST_CFLAGS_$(notdir $*)) $(LDFLAGS_ALL) \
	    -MMD -MP -MF $@.d $< $(TEST_SUPPORT) $(TEST_LIBS_$(notdir $*)) $(SIM_LIB) -lcmocka $(LDLIBS) -o $@

# The parts of the kernel and of its loader that run on the host, in an archive: a test links what it calls, and the fakes of
# what is the CPU's.
OS_HOST_SRC := $(sort $(filter-out %_thread.c %/uefi/cpu.c,$(wildcard $(addprefix os/,kernel/mm/*.c kernel/lib/*.c \
                 kernel/cap/*.c kernel/object/object.c kernel/sched/runqueue.c kernel/sched/class_*.c uefi/*.c boot/block.c \
                 kernel/arch/x86_64/acpi.c kernel/proc/elf.c kernel/proc/initrd.c kernel/proc/usercopy.c \
                 dimension/system/archive.c programs/virtblk/request.c lib/virtqueue.c lib/virtio_window.c lib/sync.c)) $(wildcard tests/unit/os/fake/*.c)))
OS_HOST_OBJ := $(OS_HOST_SRC:%.c=$(O)/host/%.o)
OS_HOST_FLAGS := -std=c17 $(WARN) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -Itests/unit/os/fake \
                 -Ios -Ios/kernel
$(OS_HOST_OBJ): $(O)/host/%.o: %.c
	@mkdir -p $(@D)
	$(call say,HOST  $<)
	$(Q)$(CC) $(OS_HOST_FLAGS) -MMD -MP -c $< -o $@
$(O)/host.a: $(OS_HOST_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(OS_TESTS): $(O)/%: %.c $(O)/host.a
	@mkdir -p $(@D)
	$(call say,TEST  $@)
	$(Q)$(CC) $(OS_HOST_FLAGS) -MMD -MP -MF $@.d $< $(O)/host.a -lcmocka -o $@

# Under the sanitizers in every mode, as the kernel's; tests of threads under the one that finds races.
DIM_SANITIZER = $(if $(findstring threads,$(1)),thread,address$(,)undefined)
$(DIM_TESTS): $(O)/%: %.c $(DIM_SRC) $(DIM_BASE) os/tools/dimtool/host_platform.c \
              $(wildcard os/dimension/*.h os/tools/dimtool/*.h tests/unit/dimension/*.h os/abi/*) Makefile
	@mkdir -p $(@D)
	$(call say,TEST  $@)
	$(Q)$(CC) $(DIM_FLAGS) -O1 -g -fno-sanitize-recover=all -fsanitize=$(call DIM_SANITIZER,$*) \
	    $< $(DIM_SRC) $(DIM_BASE) os/tools/dimtool/host_platform.c -lcmocka -pthread -o $@

tests: $(SIM_TESTS) $(OS_TESTS) $(DIM_TESTS) oracle
.PHONY: tests

test-unit: tests
	scripts/run-tests $(sort $(SIM_TESTS) $(OS_TESTS) $(DIM_TESTS))

test: all tests
	scripts/run-all-tests

# ---- the house ------------------------------------------------------------------------------------------------

check:
	scripts/check-house

format:
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

lint:
	scripts/lint

# machine code of the handlers, for the translator (docs/translator.md); its table is in the repository
stencils:
	scripts/make-stencils

bench: all
	scripts/bench

SOAK_SECONDS ?= 600
SOAK_CALLS ?= 1000000
soak: all
	scripts/soak hostile 1 $(SOAK_CALLS)
	scripts/soak heap $(SOAK_SECONDS)
	scripts/soak $(SOAK_SECONDS)

bench-kernel: all
	scripts/bench-kernel
	scripts/bench-kernel --machine zen4-like

# random programs on random machines against the oracle; FIRST: the first seed
SEEDS ?= 2000
FIRST ?= 1
fuzz-timing: all oracle
	scripts/fuzz-timing --seeds $(SEEDS) --first $(FIRST)
.PHONY: fuzz-timing

# single mistakes in the timing model: the oracle finds each
mutate-timing: all oracle
	scripts/mutate-timing
.PHONY: mutate-timing

# the golden stamps anew, after a change of docs/timing.md or of a machine
golden-stamps: all oracle guests-bench
	scripts/golden-stamps --accept
.PHONY: golden-stamps

PREFIX ?= /usr/local
install: all
	install -D -m 755 $(BUILD)/rel/orrery $(DESTDIR)$(PREFIX)/bin/orrery
	install -d $(DESTDIR)$(PREFIX)/share/orrery/build/os $(DESTDIR)$(PREFIX)/share/man/man1
	cp -r scenarios machines docs $(DESTDIR)$(PREFIX)/share/orrery/
	install -m 644 $(BUILD)/os/orrery.elf $(BUILD)/os/initrd.cpio $(BUILD)/os/BOOTX64.EFI $(DESTDIR)$(PREFIX)/share/orrery/build/os/
	scripts/make-man > $(DESTDIR)$(PREFIX)/share/man/man1/orrery.1

# The nightly run in this host's schedule (docs/perf.md): of which repository, and where its reports go. Then: systemctl enable
UNITS           ?= /etc/systemd/system
NIGHTLY_ORIGIN  ?= $(shell git config --get remote.origin.url || pwd)
NIGHTLY_REPORTS ?= /var/lib/orrery-nightly
install-nightly:
	install -d $(DESTDIR)$(UNITS)
	install -m 644 .ci/orrery-nightly.timer $(DESTDIR)$(UNITS)/
	sed -e 's|@ORIGIN@|$(NIGHTLY_ORIGIN)|; s|@REPORTS@|$(NIGHTLY_REPORTS)|; s|@CONTAINER@|$(NIGHTLY_CONTAINER)|' \
	    .ci/orrery-nightly.service > $(DESTDIR)$(UNITS)/orrery-nightly.service
	@echo "now: systemctl daemon-reload && systemctl enable --now orrery-nightly.timer"

clean:
	rm -rf $(BUILD)

-include $(SIM_OBJ:.o=.d) $(TEST_SUPPORT:.o=.d) $(O)/sim/main/main.d $(addsuffix .d,$(SIM_TESTS) $(OS_TESTS)) \
    $(OS_HOST_OBJ:.o=.d) $(DIM_SRC:%.c=$(O)/%.d) $(DIM_TOOL:%.c=$(O)/%.d)
