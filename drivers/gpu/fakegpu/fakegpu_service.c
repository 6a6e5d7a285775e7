// SPDX-License-Identifier: GPL-2.0
/*
 * The service loop: makes mirror entries present.
 *
 * Knows neither who raised a device fault nor who prefetches.
 */

/**
 * DOC: The service loop
 *
 * One pass, and the only way an entry gets into the mirror (I1, I2)::
 *
 *	check and note the attributes			under the mirror lock
 *	interval = find, or register under mmap_lock held for write
 *	seq = mmu_interval_read_begin(interval)		no lock held
 *	mmap_read_lock
 *		check the VMA, clip the window to VMA, interval and attributes
 *		hmm_range_fault
 *	mmap_read_unlock
 *	allocate mirror nodes
 *	mirror lock
 *		interval dead, too small, or read_retry(seq)? start again
 *		other attributes by now? start again
 *		commit
 *	mirror unlock
 *
 * The pages that a stalled access still needs are *requested*: the CPU faults
 * them in. The other pages of the window are only taken if they are present,
 * which costs no CPU fault and allocates nothing. They are walked apart, since
 * hmm_range_fault() fills a whole hole as soon as one of its pages is requested.
 *
 * The interval is kept from one pass of a window to the next. In use it isn't
 * killed, so a collision that has emptied it doesn't cost a registration.
 *
 * Where the first requested page of a large leaf's slot turns out to be mapped
 * by a PMD, that one page proves the leaf: the other pages aren't walked.
 *
 * Where a requested page can't be had, what was read before it is committed. So
 * the device gets as far as it can in a few faults and not in one for each page,
 * and the CPU is not asked for the bad page each time: out of memory, every such
 * question is a call of the out-of-memory killer.
 */

#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/jiffies.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "fakegpu_attr.h"
#include "fakegpu_interval.h"
#include "fakegpu_invalidate.h"
#include "fakegpu_race.h"
#include "fakegpu_scheme_fixed.h"
#include "fakegpu_service.h"
#include "fakegpu_stats.h"
#include "fakegpu_trace.h"

/*
 * Collisions after which only the requested pages are read; and those after which,
 * with each further one, half as many of them are: a pass gets shorter, until it
 * gets through. Where passes take long, it is half of the time that is left for it.
 */
#define RETRIES_UNTIL_NARROW	3
#define RETRIES_UNTIL_SHORT	8

/* So many collisions a service has before it is out of time: on a slow machine, too. */
#define RETRIES_AT_LEAST	32

#define WANT_READ	HMM_PFN_REQ_FAULT
#define WANT_WRITE	(HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE)

/* One pass over one window. */
struct pass {
	struct fakegpu_service *service;
	const struct fakegpu_requests *requests;
	struct fakegpu_interval *interval;
	struct vm_area_struct *vma;	/* of addr; under mmap_lock */
	struct fakegpu_attr_run attr;	/* attributes of all of the window */
	u64 events;		/* invalidations before it */
	unsigned long seq;
	unsigned long addr;	/* must be in the window */
	unsigned long start;	/* first address of the window */
	unsigned long last;	/* last address of the window */
	unsigned long base;	/* address of pfns[0] */
	bool present_only;	/* request nothing */
	bool narrow;		/* only the requested pages */
	unsigned long limit;	/* so many pages from addr on at most; 0: all */
	bool single;		/* only the page at addr */
};

/**
 * fakegpu_service_init - allocate what the service loop works with
 * @service: memory for it
 * @intervals: intervals, mirror and mm to work on
 * @attrs: what the device may do
 * @stats: where to count
 * @stop: when it becomes true, fakegpu_service_window() gives up
 * @window_order: log2 of the window's size in bytes, from
 *	FAKEGPU_WINDOW_ORDER_MIN to FAKEGPU_WINDOW_ORDER_MAX
 * @timeout_ms: time limit for a window in milliseconds
 *
 * Return: 0 or -ENOMEM.
 */
int fakegpu_service_init(struct fakegpu_service *service, struct fakegpu_intervals *intervals,
			 struct fakegpu_attrs *attrs, struct fakegpu_stats *stats,
			 const bool *stop, unsigned int window_order, unsigned int timeout_ms)
{
	size_t pages = 1UL << (window_order - PAGE_SHIFT);

	memset(service, 0, sizeof(*service));
	service->intervals = intervals;
	service->attrs = attrs;
	service->stats = stats;
	service->stop = stop;
	service->window_order = window_order;
	service->timeout = msecs_to_jiffies(timeout_ms);
	if (fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_ARRAYS, 0, ULONG_MAX))
		return -ENOMEM;
	service->pfns = kvcalloc(pages, sizeof(*service->pfns), GFP_KERNEL);
	service->want = kvcalloc(pages, sizeof(*service->want), GFP_KERNEL);
	if (!service->pfns || !service->want) {
		fakegpu_service_fini(service);
		return -ENOMEM;
	}
	return 0;
}

/**
 * fakegpu_service_fini - free what fakegpu_service_init() allocated
 * @service: the service
 */
void fakegpu_service_fini(struct fakegpu_service *service)
{
	fakegpu_mirror_stash_drain(&service->stash);
	kvfree(service->want);
	kvfree(service->pfns);
}

/*
 * What HMM would refuse anyway, and what it wouldn't: pages of memfd_secret
 * aren't in the kernel's map of memory, where the engine looks for them.
 */
static int check_vma(struct vm_area_struct *vma, bool write)
{
	if (!vma || !(vma->vm_flags & VM_READ) || (vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	if (vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC)
		return -EFAULT;
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EPERM;
	return 0;
}

static bool first_request(const struct pass *pass, struct fakegpu_request *request)
{
	void *pos = NULL;

	return !pass->present_only && pass->requests->next(pass->requests->arg, &pos, request);
}

static bool allows(const struct pass *pass, const struct fakegpu_request *request)
{
	return fakegpu_attr_allows(&pass->attr.value, request->write, request->atomic);
}

/* Note attributes at pass->addr, and the time; -EACCES if they forbid what is asked for. */
static int pass_attr(struct pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_request request = {};

	read_lock(&service->intervals->mirror->lock);
	pass->events = service->intervals->nr_events;
	fakegpu_attrs_find(service->attrs, pass->addr, &pass->attr);
	read_unlock(&service->intervals->mirror->lock);

	first_request(pass, &request);
	return allows(pass, &request) ? 0 : -EACCES;
}

/* Under the mirror lock, before a commit: are the attributes still those? */
static bool attr_valid(struct pass *pass)
{
	struct fakegpu_attr_run now;

	fakegpu_attrs_find(pass->service->attrs, pass->start, &now);
	return now.last >= pass->last && fakegpu_attr_equal(&now.value, &pass->attr.value);
}

/* Get hold of the interval for pass->addr. The mm has a user: us. */
static int pass_interval(struct pass *pass)
{
	struct fakegpu_intervals *intervals = pass->service->intervals;
	struct mm_struct *mm = intervals->mm;
	struct fakegpu_interval *new, *interval;
	struct fakegpu_request request = {};
	int ret;

	/* It may have been trimmed or withdrawn while it was waited for. */
	if (pass->interval && (READ_ONCE(pass->interval->withdrawn) ||
			       pass->addr < fakegpu_interval_start(pass->interval) ||
			       pass->addr > fakegpu_interval_last(pass->interval))) {
		fakegpu_interval_put(pass->interval);
		pass->interval = NULL;
	}
	if (!pass->interval)
		pass->interval = fakegpu_interval_get(intervals, pass->addr);
	if (pass->interval)
		return 0;

	if (fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_INTERVAL, pass->addr, pass->addr))
		return -ENOMEM;
	new = fakegpu_interval_alloc();
	if (!new)
		return -ENOMEM;

	first_request(pass, &request);
	if (mmap_write_lock_killable(mm)) {
		ret = -EINTR;
		goto out_free;
	}
	/* Don't register for an address that can't be serviced. */
	ret = check_vma(vma_lookup(mm, pass->addr), request.write);
	if (!ret) {
		interval = fakegpu_interval_add_locked(intervals, pass->addr, &new);
		if (IS_ERR(interval))
			ret = PTR_ERR(interval);
		else
			pass->interval = interval;
	}
	mmap_write_unlock(mm);

out_free:
	fakegpu_interval_free(new);
	return ret;
}

static inline unsigned long window_index(const struct pass *pass, unsigned long addr)
{
	return (addr - pass->base) >> PAGE_SHIFT;
}

/* Note what is requested of the window, page by page. */
static void pass_want(struct pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_request request;
	void *pos = NULL;

	memset(service->want, 0, sizeof(*service->want) << (service->window_order - PAGE_SHIFT));
	if (pass->present_only)
		return;

	while (pass->requests->next(pass->requests->arg, &pos, &request)) {
		unsigned long i, last;

		if (request.start < pass->start || request.start > pass->last)
			continue;
		/* It gets its own service, which says no: fault nothing in for it. */
		if (!allows(pass, &request))
			continue;
		last = window_index(pass, min(request.last, pass->last));
		for (i = window_index(pass, request.start); i <= last; i++)
			service->want[i] |= request.write ? WANT_WRITE : WANT_READ;
		/* Another's write mustn't make the first one fail. */
		if (pass->single)
			break;
	}
}

/*
 * Set the window: what surrounds the address, within VMA, interval and attributes.
 * Returns 0, or -EBUSY if the interval doesn't cover the address any more.
 */
static int pass_window(struct pass *pass, struct vm_area_struct *vma)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = fakegpu_interval_start(pass->interval);
	unsigned long last = fakegpu_interval_last(pass->interval);
	unsigned int order = pass->attr.value.window_order ?: service->window_order;
	unsigned long mask = (1UL << min(order, service->window_order)) - 1;
	unsigned long i;

	if (pass->addr < first || pass->addr > last)
		return -EBUSY;
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

	if (pass->narrow && !pass->present_only) {
		i = window_index(pass, pass->last);
		while (!service->want[i])
			i--;
		pass->last = pass->base + ((i + 1) << PAGE_SHIFT) - 1;
		i = window_index(pass, pass->start);
		while (!service->want[i])
			i++;
		pass->start = pass->base + (i << PAGE_SHIFT);
	}
	if (pass->limit) {
		pass->start = pass->addr & PAGE_MASK;
		pass->last = min(pass->last, pass->start + (pass->limit << PAGE_SHIFT) - 1);
	}
	return 0;
}

/*
 * Read the CPU's page table for [start, end). With @want the pages are faulted
 * in as it says, else they are only looked at. The array is both question and
 * answer, so it is set up anew each time.
 */
static int read_cpu(struct pass *pass, unsigned long start, unsigned long end, bool want)
{
	struct fakegpu_service *service = pass->service;
	unsigned long index = window_index(pass, start);
	size_t bytes = sizeof(*service->pfns) * ((end - start) >> PAGE_SHIFT);
	struct hmm_range range = {
		.notifier = &pass->interval->notifier,
		.notifier_seq = pass->seq,
		.start = start,
		.end = end,
		.hmm_pfns = service->pfns + index,
		.pfn_flags_mask = want ? WANT_WRITE : 0,
	};

	if (want)
		memcpy(range.hmm_pfns, service->want + index, bytes);
	else
		memset(range.hmm_pfns, 0, bytes);
	return hmm_range_fault(&range);
}

/* Have the CPU fault in what is requested of hugetlb memory, a huge page at a time. */
static int fault_hugetlb(struct pass *pass, unsigned long first, unsigned long stop)
{
	unsigned long size = huge_page_size(hstate_vma(pass->vma));
	const unsigned long *want = pass->service->want;
	unsigned long i, next, all;
	int ret;

	for (i = first; i < stop; i = next) {
		unsigned long addr = pass->base + (i << PAGE_SHIFT);

		next = min(stop, i + ((size - (addr & (size - 1))) >> PAGE_SHIFT));
		for (all = 0; i < next; i++)
			all |= want[i];
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
static int read_hugetlb(struct pass *pass, unsigned long start, unsigned long end)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = window_index(pass, start);
	unsigned long stop = window_index(pass, end - 1) + 1;
	unsigned long i, want;
	int ret, err;

	err = fault_hugetlb(pass, first, stop);
	ret = read_cpu(pass, start, end, false);
	if (ret || err)
		return ret ?: err;

	for (i = first; i < stop; i++) {
		want = service->want[i];
		/* It went as soon as it had come. */
		if (want && (!(service->pfns[i] & HMM_PFN_VALID) ||
			     ((want & HMM_PFN_REQ_WRITE) && !(service->pfns[i] & HMM_PFN_WRITE))))
			return -EBUSY;
	}
	return 0;
}

/* Does the CPU map the whole slot of a large leaf by what it said of one page? */
static bool proves_large(unsigned long pfn)
{
	return (pfn & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfn) >= FAKEGPU_LEAF_SHIFT - PAGE_SHIFT;
}

/*
 * Read the part [start, end) of the window, which lies in one slot of a large
 * leaf. If the CPU maps the slot by a large leaf, the first page's element of
 * the array stands for all of it.
 */
static int read_slot(struct pass *pass, unsigned long start, unsigned long end)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = window_index(pass, start);
	unsigned long stop = window_index(pass, end - 1) + 1;
	unsigned long i, run, wanted = 0, all = 0;
	bool probe = end - start == FAKEGPU_LEAF_SIZE;
	int ret;

	if (is_vm_hugetlb_page(pass->vma))
		return read_hugetlb(pass, start, end);

	for (i = first; i < stop; i++) {
		all |= service->want[i];
		wanted += !!service->want[i];
	}

	for (i = first; i < stop; i = run) {
		unsigned long addr = pass->base + (i << PAGE_SHIFT);
		unsigned long pfn;

		run = i + 1;
		if (!service->want[i])
			continue;
		if (probe) {
			probe = false;
			ret = read_cpu(pass, addr, addr + PAGE_SIZE, true);
			if (ret)
				return ret;
			pfn = service->pfns[i];
			if (proves_large(pfn) &&
			    (!(all & HMM_PFN_REQ_WRITE) || (pfn & HMM_PFN_WRITE))) {
				service->pfns[first] = pfn - (i - first);
				return 0;
			}
		}
		while (run < stop && service->want[run])
			run++;
		ret = read_cpu(pass, addr, pass->base + (run << PAGE_SHIFT), true);
		if (ret)
			return ret;
	}

	if (wanted == stop - first)
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
static int pass_keep_good(struct pass *pass, unsigned long start, int error)
{
	struct fakegpu_service *service = pass->service;
	unsigned long first = window_index(pass, pass->addr), i = first;
	unsigned long stop = window_index(pass, pass->last) + 1;

	if (pass->present_only || (error != -EFAULT && error != -EPERM))
		return error;

	/* All slots before this one were read. */
	if (start > pass->addr) {
		pass->last = start - 1;
		return 0;
	}
	while (i < stop && page_granted(service->want[i], service->pfns[i]))
		i++;
	if (i == first)
		return error;
	pass->start = pass->addr & PAGE_MASK;
	pass->last = pass->base + (i << PAGE_SHIFT) - 1;
	return 0;
}

static int pass_read(struct pass *pass)
{
	unsigned long start = pass->start;
	int ret;

	for (;;) {
		unsigned long last = min(start | (FAKEGPU_LEAF_SIZE - 1), pass->last);

		ret = read_slot(pass, start, last + 1);
		if (ret)
			return pass_keep_good(pass, start, ret);
		if (last == pass->last)
			return 0;
		start = last + 1;
	}
}

/* HMM's answer as a mirror entry, with the rights that the attributes leave. */
static inline u64 mirror_entry(const struct pass *pass, unsigned long pfn)
{
	const struct fakegpu_attr_value *attr = &pass->attr.value;
	u64 entry;

	if ((pfn & (HMM_PFN_VALID | HMM_PFN_ERROR)) != HMM_PFN_VALID)
		return 0;
	entry = fakegpu_entry_make(page_to_pfn(hmm_pfn_to_page(pfn)),
				   (pfn & HMM_PFN_WRITE) && fakegpu_attr_allows(attr, true, false));
	if (!fakegpu_attr_allows(attr, false, true))
		entry |= FAKEGPU_ENTRY_NOATOMIC;
	return entry;
}

/* The nodes that the commit can take; one by one if a test wants one to fail. */
static int pass_nodes(struct pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_intervals *intervals = service->intervals;
	unsigned int count;

	count = fakegpu_mirror_nodes_needed(intervals->mirror, pass->start, pass->last);
	while (fakegpu_race_armed(intervals->race) && service->stash.count < count) {
		if (fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_NODE, pass->start,
				      pass->last) ||
		    fakegpu_mirror_stash_fill(&service->stash, service->stash.count + 1))
			return -ENOMEM;
	}
	return fakegpu_mirror_stash_fill(&service->stash, count);
}

static int commit_slot(struct pass *pass, unsigned long start, unsigned long end)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_mirror *mirror = service->intervals->mirror;
	unsigned long index = window_index(pass, start);
	unsigned long count = (end - start) >> PAGE_SHIFT;
	unsigned long i;

	if (count == FAKEGPU_LEAF_PAGES && proves_large(service->pfns[index]))
		return fakegpu_mirror_map_large(mirror, &service->stash, start,
						mirror_entry(pass, service->pfns[index]));

	BUILD_BUG_ON(sizeof(*service->pfns) != sizeof(u64));
	for (i = index; i < index + count; i++)
		service->pfns[i] = mirror_entry(pass, service->pfns[i]);
	return fakegpu_mirror_map(mirror, &service->stash, start,
				  (u64 *)service->pfns + index, count);
}

/* Under the mirror lock: the only place where entries come into being. */
static int pass_commit(struct pass *pass)
{
	struct fakegpu_mirror *mirror = pass->service->intervals->mirror;
	struct fakegpu_race *race = pass->service->intervals->race;
	unsigned long start = pass->start;
	int ret = -EBUSY;

	write_lock(&mirror->lock);
	if (!fakegpu_interval_valid(pass->interval, pass->start, pass->last, pass->seq) ||
	    !attr_valid(pass) ||
	    fakegpu_race_fail(race, FAKEGPU_RACE_RETRY, pass->start, pass->last))
		goto out_unlock;
	for (;;) {
		unsigned long last = min(start | (FAKEGPU_LEAF_SIZE - 1), pass->last);

		if (fakegpu_race_fail(race, FAKEGPU_RACE_FAIL_COMMIT, start, last))
			ret = -ENOMEM;
		else
			ret = commit_slot(pass, start, last + 1);
		if (ret || last == pass->last)
			break;
		start = last + 1;
	}
out_unlock:
	trace_fakegpu_commit(pass->service->intervals, pass->start, pass->last, pass->seq, ret);
	write_unlock(&mirror->lock);
	return ret;
}

/* Returns 0, -EBUSY to start again with everything fresh, or why it can't be. */
static int service_pass(struct pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct mm_struct *mm = service->intervals->mm;
	struct fakegpu_race *race = service->intervals->race;
	struct fakegpu_request request = {};
	struct vm_area_struct *vma;
	int ret;

	ret = pass_attr(pass);
	if (ret && pass->present_only) {
		/* Nothing is asked for, and nothing can be given. */
		pass->last = pass->attr.last;
		return 0;
	}
	if (!ret)
		ret = pass_interval(pass);
	if (ret)
		return ret;

	pass->seq = mmu_interval_read_begin(&pass->interval->notifier);
	trace_fakegpu_read_begin(service->intervals, fakegpu_interval_start(pass->interval),
				 fakegpu_interval_last(pass->interval), pass->seq, 0);

	first_request(pass, &request);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, pass->addr);
	ret = check_vma(vma, request.write);
	if (!ret) {
		pass->vma = vma;
		ret = pass_window(pass, vma);
	}
	if (!ret) {
		ret = pass_read(pass);
		trace_fakegpu_range_fault(service->intervals, pass->start, pass->last, pass->seq,
					  ret);
	}
	mmap_read_unlock(mm);
	if (ret)
		return ret;

	ret = pass_nodes(pass);
	if (ret)
		return ret;

	fakegpu_race_sleep(race, FAKEGPU_RACE_DELAY_COMMIT, pass->start, pass->last);
	fakegpu_race_hold(race, FAKEGPU_RACE_HOLD_COMMIT, pass->start, pass->last);
	return pass_commit(pass);
}

/**
 * fakegpu_service_window - make the entries of one window present
 * @service: the service
 * @addr: an address; the window is the aligned one around it, clipped to its
 *	VMA and its interval
 * @requests: pages that must be present afterwards, unless they lie outside of
 *	the window; the first one starts at @addr
 * @present_only: fault nothing in; @requests isn't used
 * @lastp: receives the last address (inclusive) of the window
 *
 * Those requests that start in the window, up to *@lastp, are served, as far
 * as they lie in it. The caller is a user of the mm and holds no lock. Starts
 * again as long as it collides with invalidations, until the service's time is
 * over and it has collided often, it is stopped, or a fatal signal comes.
 *
 * Return: 0; or why the page at @addr can't be accessed: -EFAULT, -EPERM,
 * -EACCES; or -ETIMEDOUT, -ECANCELED, -EINTR, -ENOMEM.
 */
int fakegpu_service_window(struct fakegpu_service *service, unsigned long addr,
			   const struct fakegpu_requests *requests, bool present_only,
			   unsigned long *lastp)
{
	struct pass pass = {
		.service = service,
		.requests = requests,
		.addr = addr,
		.start = addr & PAGE_MASK,
		.last = addr | ~PAGE_MASK,
		.present_only = present_only,
	};
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(service->intervals->mm), *old;
	unsigned long time = fakegpu_race_timeout(service->intervals->race, service->timeout);
	unsigned long short_after = jiffies + time / 2, deadline = jiffies + time;
	unsigned int retries = 0;
	int ret;

	fakegpu_stats_inc(service->stats, windows);
	trace_fakegpu_service(service->intervals, addr, present_only);
	/*
	 * Anonymous memory is charged to whose mm it is. Page cache and page
	 * tables are charged to who runs, and a worker is charged for nothing.
	 */
	old = set_active_memcg(memcg);
	for (;;) {
		ret = service_pass(&pass);
		if (!ret)
			break;
		if (ret == -EBUSY) {
			fakegpu_stats_inc(service->stats, retries);
			if (!fakegpu_intervals_touched(service->intervals, pass.events,
						       pass.start, pass.last))
				fakegpu_stats_inc(service->stats, retries_false);
			pass.narrow = ++retries >= RETRIES_UNTIL_NARROW;
			if (retries > RETRIES_UNTIL_SHORT || time_after(jiffies, short_after))
				pass.limit = max(1UL, (pass.last - pass.start + 1) >>
						      (PAGE_SHIFT + 1));
		} else if ((ret == -EFAULT || ret == -EPERM) && !pass.single && !present_only) {
			/* One of many pages is bad; find out about this one. */
			pass.single = true;
		} else {
			break;
		}

		if (READ_ONCE(*service->stop))
			ret = -ECANCELED;
		else if (fatal_signal_pending(current))
			ret = -EINTR;
		else if (ret == -EBUSY && retries > RETRIES_AT_LEAST &&
			 time_after(jiffies, deadline))
			ret = -ETIMEDOUT;	/* only collisions need never end */
		else
			continue;
		break;
	}
	if (pass.interval)
		fakegpu_interval_put(pass.interval);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	*lastp = ret ? addr | ~PAGE_MASK : pass.last;
	return ret;
}

/**
 * fakegpu_service_skip - find where an address that can't be serviced ends
 * @service: the service
 * @addr: the address
 *
 * The caller is a user of the mm and holds no lock.
 *
 * Return: the end of the VMA, or the start of the next one if @addr lies in
 * none, or ULONG_MAX if there is none. In scheme fixed no more than the start of
 * the next range, if @addr lies in none.
 */
unsigned long fakegpu_service_skip(struct fakegpu_service *service, unsigned long addr)
{
	struct mm_struct *mm = service->intervals->mm;
	struct vm_area_struct *vma;
	unsigned long next = ULONG_MAX;

	mmap_read_lock(mm);
	vma = find_vma(mm, addr);
	if (vma)
		next = vma->vm_start > addr ? vma->vm_start : vma->vm_end;
	mmap_read_unlock(mm);
	if (service->intervals->scheme == DRM_FAKEGPU_SCHEME_FIXED)
		next = min(next, fakegpu_fixed_next(service->intervals, addr));
	return next;
}
