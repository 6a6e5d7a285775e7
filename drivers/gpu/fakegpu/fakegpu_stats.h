/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_STATS_H_
#define _FAKEGPU_STATS_H_

#include <linux/atomic.h>
#include <linux/types.h>

/* What each one counts is told in struct drm_fakegpu_vm_get_state. */
enum fakegpu_stat {
	FAKEGPU_STAT_faults,
	FAKEGPU_STAT_faults_fatal,
	FAKEGPU_STAT_faults_nofault,
	FAKEGPU_STAT_fault_overflows,
	FAKEGPU_STAT_windows,
	FAKEGPU_STAT_retries,
	FAKEGPU_STAT_intervals_added,
	FAKEGPU_STAT_intervals_removed,
	FAKEGPU_STAT_invalidations,
	FAKEGPU_STAT_invalidations_useful,
	FAKEGPU_STAT_pages_cleared,
	FAKEGPU_STAT_leaves_split,
	FAKEGPU_STAT_leaves_dropped,
	FAKEGPU_STAT_slots_restored,
	FAKEGPU_STAT_attrs_kept,
	FAKEGPU_STAT_faults_scratch,
	FAKEGPU_STAT_retries_false,
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
