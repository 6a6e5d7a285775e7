// SPDX-License-Identifier: MIT
/*
 * fakegpu-bench: compare schemes over workloads. Each run is a process of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "settle.h"

#define SETTLE_US	200000
#define PARALLEL_ROUNDS	4	/* times as many: the device is slower than munmap() */

static const struct contender contenders[] = {
	{ .name = "none", .no_vm = true },
	{ .name = "slot-21", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 21 },
	{ .name = "slot-24", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 24 },
	{ .name = "slot-27", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 27 },
	{ .name = "slot-30", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 30 },
	{ .name = "slot-39", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 39 },
	{ .name = "slot-direct-21", .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 21,
	  .vm_flags = DRM_FAKEGPU_VM_DIRECT },
	{ .name = "vma", .scheme = DRM_FAKEGPU_SCHEME_VMA, .interval_order = 39 },
	{ .name = "vma-direct", .scheme = DRM_FAKEGPU_SCHEME_VMA, .interval_order = 39,
	  .vm_flags = DRM_FAKEGPU_VM_DIRECT },
	{ .name = "fixed", .scheme = DRM_FAKEGPU_SCHEME_FIXED },
	{ .name = "mm", .scheme = DRM_FAKEGPU_SCHEME_MM },
};

static const char *const modes[] = { "serial", "frozen", "parallel" };

#define NR_CONTENDERS	(sizeof(contenders) / sizeof(contenders[0]))

static const char help[] =
	"Usage: fakegpu-bench [options]\n"
	"\n"
	"Runs workloads under each scheme, and prints a line of JSON for each run. Ticks of the\n"
	"TSC are taken for instructions, which is what they are in an emulated guest with -icount;\n"
	"\"ticks_per_insn\" tells.\n"
	"\n"
	"  -s, --scheme NAME    only this one (see --list); may be repeated\n"
	"  -w, --workload NAME  only this one; may be repeated\n"
	"  -p, --parallel       the device is at work while memory comes and goes: for collisions\n"
	"  -f, --frozen         time how long the tree of notifiers is locked, too, by tracing,\n"
	"                       which costs instructions itself\n"
	"  -r, --rounds N       instead of each workload's own number\n"
	"  -l, --list           print the names of schemes and workloads\n"
	"  -h, --help           print this\n"
	"\n"
	"Exit status: 0, 1 if a run has failed, 2 after a mistake in the options. A scheme that\n"
	"the kernel can't do is left out, and said so.\n";

void bench_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("fakegpu-bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

uint64_t bench_rand(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint8_t *bench_reserve(size_t size)
{
	static uint64_t next = 0x200000000000;
	uint8_t *p = (uint8_t *)next;

	/* In a slot of the largest order each. */
	next += (size + 4 * MIB + (1UL << 39)) & ~((1UL << 39) - 1);
	return p + 2 * MIB;
}

void bench_map_only(uint8_t *p, size_t size)
{
	if (mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != p)
		bench_die("mmap: %s", strerror(errno));
}

void bench_map(uint8_t *p, size_t size)
{
	bench_map_only(p, size);
	memset(p, 1, size);
}

void bench_access(struct bench *b, const void *p, size_t size, size_t stride, bool write)
{
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, size, stride, DRM_FAKEGPU_CMD_NOFAULT |
						   (write ? DRM_FAKEGPU_CMD_WRITE : 0));
	uint64_t begin;
	int ret;

	/* Others wait for the device here, so what the kernel puts off has its turn. */
	if (b->contender->no_vm) {
		usleep(1);
		return;
	}
	begin = __rdtsc();
	ret = fakegpu_run(b->fd, b->queue, &cmd, 1);
	b->f.access_insns += __rdtsc() - begin;
	b->f.accesses++;
	if (ret)
		bench_die("the device fails: %s", strerror(-ret));
}

/*
 * When ten thousand callbacks of RCU wait, they all are called at once, in the middle of
 * whatever comes: two million instructions in an access, say.
 */
void bench_settle(struct bench *b)
{
	uint64_t begin = __rdtsc();

	/* Two processors get on with it alone, and the device isn't to have a rest. */
	if (b->mode == PARALLEL) {
		usleep(100);
		return;
	}
	if (settle_rcu())
		bench_die("can't wait for RCU: %s", strerror(errno));
	b->f.settle_insns += __rdtsc() - begin;
}

static void get_state(struct bench *b, struct drm_fakegpu_vm_get_state *state)
{
	int ret;

	memset(state, 0, sizeof(*state));
	if (b->contender->no_vm)
		return;
	ret = fakegpu_vm_state(b->fd, b->vm, state);
	if (ret)
		bench_die("VM_GET_STATE: %s", strerror(-ret));
}

/* Intervals now: those that are live, and those that are of no use or not as they should be. */
static void sample(struct bench *b)
{
	char name[32], path[256], line[256], state[16];
	unsigned long long pages;
	uint64_t live = 0, stale = 0;
	FILE *f;

	if (b->contender->no_vm)
		return;
	snprintf(name, sizeof(name), "vm%u/intervals", b->vm);
	if (fakegpu_debug_path(b->fd, name, path, sizeof(path)))
		bench_die("no debugfs file %s", name);
	f = fopen(path, "re");
	if (!f)
		bench_die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %15s %llu", state, &pages) != 2)
			continue;
		live += !!strcmp(state, "dead");
		stale += !pages || strcmp(state, "live");
	}
	fclose(f);
	if (b->f.samples == SAMPLES)
		return;
	b->f.live[b->f.samples] = live;
	b->f.stale[b->f.samples++] = stale;
}

static void serial(struct bench *b, unsigned int rounds)
{
	uint64_t begin, sampled = 0, at;
	unsigned int i;

	begin = __rdtsc();
	for (i = 0; i < rounds; i++) {
		b->workload->op(b);
		if (b->workload->access)
			b->workload->access(b);
		if (b->mode == SERIAL && i * SAMPLES % rounds < SAMPLES) {
			at = __rdtsc();
			sample(b);
			sampled += __rdtsc() - at;
		}
	}
	b->f.all_insns = __rdtsc() - begin - sampled - b->f.settle_insns;
}

struct accessor {
	struct bench b;
	const volatile bool *stop;
};

static void *accessor_main(void *arg)
{
	struct accessor *a = arg;

	while (!*a->stop)
		a->b.workload->access(&a->b);
	return NULL;
}

/* The accesses have a queue and a copy of all else of their own. */
static void parallel(struct bench *b, unsigned int rounds)
{
	struct accessor a = { .b = *b };
	volatile bool stop = b->contender->no_vm || !b->workload->access;
	pthread_t thread;
	unsigned int i;

	a.stop = &stop;
	a.b.f = (struct figures){ 0 };
	if (pthread_create(&thread, NULL, accessor_main, &a))
		bench_die("can't create a thread");
	for (i = 0; i < rounds; i++) {
		b->workload->op(b);
		a.b.last = b->last;
	}
	stop = true;
	pthread_join(thread, NULL);
	b->f.accesses = a.b.f.accesses;
	b->f.access_insns = a.b.f.access_insns;
}

/* So many instructions, whatever the compiler thinks: with -icount as many ticks. */
static double ticks_per_insn(void)
{
	const uint64_t loops = 1000000;
	uint64_t n = loops, begin = __rdtsc();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc");
	return (double)(__rdtsc() - begin) / (2.0 * loops);
}

static void print_list(const char *name, const uint64_t *values, unsigned int count)
{
	unsigned int i;

	printf(", \"%s\": [", name);
	for (i = 0; i < count; i++)
		printf("%s%" PRIu64, i ? ", " : "", values[i]);
	putchar(']');
}

static void print(const struct bench *b, unsigned int rounds, double ticks)
{
	const struct figures *f = &b->f;
#define DELTA(name)	((uint64_t)(f->after.name - f->before.name))

	printf("{\"workload\": \"%s\", \"scheme\": \"%s\", \"mode\": \"%s\", \"rounds\": %u,"
	       " \"ticks_per_insn\": %.3f, \"ops\": %" PRIu64 ", \"op_insns\": %" PRIu64
	       ", \"accesses\": %" PRIu64 ", \"access_insns\": %" PRIu64
	       ", \"all_insns\": %" PRIu64,
	       b->workload->name, b->contender->name, modes[b->mode], rounds, ticks,
	       f->ops, f->op_insns, f->accesses, f->access_insns, f->all_insns);
	printf(", \"faults\": %" PRIu64 ", \"windows\": %" PRIu64 ", \"retries\": %" PRIu64
	       ", \"retries_false\": %" PRIu64 ", \"callbacks\": %" PRIu64
	       ", \"callbacks_useful\": %" PRIu64 ", \"intervals_added\": %" PRIu64
	       ", \"intervals_removed\": %" PRIu64, DELTA(faults), DELTA(windows), DELTA(retries),
	       DELTA(retries_false), DELTA(invalidations), DELTA(invalidations_useful),
	       DELTA(intervals_added), DELTA(intervals_removed));
	print_list("live", f->live, f->samples);
	print_list("stale", f->stale, f->samples);
	printf(", \"mirrored\": %" PRIu64 ", \"memory\": %" PRIu64 ", \"frozen\": %" PRIu64
	       ", \"frozen_insns\": %" PRIu64 ", \"frozen_max\": %" PRIu64 "}\n",
	       f->mirrored, f->memory, f->frozen, f->frozen_insns, f->frozen_max);
	fflush(stdout);
}

static void open_vm(struct bench *b)
{
	const struct contender *c = b->contender;
	struct drm_fakegpu_dev_info info;
	uint32_t range;
	int ret;

	b->fd = fakegpu_open(0);
	if (b->fd < 0)
		bench_die("no fakegpu device: %s; load fakegpu.ko first", strerror(-b->fd));
	if (c->no_vm)
		return;
	ret = fakegpu_dev_info(b->fd, &info);
	if (!ret)
		ret = fakegpu_vm_create(b->fd, c->vm_flags, c->scheme, c->interval_order, 0,
					&b->vm);
	if (ret == -EOPNOTSUPP) {
		fprintf(stderr, "fakegpu-bench: scheme %s left out: the kernel can't do it\n",
			c->name);
		exit(0);
	}
	if (!ret && c->scheme == DRM_FAKEGPU_SCHEME_FIXED)
		ret = fakegpu_range_register(b->fd, b->vm, 0, info.va_end, &range);
	if (!ret)
		ret = fakegpu_queue_create(b->fd, b->vm, &b->queue);
	if (ret)
		bench_die("can't create a VM: %s", strerror(-ret));
}

/*
 * On one processor, workers and children would run in the middle of an operation, now and
 * then; what they do is counted with all, not with the operation.
 */
static void stay_ahead(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		bench_die("can't have a real-time priority: %s", strerror(errno));
}

/*
 * Some work comes with the next tick of the kernel's clock: let the ticks be at the same places of
 * each run. They are at whole multiples of their period, which 100 ms are of any.
 */
static void meet_tick(void)
{
	const long period = 100000000, behind = 500000;
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec = at.tv_nsec / period * period + period + behind;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static void run(const struct workload *w, const struct contender *c, enum mode how,
		unsigned int rounds)
{
	struct bench b = { .workload = w, .contender = c, .mode = how,
			   .op_seed = 1, .access_seed = 2 };
	struct figures cold = { 0 };
	char report[4096];

	if (!rounds)
		rounds = how == PARALLEL ? PARALLEL_ROUNDS * w->rounds : w->rounds;
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		bench_die("can't turn huge pages off: %s", strerror(errno));
	open_vm(&b);
	w->setup(&b);
	/* Workers come to an end. */
	usleep(SETTLE_US);
	get_state(&b, &cold.before);
	cold.mirrored = cold.before.pages_small * PAGE + cold.before.leaves_large * 2 * MIB;
	cold.memory = cold.before.memory;
	b.f = cold;
	if (how != PARALLEL)
		stay_ahead();
	if (how == FROZEN)
		frozen_begin();
	meet_tick();
	if (how == PARALLEL)
		parallel(&b, rounds);
	else
		serial(&b, rounds);
	if (how == FROZEN)
		frozen_end(&b.f);
	usleep(SETTLE_US);
	get_state(&b, &b.f.after);
	if (!c->no_vm && fakegpu_verify(b.fd, report, sizeof(report)))
		bench_die("the mirror is wrong:\n%s", report);
	print(&b, rounds, ticks_per_insn());
	exit(0);
}

static bool named(char *const *names, unsigned int count, const char *name)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return !count;
}

static void check_names(char *const *names, unsigned int count, bool scheme)
{
	unsigned int i, j;

	for (i = 0; i < count; i++) {
		bool known = false;

		for (j = 0; j < (scheme ? NR_CONTENDERS : nr_workloads); j++)
			known |= !strcmp(names[i], scheme ? contenders[j].name : workloads[j].name);
		if (known)
			continue;
		fprintf(stderr, "fakegpu-bench: no %s '%s' (see --list)\n",
			scheme ? "scheme" : "workload", names[i]);
		exit(2);
	}
}

static void list(void)
{
	unsigned int i;

	printf("Schemes:\n");
	for (i = 0; i < NR_CONTENDERS; i++)
		printf("  %s\n", contenders[i].name);
	printf("Workloads:\n");
	for (i = 0; i < nr_workloads; i++)
		printf("  %-8s %s\n", workloads[i].name, workloads[i].brief);
	exit(0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "scheme", required_argument, NULL, 's' },
		{ "workload", required_argument, NULL, 'w' },
		{ "parallel", no_argument, NULL, 'p' },
		{ "frozen", no_argument, NULL, 'f' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	char *schemes[32], *works[32], *end;
	unsigned int nr_schemes = 0, nr_works = 0, rounds = 0, w, s;
	enum mode mode = SERIAL;
	int c, status, failed = 0;

	while ((c = getopt_long(argc, argv, "s:w:pfr:lh", options, NULL)) >= 0) {
		switch (c) {
		case 's':
			if (nr_schemes < 32)
				schemes[nr_schemes++] = optarg;
			break;
		case 'w':
			if (nr_works < 32)
				works[nr_works++] = optarg;
			break;
		case 'p':
			mode = PARALLEL;
			break;
		case 'f':
			mode = FROZEN;
			break;
		case 'r':
			rounds = strtoul(optarg, &end, 0);
			if (*end || !rounds || rounds > 1000000) {
				fprintf(stderr, "fakegpu-bench: --rounds: 1 to 1000000\n");
				return 2;
			}
			break;
		case 'l':
			list();
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs("Try fakegpu-bench --help.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "fakegpu-bench: unexpected argument '%s'\n", argv[optind]);
		return 2;
	}
	check_names(schemes, nr_schemes, true);
	check_names(works, nr_works, false);

	for (w = 0; w < nr_workloads; w++) {
		for (s = 0; s < NR_CONTENDERS; s++) {
			pid_t pid;

			if (!named(works, nr_works, workloads[w].name) ||
			    !named(schemes, nr_schemes, contenders[s].name) ||
			    (mode != SERIAL && contenders[s].no_vm) ||
			    (mode == PARALLEL && !workloads[w].access))
				continue;
			pid = fork();
			if (pid < 0)
				bench_die("fork: %s", strerror(errno));
			if (!pid)
				run(&workloads[w], &contenders[s], mode, rounds);
			if (waitpid(pid, &status, 0) != pid || status) {
				fprintf(stderr, "fakegpu-bench: %s with %s failed\n",
					workloads[w].name, contenders[s].name);
				failed = 1;
			}
		}
	}
	return failed;
}
