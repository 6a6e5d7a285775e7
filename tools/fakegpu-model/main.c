// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: random operations on an address space and by the device,
 * against a byte-exact model of what must come out
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trial.h"

#define STALL_SECONDS	240
#define PROGRESS_SECONDS	10

static const char help[] =
	"Usage: fakegpu-model [options]\n"
	"       fakegpu-model --replay FILE [options]\n"
	"\n"
	"Draws operations (mmap, munmap, mprotect, mremap, madvise, fork, truncate, migration,\n"
	"reads and writes by CPU and device ...), carries them out, and holds each byte and each\n"
	"result against a model. Needs a loaded fakegpu; best run in a guest (make model).\n"
	"\n"
	"  --seed N            where the random numbers begin (default: a new one, printed)\n"
	"  --seeds N           so many seeds, one after the other (default 1)\n"
	"  --ops N             operations for each seed (default 20000)\n"
	"  --round N           operations until a new process begins from nothing (default 3000)\n"
	"  --threads N         threads with neighbouring memory in one VM (default 1)\n"
	"  --pages N           pages of each thread's memory (default 2048, 1024 with threads)\n"
	"  --scheme S          slot, vma, mm, fixed; slot-direct, vma-direct where the kernel can do it\n"
	"                      (default: drawn for each round)\n"
	"  --interval-order N  (default: drawn for each round)\n"
	"  --window-order N    (default: drawn for each round)\n"
	"  --replay FILE       carry out this list\n"
	"  --times N           with --replay: so many times, or until it fails (default 1)\n"
	"  --[no-]shrink       look for a short list that fails, too (default: do)\n"
	"  --shrink-time N     for at most N seconds (default 300)\n"
	"  --save DIR          where to put lists that fail (default: .)\n"
	"  --dir DIR           where to put files that are mapped (default: /tmp)\n"
	"  --device N          the Nth fakegpu (default 0)\n"
	"  --verbose           print each operation\n"
	"  --profile           print how long each kind of operation takes\n"
	"  --help              this text\n"
	"\n"
	"Exit status: 0 no mismatch, 1 a mismatch, 2 it could not be run.\n";

enum {
	OPT_SEED = 256, OPT_SEEDS, OPT_OPS, OPT_ROUND, OPT_THREADS, OPT_PAGES, OPT_SCHEME,
	OPT_INTERVAL_ORDER, OPT_WINDOW_ORDER, OPT_REPLAY, OPT_TIMES, OPT_SHRINK, OPT_NO_SHRINK,
	OPT_SHRINK_TIME, OPT_SAVE, OPT_DIR, OPT_DEVICE, OPT_VERBOSE,
	OPT_PROFILE, OPT_HELP
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "seeds", required_argument, NULL, OPT_SEEDS },
	{ "ops", required_argument, NULL, OPT_OPS },
	{ "round", required_argument, NULL, OPT_ROUND },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "pages", required_argument, NULL, OPT_PAGES },
	{ "scheme", required_argument, NULL, OPT_SCHEME },
	{ "interval-order", required_argument, NULL, OPT_INTERVAL_ORDER },
	{ "window-order", required_argument, NULL, OPT_WINDOW_ORDER },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "times", required_argument, NULL, OPT_TIMES },
	{ "shrink", no_argument, NULL, OPT_SHRINK },
	{ "no-shrink", no_argument, NULL, OPT_NO_SHRINK },
	{ "shrink-time", required_argument, NULL, OPT_SHRINK_TIME },
	{ "save", required_argument, NULL, OPT_SAVE },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "profile", no_argument, NULL, OPT_PROFILE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 }
};

#define ANY	UINT32_MAX	/* drawn for each round */

struct settings {
	struct config config;
	uint64_t seed;
	uint64_t seeds;
	uint64_t ops;
	uint32_t round;
	uint32_t scheme;
	uint32_t vm_flags;
	bool direct;	/* can the kernel? */
	uint32_t interval_order;
	uint32_t window_order;
	const char *replay;
	uint64_t times;
	bool shrink;
	unsigned int shrink_time;
	const char *save;
	unsigned int device;
};

struct totals {
	uint64_t executed;
	uint64_t skipped;
	uint64_t faulted;
	uint64_t kind_ns[OP_KINDS];
	uint64_t kind_count[OP_KINDS];
	struct timespec begin;
	time_t told;
};

static void __attribute__((noreturn)) usage_error(const char *what, const char *value)
{
	fprintf(stderr, "fakegpu-model: %s '%s' (see --help)\n", what, value);
	exit(RUN_BROKEN);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || value < min || value > max)
		usage_error("not a number that fits:", text);
	return value;
}

static void parse(struct settings *s, int argc, char **argv)
{
	uint32_t pages = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_SEED:
			s->seed = number(optarg, 0, UINT64_MAX);
			break;
		case OPT_SEEDS:
			s->seeds = number(optarg, 1, 1000000);
			break;
		case OPT_OPS:
			s->ops = number(optarg, 1, UINT32_MAX);
			break;
		case OPT_ROUND:
			s->round = number(optarg, 1, 1000000);
			break;
		case OPT_THREADS:
			s->config.threads = number(optarg, 1, MAX_THREADS);
			break;
		case OPT_PAGES:
			pages = number(optarg, LEAF_PAGES, 1 << 18);
			break;
		case OPT_SCHEME:
			if (fakegpu_scheme_parse(optarg, &s->scheme, &s->vm_flags))
				usage_error("unknown scheme", optarg);
			break;
		case OPT_INTERVAL_ORDER:
			s->interval_order = number(optarg, 0, 63);
			break;
		case OPT_WINDOW_ORDER:
			s->window_order = number(optarg, 0, 63);
			break;
		case OPT_REPLAY:
			s->replay = optarg;
			break;
		case OPT_TIMES:
			s->times = number(optarg, 1, UINT32_MAX);
			break;
		case OPT_SHRINK:
			s->shrink = true;
			break;
		case OPT_NO_SHRINK:
			s->shrink = false;
			break;
		case OPT_SHRINK_TIME:
			s->shrink_time = number(optarg, 1, 86400);
			break;
		case OPT_SAVE:
			s->save = optarg;
			break;
		case OPT_DIR:
			s->config.dir = optarg;
			break;
		case OPT_DEVICE:
			s->device = number(optarg, 0, 63);
			break;
		case OPT_VERBOSE:
			s->config.verbose = true;
			break;
		case OPT_PROFILE:
			s->config.profile = true;
			break;
		case OPT_HELP:
		case 'h':
			fputs(help, stdout);
			exit(RUN_OK);
		default:
			exit(RUN_BROKEN);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument", argv[optind]);
	/* Whole slots of a large leaf. */
	s->config.pages = (pages ? pages : s->config.threads > 1 ? 1024 : 2048) & ~(LEAF_PAGES - 1);
	s->config.room = s->round;
}

static bool can_direct(const char *node)
{
	struct drm_fakegpu_dev_info info = {};
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fakegpu_dev_info(fd, &info))
		info.flags = 0;
	close(fd);
	return info.flags & DRM_FAKEGPU_DEV_DIRECT;
}

static uint32_t count_numa_nodes(void)
{
	char path[64];
	uint32_t n;

	for (n = 0; n < 64; n++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", n);
		if (access(path, F_OK))
			break;
	}
	return n;
}

/* How the VM is made, and how threads are neighbours, changes from round to round. */
static void draw_config(const struct settings *s, struct config *config, uint64_t seed)
{
	/* The last three where there is VM_DIRECT. */
	static const struct { uint32_t scheme, vm_flags; } drawn_schemes[] = {
		{ DRM_FAKEGPU_SCHEME_SLOT, 0 }, { DRM_FAKEGPU_SCHEME_SLOT, 0 },
		{ DRM_FAKEGPU_SCHEME_VMA, 0 }, { DRM_FAKEGPU_SCHEME_VMA, 0 },
		{ DRM_FAKEGPU_SCHEME_MM, 0 }, { DRM_FAKEGPU_SCHEME_FIXED, 0 },
		{ DRM_FAKEGPU_SCHEME_SLOT, DRM_FAKEGPU_VM_DIRECT },
		{ DRM_FAKEGPU_SCHEME_VMA, DRM_FAKEGPU_VM_DIRECT },
		{ DRM_FAKEGPU_SCHEME_VMA, DRM_FAKEGPU_VM_DIRECT },
	};
	static const uint32_t interval_orders[] = { 0, 21, 21, 22, 25 };
	static const uint32_t window_orders[] = { 0, 0, 12, 16, 20, 21, 23 };
	uint32_t drawn, interval, window, granule;

	drawn = rng_below(&seed, s->direct ? 9 : 6);
	interval = interval_orders[rng_below(&seed, 5)];
	window = window_orders[rng_below(&seed, 7)];
	granule = rng_below(&seed, 3) ? 16 : LEAF_PAGES;
	config->scheme = s->scheme != ANY ? s->scheme : drawn_schemes[drawn].scheme;
	config->vm_flags = s->scheme != ANY ? s->vm_flags : drawn_schemes[drawn].vm_flags;
	config->interval_order = s->interval_order != ANY ? s->interval_order : interval;
	if (config->scheme == DRM_FAKEGPU_SCHEME_MM || config->scheme == DRM_FAKEGPU_SCHEME_FIXED)
		config->interval_order = 0;
	config->window_order = s->window_order != ANY ? s->window_order : window;
	config->granule = config->threads > 1 ? granule : config->pages;
}

static double elapsed(const struct totals *totals)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - totals->begin.tv_sec + (now.tv_nsec - totals->begin.tv_nsec) / 1e9;
}

static void add_totals(struct totals *totals, const struct shared *shared)
{
	unsigned int i;

	totals->executed += shared->executed;
	totals->skipped += shared->skipped;
	totals->faulted += shared->faulted;
	for (i = 0; i < OP_KINDS; i++) {
		totals->kind_ns[i] += shared->kind_ns[i];
		totals->kind_count[i] += shared->kind_count[i];
	}
}

static void print_profile(const struct totals *totals)
{
	unsigned int i;

	for (i = 0; i < OP_KINDS; i++)
		if (totals->kind_count[i])
			printf("%-10s %9llu operations, %7.0f us each, %8.2f s\n", op_name(i),
			       (unsigned long long)totals->kind_count[i],
			       totals->kind_ns[i] / 1e3 / totals->kind_count[i],
			       totals->kind_ns[i] / 1e9);
}

static void progress(struct totals *totals, uint64_t seed, uint32_t round)
{
	if (time(NULL) - totals->told < PROGRESS_SECONDS)
		return;
	totals->told = time(NULL);
	printf("seed %llu, round %u: %llu operations so far, %.0f a second\n",
	       (unsigned long long)seed, round, (unsigned long long)totals->executed,
	       totals->executed / elapsed(totals));
	fflush(stdout);
}

static void tell_failure(const struct config *config, const struct shared *shared)
{
	const struct op *op = &shared->ops[(size_t)shared->fail_thread * config->room +
					   shared->fail_op];
	char line[1024] = "the check of everything at the end";

	if (shared->fail_op < shared->count[shared->fail_thread])
		op_format(op, line, sizeof(line));
	printf("  thread %u, operation %u: %s\n  %s\n", shared->fail_thread, shared->fail_op, line,
	       shared->message);
}

static void print_list(const struct oplist *list)
{
	char line[1024];
	uint32_t i;

	for (i = 0; i < list->count && i < 60; i++) {
		op_format(&list->ops[i], line, sizeof(line));
		printf("  %s\n", line);
	}
	if (i < list->count)
		printf("  ... %u more\n", list->count - i);
}

static void report(const struct settings *s, const struct config *config, struct shared *shared,
		   const char *path)
{
	struct oplist list = trial_ops(config, shared);
	char comment[512];

	snprintf(comment, sizeof(comment), "%.500s", shared->message);
	/* First of all, in case that shrinking takes the machine down. */
	if (path && oplist_save(path, config, &list, comment)) {
		printf("the operations are in %s\n", path);
		fflush(stdout);
	}
	if (s->shrink) {
		if (shrink(config, shared, &list, s->shrink_time)) {
			if (path)
				oplist_save(path, config, &list, shared->failed ? shared->message :
					    comment);
			print_list(&list);
			if (shared->failed)
				tell_failure(config, shared);
		} else {
			printf("it does not fail again with the same operations\n");
		}
	}
	if (path)
		printf("to try it again: fakegpu-model --replay %s\n", path);
	free(list.ops);
}

static int run_seed(const struct settings *s, struct shared *shared, uint64_t seed,
		    struct totals *totals)
{
	uint64_t left = s->ops / s->config.threads, rng = seed;
	struct config config = s->config;
	char path[512];
	uint32_t round;

	for (round = 0; left; round++) {
		uint64_t round_seed = rng_next(&rng);
		enum outcome outcome;

		config.room = left < s->round ? left : s->round;
		left -= config.room;
		draw_config(s, &config, round_seed);
		outcome = trial_run(&config, shared, NULL, round_seed, STALL_SECONDS, 0);
		add_totals(totals, shared);
		if (outcome == OUTCOME_BROKEN)
			return RUN_BROKEN;
		if (outcome == OUTCOME_MISMATCH) {
			printf("MISMATCH with seed %llu in round %u (scheme %s, interval order %u, window order %u)\n",
			       (unsigned long long)seed, round,
			       fakegpu_scheme_name(config.scheme, config.vm_flags),
			       config.interval_order, config.window_order);
			tell_failure(&config, shared);
			snprintf(path, sizeof(path), "%s/model-%llu-%u.ops", s->save,
				 (unsigned long long)seed, round);
			report(s, &config, shared, path);
			return RUN_MISMATCH;
		}
		progress(totals, seed, round);
	}
	return RUN_OK;
}

static int replay(const struct settings *s)
{
	struct config config = s->config;
	struct oplist list;
	struct shared *shared;
	uint64_t i;

	if (!oplist_load(s->replay, &config, &list))
		return RUN_BROKEN;
	config.room = list.count;
	shared = shared_alloc(&config);
	if (!shared)
		return RUN_BROKEN;
	for (i = 0; i < s->times; i++) {
		enum outcome outcome = trial_run(&config, shared, &list, 0, STALL_SECONDS, 0);

		if (outcome == OUTCOME_BROKEN)
			return RUN_BROKEN;
		if (outcome == OUTCOME_MISMATCH) {
			printf("MISMATCH\n");
			tell_failure(&config, shared);
			if (s->shrink)
				report(s, &config, shared, NULL);
			return RUN_MISMATCH;
		}
	}
	printf("%u operations replayed %llu times: no mismatch\n", list.count,
	       (unsigned long long)s->times);
	return RUN_OK;
}

int main(int argc, char **argv)
{
	struct settings s = {
		.config = { .threads = 1, .dir = "/tmp" },
		.seeds = 1,
		.ops = 20000,
		.round = 3000,
		.scheme = ANY,
		.interval_order = ANY,
		.window_order = ANY,
		.times = 1,
		.shrink = true,
		.shrink_time = 300,
		.save = ".",
	};
	struct totals totals = { 0 };
	static char node[128];
	struct shared *shared;
	struct timespec now;
	int status = RUN_OK;
	uint64_t i;

	clock_gettime(CLOCK_REALTIME, &now);
	s.seed = (now.tv_sec ^ ((uint64_t)now.tv_nsec << 12)) & 0xffffffff;
	parse(&s, argc, argv);
	if (fakegpu_node(s.device, node, sizeof(node))) {
		fprintf(stderr, "fakegpu-model: no fakegpu %u; is the module loaded?\n", s.device);
		return RUN_BROKEN;
	}
	s.config.node = node;
	s.config.numa_nodes = count_numa_nodes();
	s.direct = can_direct(node);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (s.replay)
		return replay(&s);

	shared = shared_alloc(&s.config);
	if (!shared)
		return RUN_BROKEN;
	clock_gettime(CLOCK_MONOTONIC, &totals.begin);
	totals.told = time(NULL);
	printf("seed %llu, %llu seeds of %llu operations, %u threads\n",
	       (unsigned long long)s.seed, (unsigned long long)s.seeds,
	       (unsigned long long)s.ops, s.config.threads);
	for (i = 0; i < s.seeds && status == RUN_OK; i++)
		status = run_seed(&s, shared, s.seed + i, &totals);
	if (s.config.profile)
		print_profile(&totals);
	printf("model: %s; %llu seeds, %llu operations (%llu left out, %llu submissions stopped as they must), %.0f a second\n",
	       status == RUN_OK ? "no mismatch" : status == RUN_MISMATCH ? "MISMATCH" : "broken",
	       (unsigned long long)i, (unsigned long long)totals.executed,
	       (unsigned long long)totals.skipped, (unsigned long long)totals.faulted,
	       totals.executed / elapsed(&totals));
	return status;
}
