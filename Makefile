# Herald. `make run` starts a cluster on this machine, `make test` runs every test; both install what they need.
#
#   make            release build: build/release/herald-{gateway,router,registry,devbroker}, heraldctl
#   make deps       what building, running and testing need: Debian packages, build/venv, build/kafka
#   make run        a local cluster (deploy/local/herald-local up); RUN_FLAGS="--gateways 2 ..."
#   make test       unit tests, then live tests against real Redis and Kafka
#   make check      unit tests only
#   make lint       layers, lengths, banned functions, headers, generated documents, format, cppcheck
#   make format     clang-format in place
#   make model      every state of the model of delivery in small worlds (docs/delivery.md); MODEL=--long, --mutations
#   make asan       unit tests and core live tests under AddressSanitizer and UBSan
#   make chaos SEED=n FAULTS=n   seeded faults against a real cluster, judged by a ledger (tests/chaos/README.md); chaos-long: 1000
#   make instructions   what a message costs in instructions, compared with bench/instructions.json; update-instructions
#   make bench-peers    Herald beside Nchan, Node, Netty and Centrifugo, the same clients and messages
#   make bench-slow     one client in ten does not read for 30 s: what the others notice
#   make bench-storm    a gateway is killed, and its 40,000 clients come to another one at once
#   make bench bench-million docs install clean

VARIANT ?= release
O := build/$(VARIANT)
G := build/generated
PREFIX ?= /usr/local
CC := gcc
PKGS := libevent rdkafka hiredis libprotobuf-c libzmq jansson yaml-0.1 libcrypto zlib

# --- sources: the listing is the architecture -------------------------------------------------------------------------

common_SRCS := $(addprefix common/, \
    err.c check.c memory.c heap.c clock.c log.c loop.c loop_task.c net.c buf.c table.c slab.c slabs.c wheel.c message.c recycle.c json_scan.c \
    cgroup.c option.c option_value.c option_yaml.c option_print.c metric.c metric_print.c priority.c admin.c admin_request.c admin_conns.c admin_route.c daemon.c service.c \
    poll_set.c redis.c redis_conn.c redis_queue.c redis_reply.c redis_script.c bus.c wire.c link.c lease.c members.c jwt_sign.c \
    kafka_admin.c kafka_conf.c kafka_consumer.c kafka_destroy.c kafka_group.c kafka_mock.c kafka_producer.c kafka_reader.c)


gateway_SRCS := $(addprefix gateway/, main.c master.c worker.c relief.c settings.c metrics.c)
gateway_SRCS += $(addprefix gateway/memory/, pressure.c meter.c)
gateway_SRCS += $(addprefix gateway/auth/, base64url.c jwt_key.c jwt.c identity.c auth.c)
gateway_SRCS += $(addprefix gateway/session/, session.c sessions.c once.c backlog.c outbox.c overflow.c shed.c users.c login.c guest.c registrations.c routes.c lapse.c redis_clock.c goodbyes.c expiry.c box.c letter.c taken.c drain.c command.c \
    unacked.c push_frame.c replies.c client_message.c handlers.c handle_auth.c handle_heartbeat.c handle_ack.c \
    handle_message.c session_metrics.c)
gateway_SRCS += $(addprefix gateway/link/, fence.c inbox.c box_fates.c peers.c returns.c upstream.c pending.c link_metrics.c)
gateway_SRCS += $(addprefix gateway/canary/, beat.c canary_client.c canary.c)
gateway_SRCS += $(addprefix gateway/ws/, utf8.c frame.c accept_key.c http_status.c http_head.c query.c origin.c upgrade.c \
    ws_codec.c deflate.c deflater.c deflate_offer.c takeover.c outq.c bucket.c gate.c conn.c conn_close.c conn_http.c conn_io.c conn_fate.c conns.c)

router_SRCS := $(addprefix router/, main.c router.c settings.c metrics.c)
router_SRCS += $(addprefix router/record/, push.c push_json.c push_proto.c record.c delivery.c sender.c deadletter.c canary.c)
router_SRCS += $(addprefix router/source/, source.c partition.c tracker.c tenure.c)
router_SRCS += $(addprefix router/outcome/, outcome.c audit.c audit_report.c)
router_SRCS += $(addprefix router/route/, resolver.c lookup.c tracking.c route.c)
router_SRCS += $(addprefix router/flow/, flow.c inflight.c ledger.c dedup.c each.c collapse.c)
router_SRCS += $(addprefix router/link/, lanes.c lane.c lane_queue.c envelope.c pokes.c results.c upstream.c unread.c)
router_SRCS += $(addprefix router/box/, mailbox.c durability.c spill.c handover.c offline.c)
router_SRCS += $(addprefix router/dispatch/, dispatch.c dispatch_gauges.c fanout.c fate.c attempt.c volatile.c \
    durable.c verdict.c)

registry_SRCS := $(addprefix registry/, \
    main.c registry.c settings.c metrics.c roster.c watcher.c claim.c leader.c publisher.c presence.c lookup.c record.c \
    api.c api_instances.c api_users.c api_stats.c api_push.c api_token.c api_pages.c api_dlq.c api_replay.c letter.c \
    audit.c auditor.c api_audit.c)

ctl_SRCS := $(addprefix registry/ctl/, \
    main.c command.c arguments.c client.c http.c url.c table_print.c show.c screen.c \
    cmd_instances.c cmd_user.c cmd_users.c cmd_stats.c cmd_topics.c cmd_watch.c cmd_token.c cmd_health.c cmd_dlq.c cmd_audit.c)

bench_SRCS := $(addprefix bench/, load.c plan.c fleet.c client.c client_read.c opener.c order.c hist.c schedule.c producer.c run.c)
peers_SRCS := $(addprefix bench/, hist.c order.c $(addprefix peers/, peer_load.c peer_conn.c peer_publish.c peer_run.c))
# drivers of the instruction ratchet, over fakes of what is not the daemon's
count_SRCS := $(addprefix bench/instructions/, count.c fake_bus.c fake_redis.c)
million_SRCS := $(addprefix bench/, million.c crowd.c sweep.c)
devbroker_SRCS := deploy/local/kafka_devbroker.c

# name_test.c files, each a program of its own: linked with all of common and the daemon's own sources but main.c
TESTS := $(wildcard common/*_test.c gateway/*_test.c gateway/*/*_test.c router/*_test.c router/*/*_test.c registry/*_test.c registry/ctl/*_test.c bench/*_test.c)

PROTOS := link lease push client

# --- flags --------------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
    -Wvla -Wformat=2 -Wundef -Wno-missing-field-initializers
CPPFLAGS := -D_GNU_SOURCE -I. -I$(G) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS_release := -O2 -g
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS := -std=gnu11 $(WARN) $(CFLAGS_$(VARIANT)) -fno-common -fstack-protector-strong
LDFLAGS := $(CFLAGS_$(VARIANT)) -Wl,--as-needed
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lwslay -lpthread -lm

# V=1 shows whole commands
ifndef V
.SILENT:
SAY = @echo "  $(1) $@"
endif

# --- programs -----------------------------------------------------------------------------------------------------------

PROGRAMS := $(addprefix $(O)/, herald-gateway herald-router herald-registry heraldctl herald-devbroker)

BENCH_PROGRAMS := $(addprefix $(O)/, herald-load herald-floor herald-sink herald-handshakes herald-handshake-floor herald-million)
# preloaded, to count allocations and copies
BENCH_SHIM := $(O)/count_shim.so

# intermediate files stay
.SECONDARY:

.PHONY: all deps run test check live chaos chaos-ci chaos-long judge-test model lint format asan bench bench-million docs install clean programs
all: programs
programs: $(PROGRAMS)

pb_OBJS := $(PROTOS:%=$(O)/generated/%.pb-c.o)
common_OBJS := $(common_SRCS:%.c=$(O)/%.o) $(pb_OBJS)

$(O)/libherald.a: $(common_OBJS)
	rm -f $@ && ar rcs $@ $^
$(O)/herald-gateway: $(gateway_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-router: $(router_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-registry: $(registry_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/heraldctl: $(ctl_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-devbroker: $(devbroker_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-load: $(bench_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-peer-load: $(peers_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-floor: $(O)/bench/floor.o $(O)/libherald.a
$(O)/herald-handshakes: $(O)/bench/handshakes.o $(O)/bench/handshake_tokens.o $(O)/libherald.a
$(O)/herald-handshake-floor: $(O)/bench/handshake_floor.o $(O)/libherald.a
$(O)/herald-million: $(million_SRCS:%.c=$(O)/%.o) $(O)/libherald.a
$(O)/herald-sink: $(O)/bench/sink.o $(O)/bench/order.o $(O)/libherald.a
$(PROGRAMS) $(BENCH_PROGRAMS) $(O)/herald-peer-load:
	$(call SAY,LD)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a, $^) $(LIBS)
$(BENCH_SHIM): bench/count_shim.c
	$(call SAY,LD)
	$(CC) -std=gnu11 $(WARN) -O2 -fPIC -fno-builtin -shared -o $@ $< -ldl

GENERATED := $(PROTOS:%=$(G)/%.pb-c.h) $(G)/lua_scripts.h $(G)/web_assets.h
$(O)/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/generated/%.pb-c.o: $(G)/%.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<
$(G)/%.pb-c.c $(G)/%.pb-c.h &: proto/%.proto
	@mkdir -p $(G)
	protoc-c --proto_path=proto --c_out=$(G) $<
$(G)/lua_scripts.h: $(wildcard common/lua/*.lua) common/lua/embed.py
	@mkdir -p $(G)
	python3 common/lua/embed.py common/lua > $@
$(G)/web_assets.h: $(wildcard registry/web/*)
	@mkdir -p $(G)
	python3 registry/web/embed.py registry/web > $@

# --- tests --------------------------------------------------------------------------------------------------------------

TEST_PROGRAMS := $(TESTS:%.c=$(O)/%)
# a daemon's tests link with all of the daemon but its main.c; *_fake_test.c get the fake loop in place of the real one
daemon_objs = $(filter-out %/main.o %/bench/load.o, $($(1)_SRCS:%.c=$(O)/%.o))
$(O)/gateway/%_test: $(O)/gateway/%_test.o $(call daemon_objs,gateway) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $(if $(findstring _fake_test,$@),$(O)/common/loop_fake.o) $^ $(LIBS) -lcmocka
# those of sessions play the part of the connections
$(O)/gateway/session/%_fake_test: $(O)/gateway/session/%_fake_test.o $(filter-out $(O)/gateway/ws/conn%.o $(O)/gateway/canary/canary%.o $(O)/gateway/worker.o $(O)/gateway/relief.o $(O)/gateway/master.o,$(call daemon_objs,gateway)) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $(O)/common/loop_fake.o $^ $(LIBS) -lcmocka
$(O)/router/%_test: $(O)/router/%_test.o $(call daemon_objs,router) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $(if $(findstring _fake_test,$@),$(O)/common/loop_fake.o) $^ $(LIBS) -lcmocka
$(O)/registry/ctl/%_test: $(O)/registry/ctl/%_test.o $(call daemon_objs,ctl) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(O)/registry/%_test: $(O)/registry/%_test.o $(call daemon_objs,registry) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $(if $(findstring _fake_test,$@),$(O)/common/loop_fake.o) $^ $(LIBS) -lcmocka
$(O)/bench/%_test: $(O)/bench/%_test.o $(call daemon_objs,bench) $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(O)/common/%_test: $(O)/common/%_test.o $(O)/libherald.a
	$(CC) $(LDFLAGS) -o $@ $(if $(findstring _fake_test,$@),$(O)/common/loop_fake.o) $^ $(LIBS) -lcmocka
$(filter %_fake_test,$(TEST_PROGRAMS)): | $(O)/common/loop_fake.o
# these have an allocator of their own, which fails when told to
$(filter %/failmalloc_test,$(TEST_PROGRAMS)): $(O)/tests/unit/failmalloc.o

# those that wait the longest come first
SLOW_TESTS := %/kafka_test %/kafka_reader_test %/source_test %/conn_limits_test
check: $(TEST_PROGRAMS)
	@tests/unit/run $(filter $(SLOW_TESTS),$^) $(filter-out $(SLOW_TESTS),$^)

# `live` alone expects that deps are there; PYTEST="-k dlq" chooses. CORE: the tests that the sanitizer run repeats
live: programs $(O)/herald-load
	HERALD_PROGRAMS=$(CURDIR)/$(O) build/venv/bin/python -m pytest tests/live -q $(PYTEST)

# the same SEED gives the same faults in the same order; CHAOS="--only 'kill router' --keep-going" and others: --help.
# chaos-long may go on for hours; in the background: setsid make chaos-long SEED=7 CHAOS="--dir build/chaos-7" >build/chaos-7.log 2>&1 &
SEED ?= 1
FAULTS ?= 30
judge-test:
	build/venv/bin/python -m pytest tests/chaos -q

chaos: programs judge-test
	HERALD_PROGRAMS=$(CURDIR)/$(O) build/venv/bin/python tests/chaos/run.py --seed $(SEED) --faults $(FAULTS) $(CHAOS)
# what CI runs: a seed with 27 kinds of faults, about two minutes
chaos-ci: programs judge-test
	HERALD_PROGRAMS=$(CURDIR)/$(O) build/venv/bin/python tests/chaos/run.py --seed 42 --faults 30 --overlap 4 --alone 0.3 --seconds 150
chaos-long: programs judge-test
	HERALD_PROGRAMS=$(CURDIR)/$(O) build/venv/bin/python tests/chaos/run.py --seed $(SEED) --faults $(or $(CHAOS_LONG),1000) --checkpoint 60 \
	    --overlap 10 --alone 0.1 $(CHAOS)

# less than 40 s of processor time; needs spin (make deps). MODEL=--long: more and larger worlds; --mutations: each rule left out is missed
model:
	@tests/model/run $(MODEL)

# a make of its own after deps: what pkg-config says is only known then
test:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 programs check
	@$(MAKE) --no-print-directory bench-test
	@$(MAKE) --no-print-directory live

asan:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 VARIANT=asan programs check
	@$(MAKE) --no-print-directory VARIANT=asan live PYTEST="-m core $(PYTEST)"

# --- running ------------------------------------------------------------------------------------------------------------

deps:
	@deploy/deps lint

run:
	@deploy/deps run
	@$(MAKE) --no-print-directory -s -j2 programs
	@exec deploy/local/herald-local up $(RUN_FLAGS)

# the short set, under 10 minutes; SCENARIO=file runs one of your own, BENCH="--only volatile --rounds 5" chooses: --help
bench:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 programs $(BENCH_PROGRAMS) $(BENCH_SHIM)
	@build/venv/bin/python bench/run.py $(if $(SCENARIO),--scenario $(SCENARIO)) $(BENCH)
# what of it can be tested without a cluster
bench-test:
	build/venv/bin/python -m pytest bench -q
.PHONY: bench-test

# 1,200,000 clients on this machine: 12 GiB and all of the processor for a quarter of an hour. MILLION="--rate 5000": see --help
CONNECTIONS ?= 1200000
bench-million:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 programs $(BENCH_PROGRAMS)
	@bench/million.py --connections $(CONNECTIONS) $(MILLION)

# One client in ten does not read for 30 s: four minutes. SLOW="--rounds 1 --connections 2000": see --help
bench-slow:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 programs $(O)/herald-load
	@bench/slow_clients.py $(SLOW)
.PHONY: bench-slow

# A gateway is killed with -9 and its clients come to another one: two minutes. STORM="--clients 100000": see --help
bench-storm:
	@deploy/deps test
	@$(MAKE) --no-print-directory -j2 programs $(O)/herald-load $(O)/herald-handshakes
	@bench/storm.py $(STORM)
.PHONY: bench-storm

# Herald and others side by side, 25 minutes; --docs writes docs/benchmarks.md. PEERS="--rounds 3 --only herald,node": a round is 200 s,
# the first two (--idle-rounds) 180 s longer
bench-peers:
	@deploy/deps test
	@bench/peers/build
	@$(MAKE) --no-print-directory -j2 programs $(O)/herald-peer-load $(O)/herald-floor
	@bench/peers/run.py $(PEERS)
.PHONY: bench-peers

# --- instructions -------------------------------------------------------------------------------------------------------

# by valgrind, compared with bench/instructions.json; update-instructions writes that, and the table of docs/performance.md
COUNT_PROGRAMS := $(addprefix $(O)/, herald-count-router herald-count-gateway)
$(O)/herald-count-router: $(O)/bench/instructions/router_count.o $(O)/bench/instructions/fake_kafka.o \
    $(count_SRCS:%.c=$(O)/%.o) $(O)/common/loop_fake.o $(call daemon_objs,router) $(O)/libherald.a
$(O)/herald-count-gateway: $(O)/bench/instructions/gateway_count.o $(count_SRCS:%.c=$(O)/%.o) $(O)/common/loop_fake.o \
    $(call daemon_objs,gateway) $(O)/libherald.a
# they wire up a whole daemon: a change that they do not survive is seen at once, without valgrind
ifeq ($(VARIANT), release)
check: | count-once
endif
count-once: $(COUNT_PROGRAMS)
	@for script in volatile durable; do $(O)/herald-count-router $$script 2 >/dev/null || exit 1; done
	@for script in volatile durable broadcast connection; do $(O)/herald-count-gateway $$script 2 >/dev/null || exit 1; done
.PHONY: count-once
$(COUNT_PROGRAMS):
	$(call SAY,LD)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a, $^) $(LIBS)

instructions update-instructions:
	@deploy/deps lint
	@$(MAKE) --no-print-directory -j2 $(COUNT_PROGRAMS)
	@bench/instructions/count.py $(if $(filter update-%,$@),--update) $(COUNT)
.PHONY: instructions update-instructions

# --- documents, lint, format --------------------------------------------------------------------------------------------

DAEMONS := gateway router registry
doc_flag_configuration := config-doc
doc_flag_metrics := metrics-doc
docs-print: programs
	@printf '<!-- Made by `make docs` from the option and metric tables; do not edit. -->\n'
	@for daemon in $(DAEMONS); do $(O)/herald-$$daemon --$(doc_flag_$(DOCUMENT)); done
docs: programs
	$(MAKE) -s docs-print DOCUMENT=configuration > docs/configuration.md
	$(MAKE) -s docs-print DOCUMENT=metrics > docs/metrics.md
.PHONY: docs-print

lint:
	@deploy/deps lint
	@$(MAKE) --no-print-directory -s -j2 programs
	@CPPFLAGS="$$($(MAKE) -s print-cppflags)" tests/lint/run
print-cppflags:
	@echo $(CPPFLAGS)
.PHONY: print-cppflags

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

install: programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 registry/ctl/heraldctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/heraldctl

clean:
	rm -rf build/release build/asan build/tsan build/generated

-include $(shell find $(O) -name '*.d' 2>/dev/null)
