/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_ACCESS_H_
#define _FAKEGPU_ACCESS_H_

#include <linux/types.h>

#include <drm/fakegpu_drm.h>

struct fakegpu_mirror;

/**
 * struct fakegpu_stall - the access that found no usable mirror entry
 * @addr: first byte that could not be accessed.
 * @last: last byte (inclusive) that the access still needs.
 * @access: one of &enum drm_fakegpu_access.
 */
struct fakegpu_stall {
	unsigned long addr;
	unsigned long last;
	u32 access;
};

void *fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr, size_t size,
			 u32 access, size_t *lenp, struct fakegpu_stall *stall);
void fakegpu_access_unmap(void *p);

size_t fakegpu_access_read(struct fakegpu_mirror *mirror, unsigned long addr, void *buf,
			   size_t size, struct fakegpu_stall *stall);
size_t fakegpu_access_write(struct fakegpu_mirror *mirror, unsigned long addr, const void *buf,
			    size_t size, struct fakegpu_stall *stall);

#endif /* _FAKEGPU_ACCESS_H_ */
