/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_VM_H_
#define _FAKEGPU_VM_H_

#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "fakegpu_attr.h"
#include "fakegpu_fault.h"
#include "fakegpu_interval.h"
#include "fakegpu_mirror.h"
#include "fakegpu_stats.h"

struct dentry;
struct fakegpu_race;
struct workqueue_struct;

/**
 * struct fakegpu_vm_params - how to create a VM
 * @mm: the address space; the caller is a user of it.
 * @ring: the device's room for faults.
 * @stats: the device's counters.
 * @race: what tests ask for.
 * @wq: for the VM's workers.
 * @flags: DRM_FAKEGPU_VM_xxx.
 * @scheme: one of &enum drm_fakegpu_scheme.
 * @interval_order: log2 bytes.
 * @window_order: log2 bytes.
 * @timeout_ms: time limit for the service of a window in milliseconds.
 */
struct fakegpu_vm_params {
	struct mm_struct *mm;
	struct fakegpu_fault_ring *ring;
	struct fakegpu_stats *stats;
	struct fakegpu_race *race;
	struct workqueue_struct *wq;
	u32 flags;
	u32 scheme;
	u32 interval_order;
	u32 window_order;
	u32 timeout_ms;
};

/**
 * struct fakegpu_vm - the GPU virtual address space of one mm
 */
struct fakegpu_vm {
	/** @mirror: the page table, and the mirror lock. */
	struct fakegpu_mirror mirror;
	/** @intervals: what keeps the mirror fresh. */
	struct fakegpu_intervals intervals;
	/** @attrs: what the device may do. */
	struct fakegpu_attrs attrs;
	/** @faults: device faults and their service. */
	struct fakegpu_faults faults;
	/** @restore_work: reads slots again; see fakegpu_interval.c. */
	struct delayed_work restore_work;
	/** @stats: counters. */
	struct fakegpu_stats stats;
	/** @mm: the address space; a reference to the structure, not a user; immutable. */
	struct mm_struct *mm;
	/** @va_end: end (exclusive) of the user's half; immutable. */
	unsigned long va_end;
	/** @flags: DRM_FAKEGPU_VM_xxx; immutable. */
	u32 flags;
	/** @window_order: log2 of the fault window in bytes; immutable. */
	u32 window_order;
	/** @timeout_ms: time limit for the service of a window; immutable. */
	u32 timeout_ms;
	/** @pid: of the process that created it, for debugfs; immutable. */
	pid_t pid;
	/** @comm: its name; immutable. */
	char comm[TASK_COMM_LEN];

	/** @users: who uses the VM now, and 1 until it is closed. */
	refcount_t users;
	/** @idle: completed when @users is 0. */
	struct completion idle;

	/** @id: on the device; set by the device before others see the VM. */
	u32 id;
	/** @owner: the file that created it; immutable. */
	const void *owner;
	/** @queues: queues of the VM; protected by the lock of the device's VM ids. */
	unsigned int queues;
	/** @ranges: registered ranges (scheme fixed), likewise. */
	unsigned int ranges;
	/** @debugfs: directory of the VM. */
	struct dentry *debugfs;
};

/**
 * struct fakegpu_vm_gauges - what is there now
 * @intervals: live intervals.
 * @pending: intervals that are dead and not removed yet.
 * @nodes: nodes in the mirror's tree.
 * @pages_small: small leaves.
 * @leaves_large: large leaves.
 * @attrs: ranges with attributes.
 * @attr_intervals: notifiers registered for them.
 * @memory: bytes of nodes and intervals.
 */
struct fakegpu_vm_gauges {
	u64 intervals;
	u64 pending;
	u64 nodes;
	u64 pages_small;
	u64 leaves_large;
	u64 attrs;
	u64 attr_intervals;
	u64 memory;
};

struct fakegpu_vm *fakegpu_vm_create(const struct fakegpu_vm_params *params);
void fakegpu_vm_destroy(struct fakegpu_vm *vm);

bool fakegpu_vm_get(struct fakegpu_vm *vm);
void fakegpu_vm_put(struct fakegpu_vm *vm);
int fakegpu_vm_check_owner(const struct fakegpu_vm *vm);

void fakegpu_vm_read_gauges(struct fakegpu_vm *vm, struct fakegpu_vm_gauges *gauges);
bool fakegpu_vm_next_run(struct fakegpu_vm *vm, unsigned long addr, unsigned long last,
			 struct drm_fakegpu_vm_run *run);
void fakegpu_vm_flush_restores(struct fakegpu_vm *vm);
int fakegpu_vm_advise(struct fakegpu_vm *vm, unsigned long start, unsigned long last, u32 attr,
		      u8 value);
int fakegpu_vm_prefetch(struct fakegpu_vm *vm, unsigned long start, unsigned long last,
			u32 flags, u64 *done);

#endif /* _FAKEGPU_VM_H_ */
