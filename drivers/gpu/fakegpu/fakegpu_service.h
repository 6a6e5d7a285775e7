/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_SERVICE_H_
#define _FAKEGPU_SERVICE_H_

#include <linux/types.h>

#include "fakegpu_mirror.h"

#define FAKEGPU_WINDOW_ORDER_MIN	PAGE_SHIFT
#define FAKEGPU_WINDOW_ORDER_MAX	(FAKEGPU_LEAF_SHIFT + 6)

struct fakegpu_attrs;
struct fakegpu_intervals;
struct fakegpu_stats;

/**
 * struct fakegpu_service - what it takes to make mirror entries present
 *
 * Used by one thread at a time; its memory is kept from one window to the next.
 */
struct fakegpu_service {
	/** @intervals: the VM's intervals, and through them mm and mirror; immutable. */
	struct fakegpu_intervals *intervals;
	/** @attrs: what the device may do; immutable. */
	struct fakegpu_attrs *attrs;
	/** @stats: immutable. */
	struct fakegpu_stats *stats;
	/** @stop: set by the VM when it closes; read without a lock. */
	const bool *stop;
	/** @window_order: log2 of the window's size in bytes; immutable. */
	unsigned int window_order;
	/** @timeout: time limit for one window in jiffies; immutable. */
	unsigned long timeout;
	/** @pfns: what hmm_range_fault() said, one a page of the window. */
	unsigned long *pfns;
	/** @want: what is requested, HMM_PFN_REQ_xxx or 0, one a page of the window. */
	unsigned long *want;
	/** @stash: mirror nodes for the next commit. */
	struct fakegpu_mirror_stash stash;
};

/**
 * struct fakegpu_request - pages that must become present
 * @start: first address.
 * @last: last address (inclusive).
 * @write: with write permission.
 * @atomic: for atomic operations.
 */
struct fakegpu_request {
	unsigned long start;
	unsigned long last;
	bool write;
	bool atomic;
};

/**
 * struct fakegpu_requests - what one window shall serve
 * @next: yields the requests one after another: *@pos is NULL at first, and
 *	it stores there where it is. Returns false after the last one.
 * @arg: its argument.
 */
struct fakegpu_requests {
	bool (*next)(void *arg, void **pos, struct fakegpu_request *request);
	void *arg;
};

int fakegpu_service_init(struct fakegpu_service *service, struct fakegpu_intervals *intervals,
			 struct fakegpu_attrs *attrs, struct fakegpu_stats *stats,
			 const bool *stop, unsigned int window_order, unsigned int timeout_ms);
int fakegpu_service_init_try(struct fakegpu_service *service, const struct fakegpu_service *model);
void fakegpu_service_fini(struct fakegpu_service *service);

int fakegpu_service_window(struct fakegpu_service *service, unsigned long addr,
			   const struct fakegpu_requests *requests, bool present_only,
			   unsigned long *lastp);
bool fakegpu_service_try(struct fakegpu_service *service, const struct fakegpu_request *request);
unsigned long fakegpu_service_skip(struct fakegpu_service *service, unsigned long addr);

#endif /* _FAKEGPU_SERVICE_H_ */
