// SPDX-License-Identifier: GPL-2.0
/*
 * What a pass of the service reads of the CPU's page table, by hmm_range_fault().
 */

/**
 * DOC: Reading the CPU's page table
 *
 * The pages that a stalled access still needs are *requested*: the CPU faults
 * them in. The other pages of the window are only taken if they are present,
 * which costs no CPU fault and allocates nothing. They are walked apart, since
 * hmm_range_fault() fills a whole hole as soon as one of its pages is requested.
 *
 * Where one page of a large leaf's slot turns out to be mapped by a PMD, that one
 * page proves the leaf: the other pages aren't walked.
 *
 * Where a requested page can't be had, what was read before it is kept. So the
 * device gets as far as it can in a few faults and not in one for each page, and
 * the CPU is not asked for the bad page each time: out of memory, every such
 * question is a call of the out-of-memory killer.
 */

#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "fakegpu_interval.h"
#include "fakegpu_pass.h"

/**
 * fakegpu_check_vma - can the device access a VMA at all?
 * @vma: the VMA, under mmap_lock; or NULL
 * @write: by a write?
 *
 * What HMM would refuse anyway, and what it wouldn't: pages of memfd_secret
 * aren't in the kernel's map of memory, where the engine looks for them.
 *
 * Return: 0, -EFAULT or -EPERM.
 */
int fakegpu_check_vma(struct vm_area_struct *vma, bool write)
{
	if (!vma || !(vma->vm_flags & VM_READ) || (vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	if (vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC)
		return -EFAULT;
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EPERM;
	return 0;
}

static unsigned long wanted_by(const struct fakegpu_request *request)
{
	return request->write ? FAKEGPU_WANT_WRITE : FAKEGPU_WANT_READ;
}

/* The next request that starts in the window, and may be served with the others. */
static bool next_request(struct fakegpu_pass *pass, void **pos, struct fakegpu_request *request)
{
	while (pass->requests->next(pass->requests->arg, pos, request)) {
		/* One that isn't allowed gets its own service, which says no. */
		if (request->start >= pass->start && request->start <= pass->last &&
		    fakegpu_pass_allows(pass, request))
			return true;
	}
	return false;
}

/* Is the same requested of all pages of the window? By far most windows are so. */
static bool same_of_all(struct fakegpu_pass *pass)
{
	struct fakegpu_request request;
	unsigned long want;
	void *pos = NULL;

	if (!next_request(pass, &pos, &request) ||
	    (request.start & PAGE_MASK) != pass->start || request.last < pass->last)
		return false;
	want = wanted_by(&request);
	while (!pass->single && want != FAKEGPU_WANT_WRITE && next_request(pass, &pos, &request))
		if (request.write)
			return false;
	pass->want = want;
	return true;
}

/* Note what is requested of the window. */
static void pass_want(struct fakegpu_pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_request request;
	void *pos = NULL;

	pass->want = 0;
	pass->mixed = !pass->present_only && !same_of_all(pass);
	if (!pass->mixed)
		return;

	memset(service->want, 0, sizeof(*service->want) << (service->window_order - PAGE_SHIFT));
	while (next_request(pass, &pos, &request)) {
		unsigned long last = fakegpu_pass_index(pass, min(request.last, pass->last));
		unsigned long i;

		for (i = fakegpu_pass_index(pass, request.start); i <= last; i++)
			service->want[i] |= wanted_by(&request);
		/* Another's write mustn't make the first one fail. */
		if (pass->single)
			break;
	}
}

static inline unsigned long wanted(const struct fakegpu_pass *pass, unsigned long index)
{
	return pass->mixed ? pass->service->want[index] : pass->want;
}

/* Cut off what isn't requested at both ends. */
static void pass_narrow(struct fakegpu_pass *pass)
{
	unsigned long i = fakegpu_pass_index(pass, pass->last);

	while (!wanted(pass, i))
		i--;
	pass->last = pass->base + ((i + 1) << PAGE_SHIFT) - 1;
	i = fakegpu_pass_index(pass, pass->start);
	while (!wanted(pass, i))
		i++;
	pass->start = pass->base + (i << PAGE_SHIFT);
}

/**
 * fakegpu_pass_window - set the window of a pass
 * @pass: the pass
 * @vma: of &fakegpu_pass.addr; under mmap_lock
 *
 * What surrounds the address, within VMA, interval and attributes.
 *
 * Return: 0, or -EBUSY if the interval doesn't cover the address any more.
 */
int fakegpu_pass_window(struct fakegpu_pass *pass, struct vm_area_struct *vma)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = fakegpu_interval_start(pass->interval);
	unsigned long last = fakegpu_interval_last(pass->interval);
	unsigned int order = pass->attr.value.window_order ?: service->window_order;
	unsigned long mask = (1UL << min(order, service->window_order)) - 1;

	if (pass->addr < first || pass->addr > last)
		return -EBUSY;
	pass->vma = vma;
	pass->base = pass->addr & ~mask;
	if (pass->single) {
		pass->start = pass->addr & PAGE_MASK;
		pass->last = pass->start + PAGE_SIZE - 1;
	} else {
		pass->start = max3(pass->base, vma->vm_start, first);
		pass->start = max(pass->start, pass->attr.start);
		pass->last = min3(pass->base + mask, vma->vm_end - 1, last);
		pass->last = min(pass->last, pass->attr.last);
	}
	pass_want(pass);

	if (pass->narrow && !pass->present_only)
		pass_narrow(pass);
	if (pass->limit) {
		pass->start = pass->addr & PAGE_MASK;
		pass->last = min(pass->last, pass->start + (pass->limit << PAGE_SHIFT) - 1);
	}
	return 0;
}

/*
 * Read the CPU's page table for [start, end). With @ask the pages are faulted in as
 * they are requested, else they are only looked at. The array is both question and
 * answer, so it is set up anew each time.
 */
static int read_cpu(struct fakegpu_pass *pass, unsigned long start, unsigned long end, bool ask)
{
	struct fakegpu_service *service = pass->service;
	unsigned long index = fakegpu_pass_index(pass, start);
	unsigned long count = (end - start) >> PAGE_SHIFT;
	struct hmm_range range = {
		.notifier = &pass->interval->notifier,
		.notifier_seq = pass->seq,
		.start = start,
		.end = end,
		.hmm_pfns = service->pfns + index,
		.pfn_flags_mask = ask ? FAKEGPU_WANT_WRITE : 0,
	};

	if (ask && pass->mixed)
		memcpy(range.hmm_pfns, service->want + index, count * sizeof(*service->pfns));
	else
		memset_l(range.hmm_pfns, ask ? pass->want : 0, count);
	return hmm_range_fault(&range);
}

/* Have the CPU fault in what is requested of hugetlb memory, a huge page at a time. */
static int fault_hugetlb(struct fakegpu_pass *pass, unsigned long first, unsigned long stop)
{
	unsigned long size = huge_page_size(hstate_vma(pass->vma));
	unsigned long i, next, all;
	int ret;

	for (i = first; i < stop; i = next) {
		unsigned long addr = pass->base + (i << PAGE_SHIFT);

		next = min(stop, i + ((size - (addr & (size - 1))) >> PAGE_SHIFT));
		for (all = 0; i < next; i++)
			all |= wanted(pass, i);
		if (!all)
			continue;
		ret = fixup_user_fault(pass->service->intervals->mm, addr,
				       FAULT_FLAG_REMOTE |
				       (all & HMM_PFN_REQ_WRITE ? FAULT_FLAG_WRITE : 0), NULL);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * read_slot() for hugetlb memory. hmm_range_fault() mustn't be asked to fault it
 * in: where there is no page table yet, it does so with the VMA's hugetlb lock
 * held, which the fault takes again, and that deadlocks with a writer in between.
 */
static int read_hugetlb(struct fakegpu_pass *pass, unsigned long start, unsigned long end)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = fakegpu_pass_index(pass, start);
	unsigned long stop = fakegpu_pass_index(pass, end - 1) + 1;
	unsigned long i, want;
	int ret, err;

	err = fault_hugetlb(pass, first, stop);
	ret = read_cpu(pass, start, end, false);
	if (ret || err)
		return ret ?: err;

	for (i = first; i < stop; i++) {
		want = wanted(pass, i);
		/* It went as soon as it had come. */
		if (want && (!(service->pfns[i] & HMM_PFN_VALID) ||
			     ((want & HMM_PFN_REQ_WRITE) && !(service->pfns[i] & HMM_PFN_WRITE))))
			return -EBUSY;
	}
	return 0;
}

/*
 * Ask one page of a whole slot, the @index-th of the array. If the CPU maps the slot
 * by a large leaf, which allows what is requested of @all, the first page's element
 * stands for all of it.
 *
 * Returns 1 if that is so, 0 if not, or an error.
 */
static int read_probe(struct fakegpu_pass *pass, unsigned long first, unsigned long index,
		      unsigned long all)
{
	unsigned long addr = pass->base + (index << PAGE_SHIFT), pfn;
	int ret = read_cpu(pass, addr, addr + PAGE_SIZE, all);

	if (ret)
		return ret;
	pfn = pass->service->pfns[index];
	if (!fakegpu_proves_large(pfn) || ((all & HMM_PFN_REQ_WRITE) && !(pfn & HMM_PFN_WRITE)))
		return 0;
	pass->service->pfns[first] = pfn - (index - first);
	return 1;
}

/* Read the part [start, end) of the window, which lies in one slot of a large leaf. */
static int read_slot(struct fakegpu_pass *pass, unsigned long start, unsigned long end)
{
	bool whole = end - start == FAKEGPU_LEAF_SIZE;
	const unsigned long *want = pass->service->want;
	unsigned long first = fakegpu_pass_index(pass, start);
	unsigned long stop = fakegpu_pass_index(pass, end - 1) + 1;
	unsigned long i, run, number = 0, all = 0;
	int ret;

	if (is_vm_hugetlb_page(pass->vma))
		return read_hugetlb(pass, start, end);

	if (!pass->mixed) {
		ret = whole ? read_probe(pass, first, first, pass->want) : 0;
		if (ret)
			return min(ret, 0);
		return read_cpu(pass, start, end, pass->want);
	}

	for (i = first; i < stop; i++) {
		all |= want[i];
		number += !!want[i];
	}
	for (i = first; i < stop; i = run) {
		run = i + 1;
		if (!want[i])
			continue;
		if (whole) {
			whole = false;
			ret = read_probe(pass, first, i, all);
			if (ret)
				return min(ret, 0);
		}
		while (run < stop && want[run])
			run++;
		ret = read_cpu(pass, pass->base + (i << PAGE_SHIFT),
			       pass->base + (run << PAGE_SHIFT), true);
		if (ret)
			return ret;
	}

	if (number == stop - first)
		return 0;
	return read_cpu(pass, start, end, false);
}

/*
 * Was the page requested, and had? HMM's flags for the question have the same
 * values as those of the answer; an element that wasn't read is the question.
 */
static bool page_granted(unsigned long want, unsigned long pfn)
{
	return want && pfn != want &&
	       (pfn & (HMM_PFN_VALID | HMM_PFN_ERROR)) == HMM_PFN_VALID &&
	       (!(want & HMM_PFN_REQ_WRITE) || (pfn & HMM_PFN_WRITE));
}

/*
 * To read the slot at @start failed with @error: narrow the window to what is
 * known good from pass->addr on. If that isn't even its first page, it's an error.
 */
static int keep_good(struct fakegpu_pass *pass, unsigned long start, int error)
{
	unsigned long first = fakegpu_pass_index(pass, pass->addr), i = first;
	unsigned long stop = fakegpu_pass_index(pass, pass->last) + 1;

	if (pass->present_only || (error != -EFAULT && error != -EPERM))
		return error;

	/* All slots before this one were read. */
	if (start > pass->addr) {
		pass->last = start - 1;
		return 0;
	}
	while (i < stop && page_granted(wanted(pass, i), pass->service->pfns[i]))
		i++;
	if (i == first)
		return error;
	pass->start = pass->addr & PAGE_MASK;
	pass->last = pass->base + (i << PAGE_SHIFT) - 1;
	return 0;
}

/**
 * fakegpu_pass_read - read the window of a pass
 * @pass: the pass, after fakegpu_pass_window(); its window may become smaller
 *
 * Called under mmap_lock, held for read. The answer is in &fakegpu_service.pfns.
 *
 * Return: 0, -EBUSY if it collided, or why it can't be: -EFAULT, -EPERM, -ENOMEM, -EINTR.
 */
int fakegpu_pass_read(struct fakegpu_pass *pass)
{
	unsigned long start = pass->start;
	int ret;

	for (;;) {
		unsigned long last = min(start | (FAKEGPU_LEAF_SIZE - 1), pass->last);

		ret = read_slot(pass, start, last + 1);
		if (ret)
			return keep_good(pass, start, ret);
		if (last == pass->last)
			return 0;
		start = last + 1;
	}
}

/**
 * fakegpu_pass_read_present - read what is present around an access
 * @pass: the pass; its window is set, to no more than the slot of a large leaf
 * @vma: of &fakegpu_pass.addr
 * @request: the access
 *
 * Called under mmap_lock, held for read. The page of the access is looked at first,
 * and alone: where the CPU has to fault it in, all else would be for nothing.
 *
 * Return: true if all is there that the access needs of the window.
 */
bool fakegpu_pass_read_present(struct fakegpu_pass *pass, struct vm_area_struct *vma,
			       const struct fakegpu_request *request)
{
	const unsigned long granted = HMM_PFN_VALID | (request->write ? HMM_PFN_WRITE : 0);
	const unsigned long mask = granted | HMM_PFN_ERROR;
	unsigned long page = pass->addr & PAGE_MASK, i, last, *pfns = pass->service->pfns;

	pass->present_only = true;
	if (fakegpu_pass_window(pass, vma))
		return false;
	last = min(request->last, pass->last);
	pass->base = max(pass->base, pass->addr & ~(FAKEGPU_LEAF_SIZE - 1));
	pass->start = max(pass->start, pass->base);
	pass->last = min(pass->last, pass->addr | (FAKEGPU_LEAF_SIZE - 1));
	/* With a window that is larger than a slot, the access may need more of it. */
	if (last > pass->last)
		return false;

	i = fakegpu_pass_index(pass, page);
	if (read_cpu(pass, page, page + PAGE_SIZE, false) || (pfns[i] & mask) != granted)
		return false;
	if (pass->last - pass->start + 1 == FAKEGPU_LEAF_SIZE && fakegpu_proves_large(pfns[i])) {
		pfns[0] = pfns[i] - i;
		return true;
	}
	if (pass->last - pass->start < PAGE_SIZE)
		return true;

	if (read_cpu(pass, pass->start, pass->last + 1, false))
		return false;
	for (; i <= fakegpu_pass_index(pass, last); i++)
		if ((pfns[i] & mask) != granted)
			return false;
	return true;
}
