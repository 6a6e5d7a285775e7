/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_ACCESS_H_
#define _FAKEGPU_ACCESS_H_

#include <linux/types.h>

#include <drm/fakegpu_drm.h>

struct fakegpu_mirror;
struct page;

/*
 * Beside &enum drm_fakegpu_access: a write for which the device needs the right to
 * atomic operations. It is told as a write.
 */
#define FAKEGPU_ACCESS_SIGNAL	0x80

/* Pages that one chunk of a command can access at most: two words, each across a border. */
#define FAKEGPU_SCRATCH_PAGES	4

/**
 * struct fakegpu_scratch - accesses that go to the scratch page
 *
 * Belongs to a queue, and is used by who has the queue.
 */
struct fakegpu_scratch {
	/** @page: takes what is written; NULL if there is no scratch page. */
	struct page *page;
	/** @granted: pages whose memory isn't there; good for one chunk; the newest ones. */
	unsigned long granted[FAKEGPU_SCRATCH_PAGES];
	/** @grants: how often something was added to @granted. */
	unsigned int grants;
};

/**
 * struct fakegpu_stall - the access that found no usable mirror entry
 * @addr: first byte that could not be accessed.
 * @last: last byte (inclusive) that the access still needs.
 * @access: one of &enum drm_fakegpu_access.
 * @atomic: it needs the right to atomic operations.
 * @scratch: where accesses go that have no memory.
 */
struct fakegpu_stall {
	unsigned long addr;
	unsigned long last;
	u32 access;
	bool atomic;
	struct fakegpu_scratch scratch;
};

void *fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr, size_t size,
			 u32 access, size_t *lenp, struct fakegpu_stall *stall);
void fakegpu_access_unmap(void *p);

void fakegpu_scratch_grant(struct fakegpu_scratch *scratch, unsigned long addr);

size_t fakegpu_access_read(struct fakegpu_mirror *mirror, unsigned long addr, void *buf,
			   size_t size, struct fakegpu_stall *stall);
size_t fakegpu_access_write(struct fakegpu_mirror *mirror, unsigned long addr, const void *buf,
			    size_t size, struct fakegpu_stall *stall);

#endif /* _FAKEGPU_ACCESS_H_ */
