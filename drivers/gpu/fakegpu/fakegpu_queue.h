/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_QUEUE_H_
#define _FAKEGPU_QUEUE_H_

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "fakegpu_engine.h"
#include "fakegpu_fault.h"

#define FAKEGPU_MAX_JOBS	1024

struct fakegpu_vm;

/**
 * struct fakegpu_job - one submission
 * @link: in &fakegpu_queue.jobs.
 * @seqno: its sequence number.
 * @count: how many commands.
 * @cmds: the commands, checked.
 */
struct fakegpu_job {
	struct list_head link;
	u64 seqno;
	u32 count;
	struct drm_fakegpu_cmd cmds[];
};

/**
 * struct fakegpu_queue - an ordered stream of commands of one VM
 *
 * @work runs the queue; while the queue is parked @work doesn't, and the fault
 * service has the queue. So @exec needs no lock.
 */
struct fakegpu_queue {
	/** @ref: the file's, and those of ioctls in progress. */
	struct kref ref;
	/** @vm: immutable; used by the queue from creation to close. */
	struct fakegpu_vm *vm;
	/** @va_end: the VM's, for those who may meet a closed queue; immutable. */
	unsigned long va_end;
	/** @wq: the engines; immutable. */
	struct workqueue_struct *wq;
	/** @work: executes jobs. */
	struct delayed_work work;
	/** @exec: where execution is. */
	struct fakegpu_exec exec;
	/** @fault: the device fault; raised while the queue is parked. */
	struct fakegpu_fault fault;
	/** @service: serves faults that needn't be raised; @work's. */
	struct fakegpu_service service;
	/** @polls: how often the semaphore in @exec was found unsatisfied; @work's. */
	unsigned int polls;
	/** @wait: woken when @completed, @error or @closed change. */
	wait_queue_head_t wait;

	/** @lock: protects what follows. Innermost; see also &fakegpu_faults.lock. */
	spinlock_t lock;
	/** @jobs: submissions, the first one in execution. */
	struct list_head jobs;
	/** @nr_jobs: how many. */
	u32 nr_jobs;
	/** @submitted: newest sequence number given out. */
	u64 submitted;
	/** @completed: newest sequence number completed. */
	u64 completed;
	/** @faults: device faults raised. */
	u64 faults;
	/** @fault_addr: address of the fatal fault. */
	u64 fault_addr;
	/** @error: negative errno after a fatal fault; else 0. */
	int error;
	/** @parked: waits for the service of @fault. */
	bool parked;
	/** @blocked: waits in SEM_WAIT. */
	bool blocked;
	/** @closed: executes nothing any more; also read without the lock. */
	bool closed;

	/** @id: on the device; set by the device before others see the queue. */
	u32 id;
	/** @owner: the file that created it; immutable. */
	const void *owner;
};

struct fakegpu_queue *fakegpu_queue_create(struct fakegpu_vm *vm, struct workqueue_struct *wq);
void fakegpu_queue_close(struct fakegpu_queue *queue);
void fakegpu_queue_put(struct fakegpu_queue *queue);

struct fakegpu_job *fakegpu_job_alloc(u32 count);
void fakegpu_job_free(struct fakegpu_job *job);

int fakegpu_queue_submit(struct fakegpu_queue *queue, struct fakegpu_job *job, u64 *seqno);
int fakegpu_queue_wait(struct fakegpu_queue *queue, u64 seqno, s64 timeout_ns, u64 *completed);
void fakegpu_queue_get_state(struct fakegpu_queue *queue,
			     struct drm_fakegpu_queue_get_state *state);

#endif /* _FAKEGPU_QUEUE_H_ */
