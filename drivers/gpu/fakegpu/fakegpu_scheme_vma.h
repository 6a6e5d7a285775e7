/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_SCHEME_VMA_H_
#define _FAKEGPU_SCHEME_VMA_H_

struct fakegpu_interval;
struct fakegpu_intervals;

int fakegpu_vma_bounds(struct fakegpu_intervals *intervals, unsigned long addr,
		       unsigned long *start, unsigned long *last);
struct fakegpu_interval *fakegpu_vma_grow(struct fakegpu_intervals *intervals,
					  unsigned long start, unsigned long last);
void fakegpu_vma_unmapped(struct fakegpu_interval *interval,
			  unsigned long from, unsigned long to, unsigned long cur_seq);
void fakegpu_vma_settle(struct fakegpu_intervals *intervals);

#endif /* _FAKEGPU_SCHEME_VMA_H_ */
