# muster: one non-recursive Makefile. `make help` lists what it can do.
#
# Sources are every .c file of a folder; objects and programs of a flavour stay apart under build/. The user's CC, CFLAGS and LDFLAGS are
# respected: ours are appended separately.

FLAVOUR ?= release
WERROR ?= $(if $(CI),1,0)
PREFIX ?= /usr/local
CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif

MACHINE := $(shell uname -m)
B := build/obj/$(FLAVOUR)
OUT := $(if $(filter release,$(FLAVOUR)),build,build/$(FLAVOUR))

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Wvla -Wundef -Wswitch-enum -Wmissing-prototypes \
    -Wstrict-prototypes -Wwrite-strings -Wpointer-arith -Wimplicit-fallthrough $(if $(filter 1,$(WERROR)),-Werror)
HARDENING := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
    $(if $(filter x86_64,$(MACHINE)),-fcf-protection) $(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard)

FLAGS_release := -O2 -g $(HARDENING)
FLAGS_debug := -O0 -g3
FLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FLAGS_cov := -O0 -g --coverage
FLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined
ifeq ($(FLAVOUR),fuzz)
override CC := clang
endif

OUR_CFLAGS := -std=c17 -D_GNU_SOURCE -I. -fPIE $(WARNINGS) $(FLAGS_$(FLAVOUR))
OUR_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize=% --coverage,$(FLAGS_$(FLAVOUR)))

# What each program is made of.
SRC_base := $(wildcard base/*.c)
SRC_specs := $(wildcard specs/*.c)
SRC_transport := $(wildcard transport/*.c)
SRC_shim := $(wildcard reconciler/agent/shim*.c)
SRC_reconciler := $(filter-out $(SRC_shim) reconciler/daemon/main.c,$(wildcard reconciler/*/*.c))
SRC_cli := $(filter-out cli/main.c,$(wildcard cli/*.c))
SRC_tui := $(wildcard tui/*.c)
SRC_testlib := $(wildcard test/lib/*.c)

objects = $(patsubst %.c,$(B)/%.o,$(1))
LAYERS := base specs transport reconciler cli tui testlib
LIB = $(patsubst %,$(B)/lib%.a,$(1))

LIBS_muster := -lnng -lyaml -ljansson -lncursesw -ltinfo -lpthread
LIBS_musterd := -lnng -llmdb -luv -larchive -lcrypto -ljansson -lyaml -lpthread
LIBS_test := $(LIBS_musterd) -lncursesw -ltinfo -lcmocka

PROGRAMS := $(if $(wildcard cli/main.c),$(OUT)/muster) $(if $(wildcard reconciler/daemon/main.c),$(OUT)/musterd) \
    $(if $(SRC_shim),$(OUT)/muster-shim)
UNIT := $(patsubst test/unit/%.c,build/test/$(FLAVOUR)/%,$(wildcard test/unit/test_*.c))
BENCH := $(patsubst test/bench/%.c,build/test/$(FLAVOUR)/%,$(wildcard test/bench/bench_*.c))
FUZZ := $(patsubst test/fuzz/%.c,build/test/$(FLAVOUR)/%,$(wildcard test/fuzz/fuzz_*.c))

BUILD_DEPS := gcc pkg-config libc6-dev libyaml-dev libjansson-dev libnng-dev liblmdb-dev libuv1-dev libssl-dev \
    libarchive-dev libncurses-dev musl-tools
RUN_DEPS := runc skopeo golang-github-containers-common busybox-static
TEST_DEPS := clang libclang-rt-14-dev clang-format clang-tidy cppcheck libcmocka-dev bats docker-registry tmux strace \
    protobuf-compiler jq python3-minimal

.PHONY: all check test unit e2e bench fuzz-smoke images demo install tidy hdr-check format lint clean help deps deps-test
.DEFAULT_GOAL := all
.SECONDARY:

all: $(PROGRAMS) ## build the programs (release: build/muster, build/musterd, build/muster-shim)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(OUR_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define layer
$(B)/lib$(1).a: $(call objects,$(SRC_$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(OUT)/muster: $(B)/cli/main.o $(call LIB,cli tui transport specs base)
	@mkdir -p $(@D)
	$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_muster)

$(OUT)/musterd: $(B)/reconciler/daemon/main.o $(call LIB,reconciler transport specs base)
	@mkdir -p $(@D)
	$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_musterd)

# Small and static: one runs beside each task.
SHIM_CC := $(if $(shell command -v musl-gcc),musl-gcc,$(CC))
$(OUT)/muster-shim: $(SRC_shim) Makefile
	@mkdir -p $(@D)
	$(SHIM_CC) -std=c17 -D_GNU_SOURCE -I. $(filter-out -Wundef,$(WARNINGS)) -Os -g0 -static -o $@ $(SRC_shim)
	@strip $@

build/test/$(FLAVOUR)/%: $(B)/test/unit/%.o $(call LIB,testlib cli tui reconciler transport specs base)
	@mkdir -p $(@D)
	$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_test)

build/test/$(FLAVOUR)/bench_%: $(B)/test/bench/bench_%.o $(call LIB,testlib cli tui reconciler transport specs base)
	@mkdir -p $(@D)
	$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_test)

# Under libFuzzer the library brings main; elsewhere a small main replays files.
FUZZ_MAIN := $(if $(filter fuzz,$(FLAVOUR)),,$(B)/test/fuzz/replay.o)
build/test/$(FLAVOUR)/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(FUZZ_MAIN) $(call LIB,reconciler transport specs base)
	@mkdir -p $(@D)
	$(CC) $(OUR_LDFLAGS) $(if $(filter fuzz,$(FLAVOUR)),-fsanitize=fuzzer) $(LDFLAGS) -o $@ $^ $(LIBS_musterd)

unit: $(UNIT) ## build and run the unit tests of this FLAVOUR
	@test/run.sh unit $(UNIT)

fuzz-smoke: $(FUZZ) ## replay the fuzz corpora (FLAVOUR=fuzz: fuzz each target for 20 s)
	@test/run.sh fuzz $(FUZZ)

check: deps-test ## the quick tests: unit, tree rules, headers
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory $(UNIT)
	@test/run.sh check $(UNIT)

test: deps-test ## all tests; ends with one line: N passed, N failed, N skipped
	@$(MAKE) --no-print-directory all $(UNIT) images
	@$(MAKE) --no-print-directory FLAVOUR=asan $(subst /$(FLAVOUR)/,/asan/,$(UNIT) $(FUZZ))
	@test/run.sh all $(UNIT)

e2e: all images ## the process tests with bats (root)
	@test/run.sh e2e

bench: all images $(BENCH) ## benchmarks, one JSON line a figure
	@test/run.sh bench $(BENCH)

images: ## OCI archives for examples and tests, made offline from Debian packages: build/images/NAME.tar
	@examples/images/build.sh build/images

demo: deps ## build, start musterd here, apply examples/shop.yaml, break it, watch it heal (root)
	@$(MAKE) --no-print-directory all images
	@examples/demo.sh

install: all ## install programs to $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/muster
	install -m 755 build/muster build/musterd $(DESTDIR)$(PREFIX)/bin/
	install -m 755 build/muster-shim $(DESTDIR)$(PREFIX)/libexec/muster/

tidy: ## the tree's own rules: arrows, banned calls, lengths
	@test/tidy.sh

hdr-check: ## every header compiles alone
	@for h in $$(git ls-files '*.h'); do for c in gcc clang; do \
	    $$c -std=c17 -D_GNU_SOURCE -I. -Wall -Wno-unused-function -Wno-pragma-once-outside-header -fsyntax-only -x c $$h || exit 1; done; done

format: ## clang-format the sources in place
	@clang-format -i $$(git ls-files '*.c' '*.h')

lint: ## clang-tidy and cppcheck
	@cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -I. \
	    --suppress=missingIncludeSystem $$(git ls-files '*.c' | grep -v '^test/')
	@clang-tidy --quiet $$(git ls-files '*.c' | grep -v '^test/') -- -std=c17 -D_GNU_SOURCE -I.

clean: ## remove build/
	rm -rf build

# Installs only what misses, so that a second run needs no network.
define install_missing
	@missing=; for p in $(1); do \
	    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    [ $$(id -u) = 0 ] || { echo "missing packages; as root: apt-get install$$missing" >&2; exit 1; }; \
	    echo "installing:$$missing"; \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi
endef

deps: ## install the Debian packages that building and running need
	$(call install_missing,$(BUILD_DEPS) $(RUN_DEPS))

deps-test: ## … and those that testing needs
	$(call install_missing,$(BUILD_DEPS) $(RUN_DEPS) $(TEST_DEPS))

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B) -name '*.d' 2>/dev/null)
