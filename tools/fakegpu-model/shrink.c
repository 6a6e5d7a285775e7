// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: from a list of operations that fails to a short one
 *
 * As in delta debugging: leave out parts, from large to small, and keep what
 * still fails. Each try runs in a new process. With several threads a failure
 * needs luck, so a list is given some tries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trial.h"

#define STALL_SECONDS	30
#define TRIES_THREADS	4
#define TRIES_FIRST	5

struct shrinker {
	const struct config *config;
	struct shared *shared;
	struct oplist *list;
	struct op *scratch;
	time_t deadline;
	unsigned int limit;
	unsigned int trials;
};

static bool time_over(const struct shrinker *s)
{
	return time(NULL) >= s->deadline;
}

static bool fails(struct shrinker *s, const struct oplist *list, unsigned int tries)
{
	while (tries--) {
		s->trials++;
		if (trial_run(s->config, s->shared, list, 0, STALL_SECONDS, s->limit) ==
		    OUTCOME_MISMATCH)
			return true;
		if (time_over(s))
			return false;
	}
	return false;
}

static unsigned int tries(const struct shrinker *s)
{
	return s->config->threads > 1 ? TRIES_THREADS : 1;
}

/* What came after the failure isn't needed. */
static void cut(struct shrinker *s)
{
	uint32_t i, index = 0, out = 0;

	for (i = 0; i < s->list->count; i++) {
		const struct op *op = &s->list->ops[i];

		if (op->thread == s->shared->fail_thread && index++ > s->shared->fail_op)
			continue;
		s->list->ops[out++] = *op;
	}
	s->list->count = out;
}

/* Does it fail without the operations from @first to before @end? Then leave them out. */
static bool try_without(struct shrinker *s, uint32_t first, uint32_t end)
{
	struct oplist shorter = { .ops = s->scratch };

	memcpy(s->scratch, s->list->ops, first * sizeof(*s->scratch));
	memcpy(s->scratch + first, s->list->ops + end,
	       (s->list->count - end) * sizeof(*s->scratch));
	shorter.count = s->list->count - (end - first);
	if (!fails(s, &shorter, tries(s)))
		return false;
	memcpy(s->list->ops, s->scratch, shorter.count * sizeof(*s->scratch));
	s->list->count = shorter.count;
	cut(s);
	return true;
}

static void drop_ops(struct shrinker *s)
{
	uint32_t size, first;
	bool any;

	/* The last ones are often enough. */
	for (size = 4; size < s->list->count && !time_over(s); size *= 3)
		if (try_without(s, 0, s->list->count - size))
			break;

	for (size = (s->list->count + 1) / 2; size; ) {
		any = false;
		for (first = 0; first < s->list->count && !time_over(s);) {
			uint32_t end = first + size;

			if (end > s->list->count)
				end = s->list->count;
			if (try_without(s, first, end))
				any = true;
			else
				first = end;
		}
		if (time_over(s))
			return;
		if (size > 1)
			size = (size + 1) / 2;
		else if (!any)
			break;
	}
}

static bool try_op(struct shrinker *s, uint32_t index, const struct op *op)
{
	struct op old = s->list->ops[index];

	s->list->ops[index] = *op;
	if (fails(s, s->list, tries(s)))
		return true;
	s->list->ops[index] = old;
	return false;
}

/* Fewer commands, and fewer pages or bytes, in each of what is left. */
static void simplify_ops(struct shrinker *s)
{
	uint32_t i, j;

	for (i = 0; i < s->list->count && !time_over(s); i++) {
		struct op op = s->list->ops[i];

		for (j = 0; op.ncmds > 1 && j < op.ncmds;) {
			memmove(&op.cmds[j], &op.cmds[j + 1],
				(op.ncmds - j - 1) * sizeof(op.cmds[0]));
			op.ncmds--;
			if (!try_op(s, i, &op)) {
				op = s->list->ops[i];
				j++;
			}
		}
		if (op.n > 1 && op.kind != OP_MAP && op.kind != OP_REMAP) {
			op.n = 1;
			if (!try_op(s, i, &op)) {
				op = s->list->ops[i];
				op.n /= 2;
				try_op(s, i, &op);
			}
			op = s->list->ops[i];
		}
		for (j = 0; j < op.ncmds; j++) {
			if (op.cmds[j].n <= 8)
				continue;
			op.cmds[j].n = 8;
			if (!try_op(s, i, &op))
				op = s->list->ops[i];
		}
	}
}

bool shrink(const struct config *config, struct shared *shared, struct oplist *list,
	    unsigned int seconds)
{
	struct shrinker s = {
		.config = config,
		.shared = shared,
		.list = list,
		.deadline = time(NULL) + seconds,
	};
	time_t begin = time(NULL);
	uint32_t before = list->count;

	s.scratch = calloc(list->count + 1, sizeof(*s.scratch));
	if (!s.scratch)
		return false;
	if (!fails(&s, list, TRIES_FIRST)) {
		free(s.scratch);
		return false;
	}
	/* A shorter list doesn't take longer. */
	s.limit = 20 + 4 * (time(NULL) - begin);
	cut(&s);
	drop_ops(&s);
	simplify_ops(&s);
	drop_ops(&s);
	printf("shrunk from %u to %u operations in %u runs, %u s\n", before, list->count, s.trials,
	       (unsigned int)(time(NULL) - begin));
	/* For the message of the list as it is now. */
	if (!fails(&s, list, TRIES_FIRST))
		printf("the short list does not fail each time\n");
	free(s.scratch);
	return true;
}
