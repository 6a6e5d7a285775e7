// SPDX-License-Identifier: GPL-2.0
/*
 * How the engine reaches memory: through the mirror, and in no other way.
 */

#include <linux/string.h>

#include "fakegpu_access.h"

/* Reads see zeros whatever was written, so they never see the scratch page itself. */
static void *scratch_map(struct fakegpu_scratch *scratch, unsigned long addr, size_t size,
			 u32 access, size_t *lenp)
{
	void *p;

	*lenp = min_t(size_t, size, PAGE_SIZE - offset_in_page(addr));
	if (access == DRM_FAKEGPU_ACCESS_READ)
		return fakegpu_map_page(ZERO_PAGE(0), offset_in_page(addr));
	p = fakegpu_map_page(scratch->page, offset_in_page(addr));
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

/* fakegpu_access_map() where the last access was somewhere else, or there is no entry. */
void *__fakegpu_access_map(struct fakegpu_mirror *mirror, unsigned long addr, size_t size,
			   u32 access, size_t *lenp, struct fakegpu_mirror_place *place,
			   struct fakegpu_stall *stall)
{
	unsigned long pfn, offset;
	unsigned int shift;
	u64 *slot, entry;

	slot = fakegpu_mirror_lookup_at(mirror, addr, &shift, place);
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
	return fakegpu_map_page(pfn_to_page(pfn), offset_in_page(addr));
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
		struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;

		read_lock(&mirror->lock);
		p = fakegpu_access_map(mirror, addr + done, size - done, DRM_FAKEGPU_ACCESS_READ,
				       &len, &place, stall);
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
		struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;

		read_lock(&mirror->lock);
		p = fakegpu_access_map(mirror, addr + done, size - done, DRM_FAKEGPU_ACCESS_WRITE,
				       &len, &place, stall);
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
