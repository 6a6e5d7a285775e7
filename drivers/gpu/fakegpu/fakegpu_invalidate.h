/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_INVALIDATE_H_
#define _FAKEGPU_INVALIDATE_H_

#include <linux/types.h>

struct fakegpu_intervals;
struct mmu_interval_notifier;
struct mmu_notifier_range;

bool fakegpu_interval_invalidate(struct mmu_interval_notifier *notifier,
				 const struct mmu_notifier_range *range, unsigned long cur_seq);
void fakegpu_intervals_clear(struct fakegpu_intervals *intervals, unsigned long start,
			     unsigned long last);
bool fakegpu_intervals_touched(struct fakegpu_intervals *intervals, u64 since,
			       unsigned long start, unsigned long last);

#endif /* _FAKEGPU_INVALIDATE_H_ */
