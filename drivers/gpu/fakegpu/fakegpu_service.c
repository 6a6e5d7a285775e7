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
 * The interval is kept from one pass of a window to the next. In use it isn't
 * killed, so a collision that has emptied it doesn't cost a registration.
 *
 * A pass that collides again and again reads less each time, and in the end holds
 * mmap_lock for write until the commit. Only for anonymous memory: to fault in a
 * file's page may take long.
 *
 * Most device faults are for memory that the CPU has. Those an engine serves
 * itself, in one such pass that asks the CPU for nothing and waits for nobody:
 * fakegpu_service_try(). Where that isn't enough the fault goes to the worker.
 */

#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "fakegpu_attr.h"
#include "fakegpu_compat.h"
#include "fakegpu_interval.h"
#include "fakegpu_invalidate.h"
#include "fakegpu_pass.h"
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

/*
 * Collisions after which mmap_lock is held for write until the commit: whoever loops
 * over madvise() has to wait then, too. So a fault is served after a bounded number.
 * Nobody is kept out for pages that are only taken if they are present.
 */
#define RETRIES_UNTIL_ALONE	16

/* So many collisions a service has before it is out of time: on a slow machine, too. */
#define RETRIES_AT_LEAST	32

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
 * fakegpu_service_init_try - allocate what fakegpu_service_try() works with
 * @service: memory for it, zeroed; good for nothing else
 * @model: a service of the same VM
 *
 * Return: 0 or -ENOMEM.
 */
int fakegpu_service_init_try(struct fakegpu_service *service, const struct fakegpu_service *model)
{
	size_t pages = 1UL << (min_t(unsigned int, model->window_order, FAKEGPU_LEAF_SHIFT) -
			       PAGE_SHIFT);

	service->intervals = model->intervals;
	service->attrs = model->attrs;
	service->stats = model->stats;
	service->stop = model->stop;
	service->window_order = model->window_order;
	service->pfns = kcalloc(pages, sizeof(*service->pfns), GFP_KERNEL_ACCOUNT);
	return service->pfns ? 0 : -ENOMEM;
}

/**
 * fakegpu_service_fini - free what fakegpu_service_init() or _init_try() allocated
 * @service: the service
 */
void fakegpu_service_fini(struct fakegpu_service *service)
{
	fakegpu_mirror_stash_drain(&service->stash);
	kvfree(service->want);
	kvfree(service->pfns);
}

/*
 * Under the mirror lock: note attributes at pass->addr, and the time. False if they
 * forbid what is asked for.
 */
static bool pass_attr(struct fakegpu_pass *pass)
{
	struct fakegpu_service *service = pass->service;

	pass->events = service->intervals->nr_events;
	pass->attr_changes = service->attrs->changes;
	fakegpu_attrs_find(service->attrs, pass->addr, &pass->attr);
	return fakegpu_pass_allows(pass, &pass->first);
}

/* Under the mirror lock, before a commit: are the attributes still those? */
static bool attr_valid(struct fakegpu_pass *pass)
{
	struct fakegpu_attr_run now;

	if (pass->service->attrs->changes == pass->attr_changes)
		return true;
	fakegpu_attrs_find(pass->service->attrs, pass->start, &now);
	return now.last >= pass->last && fakegpu_attr_equal(&now.value, &pass->attr.value);
}

/* Get hold of the interval for pass->addr. The mm has a user: us. */
static int pass_interval(struct fakegpu_pass *pass)
{
	struct fakegpu_intervals *intervals = pass->service->intervals;
	struct mm_struct *mm = intervals->mm;
	struct fakegpu_interval *new, *interval;
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

	if (mmap_write_lock_killable(mm)) {
		ret = -EINTR;
		goto out_free;
	}
	/* Don't register for an address that can't be serviced. */
	ret = fakegpu_check_vma(vma_lookup(mm, pass->addr), pass->first.write);
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

/*
 * HMM's answers as mirror entries, in place, with the rights that the attributes
 * leave. The frame is in the lowest bits of an answer.
 */
static u64 *mirror_entries(const struct fakegpu_pass *pass, unsigned long index,
			   unsigned long count)
{
	const struct fakegpu_attr_value *attr = &pass->attr.value;
	unsigned long *pfns = pass->service->pfns + index, i;
	unsigned long write = 0;
	u64 rights = 0;

	BUILD_BUG_ON(sizeof(*pfns) != sizeof(u64));
	/* So HMM's flags needn't be masked: the shift drops them. */
	BUILD_BUG_ON(HMM_PFN_FLAGS << FAKEGPU_ENTRY_PFN_SHIFT);
	if (fakegpu_attr_allows(attr, true, false))
		write = HMM_PFN_WRITE;
	if (!fakegpu_attr_allows(attr, false, true))
		rights = FAKEGPU_ENTRY_NOATOMIC;

	for (i = 0; i < count; i++) {
		unsigned long pfn = pfns[i];

		if ((pfn & (HMM_PFN_VALID | HMM_PFN_ERROR)) == HMM_PFN_VALID)
			pfns[i] = fakegpu_entry_make(pfn, false) | rights |
				  (pfn & write) / (HMM_PFN_WRITE / FAKEGPU_ENTRY_WRITE);
		else
			pfns[i] = 0;
	}
	return (u64 *)pfns;
}

/* The nodes that the commit can take; one by one if a test wants one to fail. */
static int pass_nodes(struct fakegpu_pass *pass)
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

static int commit_slot(struct fakegpu_pass *pass, unsigned long start, unsigned long end)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_mirror *mirror = service->intervals->mirror;
	unsigned long index = fakegpu_pass_index(pass, start);
	unsigned long count = (end - start) >> PAGE_SHIFT;

	if (count == FAKEGPU_LEAF_PAGES && fakegpu_proves_large(service->pfns[index]))
		return fakegpu_mirror_map_large(mirror, &service->stash, start,
						*mirror_entries(pass, index, 1));
	return fakegpu_mirror_map(mirror, &service->stash, start,
				  mirror_entries(pass, index, count), count);
}

/* Under the mirror lock: the only place where entries come into being. */
static int pass_commit(struct fakegpu_pass *pass)
{
	struct fakegpu_mirror *mirror = pass->service->intervals->mirror;
	struct fakegpu_race *race = pass->service->intervals->race;
	unsigned long start = pass->start;
	int ret = -EBUSY;

	write_lock(&mirror->lock);
	trace_fakegpu_lock(pass->service->intervals, pass->start, pass->last, pass->seq, 0);
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
	if (!ret && pass->only) {
		fakegpu_interval_put_committed(pass->interval);
		pass->interval = NULL;
	}
out_unlock:
	trace_fakegpu_commit(pass->service->intervals, pass->start, pass->last, pass->seq, ret);
	write_unlock(&mirror->lock);
	return ret;
}

/*
 * Read the CPU's page table. If the pass is alone, mmap_lock is held for write on
 * return, also with an error; if that isn't possible the pass isn't alone any more.
 */
static int pass_read(struct fakegpu_pass *pass)
{
	struct fakegpu_intervals *intervals = pass->service->intervals;
	struct mm_struct *mm = intervals->mm;
	struct vm_area_struct *vma;
	int ret;

	if (pass->alone && mmap_write_lock_killable(mm)) {
		pass->alone = false;
		return -EINTR;
	}
	pass->seq = mmu_interval_read_begin(&pass->interval->notifier);
	trace_fakegpu_read_begin(intervals, fakegpu_interval_start(pass->interval),
				 fakegpu_interval_last(pass->interval), pass->seq, 0);
	if (!pass->alone && mmap_read_lock_killable(mm))
		return -EINTR;

	vma = vma_lookup(mm, pass->addr);
	if (pass->alone && vma && vma_is_anonymous(vma)) {
		/* The CPU's faults take only this lock. */
		vma_start_write(vma);
	} else if (pass->alone) {
		mmap_write_downgrade(mm);
		pass->alone = false;
	}
	ret = fakegpu_check_vma(vma, pass->first.write);
	if (!ret)
		ret = fakegpu_pass_window(pass, vma);
	if (!ret) {
		ret = fakegpu_pass_read(pass);
		trace_fakegpu_range_fault(intervals, pass->start, pass->last, pass->seq, ret);
	}
	if (!pass->alone)
		mmap_read_unlock(mm);
	return ret;
}

/* Returns 0, -EBUSY to start again with everything fresh, or why it can't be. */
static int service_pass(struct fakegpu_pass *pass)
{
	struct fakegpu_service *service = pass->service;
	struct fakegpu_race *race = service->intervals->race;
	void *pos = NULL;
	bool allowed;
	int ret;

	if (!pass->present_only)
		pass->requests->next(pass->requests->arg, &pos, &pass->first);
	read_lock(&service->intervals->mirror->lock);
	allowed = pass_attr(pass);
	read_unlock(&service->intervals->mirror->lock);
	if (!allowed && pass->present_only) {
		/* Nothing is asked for, and nothing can be given. */
		pass->last = pass->attr.last;
		return 0;
	}
	ret = allowed ? pass_interval(pass) : -EACCES;
	if (ret)
		return ret;

	ret = pass_read(pass);
	if (!ret)
		ret = pass_nodes(pass);
	if (!ret) {
		fakegpu_race_sleep(race, FAKEGPU_RACE_DELAY_COMMIT, pass->start, pass->last);
		fakegpu_race_hold(race, FAKEGPU_RACE_HOLD_COMMIT, pass->start, pass->last);
		ret = pass_commit(pass);
	}
	if (pass->alone)
		mmap_write_unlock(service->intervals->mm);
	return ret;
}

static void count_collision(const struct fakegpu_pass *pass)
{
	struct fakegpu_service *service = pass->service;

	fakegpu_stats_inc(service->stats, retries);
	if (!fakegpu_intervals_touched(service->intervals, pass->events, pass->start, pass->last))
		fakegpu_stats_inc(service->stats, retries_false);
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
	struct fakegpu_pass pass = {
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
			count_collision(&pass);
			pass.narrow = ++retries >= RETRIES_UNTIL_NARROW;
			pass.alone = retries >= RETRIES_UNTIL_ALONE && !present_only;
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

/* What a pass begins with, in one hold of the mirror lock. */
static bool try_begin(struct fakegpu_pass *pass)
{
	struct fakegpu_intervals *intervals = pass->service->intervals;

	write_lock(&intervals->mirror->lock);
	if (pass_attr(pass))
		pass->interval = fakegpu_interval_get_locked(intervals, pass->addr);
	write_unlock(&intervals->mirror->lock);
	return pass->interval;
}

/* One pass for what is present; mmap_lock isn't waited for. */
static bool try_pass(struct fakegpu_pass *pass)
{
	struct fakegpu_intervals *intervals = pass->service->intervals;
	struct vm_area_struct *vma;
	bool present;
	int ret;

	pass->seq = mmu_interval_read_begin(&pass->interval->notifier);
	if (!mmap_read_trylock(intervals->mm))
		return false;
	vma = vma_lookup(intervals->mm, pass->addr);
	present = !fakegpu_check_vma(vma, pass->first.write) &&
		  fakegpu_pass_read_present(pass, vma, &pass->first);
	mmap_read_unlock(intervals->mm);
	if (!present)
		return false;

	trace_fakegpu_service(intervals, pass->addr, true);
	trace_fakegpu_read_begin(intervals, fakegpu_interval_start(pass->interval),
				 fakegpu_interval_last(pass->interval), pass->seq, 0);
	trace_fakegpu_range_fault(intervals, pass->start, pass->last, pass->seq, 0);
	/* Each queue has a stash: fill it with no more than is missing. */
	if (fakegpu_mirror_stash_fill(&pass->service->stash,
				      fakegpu_mirror_nodes_missing(intervals->mirror, pass->addr)))
		return false;
	fakegpu_race_hold(intervals->race, FAKEGPU_RACE_HOLD_TRY, pass->start, pass->last);
	ret = pass_commit(pass);
	if (ret == -EBUSY)
		count_collision(pass);
	return !ret;
}

/**
 * fakegpu_service_try - serve an access if the CPU has all that it needs
 * @service: a service of the caller's
 * @request: the access
 *
 * The caller is a user of the mm and holds no lock. Makes the entries present in what
 * is around the access, up to the slot of a large leaf, as fakegpu_service_window()
 * does; but neither registers an interval, nor waits for mmap_lock, nor asks the CPU
 * to fault anything in, nor starts again.
 *
 * Return: true if the access can be made, as far as it lies in that slot; false if it
 * takes fakegpu_service_window().
 */
bool fakegpu_service_try(struct fakegpu_service *service, const struct fakegpu_request *request)
{
	struct fakegpu_pass pass = {
		.service = service,
		.first = *request,
		.addr = request->start,
		.start = request->start & PAGE_MASK,
		.last = request->start | ~PAGE_MASK,
		.only = true,
	};
	bool served;

	if (!try_begin(&pass))
		return false;
	served = try_pass(&pass);
	if (pass.interval)
		fakegpu_interval_put(pass.interval);
	if (served)
		fakegpu_stats_inc(service->stats, windows);
	return served;
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
