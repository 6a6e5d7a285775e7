/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_SCHEME_FIXED_H_
#define _FAKEGPU_SCHEME_FIXED_H_

#include <linux/types.h>

/* Most ranges of one file. */
#define FAKEGPU_MAX_RANGES	1024

struct fakegpu_intervals;

int fakegpu_fixed_register(struct fakegpu_intervals *intervals, unsigned long start,
			   unsigned long last, u32 *id);
int fakegpu_fixed_unregister(struct fakegpu_intervals *intervals, u32 id);
unsigned long fakegpu_fixed_next(struct fakegpu_intervals *intervals, unsigned long addr);

#endif /* _FAKEGPU_SCHEME_FIXED_H_ */
