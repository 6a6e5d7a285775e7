/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_ACCESS_H_
#define _FAKEGPU_ACCESS_H_

#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/kcsan-checks.h>
#include <linux/mm.h>
#include <linux/types.h>

#include <drm/fakegpu_drm.h>

#include "fakegpu_mirror.h"

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

void *__fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr, size_t size,
			   u32 access, size_t *lenp, struct fakegpu_mirror_place *place,
			   struct fakegpu_stall *stall);

/*
 * What programs race on in their own memory is their affair, as with any device,
 * and not a data race of the kernel: until the page is unmapped KCSAN doesn't look.
 */
static inline void *fakegpu_map_page(struct page *page, unsigned long offset)
{
	kcsan_disable_current();
	return kmap_local_page(page) + offset;
}

/**
 * fakegpu_access_map - get at memory by a device address
 * @mirror: the mirror, locked for read
 * @addr: the address
 * @size: bytes that the access needs, not zero
 * @access: one of &enum drm_fakegpu_access, or FAKEGPU_ACCESS_SIGNAL
 * @lenp: receives how many of them can be accessed now: up to the page's end
 * @place: where the last access was, since the lock was taken
 * @stall: filled in if there is no usable entry; says what may go to the scratch page
 *
 * The pointer is good until the mirror lock is let go of (I3, I8). A write
 * leaves its mark in the entry, from where it gets to the page when the entry
 * is dropped. Most accesses are near the last one, and need no more than this.
 *
 * Return: where the kernel maps it, to be given to fakegpu_access_unmap(), or
 * NULL.
 */
static inline void *fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr,
				       size_t size, u32 access, size_t *lenp,
				       struct fakegpu_mirror_place *place,
				       struct fakegpu_stall *stall)
{
	const u64 rights = FAKEGPU_ENTRY_VALID |
			   (access == DRM_FAKEGPU_ACCESS_READ ? 0 : FAKEGPU_ENTRY_WRITE);
	u64 *slot, entry;

	if (likely(fakegpu_mirror_near(addr, place)) &&
	    (access == DRM_FAKEGPU_ACCESS_READ || access == DRM_FAKEGPU_ACCESS_WRITE)) {
		slot = fakegpu_mirror_at(addr, place);
		entry = READ_ONCE(*slot);
		if (likely((entry & rights) == rights)) {
			/* Several engines may do so at once, all under the read lock. */
			if (access != DRM_FAKEGPU_ACCESS_READ && !(entry & FAKEGPU_ENTRY_DIRTY))
				set_bit(FAKEGPU_ENTRY_DIRTY_BIT, (unsigned long *)slot);
			*lenp = min_t(size_t, size, PAGE_SIZE - offset_in_page(addr));
			return fakegpu_map_page(pfn_to_page(fakegpu_entry_pfn(entry)),
						offset_in_page(addr));
		}
	}
	return __fakegpu_access_map(mirror, addr, size, access, lenp, place, stall);
}

/**
 * fakegpu_access_unmap - undo fakegpu_access_map()
 * @p: what it returned
 */
static inline void fakegpu_access_unmap(void *p)
{
	kunmap_local(p);
	kcsan_enable_current();
}

void fakegpu_scratch_grant(struct fakegpu_scratch *scratch, unsigned long addr);

size_t fakegpu_access_read(struct fakegpu_mirror *mirror, unsigned long addr, void *buf,
			   size_t size, struct fakegpu_stall *stall);
size_t fakegpu_access_write(struct fakegpu_mirror *mirror, unsigned long addr, const void *buf,
			    size_t size, struct fakegpu_stall *stall);

#endif /* _FAKEGPU_ACCESS_H_ */
