# make            build/darkroom and build/darkroom-lab
# make test       all tests; installs what they need
# make check      the tests alone, with what is installed
# make run, demo  scripts/run, scripts/run --once
# make bench-image  the normalizer and its peers, 5 minutes
# make bench-ack    answers to webhooks while every core decodes, 2 minutes
# make install    with PREFIX (/usr/local), SYSCONFDIR (/etc), DESTDIR
# make uninstall  likewise; see scripts/install
# make deb        a Debian package; see scripts/deb/build
# make test-deb   builds one and tries it in a fresh Debian (root, network)
# make lint       style, structure and static analysis
# make format     clang-format in place
#
# BUILD=dir       where everything is made (default build)
# SANITIZE=list   gcc sanitizers: address,undefined or thread; gets a build
#                 directory of its own
# ISAL=0          without ISA-L: zlib does the deflating
# WERROR=0        warnings are not errors
# V=1             show the commands

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0
SANITIZE ?=
ISAL ?= 1
WERROR ?= 1
V ?= 0
comma := ,
BUILD ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))

CC ?= gcc
PKG_CONFIG ?= pkg-config

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla \
	-Wformat=2 -Wundef -Wold-style-definition -Wimplicit-fallthrough
OPTIMIZE ?= -O2 -g
# Row loops: -O2 does not vectorize them (35 % of a picture's CPU).
OPTIMIZE_IMAGE ?= -O3
HARDEN := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
CPPFLAGS_ALL := -D_GNU_SOURCE -DDARKROOM_VERSION='"$(VERSION)"' \
	$(if $(filter 1,$(ISAL)),-DHAVE_ISAL=1) \
	$(if $(SANITIZE),-DDARKROOM_SANITIZE=1) -iquote lib $(CPPFLAGS)
SANITIZER := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all)
CFLAGS_ALL = -std=c17 -pthread $(OPTIMIZE) $(HARDEN) $(WARNINGS) \
	$(if $(filter 1,$(WERROR)),-Werror) $(SANITIZER) $(CFLAGS)
LDFLAGS_ALL := -pthread -pie -Wl,-z,relro,-z,now,--as-needed \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LINK = $(CC) $(LDFLAGS_ALL)
FLAGS = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(OPTIMIZE_IMAGE)

# One foreign library, one includer; these are the packages behind them.
LIBS_LAB := -lpng16 -ljpeg -lwebp -llcms2 -lz $(if $(filter 1,$(ISAL)),-lisal) \
	-lseccomp -lm
LIBS_WORKER := -lcurl -lyajl -lcrypto -lsqlite3 -linih
LIBS_FCGI := -lfcgi
LIBS_SIM := -lmicrohttpd -lcurl -lyajl -lcrypto -lpng16 -lz
LIBS_TEST := -lcmocka

LIB_SRC := $(wildcard lib/*.c lib/image/*.c)
LAB_SRC := fcgi/lab_main.c
DARKROOM_SRC := $(filter-out $(LAB_SRC),$(wildcard fcgi/*.c))
SIM_SRC := $(wildcard tests/sim/*.c)
TEST_SRC := $(wildcard tests/unit/test_*.c tests/contract/test_*.c)
TOOL_SRC := $(wildcard tests/tool/*.c)
HELPER_SRC := $(wildcard tests/helper/*.c)
ALL_SRC := $(LIB_SRC) $(LAB_SRC) $(DARKROOM_SRC) $(SIM_SRC) $(TEST_SRC) \
	$(TOOL_SRC) $(HELPER_SRC)
HEADERS := $(wildcard lib/*.h lib/image/*.h fcgi/*.h tests/*/*.h)

OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB := $(BUILD)/libdarkroom.a
PROGRAMS := $(if $(DARKROOM_SRC),$(BUILD)/darkroom) \
	$(if $(wildcard $(LAB_SRC)),$(BUILD)/darkroom-lab)
SIM := $(if $(SIM_SRC),$(BUILD)/line-sim)
TESTS := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TOOLS := $(patsubst %.c,$(BUILD)/%,$(TOOL_SRC))

say = $(if $(filter 0,$(V)),@printf '  %-4s %s\n' $(1) $(2);)

.PHONY: all tests check test run demo bench-image bench-ack lint format \
	hdr-check clean install uninstall deb test-deb
all: $(PROGRAMS)
tests: all $(SIM) $(TESTS) $(TOOLS)

# A change of flags rebuilds everything.
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
FORCE:

# Private: not for the stamp of the flags, which these need too.
$(BUILD)/obj/lib/image/%.o: private OPTIMIZE += $(OPTIMIZE_IMAGE)
# A lab has one thread: no race to find, for ten times the CPU.
$(BUILD)/obj/lib/image/%.o: private SANITIZER := \
	$(filter-out -fsanitize=thread,$(SANITIZER))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) \
		-MMD -MP -MF $(@:.o=.d) -MT '$$(BUILD)/obj/$*.o' -c -o $@ $<

$(LIB): $(call OBJ,$(LIB_SRC))
	@rm -f $@
	$(call say,AR,$@)$(AR) rcs $@ $^

$(BUILD)/darkroom: $(call OBJ,$(DARKROOM_SRC)) $(LIB)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(LIBS_WORKER) $(LIBS_FCGI)

$(BUILD)/darkroom-lab: $(call OBJ,$(LAB_SRC)) $(LIB)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(LIBS_LAB)

$(BUILD)/line-sim: $(call OBJ,$(SIM_SRC)) $(LIB)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(LIBS_SIM)

# Objects before archives, in whatever order the prerequisites came.
$(TESTS): $(BUILD)/%: $(BUILD)/obj/%.o $(call OBJ,$(HELPER_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $(filter %.o,$^) $(LIB) \
		$(LIBS_TEST) $(LIBS_WORKER) $(LIBS_LAB) -lmicrohttpd

# The simulator's unit tests link its parts, without its main().
$(filter $(BUILD)/tests/unit/test_sim_%,$(TESTS)): \
	$(filter-out %/main.o,$(call OBJ,$(SIM_SRC)))

$(TOOLS): $(BUILD)/%: $(BUILD)/obj/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(LIBS_WORKER) $(LIBS_LAB)

-include $(patsubst %.o,%.d,$(call OBJ,$(ALL_SRC)))

check: tests
	BUILD=$(BUILD) scripts/check

test:
	BUILD=$(BUILD) SANITIZE=$(SANITIZE) scripts/test

run:
	scripts/run

demo:
	scripts/run --once

bench-image:
	BUILD=$(BUILD) scripts/bench image

bench-ack:
	BUILD=$(BUILD) scripts/bench ack

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc

# By the environment: a name in a command line would be the shell's to read.
install uninstall: export BUILD := $(BUILD)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export SYSCONFDIR := $(SYSCONFDIR)

install: all
	scripts/install

uninstall:
	scripts/install --remove

deb: all
	@BUILD=$(BUILD) scripts/deb/build $(VERSION)

test-deb:
	scripts/deps test deb
	+$(MAKE) deb $(SIM)
	BUILD=$(BUILD) scripts/check tests/deb/package.t

lint:
	scripts/lint

format:
	clang-format -i $(ALL_SRC) $(HEADERS)

# Every header compiles by itself.
hdr-check:
	@for header in $(HEADERS); do \
		printf '#include "%s"\ntypedef int not_empty;\n' $$header | \
		$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -I. -fsyntax-only \
		-x c - || exit 1; done

clean:
	rm -rf $(BUILD)
