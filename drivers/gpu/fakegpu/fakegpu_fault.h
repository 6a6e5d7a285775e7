/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_FAULT_H_
#define _FAKEGPU_FAULT_H_

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <drm/fakegpu_drm.h>

#include "fakegpu_service.h"

#define FAKEGPU_FAULT_LOG	64

/**
 * struct fakegpu_fault_ring - room for device faults in the device
 * @size: records that fit; immutable.
 * @used: records in it, of all VMs.
 */
struct fakegpu_fault_ring {
	int size;
	atomic_t used;
};

enum fakegpu_fault_state {
	FAKEGPU_FAULT_IDLE,	/* its owner's */
	FAKEGPU_FAULT_QUEUED,	/* in &fakegpu_faults.queued */
	FAKEGPU_FAULT_DROPPED,	/* didn't fit; in &fakegpu_faults.dropped */
	FAKEGPU_FAULT_SERVING,	/* taken by the worker */
};

/**
 * struct fakegpu_fault - a device fault
 */
struct fakegpu_fault {
	/** @addr: first byte that could not be accessed. */
	unsigned long addr;
	/** @last: last byte (inclusive) that the stalled access still needs. */
	unsigned long last;
	/** @access: one of &enum drm_fakegpu_access. */
	u32 access;
	/** @queue_id: for the log. */
	u32 queue_id;
	/** @cmd_index: for the log. */
	u32 cmd_index;
	/** @atomic: it needs the right to atomic operations. */
	bool atomic;
	/** @nofault: a failure isn't fatal. */
	bool nofault;
	/** @scratch: where there is no memory, a scratch page will do. */
	bool scratch;
	/** @told: private: that it is raised was traced already. */
	bool told;
	/** @seqno: for the log. */
	u64 seqno;
	/**
	 * @done: The service is over: @error is 0 or -EAGAIN if the access
	 * shall be tried again, else it cannot succeed. Called from the worker
	 * without a lock; the record is its owner's again.
	 */
	void (*done)(struct fakegpu_fault *fault, int error);
	/** @link: private: in a list of &struct fakegpu_faults. */
	struct list_head link;
	/** @state: private: &fakegpu_faults.lock. */
	enum fakegpu_fault_state state;
};

/**
 * struct fakegpu_fault_entry - a serviced device fault, for the logs
 * @info: as user space sees it; error is 0 if the access could go on.
 * @last: last byte (inclusive) that was needed.
 */
struct fakegpu_fault_entry {
	struct drm_fakegpu_fault_info info;
	u64 last;
};

/**
 * struct fakegpu_fault_log - the newest faults, a ring
 * @entries: entry n of all is at n modulo FAKEGPU_FAULT_LOG.
 * @total: entries so far.
 */
struct fakegpu_fault_log {
	struct fakegpu_fault_entry entries[FAKEGPU_FAULT_LOG];
	u64 total;
};

/**
 * struct fakegpu_faults - the device faults of a VM
 */
struct fakegpu_faults {
	/** @ring: room in the device; immutable. */
	struct fakegpu_fault_ring *ring;
	/** @mm: the address space; immutable; held by the VM. */
	struct mm_struct *mm;
	/** @va_end: end (exclusive) of what can be accessed; immutable. */
	unsigned long va_end;
	/** @stats: immutable. */
	struct fakegpu_stats *stats;
	/** @wq: where @work runs; immutable. */
	struct workqueue_struct *wq;
	/** @work: services what is queued. */
	struct work_struct work;
	/** @service: used by @work alone. */
	struct fakegpu_service service;
	/** @lock: protects the lists, their records and the logs; innermost. */
	spinlock_t lock;
	/** @queued: records that wait for their service. */
	struct list_head queued;
	/** @dropped: records that found the ring full, to be raised again. */
	struct list_head dropped;
	/** @log: all faults. */
	struct fakegpu_fault_log log;
	/** @fatal: fatal faults, and those for which the scratch page is used. */
	struct fakegpu_fault_log fatal;
	/** @stop: the VM closes: services give up. Set once, read without a lock. */
	bool stop;
};

int fakegpu_faults_init(struct fakegpu_faults *faults, struct fakegpu_fault_ring *ring,
			struct fakegpu_intervals *intervals, struct fakegpu_attrs *attrs,
			struct fakegpu_stats *stats, struct workqueue_struct *wq,
			unsigned long va_end, unsigned int window_order,
			unsigned int timeout_ms);
void fakegpu_faults_stop(struct fakegpu_faults *faults);
void fakegpu_faults_fini(struct fakegpu_faults *faults);

bool fakegpu_fault_scratches(const struct fakegpu_fault *fault, int error);

void fakegpu_fault_init(struct fakegpu_fault *fault,
			void (*done)(struct fakegpu_fault *fault, int error));
bool fakegpu_fault_serve(struct fakegpu_faults *faults, struct fakegpu_service *service,
			 struct fakegpu_fault *fault);
void fakegpu_fault_raise(struct fakegpu_faults *faults, struct fakegpu_fault *fault);
void fakegpu_fault_cancel(struct fakegpu_faults *faults, struct fakegpu_fault *fault);

#endif /* _FAKEGPU_FAULT_H_ */
