// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: holding memory and mirror against the model
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_SWAP	(1ULL << 62)
#define PAGEMAP_FILE	(1ULL << 61)

#define MAX_RUNS	64
#define COMPARES	128

static void __attribute__((noreturn))
differs(struct model *m, uint32_t page, uint32_t from, uint32_t to, const uint8_t *want,
	const char *what)
{
	const volatile uint8_t *seen = page_addr(m, page);
	const struct page *p = &m->pages[page];
	uint32_t i = from, bytes = 0, j;

	while (i < to && seen[i] == want[i])
		i++;
	if (i == to)
		mismatch(m, "%s: page %u (%p) differed for a moment from what is right", what,
			 page, (void *)seen);
	for (j = i; j < to; j++)
		bytes += seen[j] != want[j];
	mismatch(m, "%s: page %u (%p, %s%s, prot %u, flags 0x%02x) offset %u: expected 0x%02x, seen 0x%02x; %u bytes differ%s",
		 what, page, (void *)seen, p->shared ? "shared" : "private",
		 p->obj ? " of an object" : "", p->prot, p->flags, i, want[i], seen[i], bytes,
		 seen[i] ? "" : "; seen is zero");
}

void check_page(struct model *m, uint32_t page, uint32_t from, uint32_t to, const char *what)
{
	struct page *p = &m->pages[page];
	const uint8_t *seen = page_addr(m, page), *want;
	uint8_t *other;

	if (!cpu_readable(m, p))
		return;
	if (p->flags & PG_AMBIGUOUS) {
		/* It can't change any more: find out which one it is. */
		from = 0;
		to = PAGE_SIZE;
	}
	want = page_content(m, p);
	if (!memcmp(seen + from, want + from, to - from)) {
		other = p->alt;
	} else if (p->flags & PG_LAZY) {
		if (memcmp(seen + from, zero_page, to - from))
			differs(m, page, from, to, want, what);
		page_zap(m, p);
		return;
	} else if (p->alt && !memcmp(seen, p->alt, PAGE_SIZE)) {
		other = p->data;
		p->data = p->alt;
	} else {
		differs(m, page, from, to, want, what);
	}
	if (p->flags & PG_AMBIGUOUS) {
		p->flags &= ~PG_AMBIGUOUS;
		p->alt = NULL;
		buf_put(m, other);
	}
}

void check_pages(struct model *m, uint32_t page, uint32_t count, const char *what)
{
	uint32_t i;

	for (i = page; i < page + count; i++)
		check_page(m, i, 0, PAGE_SIZE, what);
}

bool settle_lazy(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i;

	for (i = page; i < page + count; i++) {
		struct page *p = &m->pages[i];

		if (!(p->flags & PG_LAZY))
			continue;
		if (!cpu_writable(m, p))
			return false;
		/* A write that changes nothing but makes it stay. */
		__atomic_fetch_or(page_addr(m, i), 0, __ATOMIC_SEQ_CST);
		check_page(m, i, 0, PAGE_SIZE, "a page after MADV_FREE");
		p->flags &= ~PG_LAZY;
	}
	return true;
}

void resolve_own(struct model *m, uint32_t page, uint32_t count)
{
	uint64_t entries[LEAF_PAGES];
	uint32_t i, part;
	bool any = false;

	for (i = page; i < page + count; i++)
		any |= m->pages[i].mapped && !m->pages[i].shared && m->pages[i].obj;
	for (; any && count; page += part, count -= part) {
		part = count < LEAF_PAGES ? count : LEAF_PAGES;
		if (pread(m->pagemap, entries, part * sizeof(*entries),
			  ((uintptr_t)page_addr(m, page) >> PAGE_SHIFT) * sizeof(*entries)) !=
		    (ssize_t)(part * sizeof(*entries)))
			broken("can't read pagemap");
		for (i = 0; i < part; i++) {
			struct page *p = &m->pages[page + i];

			if (p->mapped && !p->shared && p->obj && !(entries[i] & PAGEMAP_FILE) &&
			    (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAP)))
				page_own(m, p);
		}
	}
}

/* Nothing may be in the mirror that may not be accessed in this way. */
static void check_run(struct model *m, uint32_t page, const struct drm_fakegpu_vm_run *run)
{
	bool write = run->flags & DRM_FAKEGPU_ENTRY_WRITE;
	uint32_t count = (run->end - run->start) >> PAGE_SHIFT, i;

	for (i = page; i < page + count; i++) {
		const struct page *p = &m->pages[i];
		const char *why = NULL;

		if (!p->mapped)
			why = "nothing is mapped there";
		else if (!(p->prot & P_R))
			why = "it may not be read";
		else if (!page_backed(m, p))
			why = "it lies behind the end of its file";
		else if (write && !(p->prot & P_W))
			why = "it may not be written";
		else if (write && !p->shared && p->obj && !(p->flags & PG_OWN))
			why = "it is a private page that wasn't copied yet";
		else if (write && run->where == DRM_FAKEGPU_WHERE_ZERO)
			why = "it is the page of zeros";
		if (why)
			mismatch(m, "the mirror has %s entry for page %u (%p), but %s",
				 write ? "a writable" : "an", i, (void *)page_addr(m, i), why);
	}
}

void check_query(struct model *m, uint32_t page, uint32_t count)
{
	struct drm_fakegpu_vm_run runs[MAX_RUNS];
	uint64_t start = (uintptr_t)page_addr(m, page), next = start;
	uint64_t end = start + ((uint64_t)count << PAGE_SHIFT), last = start;
	uint32_t n, i;
	int ret;

	finish_pages(m, page, count);
	while (next < end) {
		n = MAX_RUNS;
		ret = fakegpu_vm_query(m->run->fd, m->run->vm, (void *)(uintptr_t)next,
				       end - next, runs, &n, &next);
		if (ret)
			mismatch(m, "VM_QUERY: %s", strerror(-ret));
		for (i = 0; i < n; i++) {
			if (runs[i].start < last || runs[i].end <= runs[i].start ||
			    runs[i].end > end)
				mismatch(m, "VM_QUERY lists 0x%lx-0x%lx behind 0x%lx",
					 (uint64_t)runs[i].start, (uint64_t)runs[i].end, last);
			check_run(m, page + ((runs[i].start - start) >> PAGE_SHIFT), &runs[i]);
			last = runs[i].end;
		}
	}
}

static void compare_flush(struct model *m, struct drm_fakegpu_cmd *cmds, uint32_t *pages,
			  uint32_t n, uint64_t *results)
{
	struct queue *queue = &m->queues[0];
	uint32_t i;
	int ret;

	if (!n)
		return;
	memset(results, 0xff, n * sizeof(*results));
	ret = fakegpu_run(m->run->fd, queue->id, cmds, n);
	if (ret) {
		struct drm_fakegpu_queue_get_state state;

		if (fakegpu_queue_state(m->run->fd, queue->id, &state))
			mismatch(m, "comparing all pages by device: %s", strerror(-ret));
		mismatch(m, "comparing all pages by device: %s, error %u at 0x%lx, page %u",
			 strerror(-ret), state.error, (uint64_t)state.fault_addr,
			 pages[state.cmd_index < n ? state.cmd_index : 0]);
	}
	for (i = 0; i < n; i++)
		if (results[i] != PAGE_SIZE)
			mismatch(m, "the device sees another byte than the model in page %u (%p) at offset %lu",
				 pages[i], (void *)page_addr(m, pages[i]), results[i]);
}

void check_all(struct model *m)
{
	/* Where the device writes to; it lives as long as the thread. */
	static __thread uint64_t results[COMPARES];
	struct drm_fakegpu_cmd cmds[COMPARES];
	uint32_t pages[COMPARES], i, n = 0;

	finish_all(m);
	check_pages(m, 0, m->npages, "comparing all pages by CPU");
	for (i = 0; i < m->npages; i += m->granule)
		check_query(m, i, m->granule);
	for (i = 0; i < m->npages; i++) {
		const struct page *p = &m->pages[i];

		if (device_error(m, p, false) || (p->flags & PG_LAZY))
			continue;
		cmds[n] = fakegpu_compare(page_addr(m, i), page_content(m, p), PAGE_SIZE,
					  &results[n]);
		pages[n++] = i;
		if (n == COMPARES) {
			compare_flush(m, cmds, pages, n, results);
			n = 0;
		}
	}
	compare_flush(m, cmds, pages, n, results);
}

void check_verify(struct model *m)
{
	char report[1024];
	int ret;

	ret = fakegpu_verify(m->run->fd, report, sizeof(report));
	if (ret == -EACCES || ret == -ENOENT)
		return;
	if (ret < 0 && ret != -EBUSY)
		mismatch(m, "verify can't be read: %s", strerror(-ret));
	if (ret > 0)
		mismatch(m, "verify finds %d wrong entries:\n%s", ret, report);
}
