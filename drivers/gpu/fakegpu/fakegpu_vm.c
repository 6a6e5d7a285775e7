// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a VM, and what can be asked of one. Knows nothing of ioctls.
 */

/**
 * DOC: VMs
 *
 * A VM belongs to the mm that created it and acts on no other (I9). It holds
 * the mm_struct, not the address space: each service becomes a user of the mm
 * for its own duration, so a VM doesn't keep a dead process's memory.
 *
 * Whoever uses a VM holds it by fakegpu_vm_get(). Destroying it waits until
 * they are gone, then takes it down from the top: services, intervals, attributes,
 * mirror, mm. None of the steps can fail.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "fakegpu_vm.h"

/* Leaves looked at before the mirror lock is given up for a moment. */
#define RUN_LEAVES	1024

/*
 * The page has no lock and no reference, but it is mapped still: the CPU's
 * unmapping waits for the callback that we are in, or its mm is gone and the
 * entry with it. The CPU's own zap marks pages dirty under just as little.
 */
static void vm_mark_dirty(struct fakegpu_mirror *mirror, unsigned long pfn)
{
	folio_mark_dirty(page_folio(pfn_to_page(pfn)));
}

static const struct fakegpu_mirror_ops vm_mirror_ops = {
	.dirty = vm_mark_dirty,
};

static void restore_work(struct work_struct *work);

/**
 * fakegpu_vm_create - create a VM
 * @params: how
 *
 * Return: the VM, to be ended by fakegpu_vm_destroy(), or an error pointer
 * with -ENOMEM, or -EINTR if a signal came.
 */
struct fakegpu_vm *fakegpu_vm_create(const struct fakegpu_vm_params *params)
{
	struct fakegpu_vm *vm;
	int ret;

	vm = kvzalloc(sizeof(*vm), GFP_KERNEL);
	if (!vm)
		return ERR_PTR(-ENOMEM);

	vm->mm = params->mm;
	vm->va_end = params->mm->task_size;
	vm->flags = params->flags;
	vm->window_order = params->window_order;
	vm->timeout_ms = params->timeout_ms;
	vm->stats.parent = params->stats;
	vm->pid = task_tgid_nr(current);
	get_task_comm(vm->comm, current);
	refcount_set(&vm->users, 1);
	init_completion(&vm->idle);

	ret = fakegpu_mirror_init(&vm->mirror, fls64(vm->va_end - 1), &vm_mirror_ops);
	if (ret)
		goto err_free;
	INIT_DELAYED_WORK(&vm->restore_work, restore_work);
	vm->intervals.vm_id = &vm->id;
	vm->intervals.pid = vm->pid;
	vm->intervals.race = params->race;
	ret = fakegpu_intervals_init(&vm->intervals, &vm->mirror, vm->mm, &vm->stats, params->wq,
				     &vm->restore_work, params->scheme,
				     params->interval_order,
				     params->flags & DRM_FAKEGPU_VM_DIRECT);
	if (ret)
		goto err_mirror;
	fakegpu_attrs_init(&vm->attrs, &vm->mirror, vm->mm, &vm->stats, params->wq);
	ret = fakegpu_faults_init(&vm->faults, params->ring, &vm->intervals, &vm->attrs,
				  &vm->stats, params->wq, vm->va_end, vm->window_order,
				  vm->timeout_ms);
	if (ret)
		goto err_intervals;

	mmgrab(vm->mm);
	return vm;

err_intervals:
	fakegpu_intervals_fini(&vm->intervals);
err_mirror:
	fakegpu_mirror_fini(&vm->mirror);
err_free:
	kvfree(vm);
	return ERR_PTR(ret);
}

/**
 * fakegpu_vm_destroy - destroy a VM
 * @vm: the VM
 *
 * The caller made sure that nobody finds the VM any more, and destroyed its
 * queues. Sleeps until those who use it have let go of it.
 */
void fakegpu_vm_destroy(struct fakegpu_vm *vm)
{
	fakegpu_faults_stop(&vm->faults);
	fakegpu_vm_put(vm);
	wait_for_completion(&vm->idle);

	fakegpu_faults_fini(&vm->faults);
	/* What begins after the stop restores nothing: wait for what began before. */
	flush_delayed_work(&vm->restore_work);
	/* Entries go before what covers them: without it, pages may be freed (I1). */
	fakegpu_mirror_clear_all(&vm->mirror);
	/* Drop the last requests; there is nothing left to request for. */
	flush_delayed_work(&vm->restore_work);
	fakegpu_intervals_fini(&vm->intervals);
	fakegpu_attrs_fini(&vm->attrs);
	fakegpu_mirror_fini(&vm->mirror);
	mmdrop(vm->mm);
	kvfree(vm);
}

/**
 * fakegpu_vm_get - begin to use a VM
 * @vm: the VM; the caller makes sure that it still exists
 *
 * Return: false if the VM is being destroyed.
 */
bool fakegpu_vm_get(struct fakegpu_vm *vm)
{
	return refcount_inc_not_zero(&vm->users);
}

/**
 * fakegpu_vm_put - end to use a VM
 * @vm: the VM
 */
void fakegpu_vm_put(struct fakegpu_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		complete(&vm->idle);
}

/**
 * fakegpu_vm_check_owner - may the calling task use the VM?
 * @vm: the VM
 *
 * Return: 0, or -EPERM if it runs in another address space and the VM isn't
 * shared (I9).
 */
int fakegpu_vm_check_owner(const struct fakegpu_vm *vm)
{
	if (vm->mm == current->mm || (vm->flags & DRM_FAKEGPU_VM_SHARED))
		return 0;
	return -EPERM;
}

/**
 * fakegpu_vm_read_gauges - read what is there now
 * @vm: the VM
 * @gauges: receives it
 */
void fakegpu_vm_read_gauges(struct fakegpu_vm *vm, struct fakegpu_vm_gauges *gauges)
{
	read_lock(&vm->mirror.lock);
	gauges->intervals = vm->intervals.live;
	gauges->pending = vm->intervals.pending;
	gauges->nodes = vm->mirror.nodes;
	gauges->pages_small = vm->mirror.pages_small;
	gauges->leaves_large = vm->mirror.leaves_large;
	gauges->attrs = vm->attrs.count;
	gauges->attr_intervals = vm->attrs.registered;
	gauges->memory = fakegpu_mirror_memory(&vm->mirror) +
			 fakegpu_intervals_memory(&vm->intervals);
	read_unlock(&vm->mirror.lock);
}

static void leaf_to_run(const struct fakegpu_mirror_leaf *leaf, unsigned long addr,
			unsigned long last, struct drm_fakegpu_vm_run *run)
{
	unsigned long leaf_last = leaf->start + ((1UL << leaf->shift) - 1);

	memset(run, 0, sizeof(*run));
	run->start = max(leaf->start, addr);
	run->end = (u64)min(leaf_last, last) + 1;
	run->order = leaf->shift;
	if (leaf->entry & FAKEGPU_ENTRY_WRITE)
		run->flags |= DRM_FAKEGPU_ENTRY_WRITE;
	if (leaf->entry & FAKEGPU_ENTRY_DIRTY)
		run->flags |= DRM_FAKEGPU_ENTRY_DIRTY;
	if (leaf->entry & FAKEGPU_ENTRY_NOATOMIC)
		run->flags |= DRM_FAKEGPU_ENTRY_NOATOMIC;
	if (is_zero_pfn(fakegpu_entry_pfn(leaf->entry)))
		run->where = DRM_FAKEGPU_WHERE_ZERO;
}

static bool runs_join(const struct drm_fakegpu_vm_run *a, const struct drm_fakegpu_vm_run *b)
{
	return a->end == b->start && a->flags == b->flags && a->order == b->order &&
	       a->where == b->where;
}

/**
 * fakegpu_vm_next_run - find the first run of like mirror entries in a range
 * @vm: the VM
 * @addr: first address
 * @last: last address (inclusive)
 * @run: receives the run, clipped to the range
 *
 * The mirror lock is let go of now and then, so a run is what was seen at
 * several moments.
 *
 * Return: true if there is one.
 */
bool fakegpu_vm_next_run(struct fakegpu_vm *vm, unsigned long addr, unsigned long last,
			 struct drm_fakegpu_vm_run *run)
{
	struct fakegpu_mirror_leaf leaf;
	struct drm_fakegpu_vm_run next;
	unsigned int leaves = 0;
	bool found = false;

	read_lock(&vm->mirror.lock);
	while (addr <= last && fakegpu_mirror_next(&vm->mirror, addr, last, &leaf)) {
		leaf_to_run(&leaf, addr, last, &next);
		if (!found)
			*run = next;
		else if (runs_join(run, &next))
			run->end = next.end;
		else
			break;
		found = true;
		if (next.end > last)
			break;
		addr = next.end;
		if (!(++leaves % RUN_LEAVES)) {
			read_unlock(&vm->mirror.lock);
			cond_resched();
			read_lock(&vm->mirror.lock);
		}
	}
	read_unlock(&vm->mirror.lock);
	return found;
}

static bool prefetch_next(void *arg, void **pos, struct fakegpu_request *request)
{
	if (*pos)
		return false;
	*pos = arg;
	*request = *(struct fakegpu_request *)arg;
	return true;
}

/* Window by window; a user of the mm. Stores the bytes handled in *@done. */
static int populate(struct fakegpu_service *service, struct fakegpu_request request,
		    bool present, u64 *done)
{
	struct fakegpu_requests requests = { .next = prefetch_next, .arg = &request };
	unsigned long start = request.start, served;
	int ret;

	*done = 0;
	for (;;) {
		ret = fakegpu_service_window(service, request.start, &requests, present, &served);
		if (ret == -EFAULT && present) {
			served = fakegpu_service_skip(service, request.start) - 1;
			ret = 0;
		}
		if (ret)
			return ret;
		if (served >= request.last) {
			*done = request.last - start + 1;
			return 0;
		}
		request.start = served + 1;
		*done = request.start - start;
		if (READ_ONCE(*service->stop))
			return -ECANCELED;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static int populate_begin(struct fakegpu_vm *vm, struct fakegpu_service *service)
{
	int ret;

	ret = fakegpu_service_init(service, &vm->intervals, &vm->attrs, &vm->stats,
				   &vm->faults.stop, vm->window_order, vm->timeout_ms);
	if (ret)
		return ret;
	if (!mmget_not_zero(vm->mm)) {
		fakegpu_service_fini(service);
		return -ESRCH;
	}
	return 0;
}

static void populate_end(struct fakegpu_vm *vm, struct fakegpu_service *service)
{
	mmput_async(vm->mm);
	fakegpu_service_fini(service);
}

/* Only a hint was given, so a failure is nobody's concern: the device faults. */
static void restore_work(struct work_struct *work)
{
	struct fakegpu_vm *vm = container_of(work, struct fakegpu_vm, restore_work.work);
	struct fakegpu_service service;
	struct fakegpu_restore restore;
	bool ready = !READ_ONCE(vm->faults.stop) && !populate_begin(vm, &service);
	u64 done;

	while (fakegpu_intervals_next_restore(&vm->intervals, &restore)) {
		struct fakegpu_request request = {
			.start = restore.start,
			.last = restore.last,
		};

		if (ready && !populate(&service, request, true, &done))
			fakegpu_stats_inc(&vm->stats, slots_restored);
		fakegpu_interval_put(restore.interval);
	}
	if (ready)
		populate_end(vm, &service);
}

/**
 * fakegpu_vm_flush_restores - wait until slots are read again
 * @vm: the VM
 *
 * Waits for what was requested before the call.
 */
void fakegpu_vm_flush_restores(struct fakegpu_vm *vm)
{
	flush_delayed_work(&vm->restore_work);
}

/**
 * fakegpu_vm_advise - set an attribute of a range
 * @vm: the VM
 * @start: first address, page aligned
 * @last: last address (inclusive)
 * @attr: one of &enum drm_fakegpu_attr
 * @value: what to set it to, checked
 *
 * When this returns no access gets around the attribute (I3).
 *
 * Return: 0; -ENOSPC if there would be too many ranges; -ESRCH if the mm is gone;
 * -EINTR; -ENOMEM. On an error nothing has changed.
 */
int fakegpu_vm_advise(struct fakegpu_vm *vm, unsigned long start, unsigned long last, u32 attr,
		      u8 value)
{
	struct fakegpu_attr_change change = {
		.start = start,
		.last = last,
		.attr = attr,
		.value = value,
	};
	int ret;

	ret = fakegpu_attrs_set(&vm->attrs, &change);
	if (!ret && change.stricter) {
		fakegpu_intervals_drop(&vm->intervals, start, last);
		fakegpu_attrs_settled(&vm->attrs);
	}
	return ret;
}

/**
 * fakegpu_vm_prefetch - make mirror entries present ahead of use
 * @vm: the VM
 * @start: first address
 * @last: last address (inclusive)
 * @flags: DRM_FAKEGPU_PREFETCH_xxx
 * @done: receives the bytes handled, also on an error
 *
 * Return: 0; -EFAULT, -EPERM or -EACCES if the page after @done can't be accessed;
 * -ESRCH if the mm is gone; -EBUSY if it collided too long with invalidations;
 * -EINTR; -ENOMEM; -ENOENT if the VM is being destroyed.
 */
int fakegpu_vm_prefetch(struct fakegpu_vm *vm, unsigned long start, unsigned long last,
			u32 flags, u64 *done)
{
	struct fakegpu_request request = {
		.start = start,
		.last = last,
		.write = flags & DRM_FAKEGPU_PREFETCH_WRITE,
	};
	struct fakegpu_service service;
	int ret;

	*done = 0;
	ret = populate_begin(vm, &service);
	if (ret)
		return ret;
	ret = populate(&service, request, flags & DRM_FAKEGPU_PREFETCH_PRESENT, done);
	populate_end(vm, &service);

	switch (ret) {
	case -ETIMEDOUT:
		return -EBUSY;
	case -ECANCELED:
		return -ENOENT;
	default:
		return ret;
	}
}
