// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: submit, sequence numbers, wait, error state.
 */

/**
 * DOC: Queues
 *
 * A queue is a work item on the engines' workqueue, which runs as many at a
 * time as the device has engines. A queue whose access stalls on memory that
 * the CPU has makes the mirror entry itself. Else it raises a device fault and
 * leaves its engine to another queue (fault-and-switch); when the fault is
 * serviced it is queued again and goes on where it stopped.
 *
 * Completion is a sequence number per queue, not a dma_fence: the path to a
 * dma_fence's signal may wait neither for memory nor for mmap_lock, and the
 * service of a device fault needs both.
 *
 * In a VM with DRM_FAKEGPU_VM_SCRATCH an access without memory is made good by a
 * page of the queue's own. Where there was none is granted for the chunk that
 * stalled, not kept in the mirror: the next chunk asks again.
 *
 * A fatal fault stops its queue alone (I10): what it has submitted is thrown
 * away, further submissions are refused, and its state tells what and where.
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "fakegpu_queue.h"
#include "fakegpu_vm.h"

/* Polls of a semaphore after which it is looked at only once a tick. */
#define EAGER_POLLS	256
/* Device faults that an engine serves itself until another queue gets it. */
#define SERVED_AT_MOST	8

/**
 * fakegpu_job_alloc - allocate a submission
 * @count: commands
 *
 * Return: the job, or NULL.
 */
struct fakegpu_job *fakegpu_job_alloc(u32 count)
{
	struct fakegpu_job *job;

	job = kvzalloc(struct_size(job, cmds, count), GFP_KERNEL_ACCOUNT);
	if (job)
		job->count = count;
	return job;
}

/**
 * fakegpu_job_free - free a submission that wasn't accepted
 * @job: the job, or NULL
 */
void fakegpu_job_free(struct fakegpu_job *job)
{
	kvfree(job);
}

static void free_jobs(struct list_head *jobs)
{
	struct fakegpu_job *job, *next;

	list_for_each_entry_safe(job, next, jobs, link)
		fakegpu_job_free(job);
}

static void queue_kick(struct fakegpu_queue *queue, unsigned long delay)
{
	mod_delayed_work(queue->wq, &queue->work, delay);
}

/* The job at the head, unless there is nothing that may be executed. */
static struct fakegpu_job *queue_job(struct fakegpu_queue *queue)
{
	struct fakegpu_job *job = NULL;

	spin_lock(&queue->lock);
	if (!queue->closed && !queue->error && !queue->parked)
		job = list_first_entry_or_null(&queue->jobs, struct fakegpu_job, link);
	spin_unlock(&queue->lock);
	return job;
}

/* Returns true if there is another job. Else whoever submits the next one kicks the queue. */
static bool queue_complete(struct fakegpu_queue *queue, struct fakegpu_job *job)
{
	bool more;

	spin_lock(&queue->lock);
	list_del(&job->link);
	queue->nr_jobs--;
	queue->completed = job->seqno;
	queue->exec.cmds = NULL;
	more = queue->nr_jobs;
	spin_unlock(&queue->lock);

	wake_up_all(&queue->wait);
	fakegpu_job_free(job);
	return more;
}

static void queue_set_blocked(struct fakegpu_queue *queue, bool blocked)
{
	spin_lock(&queue->lock);
	queue->blocked = blocked;
	spin_unlock(&queue->lock);
}

static void queue_fill_fault(struct fakegpu_queue *queue, const struct fakegpu_job *job)
{
	struct fakegpu_exec *exec = &queue->exec;
	struct fakegpu_fault *fault = &queue->fault;

	fault->addr = exec->stall.addr;
	fault->last = exec->stall.last;
	fault->access = exec->stall.access;
	fault->atomic = exec->stall.atomic;
	fault->queue_id = queue->id;
	fault->cmd_index = exec->index;
	fault->seqno = job->seqno;
	fault->nofault = fakegpu_exec_nofault(exec);
	fault->scratch = exec->stall.scratch.page;
}

/* Make what the access needs present without leaving the engine, if that is possible. */
static bool queue_serve(struct fakegpu_queue *queue)
{
	if (!fakegpu_fault_serve(&queue->vm->faults, &queue->service, &queue->fault))
		return false;
	spin_lock(&queue->lock);
	queue->faults++;
	spin_unlock(&queue->lock);
	return true;
}

/* The engine leaves the queue; the fault's done() brings it back. */
static void queue_park(struct fakegpu_queue *queue)
{
	spin_lock(&queue->lock);
	queue->parked = true;
	queue->faults++;
	spin_unlock(&queue->lock);

	fakegpu_fault_raise(&queue->vm->faults, &queue->fault);
}

/* Run until there is a reason to leave the engine. */
static enum fakegpu_exec_status queue_run(struct fakegpu_queue *queue, struct fakegpu_job *job)
{
	enum fakegpu_exec_status status;
	unsigned int served;

	for (served = 0; served < SERVED_AT_MOST; served++) {
		status = fakegpu_exec_run(&queue->exec);
		if (status != FAKEGPU_EXEC_STALLED)
			return status;
		queue_fill_fault(queue, job);
		if (!queue_serve(queue))
			return status;
	}
	return FAKEGPU_EXEC_YIELD;
}

static void queue_fail(struct fakegpu_queue *queue, int error)
{
	LIST_HEAD(jobs);

	spin_lock(&queue->lock);
	queue->parked = false;
	queue->error = error;
	queue->fault_addr = queue->fault.addr;
	queue->exec.cmds = NULL;
	queue->nr_jobs = 0;
	list_splice_init(&queue->jobs, &jobs);
	spin_unlock(&queue->lock);

	wake_up_all(&queue->wait);
	free_jobs(&jobs);
}

static void queue_fault_done(struct fakegpu_fault *fault, int error)
{
	struct fakegpu_queue *queue = container_of(fault, struct fakegpu_queue, fault);
	bool later = error == -EAGAIN;

	if (fakegpu_fault_scratches(fault, error)) {
		fakegpu_scratch_grant(&queue->exec.stall.scratch, fault->addr);
		later = fakegpu_exec_polls(&queue->exec);
	} else if (error && error != -EAGAIN && error != -ECANCELED) {
		if (!fault->nofault) {
			queue_fail(queue, error);
			return;
		}
		fakegpu_exec_skip(&queue->exec);
	}

	spin_lock(&queue->lock);
	queue->parked = false;
	/* A dropped fault was never taken up. */
	if (error == -EAGAIN)
		queue->faults--;
	spin_unlock(&queue->lock);

	/* Where there was no room there is some a tick later; maybe there is memory, too. */
	queue_kick(queue, later);
}

static void queue_work_fn(struct work_struct *work)
{
	struct fakegpu_queue *queue = container_of(work, struct fakegpu_queue, work.work);
	struct fakegpu_exec *exec = &queue->exec;
	struct fakegpu_job *job = queue_job(queue);
	enum fakegpu_exec_status status;

	if (!job)
		return;
	if (!exec->cmds) {
		/* Readers of the state look at both under the lock. */
		spin_lock(&queue->lock);
		fakegpu_exec_start(exec, job->cmds, job->count);
		spin_unlock(&queue->lock);
	}

	status = queue_run(queue, job);
	if (status != FAKEGPU_EXEC_BLOCKED && queue->polls) {
		queue->polls = 0;
		queue_set_blocked(queue, false);
	}

	switch (status) {
	case FAKEGPU_EXEC_DONE:
		if (queue_complete(queue, job))
			queue_kick(queue, 0);
		break;
	case FAKEGPU_EXEC_YIELD:
		queue_kick(queue, 0);
		break;
	case FAKEGPU_EXEC_BLOCKED:
		if (!queue->polls++)
			queue_set_blocked(queue, true);
		queue_kick(queue, queue->polls > EAGER_POLLS);
		break;
	case FAKEGPU_EXEC_STALLED:
		queue_park(queue);
		break;
	}
}

/**
 * fakegpu_queue_create - create a queue
 * @vm: the VM; the caller's use of it passes to the queue
 * @wq: the engines
 *
 * Return: the queue, to be ended by fakegpu_queue_close(), or NULL.
 */
struct fakegpu_queue *fakegpu_queue_create(struct fakegpu_vm *vm, struct workqueue_struct *wq)
{
	struct fakegpu_queue *queue;

	queue = kzalloc(sizeof(*queue), GFP_KERNEL);
	if (!queue)
		return NULL;
	if (fakegpu_service_init_try(&queue->service, &vm->faults.service))
		goto err_free;
	if (vm->flags & DRM_FAKEGPU_VM_SCRATCH) {
		queue->exec.stall.scratch.page = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!queue->exec.stall.scratch.page)
			goto err_service;
	}

	kref_init(&queue->ref);
	queue->vm = vm;
	queue->va_end = vm->va_end;
	queue->wq = wq;
	queue->exec.mirror = &vm->mirror;
	queue->exec.cancel = &queue->closed;
	INIT_DELAYED_WORK(&queue->work, queue_work_fn);
	fakegpu_fault_init(&queue->fault, queue_fault_done);
	init_waitqueue_head(&queue->wait);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->jobs);
	return queue;

err_service:
	fakegpu_service_fini(&queue->service);
err_free:
	kfree(queue);
	return NULL;
}

static void queue_free(struct kref *ref)
{
	struct fakegpu_queue *queue = container_of(ref, struct fakegpu_queue, ref);

	if (queue->exec.stall.scratch.page)
		__free_page(queue->exec.stall.scratch.page);
	fakegpu_service_fini(&queue->service);
	kfree(queue);
}

/**
 * fakegpu_queue_put - let go of a queue
 * @queue: the queue
 */
void fakegpu_queue_put(struct fakegpu_queue *queue)
{
	kref_put(&queue->ref, queue_free);
}

/**
 * fakegpu_queue_close - stop a queue, throw its work away, let go of it
 * @queue: the queue, which can't be found any more
 *
 * Sleeps until no engine and no service has it. A service that is under way
 * runs to its end, unless the VM is being destroyed.
 */
void fakegpu_queue_close(struct fakegpu_queue *queue)
{
	LIST_HEAD(jobs);

	spin_lock(&queue->lock);
	WRITE_ONCE(queue->closed, true);
	spin_unlock(&queue->lock);
	wake_up_all(&queue->wait);

	/* No engine raises a fault after this, ... */
	cancel_delayed_work_sync(&queue->work);
	fakegpu_fault_cancel(&queue->vm->faults, &queue->fault);
	/* ... but the end of a service may have kicked the queue once more. */
	cancel_delayed_work_sync(&queue->work);

	spin_lock(&queue->lock);
	queue->exec.cmds = NULL;
	queue->nr_jobs = 0;
	list_splice_init(&queue->jobs, &jobs);
	spin_unlock(&queue->lock);
	free_jobs(&jobs);

	fakegpu_vm_put(queue->vm);
	fakegpu_queue_put(queue);
}

/**
 * fakegpu_queue_submit - append a job
 * @queue: the queue
 * @job: the job; the queue's on success
 * @seqno: receives its sequence number
 *
 * Return: 0, -EIO if the queue had a fatal fault, -ENOENT if it is closed,
 * -ENOSPC if it has too many jobs.
 */
int fakegpu_queue_submit(struct fakegpu_queue *queue, struct fakegpu_job *job, u64 *seqno)
{
	int ret = 0;

	spin_lock(&queue->lock);
	if (queue->closed) {
		ret = -ENOENT;
	} else if (queue->error) {
		ret = -EIO;
	} else if (queue->nr_jobs == FAKEGPU_MAX_JOBS) {
		ret = -ENOSPC;
	} else {
		job->seqno = ++queue->submitted;
		*seqno = job->seqno;
		queue->nr_jobs++;
		list_add_tail(&job->link, &queue->jobs);
	}
	/* Under the lock, as else a close could be through before the kick. */
	if (!ret && queue->nr_jobs == 1)
		queue_kick(queue, 0);
	spin_unlock(&queue->lock);
	return ret;
}

/* Is there nothing more to wait for? Then *ret says why. */
static bool wait_over(struct fakegpu_queue *queue, u64 seqno, u64 *completed, int *ret)
{
	bool over = true;

	spin_lock(&queue->lock);
	*completed = queue->completed;
	if (queue->completed >= seqno)
		*ret = 0;
	else if (queue->error)
		*ret = -EIO;
	else if (queue->closed)
		*ret = -ECANCELED;
	else
		over = false;
	spin_unlock(&queue->lock);
	return over;
}

/**
 * fakegpu_queue_wait - wait for a job
 * @queue: the queue
 * @seqno: its sequence number
 * @timeout_ns: until when, CLOCK_MONOTONIC; a time in the past makes it a poll
 * @completed: receives the newest sequence number completed
 *
 * Return: 0, -EIO if a fatal fault came before, -ECANCELED if the queue is
 * closed, -ETIME, or -ERESTARTSYS if a signal came.
 */
int fakegpu_queue_wait(struct fakegpu_queue *queue, u64 seqno, s64 timeout_ns, u64 *completed)
{
	s64 left = timeout_ns - (s64)ktime_get_ns();
	int ret = -ETIME, err;

	if (wait_over(queue, seqno, completed, &ret) || timeout_ns < 0 || left <= 0)
		return ret;

	/* A high-resolution timer: the time given isn't cut short by a tick. */
	err = wait_event_interruptible_hrtimeout(queue->wait,
						 wait_over(queue, seqno, completed, &ret),
						 ns_to_ktime(left));
	return err ?: ret;
}

/**
 * fakegpu_queue_get_state - tell how far a queue is
 * @queue: the queue
 * @state: receives it; queue_id isn't touched
 */
void fakegpu_queue_get_state(struct fakegpu_queue *queue,
			     struct drm_fakegpu_queue_get_state *state)
{
	spin_lock(&queue->lock);
	state->flags = 0;
	if (queue->error)
		state->flags |= DRM_FAKEGPU_QUEUE_FATAL;
	if (queue->parked)
		state->flags |= DRM_FAKEGPU_QUEUE_PARKED;
	if (queue->blocked)
		state->flags |= DRM_FAKEGPU_QUEUE_BLOCKED;
	state->submitted = queue->submitted;
	state->completed = queue->completed;
	state->faults = queue->faults;
	/* The engine moves this on while we look, by plain writes: a snapshot. */
	state->cmd_done = data_race(READ_ONCE(queue->exec.done));
	/* And this. */
	state->cmd_index = data_race(READ_ONCE(queue->exec.index));
	state->error = -queue->error;
	state->fault_addr = queue->fault_addr;
	spin_unlock(&queue->lock);
}
