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

#define SIZE		(32 * MIB)
#define TRIES		9
#define FAULTS		2000U

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Seconds that @queues queues take to read a range each, at the same time. */
static double read_by(struct cost *c, const uint32_t *queue, uint8_t *const *p,
		      unsigned int queues, unsigned int rounds)
{
	struct drm_fakegpu_cmd cmds[16];
	double begin = now();
	uint64_t seqno[2];
	unsigned int i, r;

	for (i = 0; i < queues; i++) {
		for (r = 0; r < rounds; r++)
			cmds[r] = fakegpu_checksum(p[i], SIZE, NULL);
		seqno[i] = cost_submit(c, queue[i], cmds, rounds);
	}
	for (i = 0; i < queues; i++)
		cost_wait(c, queue[i], seqno[i]);
	return now() - begin;
}

/* How far two queues of one VM get, in multiples of one. */
static double time_queues(struct cost *c, unsigned long cold)
{
	const unsigned int rounds = cold ? 1 : 4;
	uint8_t *p[2] = { cost_reserve(SIZE), cost_reserve(SIZE) };
	uint32_t queue[2] = { c->queue, cost_queue(c) };
	double one = 0, two = 0;
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		cost_map(p[i], SIZE, false);
		cost_populate(p[i], SIZE);
	}
	read_by(c, queue, p, 2, 1);
	for (i = 0; i < TRIES; i++) {
		for (j = 0; cold && j < 2; j++)
			cost_forget(p[j], SIZE);
		cost_least(&one, read_by(c, queue, p, 1, rounds));
		for (j = 0; cold && j < 2; j++)
			cost_forget(p[j], SIZE);
		cost_least(&two, read_by(c, queue, p, 2, rounds));
	}
	return 2 * one / two;
}

static void *copy_main(void *arg)
{
	uint8_t *p = arg;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		memcpy(p, p + SIZE / 2, SIZE / 2);
		__asm__ volatile("" : : "r"(p) : "memory");
	}
	return NULL;
}

/* The same of two threads of the CPU: how far the machine lets them. */
static double time_threads(void)
{
	uint8_t *p[2] = { cost_reserve(SIZE), cost_reserve(SIZE) };
	double one = 0, two = 0;
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		cost_map(p[i], SIZE, false);
		cost_populate(p[i], SIZE);
	}
	for (i = 0; i < TRIES; i++) {
		double begin = now();

		copy_main(p[0]);
		cost_least(&one, now() - begin);
		begin = now();
		if (pthread_create(&thread, NULL, copy_main, p[1]))
			cost_die("can't create a thread");
		copy_main(p[0]);
		pthread_join(thread, NULL);
		cost_least(&two, now() - begin);
	}
	return 2 * one / two;
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
	qsort(retries, FAULTS, sizeof(*retries), cmp_double);
	return retries[(FAULTS - 1) * permille / 1000];
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
