/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fakegpu-model: a run in a process of its own, and making a failing list short
 */
#ifndef FAKEGPU_MODEL_TRIAL_H
#define FAKEGPU_MODEL_TRIAL_H

#include "model.h"

struct config {
	uint32_t scheme;
	uint32_t vm_flags;
	uint32_t interval_order;
	uint32_t window_order;
	unsigned int threads;
	uint32_t pages;
	uint32_t granule;
	uint32_t room;		/* most operations of a thread */
	const char *dir;
	const char *node;
	uint32_t numa_nodes;
	bool verbose;
	bool profile;
};

/* Operations, those of one thread in their order. */
struct oplist {
	struct op *ops;
	uint32_t count;
};

enum outcome { OUTCOME_OK, OUTCOME_MISMATCH, OUTCOME_BROKEN };

/* Memory that the runs write to and that outlives them. */
struct shared *shared_alloc(const struct config *config);

/*
 * Run @list or, if it is NULL, @config->room drawn operations in each thread,
 * beginning with @seed. Gives up if nothing happens for @stall seconds, or
 * after @limit seconds if that isn't 0.
 */
enum outcome trial_run(const struct config *config, struct shared *shared,
		       const struct oplist *list, uint64_t seed, unsigned int stall,
		       unsigned int limit);

/* What a failed run did, up to the failure; to be freed. */
struct oplist trial_ops(const struct config *config, const struct shared *shared);

/* Leave out what isn't needed to fail; returns false if it doesn't fail again. */
bool shrink(const struct config *config, struct shared *shared, struct oplist *list,
	    unsigned int seconds);

bool oplist_save(const char *path, const struct config *config, const struct oplist *list,
		 const char *comment);
bool oplist_load(const char *path, struct config *config, struct oplist *list);

#endif
