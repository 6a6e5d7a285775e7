// SPDX-License-Identifier: GPL-2.0
/*
 * How the engine reaches memory: through the mirror, and in no other way.
 */

#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/kcsan-checks.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "fakegpu_access.h"
#include "fakegpu_mirror.h"

/*
 * What programs race on in their own memory is their affair, as with any device,
 * and not a data race of the kernel: until the page is unmapped KCSAN doesn't look.
 */
static void *map_page(struct page *page, unsigned long offset)
{
	kcsan_disable_current();
	return kmap_local_page(page) + offset;
}

/* Reads see zeros whatever was written, so they never see the scratch page itself. */
static void *scratch_map(struct fakegpu_scratch *scratch, unsigned long addr, size_t size,
			 u32 access, size_t *lenp)
{
	void *p;

	*lenp = min_t(size_t, size, PAGE_SIZE - offset_in_page(addr));
	if (access == DRM_FAKEGPU_ACCESS_READ)
		return map_page(ZERO_PAGE(0), offset_in_page(addr));
	p = map_page(scratch->page, offset_in_page(addr));
	if (access == DRM_FAKEGPU_ACCESS_ATOMIC)
		memset(p, 0, *lenp);
	return p;
}

static bool scratch_granted(const struct fakegpu_scratch *scratch, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, scratch->grants, FAKEGPU_SCRATCH_PAGES); i++)
		if (scratch->granted[i] == (addr & PAGE_MASK))
			return true;
	return false;
}

/**
 * fakegpu_scratch_grant - let the access that stalled go to the scratch page
 * @scratch: of the queue; has a page
 * @addr: where it stalled
 *
 * Good until the chunk is done, as by the next one there may be memory.
 */
void fakegpu_scratch_grant(struct fakegpu_scratch *scratch, unsigned long addr)
{
	scratch->granted[scratch->grants++ % FAKEGPU_SCRATCH_PAGES] = addr & PAGE_MASK;
}

/* There is no usable entry: tell, unless somebody has looked in vain already. */
static void *no_entry(unsigned long addr, size_t size, u32 access, size_t *lenp,
		      struct fakegpu_stall *stall)
{
	if (scratch_granted(&stall->scratch, addr))
		return scratch_map(&stall->scratch, addr, size, access, lenp);

	stall->addr = addr;
	stall->last = addr + size - 1;
	if (stall->last < addr)
		stall->last = ULONG_MAX;
	stall->access = access == FAKEGPU_ACCESS_SIGNAL ? DRM_FAKEGPU_ACCESS_WRITE : access;
	stall->atomic = access == DRM_FAKEGPU_ACCESS_ATOMIC || access == FAKEGPU_ACCESS_SIGNAL;
	return NULL;
}

/**
 * fakegpu_access_map - get at memory by a device address
 * @mirror: the mirror, locked for read
 * @addr: the address
 * @size: bytes that the access needs, not zero
 * @access: one of &enum drm_fakegpu_access, or FAKEGPU_ACCESS_SIGNAL
 * @lenp: receives how many of them can be accessed now: up to the page's end
 * @stall: filled in if there is no usable entry; says what may go to the scratch page
 *
 * The pointer is good until the mirror lock is let go of (I3, I8). A write
 * leaves its mark in the entry, from where it gets to the page when the entry
 * is dropped.
 *
 * Return: where the kernel maps it, to be given to fakegpu_access_unmap(), or
 * NULL.
 */
void *fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr, size_t size,
			 u32 access, size_t *lenp, struct fakegpu_stall *stall)
{
	unsigned long pfn, offset;
	unsigned int shift;
	u64 *slot, entry;

	slot = fakegpu_mirror_lookup(mirror, addr, &shift);
	if (!slot)
		return no_entry(addr, size, access, lenp, stall);

	entry = READ_ONCE(*slot);
	if (access != DRM_FAKEGPU_ACCESS_READ) {
		if (!(entry & FAKEGPU_ENTRY_WRITE) ||
		    ((entry & FAKEGPU_ENTRY_NOATOMIC) && access != DRM_FAKEGPU_ACCESS_WRITE))
			return no_entry(addr, size, access, lenp, stall);
		/* Several engines may do so at once, all under the read lock. */
		if (!(entry & FAKEGPU_ENTRY_DIRTY))
			set_bit(FAKEGPU_ENTRY_DIRTY_BIT, (unsigned long *)slot);
	}

	offset = addr & ((1UL << shift) - 1);
	pfn = fakegpu_entry_pfn(entry) + (offset >> PAGE_SHIFT);
	*lenp = min_t(size_t, size, PAGE_SIZE - offset_in_page(addr));
	return map_page(pfn_to_page(pfn), offset_in_page(addr));
}

/**
 * fakegpu_access_unmap - undo fakegpu_access_map()
 * @p: what it returned
 */
void fakegpu_access_unmap(void *p)
{
	kunmap_local(p);
	kcsan_enable_current();
}

/**
 * fakegpu_access_read - read device memory into a buffer
 * @mirror: the mirror, not locked
 * @addr: the address
 * @buf: the buffer
 * @size: bytes
 * @stall: filled in if it stopped early
 *
 * Eight bytes at an aligned address are read at once, with acquire semantics.
 *
 * Return: bytes read; less than @size at a stall.
 */
size_t fakegpu_access_read(struct fakegpu_mirror *mirror, unsigned long addr, void *buf,
			   size_t size, struct fakegpu_stall *stall)
{
	size_t done = 0, len;
	void *p;

	while (done < size) {
		read_lock(&mirror->lock);
		p = fakegpu_access_map(mirror, addr + done, size - done, DRM_FAKEGPU_ACCESS_READ,
				       &len, stall);
		if (p) {
			if (len == sizeof(u64) && IS_ALIGNED((unsigned long)p, sizeof(u64)))
				/* Pairs with the release of the writer, CPU or engine. */
				*(u64 *)(buf + done) = smp_load_acquire((u64 *)p);
			else
				memcpy(buf + done, p, len);
			fakegpu_access_unmap(p);
		}
		read_unlock(&mirror->lock);
		if (!p)
			break;
		done += len;
	}
	return done;
}

/**
 * fakegpu_access_write - write a buffer to device memory
 * @mirror: the mirror, not locked
 * @addr: the address
 * @buf: the buffer
 * @size: bytes
 * @stall: filled in if it stopped early
 *
 * Eight bytes at an aligned address are written at once, with release
 * semantics.
 *
 * Return: bytes written; less than @size at a stall.
 */
size_t fakegpu_access_write(struct fakegpu_mirror *mirror, unsigned long addr, const void *buf,
			    size_t size, struct fakegpu_stall *stall)
{
	size_t done = 0, len;
	void *p;

	while (done < size) {
		read_lock(&mirror->lock);
		p = fakegpu_access_map(mirror, addr + done, size - done, DRM_FAKEGPU_ACCESS_WRITE,
				       &len, stall);
		if (p) {
			if (len == sizeof(u64) && IS_ALIGNED((unsigned long)p, sizeof(u64)))
				/* Pairs with the acquire of who waits, CPU or engine. */
				smp_store_release((u64 *)p, *(u64 *)(buf + done));
			else
				memcpy(p, buf + done, len);
			fakegpu_access_unmap(p);
		}
		read_unlock(&mirror->lock);
		if (!p)
			break;
		done += len;
	}
	return done;
}
