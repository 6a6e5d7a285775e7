/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_STATS_H_
#define _FAKEGPU_STATS_H_

#include <linux/atomic.h>
#include <linux/types.h>

/*
 * One name per counter, used for the enum, for debugfs and for the uapi. What
 * each one counts is told in struct drm_fakegpu_vm_get_state.
 */
#define FAKEGPU_STATS(X)		\
	X(faults)			\
	X(faults_fatal)			\
	X(faults_nofault)		\
	X(fault_overflows)		\
	X(windows)			\
	X(retries)			\
	X(intervals_added)		\
	X(intervals_removed)		\
	X(invalidations)		\
	X(invalidations_useful)		\
	X(pages_cleared)		\
	X(leaves_split)			\
	X(leaves_dropped)

enum fakegpu_stat {
#define X(name) FAKEGPU_STAT_##name,
	FAKEGPU_STATS(X)
#undef X
	FAKEGPU_STAT_COUNT
};

/**
 * struct fakegpu_stats - event counters
 * @parent: counters of the device, which count along; NULL for the device's own.
 * @value: one per &enum fakegpu_stat; never reset in a VM.
 */
struct fakegpu_stats {
	struct fakegpu_stats *parent;
	atomic64_t value[FAKEGPU_STAT_COUNT];
};

static inline void __fakegpu_stats_add(struct fakegpu_stats *stats, enum fakegpu_stat stat, u64 n)
{
	for (; stats; stats = stats->parent)
		atomic64_add(n, &stats->value[stat]);
}

#define fakegpu_stats_add(stats, name, n) \
	__fakegpu_stats_add(stats, FAKEGPU_STAT_##name, n)
#define fakegpu_stats_inc(stats, name) fakegpu_stats_add(stats, name, 1)
#define fakegpu_stats_read(stats, name) \
	((u64)atomic64_read(&(stats)->value[FAKEGPU_STAT_##name]))

#endif /* _FAKEGPU_STATS_H_ */
