// SPDX-License-Identifier: MIT
/*
 * What is timed on two processors: ratios within one run, as times mean nothing
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cost.h"

#define SIZE		(16 * MIB)
#define TRIES		20U
#define COPIES		4U
#define FAULTS		2000U
#define ROUNDS		3000U
/* Seconds: of a figure, and of all of them from the start on. */
#define PATIENCE	60
#define PATIENCE_ALL	300

/* Each figure has a process of its own, which inherits it. */
static double started;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void ratios_start(void)
{
	started = now();
}

/* Seconds that a thread takes for @work, or two do at the same time. */
static double time_work(void *(*work)(void *arg), void *first, void *second)
{
	double begin = now();
	pthread_t thread;

	if (second && pthread_create(&thread, NULL, work, second))
		cost_die("can't create a thread");
	work(first);
	if (second)
		pthread_join(thread, NULL);
	return now() - begin;
}

/* As much at a time as a processor can, so that it shows whether it shares a core. */
static void *compute_main(void *arg)
{
	uint64_t words[KIB] = { 0 }, sum[4] = { 0 };
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < KIB; j++)
			sum[j % 4] += words[j] ^ j;
		__asm__ volatile("" : : "r"(words), "r"(sum) : "memory");
	}
	return arg;
}

/*
 * Whether what was timed before this counts as a try. Two queues get no further than two
 * processors do, and something else may have a part of one for seconds, which shows in
 * two threads that share nothing: as long as they aren't nearly twice as fast as one, try
 * on, and once that has taken too long let all count.
 */
static bool undisturbed(void)
{
	static double since;
	static bool gave_up;
	double begin = now(), one, two;

	if (gave_up)
		return true;
	if (!since)
		since = begin;
	one = time_work(compute_main, &since, NULL);
	two = time_work(compute_main, &since, &since);
	if (2 * one / two >= 1.8)
		return true;
	if (begin - since < PATIENCE && begin - started < PATIENCE_ALL)
		return false;
	fprintf(stderr, "fakegpu-cost: two threads that share nothing are only %.2f times as fast as"
		" one; take the ratios again when nothing else runs\n", 2 * one / two);
	gave_up = true;
	return true;
}

/* Seconds that @queues queues take for a command each, at the same time. */
static double time_cmds(struct cost *c, const uint32_t *queue,
			const struct drm_fakegpu_cmd *cmd, unsigned int queues)
{
	double begin = now();
	uint64_t seqno[2];
	unsigned int i;

	for (i = 0; i < queues; i++)
		seqno[i] = cost_submit(c, queue[i], &cmd[i], 1);
	for (i = 0; i < queues; i++)
		cost_wait(c, queue[i], seqno[i]);
	return now() - begin;
}

/* How far two queues of one VM get, in multiples of one: the median. */
static double time_queues(struct cost *c, unsigned long cold)
{
	uint8_t *p[2] = { cost_reserve(SIZE), cost_reserve(SIZE) };
	uint32_t queue[2] = { c->queue, cost_queue(c) };
	struct drm_fakegpu_cmd cmd[2];
	double times[TRIES], one;
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		cost_map(p[i], SIZE, false);
		cost_populate(p[i], SIZE);
		cmd[i] = fakegpu_checksum(p[i], SIZE, NULL);
	}
	time_cmds(c, queue, cmd, 2);
	for (i = 0; i < TRIES; i += undisturbed()) {
		for (j = 0; cold && j < 2; j++)
			cost_forget(p[j], SIZE);
		one = time_cmds(c, queue, cmd, 1);
		for (j = 0; cold && j < 2; j++)
			cost_forget(p[j], SIZE);
		times[i] = 2 * one / time_cmds(c, queue, cmd, 2);
	}
	return cost_rank(times, TRIES, 500);
}

static void *copy_main(void *arg)
{
	uint8_t *p = arg;
	unsigned int i;

	for (i = 0; i < COPIES; i++) {
		memcpy(p, p + SIZE, SIZE);
		__asm__ volatile("" : : "r"(p) : "memory");
	}
	return NULL;
}

/* The same of two threads of the CPU: how far the machine lets them. */
static double time_threads(void)
{
	uint8_t *p[2] = { cost_reserve(2 * SIZE), cost_reserve(2 * SIZE) };
	double times[TRIES], one;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		cost_map(p[i], 2 * SIZE, false);
		cost_populate(p[i], 2 * SIZE);
	}
	for (i = 0; i < TRIES; i += undisturbed()) {
		one = time_work(copy_main, p[0], NULL);
		times[i] = 2 * one / time_work(copy_main, p[0], p[1]);
	}
	return cost_rank(times, TRIES, 500);
}

static double count_queues(struct cost *c, unsigned long cold)
{
	return c->party->kind == CPU ? time_threads() : time_queues(c, cold);
}

/* ------------------------------------------------------------------ contended --- */

struct rival {
	uint8_t *p;
	volatile bool stop;
	unsigned long rounds;
};

/*
 * Give the slot back and take it again, as fast as it goes. Not all of it: what is
 * exactly a slot the driver reads again on its own, which is no fault.
 */
static void *rival_main(void *arg)
{
	struct rival *rival = arg;

	while (!rival->stop) {
		if (madvise(rival->p, LEAF - PAGE, MADV_DONTNEED))
			cost_die("madvise: %s", strerror(errno));
		rival->p[LEAF / 2] = 1;
		rival->rounds++;
	}
	return NULL;
}

/*
 * Passes of the service that were for nothing, for each fault of an access: of 1,000
 * accesses the @permille-th worst. What was served may be gone before the engine is
 * back, which is a fault more.
 */
static double count_contended(struct cost *c, unsigned long permille)
{
	struct rival rival = { .p = cost_reserve(LEAF) };
	double *retries = calloc(FAULTS, sizeof(*retries));
	pthread_t thread;
	unsigned int i;

	if (!retries)
		cost_die("out of memory");
	cost_map(rival.p, LEAF, false);
	if (pthread_create(&thread, NULL, rival_main, &rival))
		cost_die("can't create a thread");
	for (i = 0; i < FAULTS; i++) {
		struct drm_fakegpu_vm_get_state before = cost_state(c), after;

		/* Ends the process if it isn't served. */
		cost_access(c, rival.p + i % 511 * PAGE, PAGE, PAGE, i % 2);
		after = cost_state(c);
		if (after.faults != before.faults)
			retries[i] = (double)(after.retries - before.retries) /
				     (after.faults - before.faults);
	}
	rival.stop = true;
	pthread_join(thread, NULL);
	return cost_rank(retries, FAULTS, permille);
}

const struct figure ratios[] = {
	{ "queues.warm", "times one", "two queues of a VM, all mapped; CPU: two threads",
	  BY(CPU) | BY(DEVICE), count_queues, 0, false },
	{ "queues.cold", "times one", "the same, each page with a device fault",
	  BY(DEVICE), count_queues, 1, false },
	{ "contended.p50", "passes", "for nothing, for a fault beside a loop of MADV_DONTNEED",
	  BY(DEVICE), count_contended, 500, false },
	{ "contended.p99", "passes", "the 99th percentile",
	  BY(DEVICE), count_contended, 990, false },
	{ "contended.max", "passes", "the most",
	  BY(DEVICE), count_contended, 1000, false },
};

const unsigned int nr_ratios = sizeof(ratios) / sizeof(ratios[0]);
