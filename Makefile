# muster: one non-recursive Makefile. `make help` lists what it can do.
#
# A new .c file in a folder needs no edit here. Objects of a flavour stay apart under build/obj/, its tests under build/test/. The
# caller's CC, CFLAGS and LDFLAGS are respected: ours are given apart from them. BUILD=elsewhere keeps two builds of one tree apart.
# Nothing here needs more than make and a shell before `make deps` has run.

FLAVOUR ?= release
BUILD ?= build
WERROR ?= $(if $(CI),1,0)
PREFIX ?= /usr/local

FLAVOURS := release debug asan tsan cov fuzz planted
$(if $(filter $(FLAVOUR),$(FLAVOURS)),,$(error FLAVOUR is one of: $(FLAVOURS)))
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(FLAVOUR)),clang,gcc)
endif
IS_CLANG := $(findstring clang,$(notdir $(CC)))

MACHINE := $(shell uname -m)
B := $(BUILD)/obj/$(FLAVOUR)$(if $(IS_CLANG),-clang)
T := $(BUILD)/test/$(FLAVOUR)
OUT := $(if $(filter release,$(FLAVOUR)),$(BUILD),$(BUILD)/$(FLAVOUR))
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE = $(MAKE) --no-print-directory $(PARALLEL)

# Short lines unless V=1.
Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $(1) $@')

# --- flags ---

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Wvla -Wundef -Wswitch-enum -Wmissing-prototypes \
    -Wstrict-prototypes -Wwrite-strings -Wpointer-arith -Wimplicit-fallthrough
# With a sanitizer's code woven in, gcc sees values that cannot be: it warns there, but does not stop.
ERRORS := $(if $(filter 1,$(WERROR)),$(if $(filter release debug planted,$(FLAVOUR)),-Werror))
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow \
    $(if $(filter x86_64,$(MACHINE)),-fcf-protection) $(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard)

FLAGS_release := -O2 -g $(HARDENING)
FLAGS_debug := -O0 -g3
FLAGS_planted := $(FLAGS_release) -DMUSTER_PLANTED=
FLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FLAGS_cov := -O0 -g --coverage
FLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

DIALECT := -std=c17 -D_GNU_SOURCE -I.
OUR_CFLAGS := $(DIALECT) -fPIE $(WARNINGS) $(FLAGS_$(FLAVOUR))
OUR_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize=% --coverage,$(FLAGS_$(FLAVOUR)))

# --- what there is ---

SRC_base := $(wildcard base/*.c)
SRC_specs := $(wildcard specs/*.c)
SRC_transport := $(wildcard transport/*.c)
SRC_shim := $(wildcard reconciler/agent/shim*.c)
SRC_reconciler := $(filter-out $(SRC_shim) reconciler/daemon/main.c,$(wildcard reconciler/*/*.c))
SRC_cli := $(filter-out cli/main.c,$(wildcard cli/*.c))
SRC_tui := $(wildcard tui/*.c)
SRC_testlib := $(filter-out test/lib/fuzz_main.c test/sim/test_% test/sim/judge_history.c test/sim/register_client.c,$(wildcard test/lib/*.c test/sim/*.c))
LAYERS := base specs transport reconciler cli tui testlib

objects = $(patsubst %.c,$(B)/%.o,$(1))
archives = $(patsubst %,$(B)/lib%.a,$(1))
EVERYTHING := $(call archives,testlib cli tui reconciler transport specs base)

LIBS_muster := -lnng -lyaml -ljansson -lncursesw -ltinfo -lpthread -lm
LIBS_musterd := -lnng -llmdb -luv -larchive -lssl -lcrypto -ljansson -lyaml -lpthread -lm
LIBS_test := $(LIBS_musterd) -lncursesw -ltinfo -lcmocka

# A program whose main file is not there yet is left out.
PROGRAMS := $(if $(wildcard cli/main.c),$(OUT)/muster) $(if $(wildcard reconciler/daemon/main.c),$(OUT)/musterd) \
    $(if $(SRC_shim),$(OUT)/muster-shim)
# The bugs of the store are found by its own tests, built with them; those of the core are compiled into their test in any flavour.
SRC_unit := $(if $(filter planted,$(FLAVOUR)),$(wildcard test/unit/test_store_*.c) test/unit/test_replica.c test/sim/test_cluster_planted.c, \
    $(filter-out %/test_store_planted.c %/test_cluster_planted.c,$(wildcard test/unit/test_*.c test/sim/test_*.c)))
UNIT := $(patsubst %.c,$(T)/%,$(notdir $(SRC_unit)))
# Programs that tests start.
HELPERS := $(T)/judge_history $(T)/register_client $(T)/strangers $(T)/clock_shift.so
BENCH := $(patsubst test/bench/%.c,$(T)/%,$(wildcard test/bench/bench_*.c))
FUZZ := $(patsubst test/fuzz/%.c,$(T)/%,$(wildcard test/fuzz/fuzz_*.c))
# The planted bugs break assertions on purpose; one flavour of them is enough.
ASAN_TESTS := $(subst $(T)/,$(BUILD)/test/asan/,$(filter-out %/test_raft_planted,$(UNIT)) $(FUZZ))
TSAN_TESTS := $(patsubst %.c,$(BUILD)/test/tsan/%,$(notdir $(wildcard test/unit/test_transport_*.c)))

FOLDERS := base specs transport reconciler cli tui test
HEADERS := $(shell find $(FOLDERS) -name '*.h' 2>/dev/null)
SOURCES := $(shell find $(FOLDERS) -name '*.c' 2>/dev/null)

# Debian 12 packages. iproute2 and procps are ordinary on a machine, but not in a minimal container.
BUILD_DEPS := gcc libc6-dev pkg-config libyaml-dev libjansson-dev libnng-dev liblmdb-dev libuv1-dev libssl-dev libarchive-dev \
    libncurses-dev musl-tools
RUN_DEPS := runc skopeo golang-github-containers-common ca-certificates busybox-static iproute2
TEST_DEPS := clang libclang-rt-14-dev clang-format clang-tidy cppcheck libcmocka-dev bats docker-registry tmux strace \
    protobuf-compiler jq e2fsprogs procps nftables
BENCH_DEPS := etcd-server libnghttp2-dev

.PHONY: all check test unit sim sim-cluster soak e2e bench crash-points fuzz-smoke images demo cluster cluster-stop install \
    tidy hdr-check format lint docs clean help deps deps-test deps-bench FORCE
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) ## build the programs (release: build/muster, build/musterd, build/muster-shim)

# --- objects, archives, programs ---

# Changes only when the compiler or a flag does; everything compiled hangs on it.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(OUR_CFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(OUR_CFLAGS) $(CFLAGS)' >$@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(OUR_CFLAGS) $(ERRORS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Made anew and moved into place: no member of a file that is gone, and nobody links a half-written one.
define layer
$(B)/lib$(1).a: $(call objects,$(SRC_$(1)))
	@mkdir -p $$(@D)
	$$(call say,AR  )
	$$(Q)ar rcs $$@.$$$$$$$$ $$^ && mv $$@.$$$$$$$$ $$@
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(OUT)/muster: $(B)/cli/main.o $(call archives,cli tui transport specs base)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_muster)

$(OUT)/musterd: $(B)/reconciler/daemon/main.o $(call archives,reconciler transport specs base)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_musterd)

# Small and static, since one runs beside each task; the same in every flavour.
SHIM_CC := $(if $(shell command -v musl-gcc 2>/dev/null),musl-gcc,$(CC))
$(OUT)/muster-shim: $(SRC_shim) $(wildcard reconciler/agent/shim*.h) $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(SHIM_CC) $(DIALECT) $(filter-out -Wundef,$(WARNINGS)) $(ERRORS) -Os -static -s -o $@ $(SRC_shim)

# --- tests ---

define test_program
$(T)/%: $(B)/$(1)/%.o $(EVERYTHING)
	@mkdir -p $$(@D)
	$$(call say,LINK)
	$$(Q)$$(CC) $$(OUR_LDFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_test)
endef
$(foreach d,test/unit test/sim test/bench,$(eval $(call test_program,$(d))))

# The one program that speaks HTTP/2, to etcd.
$(T)/bench_consensus: $(patsubst %,$(B)/test/bench/%.o,bench_consensus etcd grpc trio) $(EVERYTHING)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_test) -lnghttp2

# Loaded into a daemon before everything else.
$(T)/%.so: test/lib/preload/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(DIALECT) $(WARNINGS) $(ERRORS) -O2 -fPIC -shared -o $@ $<

# It runs the program that judges what clients wrote down.
$(T)/test_linear: | $(T)/judge_history

# libFuzzer brings its own main; every other flavour replays files.
FUZZ_MAIN := $(if $(filter fuzz,$(FLAVOUR)),,$(B)/test/lib/fuzz_main.o)
$(T)/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(FUZZ_MAIN) $(EVERYTHING)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(OUR_LDFLAGS) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) $(LDFLAGS) -o $@ $^ $(LIBS_test)

$(BUILD)/tidy: $(B)/test/tidy.o $(call archives,base)
	$(call say,LINK)
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^

# Both compilers, all headers when one changed: a header lives on what it includes.
$(BUILD)/headers/%.ok: % $(HEADERS)
	@mkdir -p $(@D)
	@for compiler in gcc clang; do \
	    $$compiler $(DIALECT) -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-const-variable -fsyntax-only -x c $< || exit 1; \
	done
	@touch $@

RUN := BUILD='$(BUILD)' FLAVOUR='$(FLAVOUR)' UNIT='$(UNIT)' FUZZ='$(FUZZ)' BENCH='$(BENCH)' ASAN_TESTS='$(ASAN_TESTS)' \
    TSAN_TESTS='$(TSAN_TESTS)' MAKE='$(MAKE)' test/run.sh

check: deps-test ## the quick tests: unit, the tree's rules, headers (about a minute)
	@$(SUBMAKE) all $(UNIT) $(BUILD)/tidy
	@$(RUN) tree unit

test: deps-test ## all tests, as CI runs them; ends with one line: N passed, N failed, N skipped
	@$(SUBMAKE) all $(UNIT) $(HELPERS) $(BUILD)/tidy
	@$(SUBMAKE) FLAVOUR=asan $(ASAN_TESTS)
	@$(SUBMAKE) FLAVOUR=tsan $(TSAN_TESTS)
	@$(SUBMAKE) FLAVOUR=planted $(BUILD)/planted/musterd
	@$(SUBMAKE) images
	@$(RUN) tree unit sim asan tsan examples e2e

unit: $(UNIT) ## the unit tests of this FLAVOUR
	@$(RUN) unit

sim: $(T)/test_raft_sim ## simulated clusters; SEED=n repeats one run with its trace, SEEDS=n for more than 1000
	@SEEDS=$(or $(SEEDS),1000) SIM_PROCESSES=2 SIM_KEEP=test/sim/seeds $(foreach v,SEED SEED_MS SIM_OFF,$(if $($v),$v=$($v))) \
	    $(T)/test_raft_sim

sim-cluster: $(T)/test_cluster_sim ## simulated clusters of whole managers; SEED=n repeats one run with its trace, SEEDS=n for more than 300
	@SEEDS=$(or $(SEEDS),300) SEED_MS=$(or $(SEED_MS),360000) SIM_KEEP=test/sim/cluster_seeds \
	    $(foreach v,SEED FIRST SIM_OFF,$(if $($v),$v=$($v))) $(T)/test_cluster_sim

soak: $(T)/test_raft_sim ## new seeds on all cores for SOAK_SECONDS (600); adds a line to test/sim/ledger
	@SOAK_SECONDS=$(or $(SOAK_SECONDS),600) SOAK_COMMIT=$$(git rev-parse --short HEAD) SIM_KEEP=test/sim/seeds $(T)/test_raft_sim

.PHONY: planted planted-tests
planted: ## bugs planted in store and replica: each must be found by the store's tests, or by simulated clusters
	@$(SUBMAKE) FLAVOUR=planted planted-tests
	@$(BUILD)/test/planted/test_store_planted
	@$(BUILD)/test/planted/test_cluster_planted
planted-tests: $(UNIT)

e2e: all images $(HELPERS) ## the process tests, with bats (root); E2E='test/e2e/x.bats' picks some
	@$(SUBMAKE) FLAVOUR=planted $(BUILD)/planted/musterd
	@$(RUN) e2e

crash-points: all ## a manager is killed at every call that writes, in all phases of its life (two hours); CRASH_STEP=n: at each nth
	@$(SUBMAKE) FLAVOUR=planted $(BUILD)/planted/musterd
	@CRASH_ALL=1 BUILD='$(BUILD)' bats test/e2e/crash_points.bats

fuzz-smoke: $(FUZZ) ## replay the fuzz corpora (FLAVOUR=fuzz: and fuzz each target for FUZZ_SECONDS, 20)
	@$(RUN) fuzz

bench: deps-bench ## the benchmarks, one JSON line a figure
	@$(SUBMAKE) all images $(BENCH)
	@$(RUN) bench

tidy: $(BUILD)/tidy ## the tree's own rules: arrows, pure folders, banned calls, lengths
	@$(BUILD)/tidy

hdr-check: $(HEADERS:%=$(BUILD)/headers/%.ok) ## every header compiles alone, with both compilers

FILES ?= $(SOURCES) $(HEADERS)
format: ## lay out FILES (all sources): comments by test/wrap.awk, code by clang-format
	@for f in $(FILES); do LC_ALL=C awk -f test/wrap.awk $$f >$$f.wrapped || exit 1; \
	    cmp -s $$f $$f.wrapped && rm $$f.wrapped || mv $$f.wrapped $$f; done
	@clang-format -i $(FILES)

lint: ## clang-tidy and cppcheck
	@cppcheck --quiet --std=c11 -j 2 --enable=warning,portability --inline-suppr --suppressions-list=.cppcheck --error-exitcode=1 \
	    -D_GNU_SOURCE -I. $(filter-out test/%,$(SOURCES))
	@clang-tidy --quiet $(filter-out test/%,$(SOURCES)) -- $(DIALECT)

# --- using it ---

images: ## OCI archives for examples and tests, made offline from Debian packages: build/images/NAME.tar
	@[ ! -e examples/images/build.sh ] || examples/images/build.sh $(BUILD)/images

cluster: deps ## NODES machines on this one (5), MANAGERS of them managers (3), each in a network namespace of its own (root)
	@$(SUBMAKE) all images
	@BUILD='$(BUILD)' examples/cluster.sh start $(or $(NODES),5) $(MANAGERS)

cluster-stop: ## take that cluster away
	@examples/cluster.sh stop

demo: deps ## build, and `muster demo`: three nodes here, the example shop on them, broken and mended (root)
	@$(SUBMAKE) all images
	@MUSTER_EXAMPLES='$(CURDIR)/examples' $(OUT)/muster demo

SHARE = $(DESTDIR)$(PREFIX)/share
install: docs ## install programs, man pages, completion, examples and systemd unit under $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/muster $(SHARE)/man/man1 \
	    $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(OUT)/muster $(OUT)/musterd $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(OUT)/muster-shim $(DESTDIR)$(PREFIX)/libexec/muster/
	install -m 644 $(BUILD)/docs/man/*.1 $(SHARE)/man/man1/
	install -m 644 $(BUILD)/docs/completion/bash $(SHARE)/bash-completion/completions/muster
	install -m 644 $(BUILD)/docs/completion/zsh $(SHARE)/zsh/site-functions/_muster
	install -m 644 $(BUILD)/docs/completion/fish $(SHARE)/fish/vendor_completions.d/muster.fish
	install -d $(SHARE)/muster/examples/compose/site $(SHARE)/muster/images
	for file in examples/*.yaml examples/compose/*.yaml; do \
	    sed 's,build/images,images,' $$file >$(SHARE)/muster/$$file || exit 1; done
	install -m 755 examples/demo.sh examples/cluster.sh examples/traces.sh $(SHARE)/muster/examples/
	install -m 644 examples/compose/site/* $(SHARE)/muster/examples/compose/site/
	@$(SUBMAKE) images && install -m 644 $(BUILD)/images/*.tar $(SHARE)/muster/images/ || \
	    echo 'The images of the examples could not be made, so `muster demo` will not run from there.' >&2
	sed 's,@PREFIX@,$(PREFIX),' dist/musterd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/musterd.service

docs: all ## what is written in the sources, gathered: build/docs/ man/, completion/, tree.txt, docker.txt, muster.proto, muster.schema.json
	@mkdir -p $(BUILD)/docs/man $(BUILD)/docs/completion
	@grep -hm1 -E '^// [a-z]+/[^ ]+ — ' $(sort $(SOURCES) $(HEADERS)) | sed 's,^// ,,' >$(BUILD)/docs/tree.txt
	@$(OUT)/muster schema --proto >$(BUILD)/docs/muster.proto
	@$(OUT)/muster schema >$(BUILD)/docs/muster.schema.json
	@$(OUT)/muster explain docker >$(BUILD)/docs/docker.txt
	@$(OUT)/muster man --to $(BUILD)/docs/man
	@for shell in bash zsh fish; do $(OUT)/muster completion $$shell >$(BUILD)/docs/completion/$$shell || exit 1; done
	@echo "$(BUILD)/docs"

clean: ## remove build/
	rm -rf $(BUILD)

# Installs only what misses, so that a second run needs neither root nor network.
define install_missing
	@missing=; for package in $(1); do \
	    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	[ -n "$$missing" ] || exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "missing packages; as root: apt-get install --no-install-recommends$$missing" >&2; exit 1; }; \
	echo "installing:$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q && apt-get install -y -q --no-install-recommends $$missing
endef

deps: ## install the Debian packages that building and running need, if any misses (root)
	$(call install_missing,$(BUILD_DEPS) $(RUN_DEPS))

deps-test: ## … and those that testing needs
	$(call install_missing,$(BUILD_DEPS) $(RUN_DEPS) $(TEST_DEPS))

deps-bench: ## … and those that are measured against (etcd)
	$(call install_missing,$(BUILD_DEPS) $(RUN_DEPS) $(TEST_DEPS) $(BENCH_DEPS))

help: ## this list
	@echo 'make [FLAVOUR=$(subst $() ,|,$(FLAVOURS))] [CC=…] [CFLAGS=…] [WERROR=1] [BUILD=build] [V=1] TARGET'
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

-include $(patsubst %.c,$(B)/%.d,$(SOURCES))
