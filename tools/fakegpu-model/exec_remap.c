// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: mremap and madvise in their many forms
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "exec.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* Does a range lie in one VMA? The kernel joins like neighbours if it can. */
enum span { SPAN_ONE, SPAN_UNSURE, SPAN_MANY };

static enum span vma_span(struct model *m, uint32_t page, uint32_t count)
{
	enum span span = SPAN_ONE;
	uint32_t i;

	for (i = page; i < page + count; i++) {
		const struct page *p = &m->pages[i], *prev = p - 1;

		if (!p->mapped)
			return SPAN_MANY;
		if (i == page)
			continue;
		if (p->prot != prev->prot || p->shared != prev->shared || p->obj != prev->obj ||
		    (p->obj && p->objpage != prev->objpage + 1))
			return SPAN_MANY;
		if (p->vma != prev->vma)
			span = SPAN_UNSURE;
	}
	return span;
}

static bool room_for(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i;

	for (i = page; i < page + count; i++)
		if (m->pages[i].mapped)
			return false;
	return true;
}

static void unmap_model(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i;

	for (i = page; i < page + count; i++)
		page_unmap(m, &m->pages[i]);
}

/* New pages behind a mapping are like its last one. */
static void extend_model(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i, vma = m->pages[page - 1].vma;

	for (i = page; i < page + count; i++) {
		struct page *p = &m->pages[i], *prev = p - 1;

		*p = *prev;
		p->data = NULL;
		p->alt = NULL;
		p->flags &= PG_VMA_FLAGS;
		if (p->obj) {
			p->objpage++;
			page_object(m, p)->maps++;
		}
	}
	/* It may have grown up to a part that was cut off from it before. */
	for (i = page + count; i < m->npages && m->pages[i].mapped && m->pages[i].vma == vma; i++)
		m->pages[i].vma = m->next_vma;
	m->next_vma++;
}

static void move_model(struct model *m, uint32_t from, uint32_t count, uint32_t to, uint32_t size,
		       bool keep)
{
	uint32_t i, vma = m->next_vma++;

	unmap_model(m, to, size);
	for (i = 0; i < count; i++) {
		struct page *p = &m->pages[from + i], *q = &m->pages[to + i];

		*q = *p;
		q->vma = vma;
		if (!keep) {
			memset(p, 0, sizeof(*p));
			continue;
		}
		p->data = NULL;
		p->alt = NULL;
		page_zap(m, p);
		if (p->obj)
			page_object(m, p)->maps++;
	}
	if (size > count)
		extend_model(m, to + count, size - count);
}

/* A failed mremap() may have unmapped its target already: ask the kernel. */
static void probe_unmapped(struct model *m, uint32_t page, uint32_t count)
{
	unsigned char vec;
	uint32_t i;

	for (i = page; i < page + count; i++)
		if (mincore(page_addr(m, i), PAGE_SIZE, &vec) && errno == ENOMEM)
			page_unmap(m, &m->pages[i]);
}

static void *do_remap(struct model *m, const struct op *op, uint32_t old, uint32_t new, int flags)
{
	errno = 0;
	return mremap(page_addr(m, op->at), (size_t)old << PAGE_SHIFT, (size_t)new << PAGE_SHIFT,
		      flags, flags & MREMAP_FIXED ? page_addr(m, op->to) : NULL);
}

/* What the old range says about the result: 0, -EFAULT, or 1 for either. */
static int old_error(struct model *m, const struct op *op, enum span span)
{
	if (!m->pages[op->at].mapped || span == SPAN_MANY)
		return -EFAULT;
	return span == SPAN_ONE ? 0 : 1;
}

static bool remap_resize(struct model *m, const struct op *op)
{
	uint32_t most = op->n > op->m ? op->n : op->m;
	int expected, ret;
	enum span span;
	void *p;

	if (!in_granule(m, op->at, most) || !op->n || !op->m)
		return false;
	finish_pages(m, op->at, most);
	span = vma_span(m, op->at, op->n);
	expected = old_error(m, op, span);
	p = do_remap(m, op, op->n, op->m, 0);
	ret = p == MAP_FAILED ? -errno : 0;
	if (op->m <= op->n) {
		/* Older kernels don't mind what a shrinking one goes over. */
		if (m->pages[op->at].mapped && expected)
			expected = ret == -EFAULT ? -EFAULT : 0;
		exec_result(m, "mremap that shrinks", ret, expected);
		if (!ret)
			unmap_model(m, op->at + op->m, op->n - op->m);
		return true;
	}
	if (expected == 1)
		expected = ret == -EFAULT ? -EFAULT : 0;
	if (!expected && !room_for(m, op->at + op->n, op->m - op->n))
		expected = -ENOMEM;
	exec_result(m, "mremap that grows", ret, expected);
	if (!ret)
		extend_model(m, op->at + op->n, op->m - op->n);
	return true;
}

static bool ranges_overlap(uint32_t a, uint32_t count_a, uint32_t b, uint32_t count_b)
{
	return a < b + count_b && b < a + count_a;
}

static bool remap_grow_move(struct model *m, const struct op *op)
{
	uint8_t *addr = page_addr(m, op->at), *to = page_addr(m, op->to), *p;
	size_t size = (size_t)op->m << PAGE_SHIFT;
	int expected, ret;

	if (op->m <= op->n || !op->n || !in_granule(m, op->at, op->m) ||
	    !in_granule(m, op->to, op->m) || ranges_overlap(op->at, op->m, op->to, op->m))
		return false;
	finish_pages(m, op->at, op->m);
	finish_pages(m, op->to, op->m);
	expected = old_error(m, op, vma_span(m, op->at, op->n));
	p = do_remap(m, op, op->n, op->m, MREMAP_MAYMOVE);
	ret = p == MAP_FAILED ? -errno : 0;
	if (expected == 1)
		expected = ret == -EFAULT ? -EFAULT : 0;
	exec_result(m, "mremap that grows and may move", ret, expected);
	if (ret)
		return true;
	if (p == addr) {
		if (!room_for(m, op->at + op->n, op->m - op->n))
			mismatch(m, "mremap grew in place where there is no room");
		extend_model(m, op->at + op->n, op->m - op->n);
		return true;
	}
	p = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	exec_result(m, "mremap of what was moved", p == to ? 0 : -errno, 0);
	move_model(m, op->at, op->n, op->to, op->m, false);
	return true;
}

/* MREMAP_FIXED with or without DONTUNMAP. */
static bool remap_move(struct model *m, const struct op *op, bool keep)
{
	uint32_t size = keep ? op->n : op->m, count = op->n < size ? op->n : size;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
	int expected, ret;
	void *p;

	if (!in_granule(m, op->at, op->n) || !in_granule(m, op->to, size))
		return false;
	finish_pages(m, op->at, op->n);
	finish_pages(m, op->to, size);
	p = do_remap(m, op, op->n, size, flags);
	ret = p == MAP_FAILED ? -errno : 0;
	if (!m->pages[op->at].mapped || ranges_overlap(op->at, op->n, op->to, size)) {
		expected = m->pages[op->at].mapped ? -EINVAL : -EFAULT;
		exec_result(m, "mremap of nothing, or onto itself", ret, expected);
		return true;
	}
	expected = old_error(m, op, vma_span(m, op->at, count));
	if (expected == 1)
		expected = ret == -EFAULT ? -EFAULT : 0;
	exec_result(m, "mremap to a fixed place", ret, expected);
	if (ret) {
		probe_unmapped(m, op->to, size);
		probe_unmapped(m, op->at, op->n);
		return true;
	}
	if (op->n > count)
		unmap_model(m, op->at + count, op->n - count);
	move_model(m, op->at, count, op->to, size, keep);
	return true;
}

static bool remap_duplicate(struct model *m, const struct op *op)
{
	struct page *p = &m->pages[op->at], first;
	uint32_t i, vma;
	void *addr;
	int ret;

	if (!in_granule(m, op->at, 1) || !in_granule(m, op->to, op->m) ||
	    ranges_overlap(op->at, 1, op->to, op->m))
		return false;
	finish_pages(m, op->to, op->m);
	addr = do_remap(m, op, 0, op->m, MREMAP_MAYMOVE | MREMAP_FIXED);
	ret = addr == MAP_FAILED ? -errno : 0;
	if (!p->mapped || !p->shared) {
		exec_result(m, "mremap with an old size of 0", ret, p->mapped ? -EINVAL : -EFAULT);
		probe_unmapped(m, op->to, op->m);
		return true;
	}
	exec_result(m, "mremap that duplicates", ret, 0);
	unmap_model(m, op->to, op->m);
	first = *p;
	vma = m->next_vma++;
	for (i = 0; i < op->m; i++) {
		struct page *q = &m->pages[op->to + i];

		*q = first;
		q->vma = vma;
		q->objpage = first.objpage + i;
		page_object(m, q)->maps++;
	}
	return true;
}

bool exec_remap(struct model *m, const struct op *op)
{
	switch (op->sub) {
	case REMAP_RESIZE:
		return remap_resize(m, op);
	case REMAP_GROW_MOVE:
		return remap_grow_move(m, op);
	case REMAP_MOVE:
		return remap_move(m, op, false);
	case REMAP_DONTUNMAP:
		return remap_move(m, op, true);
	case REMAP_DUPLICATE:
		return remap_duplicate(m, op);
	}
	return false;
}

/* ---------------------------------------------------------------- madvise */

enum wait { WAIT_NONE, WAIT_PAGES, WAIT_OBJECTS };

static const struct {
	int advice;
	bool neutral;		/* changes nothing that the model knows; may be refused */
	enum wait wait;
} advices[ADV_SUBS] = {
	[ADV_DONTNEED] = { MADV_DONTNEED, false, WAIT_PAGES },
	[ADV_FREE] = { MADV_FREE, false, WAIT_PAGES },
	[ADV_COLD] = { MADV_COLD, true, WAIT_NONE },
	[ADV_PAGEOUT] = { MADV_PAGEOUT, true, WAIT_NONE },
	[ADV_WILLNEED] = { MADV_WILLNEED, true, WAIT_NONE },
	[ADV_POPULATE_READ] = { MADV_POPULATE_READ, false, WAIT_NONE },
	[ADV_POPULATE_WRITE] = { MADV_POPULATE_WRITE, false, WAIT_OBJECTS },
	[ADV_HUGEPAGE] = { MADV_HUGEPAGE, false, WAIT_NONE },
	[ADV_NOHUGEPAGE] = { MADV_NOHUGEPAGE, false, WAIT_NONE },
	[ADV_COLLAPSE] = { MADV_COLLAPSE, true, WAIT_NONE },
	[ADV_MERGEABLE] = { MADV_MERGEABLE, false, WAIT_NONE },
	[ADV_UNMERGEABLE] = { MADV_UNMERGEABLE, false, WAIT_NONE },
	[ADV_REMOVE] = { MADV_REMOVE, false, WAIT_OBJECTS },
	[ADV_DONTFORK] = { MADV_DONTFORK, false, WAIT_NONE },
	[ADV_DOFORK] = { MADV_DOFORK, false, WAIT_NONE },
	[ADV_WIPEONFORK] = { MADV_WIPEONFORK, false, WAIT_NONE },
	[ADV_KEEPONFORK] = { MADV_KEEPONFORK, false, WAIT_NONE },
};

/* Before 6.7 MADV_REMOVE wanted a mapping that may be written now. */
static bool remove_wants_write(void)
{
	static int answer = -1;
	unsigned int major, minor;
	struct utsname name;

	if (answer < 0) {
		answer = 0;
		if (!uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2)
			answer = major < 6 || (major == 6 && minor < 7);
	}
	return answer;
}

static void set_flags(struct page *p, uint8_t set, uint8_t clear)
{
	p->flags = (p->flags & ~clear) | set;
}

/* What one page makes of it: 0, or the error at which the kernel stops. */
static int advise_page(struct model *m, struct page *p, enum advise_sub sub)
{
	bool anon = !p->shared && !p->obj;

	switch (sub) {
	case ADV_DONTNEED:
		if (!p->shared)
			page_zap(m, p);
		return 0;
	case ADV_FREE:
		if (!anon)
			return -EINVAL;
		if (p->data)
			p->flags |= PG_LAZY;
		return 0;
	case ADV_POPULATE_READ:
		if (!(p->prot & P_R))
			return -EINVAL;
		return page_backed(m, p) ? 0 : -EFAULT;
	case ADV_POPULATE_WRITE:
		if (!(p->prot & P_W))
			return -EINVAL;
		if (!page_backed(m, p))
			return -EFAULT;
		page_own(m, p);
		return 0;
	case ADV_HUGEPAGE:
		set_flags(p, PG_HUGEPAGE, PG_NOHUGEPAGE);
		return 0;
	case ADV_NOHUGEPAGE:
		set_flags(p, PG_NOHUGEPAGE, PG_HUGEPAGE);
		return 0;
	case ADV_MERGEABLE:
		if (!p->shared)
			set_flags(p, PG_MERGEABLE, 0);
		return 0;
	case ADV_UNMERGEABLE:
		set_flags(p, 0, PG_MERGEABLE);
		return 0;
	case ADV_REMOVE:
		if (!p->obj)
			return -EINVAL;
		if (!p->shared || (remove_wants_write() && !(p->prot & P_W)))
			return -EACCES;
		object_zero(m, page_object(m, p), p->objpage, p->objpage + 1);
		return 0;
	case ADV_DONTFORK:
		set_flags(p, PG_DONTFORK, 0);
		return 0;
	case ADV_DOFORK:
		set_flags(p, 0, PG_DONTFORK);
		return 0;
	case ADV_WIPEONFORK:
		if (!anon)
			return -EINVAL;
		set_flags(p, PG_WIPEONFORK, 0);
		return 0;
	case ADV_KEEPONFORK:
		set_flags(p, 0, PG_WIPEONFORK);
		return 0;
	default:
		return 0;
	}
}

static bool is_populate(enum advise_sub sub)
{
	return sub == ADV_POPULATE_READ || sub == ADV_POPULATE_WRITE;
}

bool exec_advise(struct model *m, const struct op *op)
{
	uint32_t i, done;
	int ret, expected = 0;

	if (!in_granule(m, op->at, op->n) || op->sub >= ADV_SUBS)
		return false;
	if (advices[op->sub].wait == WAIT_PAGES)
		finish_pages(m, op->at, op->n);
	else if (advices[op->sub].wait == WAIT_OBJECTS)
		finish_access(m, op->at, op->n);

	ret = madvise(page_addr(m, op->at), (size_t)op->n << PAGE_SHIFT,
		      advices[op->sub].advice) ? -errno : 0;
	if (advices[op->sub].neutral)
		return true;

	for (done = 0; done < op->n; done++) {
		struct page *p = &m->pages[op->at + done];
		int error;

		if (!p->mapped) {
			/* Holes are passed over, and told of in the end. */
			expected = -ENOMEM;
			if (is_populate(op->sub))
				break;
			continue;
		}
		error = advise_page(m, p, op->sub);
		if (error) {
			expected = error;
			break;
		}
	}
	exec_result(m, "madvise", ret, expected);
	for (i = 0; i < done && !is_populate(op->sub); i++)
		if (m->pages[op->at + i].mapped)
			break;
	if (i < done && !is_populate(op->sub))
		vma_renew(m, op->at, done);
	return true;
}
