// SPDX-License-Identifier: GPL-2.0
/*
 * Device faults: queued by the engines, serviced in batches by a worker of
 * their VM. Doesn't know who raised a fault: it calls the record's done().
 */

/**
 * DOC: Device faults
 *
 * A device has room for a fixed number of fault records. A fault that finds it
 * full is dropped, as by hardware: its record keeps nothing but the wish to be
 * raised again, and is told to try again when the worker has made room.
 *
 * Before it raises a fault an engine tries to serve it itself: fakegpu_fault_serve().
 * That costs no change of threads, and is enough wherever the CPU has the memory.
 * What remains is for the worker: whoever has to wait leaves the engine to others.
 *
 * The worker takes what is queued, sorts it by address, and has the service
 * loop serve all faults of one window together. A fault record is embedded in
 * its queue, which is parked meanwhile: there is nothing to allocate.
 */

#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "fakegpu_fault.h"
#include "fakegpu_interval.h"
#include "fakegpu_race.h"
#include "fakegpu_stats.h"
#include "fakegpu_trace.h"

static bool fault_writes(const struct fakegpu_fault *fault)
{
	return fault->access != DRM_FAKEGPU_ACCESS_READ;
}

static void log_add(struct fakegpu_fault_log *log, const struct fakegpu_fault *fault, int error)
{
	struct fakegpu_fault_entry *entry = &log->entries[log->total++ % FAKEGPU_FAULT_LOG];

	entry->info = (struct drm_fakegpu_fault_info){
		.addr = fault->addr,
		.time_ns = ktime_get_ns(),
		.seqno = fault->seqno,
		.queue_id = fault->queue_id,
		.cmd_index = fault->cmd_index,
		.access = fault->access,
		.error = -error,
	};
	entry->last = fault->last;
}

/**
 * fakegpu_fault_scratches - does the access go to the scratch page?
 * @fault: the fault
 * @error: how its service ended
 *
 * Return: true if there is no memory for it, it may use the scratch page, and
 * isn't one that would rather be left out.
 */
bool fakegpu_fault_scratches(const struct fakegpu_fault *fault, int error)
{
	if (!fault->scratch || fault->nofault)
		return false;
	return error == -EFAULT || error == -EPERM || error == -EACCES || error == -EINVAL;
}

/* The worker is through with a record that it had taken. */
static void fault_finish(struct fakegpu_faults *faults, struct fakegpu_fault *fault, int error)
{
	bool scratches = fakegpu_fault_scratches(fault, error);
	bool fatal = error && !fault->nofault && !scratches && error != -ECANCELED;

	list_del_init(&fault->link);
	atomic_dec(&faults->ring->used);
	trace_fakegpu_fault_resume(faults->service.intervals, fault, error);
	if (fatal)
		fakegpu_stats_inc(faults->stats, faults_fatal);
	else if (scratches)
		fakegpu_stats_inc(faults->stats, faults_scratch);
	else if (error && error != -ECANCELED)
		fakegpu_stats_inc(faults->stats, faults_nofault);

	spin_lock(&faults->lock);
	fault->state = FAKEGPU_FAULT_IDLE;
	log_add(&faults->log, fault, error);
	if (fatal || scratches)
		log_add(&faults->fatal, fault, error);
	spin_unlock(&faults->lock);

	/* From here on the record may be raised again, or be gone. */
	fault->done(fault, error);
}

/* A list of faults as the service loop wants to see it. */
static bool batch_next(void *arg, void **pos, struct fakegpu_request *request)
{
	struct list_head *batch = arg;
	struct list_head *link = *pos ? ((struct list_head *)*pos)->next : batch->next;
	struct fakegpu_fault *fault;

	if (link == batch)
		return false;
	*pos = link;
	fault = list_entry(link, struct fakegpu_fault, link);
	request->start = fault->addr;
	request->last = fault->last;
	request->write = fault_writes(fault);
	request->atomic = fault->atomic;
	return true;
}

static int fault_cmp(void *priv, const struct list_head *a, const struct list_head *b)
{
	const struct fakegpu_fault *fa = list_entry(a, struct fakegpu_fault, link);
	const struct fakegpu_fault *fb = list_entry(b, struct fakegpu_fault, link);

	return fa->addr < fb->addr ? -1 : fa->addr > fb->addr;
}

/* Serve the faults of one window: the first one's, and whoever shares it. */
static void serve_window(struct fakegpu_faults *faults, struct list_head *batch)
{
	struct fakegpu_requests requests = { .next = batch_next, .arg = batch };
	struct fakegpu_fault *fault, *next;
	unsigned long last;
	int ret;

	fault = list_first_entry(batch, struct fakegpu_fault, link);
	if (fault->addr >= faults->va_end) {
		fault_finish(faults, fault, -EINVAL);
		return;
	}

	ret = fakegpu_service_window(&faults->service, fault->addr, &requests, false, &last);
	if (ret) {
		fault_finish(faults, fault, ret);
		return;
	}
	list_for_each_entry_safe(fault, next, batch, link) {
		if (fault->addr > last)
			break;
		fault_finish(faults, fault, 0);
	}
}

/* Let those whose faults found no room raise them again. */
static void replay_dropped(struct fakegpu_faults *faults)
{
	struct fakegpu_fault *fault;

	for (;;) {
		spin_lock(&faults->lock);
		fault = list_first_entry_or_null(&faults->dropped, struct fakegpu_fault, link);
		if (fault) {
			list_del_init(&fault->link);
			fault->state = FAKEGPU_FAULT_IDLE;
		}
		spin_unlock(&faults->lock);
		if (!fault)
			return;
		trace_fakegpu_fault_resume(faults->service.intervals, fault, -EAGAIN);
		fault->done(fault, -EAGAIN);
	}
}

static void faults_work(struct work_struct *work)
{
	struct fakegpu_faults *faults = container_of(work, struct fakegpu_faults, work);
	struct fakegpu_fault *fault, *next;
	LIST_HEAD(batch);
	u64 count = 0;

	spin_lock(&faults->lock);
	list_splice_init(&faults->queued, &batch);
	list_for_each_entry(fault, &batch, link) {
		fault->state = FAKEGPU_FAULT_SERVING;
		trace_fakegpu_fault_dequeue(faults->service.intervals, fault, 0);
		count++;
	}
	spin_unlock(&faults->lock);
	fakegpu_stats_add(faults->stats, faults, count);

	list_sort(NULL, &batch, fault_cmp);

	/* A dead mm gives an error, never a hang (I9). */
	if (!list_empty(&batch) && !mmget_not_zero(faults->mm)) {
		list_for_each_entry_safe(fault, next, &batch, link)
			fault_finish(faults, fault, -ESRCH);
	} else if (count) {
		while (!list_empty(&batch))
			serve_window(faults, &batch);
		/* We may be the last user: let somebody else tear the mm down. */
		mmput_async(faults->mm);
	}

	replay_dropped(faults);
}

/**
 * fakegpu_faults_init - get ready to service a VM's device faults
 * @faults: memory for it
 * @ring: room in the device
 * @intervals: intervals, mirror and mm to work on
 * @attrs: what the device may do
 * @stats: where to count
 * @wq: where to service
 * @va_end: end (exclusive) of what can be accessed
 * @window_order: see fakegpu_service_init()
 * @timeout_ms: see fakegpu_service_init()
 *
 * Return: 0 or -ENOMEM.
 */
int fakegpu_faults_init(struct fakegpu_faults *faults, struct fakegpu_fault_ring *ring,
			struct fakegpu_intervals *intervals, struct fakegpu_attrs *attrs,
			struct fakegpu_stats *stats, struct workqueue_struct *wq,
			unsigned long va_end, unsigned int window_order,
			unsigned int timeout_ms)
{
	faults->ring = ring;
	faults->mm = intervals->mm;
	faults->va_end = va_end;
	faults->stats = stats;
	faults->wq = wq;
	spin_lock_init(&faults->lock);
	INIT_LIST_HEAD(&faults->queued);
	INIT_LIST_HEAD(&faults->dropped);
	INIT_WORK(&faults->work, faults_work);
	return fakegpu_service_init(&faults->service, intervals, attrs, stats, &faults->stop,
				    window_order, timeout_ms);
}

/**
 * fakegpu_faults_stop - make services give up
 * @faults: the faults
 *
 * Faults end with -ECANCELED from now on. Doesn't wait.
 */
void fakegpu_faults_stop(struct fakegpu_faults *faults)
{
	WRITE_ONCE(faults->stop, true);
}

/**
 * fakegpu_faults_fini - end the service of faults
 * @faults: the faults
 *
 * The caller made sure that nobody raises a fault any more.
 */
void fakegpu_faults_fini(struct fakegpu_faults *faults)
{
	cancel_work_sync(&faults->work);
	WARN_ON(!list_empty(&faults->queued) || !list_empty(&faults->dropped));
	fakegpu_service_fini(&faults->service);
}

/**
 * fakegpu_fault_init - set up a record for reuse
 * @fault: the record
 * @done: see &fakegpu_fault.done
 */
void fakegpu_fault_init(struct fakegpu_fault *fault,
			void (*done)(struct fakegpu_fault *fault, int error))
{
	fault->done = done;
	fault->state = FAKEGPU_FAULT_IDLE;
	INIT_LIST_HEAD(&fault->link);
}

/* Take a place in the device. */
static bool ring_take(struct fakegpu_faults *faults)
{
	struct fakegpu_fault_ring *ring = faults->ring;
	int size = fakegpu_race_room(faults->service.intervals->race, ring->size);
	int used = atomic_read(&ring->used);

	do {
		if (used >= size)
			return false;
	} while (!atomic_try_cmpxchg(&ring->used, &used, used + 1));
	return true;
}

/**
 * fakegpu_fault_serve - serve a device fault at once, if it needn't be raised for that
 * @faults: the VM's faults
 * @service: by fakegpu_service_init_try(), of the caller's
 * @fault: the record, filled in; stays the caller's
 *
 * May sleep, but waits for no fault of the CPU's, not for mmap_lock, and only for
 * an invalidation that is under way. Takes no room in the device.
 *
 * Return: true if the access shall be tried again. Else nothing has happened, and the
 * fault has to be raised.
 */
bool fakegpu_fault_serve(struct fakegpu_faults *faults, struct fakegpu_service *service,
			 struct fakegpu_fault *fault)
{
	const struct fakegpu_request request = {
		.start = fault->addr,
		.last = fault->last,
		.write = fault_writes(fault),
		.atomic = fault->atomic,
	};
	bool served;

	if (fakegpu_race_worker_only(service->intervals->race) ||
	    fault->addr >= faults->va_end || READ_ONCE(faults->stop) ||
	    !mmget_not_zero(faults->mm))
		return false;
	trace_fakegpu_fault_raise(service->intervals, fault, 0);
	fault->told = true;
	served = fakegpu_service_try(service, &request);
	mmput_async(faults->mm);
	if (!served)
		return false;

	fault->told = false;
	fakegpu_stats_inc(faults->stats, faults);
	trace_fakegpu_fault_resume(service->intervals, fault, 0);
	spin_lock(&faults->lock);
	log_add(&faults->log, fault, 0);
	spin_unlock(&faults->lock);
	return true;
}

/**
 * fakegpu_fault_raise - raise a device fault
 * @faults: the VM's faults
 * @fault: the record, filled in; belongs to the worker until its done()
 *
 * Doesn't sleep. done() is called from the worker, never from here.
 */
void fakegpu_fault_raise(struct fakegpu_faults *faults, struct fakegpu_fault *fault)
{
	spin_lock(&faults->lock);
	WARN_ON_ONCE(fault->state != FAKEGPU_FAULT_IDLE);
	if (ring_take(faults)) {
		fault->state = FAKEGPU_FAULT_QUEUED;
		list_add_tail(&fault->link, &faults->queued);
		if (!fault->told)
			trace_fakegpu_fault_raise(faults->service.intervals, fault, 0);
	} else {
		fault->state = FAKEGPU_FAULT_DROPPED;
		list_add_tail(&fault->link, &faults->dropped);
		fakegpu_stats_inc(faults->stats, fault_overflows);
		trace_fakegpu_fault_raise(faults->service.intervals, fault, -ENOSPC);
	}
	fault->told = false;
	spin_unlock(&faults->lock);
	queue_work(faults->wq, &faults->work);
}

/**
 * fakegpu_fault_cancel - take a fault back
 * @faults: the VM's faults
 * @fault: the record
 *
 * Sleeps while it is being serviced. The caller made sure that the fault isn't
 * raised again. On return done() has been called, or never will be.
 */
void fakegpu_fault_cancel(struct fakegpu_faults *faults, struct fakegpu_fault *fault)
{
	spin_lock(&faults->lock);
	if (fault->state == FAKEGPU_FAULT_QUEUED)
		atomic_dec(&faults->ring->used);
	if (fault->state == FAKEGPU_FAULT_QUEUED || fault->state == FAKEGPU_FAULT_DROPPED) {
		list_del_init(&fault->link);
		fault->state = FAKEGPU_FAULT_IDLE;
	}
	spin_unlock(&faults->lock);

	flush_work(&faults->work);
}
