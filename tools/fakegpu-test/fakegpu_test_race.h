/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the areas have in common that make a service and something else meet.
 */
#ifndef FAKEGPU_TEST_RACE_H
#define FAKEGPU_TEST_RACE_H

#include "fakegpu_test_inject.h"

#include <pthread.h>

#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE	1
#endif
#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_PUNCH_HOLE	2
#endif

/* In scheme mm the process's own doings are seen, too. */
#define EXPECT_COUNT(gpu, want, got) do { \
	EXPECT_LE((uint64_t)(want), (uint64_t)(got)); \
	if (!gpu_one_interval(gpu)) \
		EXPECT_EQ((uint64_t)(want), (uint64_t)(got)); \
} while (0)

/* A thread for what blocks; none of the harness' assertions in it. */
struct task {
	pthread_t thread;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

static inline void *task_main(void *arg)
{
	struct task *task = arg;

	task->ret = task->fn(task->arg);
	return NULL;
}

static inline void task_start(struct task *task, int (*fn)(void *arg), void *arg)
{
	task->fn = fn;
	task->arg = arg;
	if (pthread_create(&task->thread, NULL, task_main, task))
		gpu_die("pthread_create failed");
}

static inline int task_join(struct task *task)
{
	pthread_join(task->thread, NULL);
	return task->ret;
}

/* For a task that unmaps. */
struct munmap_range {
	uint8_t *p;
	size_t size;
};

static inline int munmap_task(void *arg)
{
	struct munmap_range *range = arg;

	return munmap(range->p, range->size) ? -errno : 0;
}

#endif /* FAKEGPU_TEST_RACE_H */
