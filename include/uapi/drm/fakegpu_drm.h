/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
#ifndef _UAPI_FAKEGPU_DRM_H_
#define _UAPI_FAKEGPU_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: Introduction
 *
 * fakegpu is a GPU that exists only in software. Its device computes on plain
 * user pointers: when its page table (the *mirror*) has no entry for an
 * access, it raises a *device fault* and the driver services it from the CPU's
 * page tables.
 *
 * Rules that hold for every ioctl and structure:
 *
 * - Structures are aligned to 8 bytes, padding is explicit and called @pad,
 *   and it must be zero (MBZ) on input.
 * - Unknown flags are refused. Flags are added, never removed.
 * - Fields are added at the end, where zero keeps the older behaviour.
 * - Arrays are passed as &struct drm_fakegpu_array, which carries the size of
 *   one element as its caller was compiled.
 * - All sizes and addresses are in bytes. @start/@end is half-open.
 * - Each addition bumps the minor version of the driver.
 *
 * Errors, each with one meaning:
 *
 * - ``EINVAL``: a field has a value that can never work: pad not zero, unknown
 *   flag, zero size, wrong alignment, an address outside the user's half.
 * - ``EOVERFLOW``: start + size wraps around.
 * - ``EOPNOTSUPP``: this driver doesn't know the opcode, scheme, query type,
 *   attribute or value of an attribute.
 * - ``E2BIG``: more commands than &drm_fakegpu_dev_info.max_cmds, or an array
 *   element is longer than the driver's and the tail isn't zero.
 * - ``ENOENT``: this file has no object with that id.
 * - ``EPERM``: the object's VM belongs to another process (address space).
 *   As the error of a command: a write to memory that is mapped read-only.
 * - ``EACCES``: only of a command and of PREFETCH: an attribute that VM_ADVISE
 *   set forbids the access, whatever is mapped there.
 * - ``EBUSY``: the VM still has queues.
 * - ``ENOSPC``: too many VMs, queues, submissions in flight or attribute ranges.
 * - ``EIO``: the queue had a fatal fault and executes nothing any more.
 * - ``ECANCELED``: the queue was destroyed while its work was waited for.
 * - ``ETIME``: the time given is over.
 * - ``ESRCH``: the address space of the VM is gone.
 * - ``EFAULT``: a pointer passed to the ioctl itself is bad. If only the answer
 *   could not be written, what was created exists until the file is closed. As
 *   the error of a command: the device accessed memory that cannot be accessed.
 * - ``ETIMEDOUT``: only as the error of a command: the device fault could not
 *   be serviced within the driver's time limit.
 * - ``EINTR``: a signal came; libdrm's drmIoctl() calls again.
 * - ``ENOMEM``: out of memory; nothing was changed.
 * - ``ENODEV``: the device is gone.
 */

/**
 * enum drm_fakegpu_ioctl_id - IOCTL numbers
 *
 * New ones go to the end. Use the DRM_IOCTL_FAKEGPU_xxx definitions.
 */
enum drm_fakegpu_ioctl_id {
	/** @DRM_FAKEGPU_DEV_QUERY: Ask about the device. */
	DRM_FAKEGPU_DEV_QUERY = 0,
	/** @DRM_FAKEGPU_VM_CREATE: Create a VM for the caller's address space. */
	DRM_FAKEGPU_VM_CREATE,
	/** @DRM_FAKEGPU_VM_DESTROY: Destroy a VM. */
	DRM_FAKEGPU_VM_DESTROY,
	/** @DRM_FAKEGPU_VM_QUERY: Read the mirror. */
	DRM_FAKEGPU_VM_QUERY,
	/** @DRM_FAKEGPU_VM_GET_STATE: Read the counters of a VM. */
	DRM_FAKEGPU_VM_GET_STATE,
	/** @DRM_FAKEGPU_VM_GET_FAULTS: Read the fatal faults of a VM. */
	DRM_FAKEGPU_VM_GET_FAULTS,
	/** @DRM_FAKEGPU_QUEUE_CREATE: Create a queue. */
	DRM_FAKEGPU_QUEUE_CREATE,
	/** @DRM_FAKEGPU_QUEUE_DESTROY: Cancel a queue's work and destroy it. */
	DRM_FAKEGPU_QUEUE_DESTROY,
	/** @DRM_FAKEGPU_QUEUE_GET_STATE: Read how far a queue is, and its error. */
	DRM_FAKEGPU_QUEUE_GET_STATE,
	/** @DRM_FAKEGPU_SUBMIT: Append commands to a queue. */
	DRM_FAKEGPU_SUBMIT,
	/** @DRM_FAKEGPU_WAIT: Wait until a submission has completed. */
	DRM_FAKEGPU_WAIT,
	/** @DRM_FAKEGPU_PREFETCH: Make mirror entries present ahead of use. */
	DRM_FAKEGPU_PREFETCH,
	/** @DRM_FAKEGPU_VM_ADVISE: Set an attribute of a range. */
	DRM_FAKEGPU_VM_ADVISE,
	/** @DRM_FAKEGPU_VM_QUERY_ATTRS: Read the attributes of a range. */
	DRM_FAKEGPU_VM_QUERY_ATTRS,
	/** @DRM_FAKEGPU_RANGE_REGISTER: Let the device access a range (scheme fixed). */
	DRM_FAKEGPU_RANGE_REGISTER,
	/** @DRM_FAKEGPU_RANGE_UNREGISTER: Take that back. */
	DRM_FAKEGPU_RANGE_UNREGISTER,
};

/**
 * struct drm_fakegpu_array - An array in user memory
 *
 * @stride is a multiple of 8 and not zero, else EINVAL. If it is smaller than
 * the driver's element, missing fields are taken as zero on input and not
 * written on output. If it is larger, the tail must be zero on input and is
 * zeroed on output.
 */
struct drm_fakegpu_array {
	/** @stride: sizeof() one element, as the caller knows it. */
	__u32 stride;
	/** @count: Number of elements. */
	__u32 count;
	/** @ptr: User pointer to the first element. */
	__u64 ptr;
};

/**
 * DRM_FAKEGPU_ARRAY - Initialize a &struct drm_fakegpu_array
 * @p: Pointer to the first element.
 * @n: Number of elements.
 */
#define DRM_FAKEGPU_ARRAY(p, n) \
	{ .stride = sizeof((p)[0]), .count = (n), .ptr = (__u64)(__UINTPTR_TYPE__)(p) }

/* ------------------------------------------------------------ DEV_QUERY --- */

/**
 * enum drm_fakegpu_dev_query_type - What DEV_QUERY can tell
 */
enum drm_fakegpu_dev_query_type {
	/** @DRM_FAKEGPU_DEV_QUERY_INFO: &struct drm_fakegpu_dev_info. */
	DRM_FAKEGPU_DEV_QUERY_INFO = 0,
};

/**
 * struct drm_fakegpu_dev_query - Arguments of DRM_IOCTL_FAKEGPU_DEV_QUERY
 *
 * With @pointer zero only @size is written. Else at most @size bytes are
 * written to @pointer, and @size says how many.
 */
struct drm_fakegpu_dev_query {
	/** @type: One of &enum drm_fakegpu_dev_query_type. */
	__u32 type;
	/** @size: In: bytes at @pointer. Out: bytes written, or available. */
	__u32 size;
	/** @pointer: User pointer to the answer, or zero to ask for its size. */
	__u64 pointer;
};

/** DRM_FAKEGPU_DEV_SIMULATOR - In dev_info.flags: no hardware behind it; always set. */
#define DRM_FAKEGPU_DEV_SIMULATOR	(1 << 0)
/** DRM_FAKEGPU_DEV_DIRECT - In dev_info.flags: DRM_FAKEGPU_VM_DIRECT can be had; since 1.3 */
#define DRM_FAKEGPU_DEV_DIRECT		(1 << 1)

/**
 * struct drm_fakegpu_dev_info - Answer to DRM_FAKEGPU_DEV_QUERY_INFO
 */
struct drm_fakegpu_dev_info {
	/** @flags: DRM_FAKEGPU_DEV_xxx. */
	__u64 flags;
	/** @va_start: Lowest address that a command may name. */
	__u64 va_start;
	/** @va_end: End (exclusive) of the addresses that a command may name. */
	__u64 va_end;
	/** @schemes: Mask of supported schemes: bit n is scheme n. */
	__u32 schemes;
	/** @num_engines: How many queues can execute at the same time. */
	__u32 num_engines;
	/** @page_shift: log2 of the size of the mirror's small leaf. */
	__u32 page_shift;
	/** @leaf_shift: log2 of the size of the mirror's large leaf. */
	__u32 leaf_shift;
	/** @interval_order: Default log2 of a slot's size in bytes (schemes slot, vma). */
	__u32 interval_order;
	/** @interval_order_min: Smallest @interval_order that VM_CREATE takes. */
	__u32 interval_order_min;
	/** @interval_order_max: Largest @interval_order that VM_CREATE takes. */
	__u32 interval_order_max;
	/** @window_order: Default log2 of the fault window's size in bytes. */
	__u32 window_order;
	/** @window_order_min: Smallest @window_order that VM_CREATE takes. */
	__u32 window_order_min;
	/** @window_order_max: Largest @window_order that VM_CREATE takes. */
	__u32 window_order_max;
	/** @max_cmds: Most commands in one SUBMIT. */
	__u32 max_cmds;
	/** @max_jobs: Most submissions in flight on one queue. */
	__u32 max_jobs;
	/** @max_queues: Most queues of one file. */
	__u32 max_queues;
	/** @max_vms: Most VMs of one file. */
	__u32 max_vms;
	/** @fault_queue_size: Faults that the device can hold before it overflows. */
	__u32 fault_queue_size;
	/** @fault_log_size: Fatal faults that a VM remembers. */
	__u32 fault_log_size;
	/**
	 * @fault_timeout_ms: Time limit for the service of one device fault, if it
	 * collides with many invalidations; a few collisions it has in any case.
	 */
	__u32 fault_timeout_ms;
	/** @debug_minor: N of the debugfs directory dri/N of this device. */
	__u32 debug_minor;
	/** @max_attrs: Most ranges with attributes of one VM; since 1.1. */
	__u32 max_attrs;
	/** @max_ranges: Most ranges that one file can have registered; since 1.3. */
	__u32 max_ranges;
};

/* ------------------------------------------------------------------- VM --- */

/**
 * enum drm_fakegpu_scheme - How intervals' bounds are chosen and maintained
 */
enum drm_fakegpu_scheme {
	/**
	 * @DRM_FAKEGPU_SCHEME_SLOT: An interval is the aligned slot of
	 * 2^interval_order bytes around a device fault (as mlx5 implicit ODP).
	 */
	DRM_FAKEGPU_SCHEME_SLOT = 0,
	/**
	 * @DRM_FAKEGPU_SCHEME_MM: One interval over the whole address space,
	 * registered by the first device fault (as lib/test_hmm; the baseline).
	 */
	DRM_FAKEGPU_SCHEME_MM = 1,
	/**
	 * @DRM_FAKEGPU_SCHEME_VMA: An interval is what of a VMA lies in the
	 * aligned slot of 2^interval_order bytes around a device fault. munmap of
	 * a part makes it smaller, or two of it, from a worker. Since 1.2.
	 */
	DRM_FAKEGPU_SCHEME_VMA = 2,
	/**
	 * @DRM_FAKEGPU_SCHEME_FIXED: An interval is a range that RANGE_REGISTER
	 * names, until RANGE_UNREGISTER (as amdgpu's userptr, or a memory region of
	 * explicit ODP). Other addresses can't be accessed: EFAULT. Since 1.3.
	 */
	DRM_FAKEGPU_SCHEME_FIXED = 3,
};

/**
 * DRM_FAKEGPU_VM_SHARED - In vm_create.flags: other processes may use the VM
 *
 * A process that got the file by fork or over a socket may then name the VM;
 * the VM still acts on the address space that created it (I9).
 */
#define DRM_FAKEGPU_VM_SHARED		(1 << 0)
/**
 * DRM_FAKEGPU_VM_SCRATCH - In vm_create.flags: bad accesses go to a scratch page
 *
 * An access for which the memory isn't there, or that isn't allowed (EFAULT,
 * EPERM, EACCES, EINVAL), stops no queue: a read gives zeros, what is written is
 * thrown away, and the command goes on. Each such page of an access is counted
 * in &drm_fakegpu_vm_get_state.faults_scratch and told by VM_GET_FAULTS. The
 * mirror gets no entry, so the next access looks anew whether the memory is
 * there by then. DRM_FAKEGPU_CMD_NOFAULT is stronger. Since 1.1.
 */
#define DRM_FAKEGPU_VM_SCRATCH		(1 << 1)
/**
 * DRM_FAKEGPU_VM_DIRECT - In vm_create.flags: no worker for intervals
 *
 * The callbacks of invalidations remove, change and split intervals themselves,
 * where without it a worker does that later. With DRM_FAKEGPU_SCHEME_SLOT and
 * DRM_FAKEGPU_SCHEME_VMA, else EINVAL; EOPNOTSUPP unless the kernel has what it
 * takes (DRM_FAKEGPU_DEV_DIRECT). Since 1.3.
 */
#define DRM_FAKEGPU_VM_DIRECT		(1 << 2)

/**
 * struct drm_fakegpu_vm_create - Arguments of DRM_IOCTL_FAKEGPU_VM_CREATE
 *
 * Errors: EINVAL, EOPNOTSUPP, ENOSPC, ENOMEM, EINTR.
 */
struct drm_fakegpu_vm_create {
	/** @flags: DRM_FAKEGPU_VM_xxx. */
	__u32 flags;
	/** @scheme: One of &enum drm_fakegpu_scheme. */
	__u32 scheme;
	/**
	 * @interval_order: log2 of a slot's size in bytes; 0 takes the
	 * default. MBZ for DRM_FAKEGPU_SCHEME_MM and DRM_FAKEGPU_SCHEME_FIXED.
	 */
	__u32 interval_order;
	/** @window_order: log2 of the fault window's size in bytes; 0 takes the default. */
	__u32 window_order;
	/** @vm_id: Out: id of the VM, not zero, unique on the device. */
	__u32 vm_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * struct drm_fakegpu_vm_destroy - Arguments of DRM_IOCTL_FAKEGPU_VM_DESTROY
 *
 * Errors: EINVAL, ENOENT, EPERM, EBUSY.
 */
struct drm_fakegpu_vm_destroy {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/** DRM_FAKEGPU_ENTRY_WRITE - In vm_run.flags: the device may write. */
#define DRM_FAKEGPU_ENTRY_WRITE		(1 << 0)
/** DRM_FAKEGPU_ENTRY_DIRTY - In vm_run.flags: the device has written. */
#define DRM_FAKEGPU_ENTRY_DIRTY		(1 << 1)
/** DRM_FAKEGPU_ENTRY_NOATOMIC - In vm_run.flags: the device may do no atomics. Since 1.1. */
#define DRM_FAKEGPU_ENTRY_NOATOMIC	(1 << 2)

/**
 * enum drm_fakegpu_where - Where the memory behind a mirror entry is
 */
enum drm_fakegpu_where {
	/** @DRM_FAKEGPU_WHERE_SYSTEM: A page of system memory. */
	DRM_FAKEGPU_WHERE_SYSTEM = 0,
	/**
	 * @DRM_FAKEGPU_WHERE_ZERO: The kernel's page of zeros. Not its huge
	 * page of zeros, which a module cannot tell from other pages.
	 */
	DRM_FAKEGPU_WHERE_ZERO = 1,
};

/**
 * struct drm_fakegpu_vm_run - A run of like mirror entries
 *
 * Neighbouring entries with the same @flags, @order and @where are one run.
 */
struct drm_fakegpu_vm_run {
	/** @start: First address. */
	__u64 start;
	/** @end: End (exclusive). */
	__u64 end;
	/** @flags: DRM_FAKEGPU_ENTRY_xxx. An entry that is listed is readable. */
	__u32 flags;
	/** @order: log2 of the leaf's size in bytes: page_shift or leaf_shift. */
	__u32 order;
	/** @where: One of &enum drm_fakegpu_where. */
	__u32 where;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_fakegpu_vm_query - Arguments of DRM_IOCTL_FAKEGPU_VM_QUERY
 *
 * Lists the mirror entries in [@start, @start + @size), clipped to it, in
 * ascending order. It faults nothing in and counts as no access.
 *
 * When the CPU changes a part of an aligned 2 MiB slot, the kernel may
 * invalidate all of the slot first, as it may have to split a huge page. The
 * driver then brings back, in the background, what is still mapped. VM_QUERY
 * waits until that is done for what was invalidated before the call.
 *
 * Errors: EINVAL, EOVERFLOW, ENOENT, EPERM, EFAULT, ENOMEM.
 */
struct drm_fakegpu_vm_query {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @start: First address, aligned to the page size. */
	__u64 start;
	/** @size: Bytes, not zero, a multiple of the page size. */
	__u64 size;
	/**
	 * @runs: In: where to put &struct drm_fakegpu_vm_run.
	 * Out: @runs.count is the number written.
	 */
	struct drm_fakegpu_array runs;
	/**
	 * @next: Out: where to go on if the array was too short, else
	 * @start + @size.
	 */
	__u64 next;
};

/**
 * struct drm_fakegpu_vm_get_state - Arguments of DRM_IOCTL_FAKEGPU_VM_GET_STATE
 *
 * Gauges say what is there now, counters what happened since VM_CREATE.
 *
 * Errors: EINVAL, ENOENT, EPERM.
 */
struct drm_fakegpu_vm_get_state {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @pad: MBZ. */
	__u32 pad;
	/** @intervals: Gauge: live intervals. */
	__u64 intervals;
	/** @pages_small: Gauge: small leaves (pages) in the mirror. */
	__u64 pages_small;
	/** @leaves_large: Gauge: large leaves in the mirror. */
	__u64 leaves_large;
	/** @nodes: Gauge: page-table nodes in the mirror's tree, the root included. */
	__u64 nodes;
	/** @faults: Counter: device faults raised by queues and taken up for service. */
	__u64 faults;
	/** @faults_fatal: Counter: device faults that stopped their queue. */
	__u64 faults_fatal;
	/** @faults_nofault: Counter: failed accesses of a DRM_FAKEGPU_CMD_NOFAULT command. */
	__u64 faults_nofault;
	/** @fault_overflows: Counter: device faults that found the fault queue full. */
	__u64 fault_overflows;
	/** @windows: Counter: fault windows serviced, for faults, PREFETCH and restores. */
	__u64 windows;
	/** @retries: Counter: passes of the service loop that collided with an invalidation. */
	__u64 retries;
	/** @intervals_added: Counter: intervals registered. */
	__u64 intervals_added;
	/** @intervals_removed: Counter: intervals whose removal was begun. */
	__u64 intervals_removed;
	/** @invalidations: Counter: calls of the invalidate() callback. */
	__u64 invalidations;
	/** @invalidations_useful: Counter: calls that cleared at least one entry. */
	__u64 invalidations_useful;
	/** @pages_cleared: Counter: mirrored pages cleared by invalidations. */
	__u64 pages_cleared;
	/** @leaves_split: Counter: large leaves split by a partial clear. */
	__u64 leaves_split;
	/** @leaves_dropped: Counter: large leaves dropped whole since no node was in reserve. */
	__u64 leaves_dropped;
	/**
	 * @slots_restored: Counter: slots of a large leaf whose entries were read
	 * again after an invalidation of just that slot, one for each interval
	 * in the slot; see VM_QUERY.
	 */
	__u64 slots_restored;
	/** @attrs: Gauge: ranges with attributes; this and the rest since 1.1. */
	__u64 attrs;
	/** @attr_intervals: Gauge: notifiers registered for attributes, or to be removed. */
	__u64 attr_intervals;
	/**
	 * @attrs_kept: Counter: unmaps in the middle of a range with attributes
	 * that left it whole, as no node was in reserve; see VM_ADVISE.
	 */
	__u64 attrs_kept;
	/** @faults_scratch: Counter: device faults that were served by the scratch page. */
	__u64 faults_scratch;
	/**
	 * @retries_false: Counter: of @retries, those for which no invalidation had
	 * touched the fault window, only its interval; this and the rest since 1.3.
	 */
	__u64 retries_false;
	/** @memory: Gauge: bytes of kernel memory of @nodes and of all intervals. */
	__u64 memory;
};

/**
 * enum drm_fakegpu_access - What the device tried to do
 */
enum drm_fakegpu_access {
	/** @DRM_FAKEGPU_ACCESS_READ: A read. */
	DRM_FAKEGPU_ACCESS_READ = 0,
	/** @DRM_FAKEGPU_ACCESS_WRITE: A write. */
	DRM_FAKEGPU_ACCESS_WRITE = 1,
	/** @DRM_FAKEGPU_ACCESS_ATOMIC: An atomic read and write. */
	DRM_FAKEGPU_ACCESS_ATOMIC = 2,
};

/**
 * struct drm_fakegpu_fault_info - A fatal device fault, or one served by the scratch page
 */
struct drm_fakegpu_fault_info {
	/** @addr: The first byte that could not be accessed. */
	__u64 addr;
	/** @time_ns: When, in CLOCK_MONOTONIC nanoseconds. */
	__u64 time_ns;
	/** @seqno: The submission. */
	__u64 seqno;
	/** @queue_id: The queue that was stopped (DRM_FAKEGPU_VM_SCRATCH: or went on). */
	__u32 queue_id;
	/** @cmd_index: Index of the command in its submission. */
	__u32 cmd_index;
	/** @access: One of &enum drm_fakegpu_access. */
	__u32 access;
	/**
	 * @error: Why, as a positive errno: EFAULT, EPERM, EACCES, ESRCH, ENOMEM,
	 * ETIMEDOUT, EINVAL.
	 */
	__u32 error;
};

/**
 * struct drm_fakegpu_vm_get_faults - Arguments of DRM_IOCTL_FAKEGPU_VM_GET_FAULTS
 *
 * Gives the newest fatal faults of the VM, oldest first, and keeps them. With
 * DRM_FAKEGPU_VM_SCRATCH those that the scratch page served are among them.
 *
 * Errors: EINVAL, ENOENT, EPERM, EFAULT, ENOMEM.
 */
struct drm_fakegpu_vm_get_faults {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/**
	 * @faults: In: where to put &struct drm_fakegpu_fault_info; count 0
	 * only asks for @total. Out: @faults.count is the number written.
	 */
	struct drm_fakegpu_array faults;
	/** @total: Out: such faults since VM_CREATE, also those no longer remembered. */
	__u64 total;
};

/* --------------------------------------------------------------- queues --- */

/**
 * struct drm_fakegpu_queue_create - Arguments of DRM_IOCTL_FAKEGPU_QUEUE_CREATE
 *
 * Errors: EINVAL, ENOENT, EPERM, ENOSPC, ENOMEM.
 */
struct drm_fakegpu_queue_create {
	/** @vm_id: The VM whose addresses the queue's commands use. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @queue_id: Out: id of the queue, not zero, unique on the device. */
	__u32 queue_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * struct drm_fakegpu_queue_destroy - Arguments of DRM_IOCTL_FAKEGPU_QUEUE_DESTROY
 *
 * Work that hasn't completed is cancelled, also in the middle of a command.
 *
 * Errors: EINVAL, ENOENT, EPERM.
 */
struct drm_fakegpu_queue_destroy {
	/** @queue_id: The queue. */
	__u32 queue_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/** DRM_FAKEGPU_QUEUE_FATAL - In queue_get_state.flags: stopped for good by a fatal fault. */
#define DRM_FAKEGPU_QUEUE_FATAL		(1 << 0)
/** DRM_FAKEGPU_QUEUE_PARKED - In queue_get_state.flags: waits for the service of a device fault. */
#define DRM_FAKEGPU_QUEUE_PARKED	(1 << 1)
/** DRM_FAKEGPU_QUEUE_BLOCKED - In queue_get_state.flags: waits in SEM_WAIT. */
#define DRM_FAKEGPU_QUEUE_BLOCKED	(1 << 2)

/**
 * struct drm_fakegpu_queue_get_state - Arguments of DRM_IOCTL_FAKEGPU_QUEUE_GET_STATE
 *
 * Errors: EINVAL, ENOENT, EPERM.
 */
struct drm_fakegpu_queue_get_state {
	/** @queue_id: The queue. */
	__u32 queue_id;
	/** @flags: Out: DRM_FAKEGPU_QUEUE_xxx. In: MBZ. */
	__u32 flags;
	/** @submitted: Out: newest sequence number given out; 0 if none. */
	__u64 submitted;
	/** @completed: Out: newest sequence number completed; 0 if none. */
	__u64 completed;
	/** @faults: Out: device faults that this queue raised. */
	__u64 faults;
	/** @cmd_done: Out: bytes (CHASE: nodes) that the command at @cmd_index has finished. */
	__u64 cmd_done;
	/** @cmd_index: Out: command in execution, or that had the fatal fault. */
	__u32 cmd_index;
	/** @error: Out: why the queue is fatal, as a positive errno; else 0. */
	__u32 error;
	/** @fault_addr: Out: address of the fatal fault; else 0. */
	__u64 fault_addr;
};

/* ------------------------------------------------------------- commands --- */

/**
 * enum drm_fakegpu_opcode - What a command does
 *
 * All addresses are plain user pointers. A command works upwards from its
 * lowest address; at a fatal fault all bytes below the fault address are done
 * and none above. A range may start and end at any byte.
 */
enum drm_fakegpu_opcode {
	/** @DRM_FAKEGPU_OP_NOP: Nothing. All fields MBZ. */
	DRM_FAKEGPU_OP_NOP = 0,
	/**
	 * @DRM_FAKEGPU_OP_TOUCH: Access the byte at @addr and at each further
	 * multiple of @operand (the stride, not zero) below @size. With
	 * DRM_FAKEGPU_CMD_WRITE the access needs write permission and leaves
	 * the byte as it is, atomically.
	 */
	DRM_FAKEGPU_OP_TOUCH,
	/**
	 * @DRM_FAKEGPU_OP_FILL: Fill @size bytes at @addr with the 8 bytes of
	 * @operand (little endian), repeated from @addr on.
	 */
	DRM_FAKEGPU_OP_FILL,
	/** @DRM_FAKEGPU_OP_COPY: Copy @size bytes from @addr2 to @addr; they must not overlap. */
	DRM_FAKEGPU_OP_COPY,
	/**
	 * @DRM_FAKEGPU_OP_COMPARE: Compare @size bytes at @addr and @addr2.
	 * Result (8 bytes): offset of the first difference, or @size.
	 */
	DRM_FAKEGPU_OP_COMPARE,
	/**
	 * @DRM_FAKEGPU_OP_CHECKSUM: CRC32C (as RFC 3720: initial value and final
	 * inversion ~0) of @size bytes at @addr. Result (8 bytes): the CRC.
	 */
	DRM_FAKEGPU_OP_CHECKSUM,
	/**
	 * @DRM_FAKEGPU_OP_CHASE: Follow pointers: at each node add the 64-bit
	 * value at node + @operand2 to a sum, then go to the pointer at
	 * node + @operand, from @addr until a null pointer or @size nodes (not
	 * zero). Result (16 bytes): nodes visited, sum modulo 2^64.
	 */
	DRM_FAKEGPU_OP_CHASE,
	/**
	 * @DRM_FAKEGPU_OP_ATOMIC: One atomic operation on the naturally aligned
	 * @size (4 or 8) bytes at @addr; DRM_FAKEGPU_ATOMIC_xxx in @flags.
	 * ADD adds @operand, SWAP stores it, CAS stores it if the memory holds
	 * @operand2; of 4 bytes, the operands' low halves count. Optional
	 * result (8 bytes): the old value. Atomic against the CPU and other
	 * queues.
	 */
	DRM_FAKEGPU_OP_ATOMIC,
	/**
	 * @DRM_FAKEGPU_OP_SEM_WAIT: Hold the queue until the 64-bit value at
	 * @addr (8-byte aligned) is equal to @operand or, with
	 * DRM_FAKEGPU_SEM_GE, greater or equal (unsigned). Later commands see
	 * what was written before the value (acquire).
	 */
	DRM_FAKEGPU_OP_SEM_WAIT,
	/**
	 * @DRM_FAKEGPU_OP_SEM_SIGNAL: Store @operand to the 64-bit value at
	 * @addr (8-byte aligned) or, with DRM_FAKEGPU_SEM_ADD, add it. Who sees
	 * the value sees all earlier commands of the queue (release).
	 */
	DRM_FAKEGPU_OP_SEM_SIGNAL,
	/** @DRM_FAKEGPU_OP_TIMESTAMP: Write CLOCK_MONOTONIC nanoseconds (8 bytes) to @addr. */
	DRM_FAKEGPU_OP_TIMESTAMP,
};

/** DRM_FAKEGPU_CMD_WRITE - In cmd.flags: TOUCH writes. */
#define DRM_FAKEGPU_CMD_WRITE		(1 << 0)
/**
 * DRM_FAKEGPU_CMD_NOFAULT - In cmd.flags: TOUCH goes on after a fatal fault
 *
 * A page that cannot be accessed is skipped and counted in
 * &drm_fakegpu_vm_get_state.faults_nofault; the queue lives on.
 */
#define DRM_FAKEGPU_CMD_NOFAULT		(1 << 1)
/** DRM_FAKEGPU_ATOMIC_ADD - In cmd.flags: ATOMIC adds. One of ADD, SWAP, CAS must be set. */
#define DRM_FAKEGPU_ATOMIC_ADD		(1 << 2)
/** DRM_FAKEGPU_ATOMIC_SWAP - In cmd.flags: ATOMIC swaps. */
#define DRM_FAKEGPU_ATOMIC_SWAP		(1 << 3)
/** DRM_FAKEGPU_ATOMIC_CAS - In cmd.flags: ATOMIC compares and swaps. */
#define DRM_FAKEGPU_ATOMIC_CAS		(1 << 4)
/** DRM_FAKEGPU_SEM_GE - In cmd.flags: SEM_WAIT waits for greater or equal. */
#define DRM_FAKEGPU_SEM_GE		(1 << 5)
/** DRM_FAKEGPU_SEM_ADD - In cmd.flags: SEM_SIGNAL adds. */
#define DRM_FAKEGPU_SEM_ADD		(1 << 6)

/**
 * struct drm_fakegpu_cmd - A command
 *
 * Fields that the opcode doesn't use MBZ.
 */
struct drm_fakegpu_cmd {
	/** @opcode: One of &enum drm_fakegpu_opcode. */
	__u32 opcode;
	/** @flags: DRM_FAKEGPU_CMD_xxx, DRM_FAKEGPU_ATOMIC_xxx, DRM_FAKEGPU_SEM_xxx. */
	__u32 flags;
	/** @addr: First, or only, address. */
	__u64 addr;
	/** @addr2: Second address. */
	__u64 addr2;
	/** @size: Bytes (CHASE: nodes). */
	__u64 size;
	/** @operand: See the opcode. */
	__u64 operand;
	/** @operand2: See the opcode. */
	__u64 operand2;
	/**
	 * @result: Where the device writes the result, any alignment; 0 for
	 * nowhere. A result of 8 bytes at an aligned address is one store, with
	 * release semantics: it can serve as a user fence.
	 */
	__u64 result;
	/** @pad: MBZ. */
	__u64 pad;
};

/**
 * struct drm_fakegpu_submit - Arguments of DRM_IOCTL_FAKEGPU_SUBMIT
 *
 * The commands are copied: nothing that happens to the array later, not even
 * by a command that writes to it, changes what is executed. They are all
 * checked before the first one is accepted. Commands of a queue execute in
 * order; queues are not ordered against each other.
 *
 * Errors: EINVAL, EOVERFLOW, EOPNOTSUPP, E2BIG, ENOENT, EPERM, EIO, ENOSPC,
 * EFAULT, ENOMEM.
 */
struct drm_fakegpu_submit {
	/** @queue_id: The queue. */
	__u32 queue_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @cmds: Array of &struct drm_fakegpu_cmd, at least one. */
	struct drm_fakegpu_array cmds;
	/** @seqno: Out: sequence number of the submission: 1, 2, 3 ... per queue. */
	__u64 seqno;
	/** @bad_cmd: Out, on an error found in a command: its index. */
	__u32 bad_cmd;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * struct drm_fakegpu_wait - Arguments of DRM_IOCTL_FAKEGPU_WAIT
 *
 * Returns 0 once @seqno is completed. A sequence number that hasn't been given
 * out yet can be waited for. A time in the past makes it a poll.
 *
 * Errors: EINVAL, ENOENT, EPERM, ETIME, EIO, ECANCELED, EINTR.
 */
struct drm_fakegpu_wait {
	/** @queue_id: The queue. */
	__u32 queue_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @seqno: The sequence number. */
	__u64 seqno;
	/** @timeout_ns: Absolute time, CLOCK_MONOTONIC nanoseconds. */
	__s64 timeout_ns;
	/** @completed: Out: newest sequence number completed. */
	__u64 completed;
};

/** DRM_FAKEGPU_PREFETCH_WRITE - In prefetch.flags: ask for write permission. */
#define DRM_FAKEGPU_PREFETCH_WRITE	(1 << 0)
/**
 * DRM_FAKEGPU_PREFETCH_PRESENT - In prefetch.flags: only take what is present
 *
 * No CPU fault is taken and nothing is allocated for the process; holes are
 * skipped without an error. Not together with DRM_FAKEGPU_PREFETCH_WRITE.
 */
#define DRM_FAKEGPU_PREFETCH_PRESENT	(1 << 1)

/**
 * struct drm_fakegpu_prefetch - Arguments of DRM_IOCTL_FAKEGPU_PREFETCH
 *
 * Errors: EINVAL, EOVERFLOW, ENOENT, EPERM, ESRCH, EFAULT (a hole), EPERM (a
 * write to read-only memory), EACCES (an attribute forbids it), EBUSY (collided
 * too long with invalidations), EINTR, ENOMEM. @done tells how far it came.
 */
struct drm_fakegpu_prefetch {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: DRM_FAKEGPU_PREFETCH_xxx. */
	__u32 flags;
	/** @start: First address; any alignment. */
	__u64 start;
	/** @size: Bytes, not zero. */
	__u64 size;
	/** @done: Out: bytes from @start that were handled before an error, or @size. */
	__u64 done;
};

/* ----------------------------------------------------------- attributes --- */

/**
 * enum drm_fakegpu_attr - Attributes of addresses
 *
 * All of them are 0 unless VM_ADVISE said something else.
 */
enum drm_fakegpu_attr {
	/** @DRM_FAKEGPU_ATTR_ACCESS: &enum drm_fakegpu_attr_access. */
	DRM_FAKEGPU_ATTR_ACCESS = 0,
	/** @DRM_FAKEGPU_ATTR_ATOMIC: &enum drm_fakegpu_attr_atomic. */
	DRM_FAKEGPU_ATTR_ATOMIC = 1,
	/** @DRM_FAKEGPU_ATTR_LOCATION: &enum drm_fakegpu_attr_location. */
	DRM_FAKEGPU_ATTR_LOCATION = 2,
	/**
	 * @DRM_FAKEGPU_ATTR_WINDOW_ORDER: log2 of the fault window's size in
	 * bytes; 0 takes the VM's. One that is larger than the VM's has no effect.
	 */
	DRM_FAKEGPU_ATTR_WINDOW_ORDER = 3,
};

/**
 * enum drm_fakegpu_attr_access - What the device may do
 *
 * On top of what the CPU's page table allows: it never allows more.
 */
enum drm_fakegpu_attr_access {
	/** @DRM_FAKEGPU_ATTR_ACCESS_READ_WRITE: What the mapping allows. */
	DRM_FAKEGPU_ATTR_ACCESS_READ_WRITE = 0,
	/** @DRM_FAKEGPU_ATTR_ACCESS_READ_ONLY: Only read; a write fails with EACCES. */
	DRM_FAKEGPU_ATTR_ACCESS_READ_ONLY = 1,
	/** @DRM_FAKEGPU_ATTR_ACCESS_NONE: Nothing; any access fails with EACCES. */
	DRM_FAKEGPU_ATTR_ACCESS_NONE = 2,
};

/**
 * enum drm_fakegpu_attr_atomic - Who may do atomic operations
 */
enum drm_fakegpu_attr_atomic {
	/** @DRM_FAKEGPU_ATTR_ATOMIC_DEVICE: The device, too. */
	DRM_FAKEGPU_ATTR_ATOMIC_DEVICE = 0,
	/**
	 * @DRM_FAKEGPU_ATTR_ATOMIC_NONE: Not the device: ATOMIC and SEM_SIGNAL
	 * fail with EACCES. Reads, writes, results and SEM_WAIT do not.
	 */
	DRM_FAKEGPU_ATTR_ATOMIC_NONE = 1,
};

/**
 * enum drm_fakegpu_attr_location - Where the memory should be
 */
enum drm_fakegpu_attr_location {
	/** @DRM_FAKEGPU_ATTR_LOCATION_SYSTEM: In system memory; there is no other yet. */
	DRM_FAKEGPU_ATTR_LOCATION_SYSTEM = 0,
};

/**
 * struct drm_fakegpu_vm_advise - Arguments of DRM_IOCTL_FAKEGPU_VM_ADVISE
 *
 * Sets one attribute of the addresses [@start, @start + @size); the others stay
 * as they are. Attributes belong to the VM's addresses, not to what is mapped
 * there: they can be set before anything is mapped, and no change of a mapping
 * alters them. They die, for just the addresses in question, when the kernel
 * tells that addresses are unmapped (``MMU_NOTIFY_UNMAP``): by munmap, by a
 * mapping that takes their place, by mremap for the old addresses, at the end
 * of the process. For mremap with MREMAP_DONTUNMAP and process_mrelease the
 * kernel tells the same, though the mapping stays; and it tells nothing where
 * nothing was mapped.
 *
 * When the call returns, no access by the device gets around an attribute that
 * it made stricter: the range's mirror entries are gone, if there were any.
 *
 * Neighbouring ranges with the same attributes are one range. A VM may have
 * &drm_fakegpu_dev_info.max_attrs of them; a call that would make more is
 * refused with ENOSPC and changes nothing. An unmap in the middle of a range
 * when there are as many as that already leaves the attributes in place, and is
 * counted in &drm_fakegpu_vm_get_state.attrs_kept.
 *
 * Since 1.1. Errors: EINVAL, EOVERFLOW, EOPNOTSUPP, ENOENT, EPERM, ENOSPC,
 * ESRCH, EINTR, ENOMEM.
 */
struct drm_fakegpu_vm_advise {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @start: First address, aligned to the page size. */
	__u64 start;
	/** @size: Bytes, not zero, a multiple of the page size. */
	__u64 size;
	/** @attr: One of &enum drm_fakegpu_attr. */
	__u32 attr;
	/** @pad: MBZ. */
	__u32 pad;
	/** @value: What to set it to. */
	__u64 value;
};

/**
 * struct drm_fakegpu_vm_attr_range - A range whose attributes aren't all 0
 */
struct drm_fakegpu_vm_attr_range {
	/** @start: First address. */
	__u64 start;
	/** @end: End (exclusive). */
	__u64 end;
	/** @access: One of &enum drm_fakegpu_attr_access. */
	__u32 access;
	/** @atomic: One of &enum drm_fakegpu_attr_atomic. */
	__u32 atomic;
	/** @location: One of &enum drm_fakegpu_attr_location. */
	__u32 location;
	/** @window_order: log2 of the fault window's size in bytes, or 0. */
	__u32 window_order;
};

/**
 * struct drm_fakegpu_vm_query_attrs - Arguments of DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS
 *
 * Lists the ranges with attributes in [@start, @start + @size), clipped to it,
 * in ascending order. What isn't listed has no attributes: all are 0.
 *
 * Since 1.1. Errors: EINVAL, EOVERFLOW, ENOENT, EPERM, EFAULT.
 */
struct drm_fakegpu_vm_query_attrs {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @start: First address, aligned to the page size. */
	__u64 start;
	/** @size: Bytes, not zero, a multiple of the page size. */
	__u64 size;
	/**
	 * @ranges: In: where to put &struct drm_fakegpu_vm_attr_range.
	 * Out: @ranges.count is the number written.
	 */
	struct drm_fakegpu_array ranges;
	/**
	 * @next: Out: where to go on if the array was too short, else
	 * @start + @size.
	 */
	__u64 next;
};

/* ---------------------------------------------------------------- ranges --- */

/**
 * struct drm_fakegpu_range_register - Arguments of DRM_IOCTL_FAKEGPU_RANGE_REGISTER
 *
 * For VMs with DRM_FAKEGPU_SCHEME_FIXED. It is addresses that are registered, not
 * what is mapped there: that may come, go and come again, and the mirror follows
 * it. Ranges may overlap. All go with the VM.
 *
 * Errors: EINVAL (also: the VM's scheme is another one), EOVERFLOW, ENOENT, EPERM,
 * ENOSPC, ENOMEM, EINTR, ESRCH.
 */
struct drm_fakegpu_range_register {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @flags: MBZ. */
	__u32 flags;
	/** @start: First address; page-aligned. */
	__u64 start;
	/** @size: Bytes; page-aligned, not zero. */
	__u64 size;
	/** @range_id: Out: id of the range, not zero, unique in the VM. */
	__u32 range_id;
	/** @pad: MBZ. */
	__u32 pad;
};

/**
 * struct drm_fakegpu_range_unregister - Arguments of DRM_IOCTL_FAKEGPU_RANGE_UNREGISTER
 *
 * When it returns, the device uses no memory that only this range let it use. What
 * it is at there has a device fault, and EFAULT.
 *
 * Errors: ENOENT (no such VM, or range), EPERM.
 */
struct drm_fakegpu_range_unregister {
	/** @vm_id: The VM. */
	__u32 vm_id;
	/** @range_id: The range. */
	__u32 range_id;
};

/**
 * DRM_IOCTL_FAKEGPU - Build an ioctl number; not for direct use
 * @rw: W, R or WR.
 * @id: One of &enum drm_fakegpu_ioctl_id without its prefix.
 * @type: Name of the structure without its prefix.
 */
#define DRM_IOCTL_FAKEGPU(rw, id, type) \
	DRM_IO ## rw(DRM_COMMAND_BASE + DRM_FAKEGPU_ ## id, struct drm_fakegpu_ ## type)

#define DRM_IOCTL_FAKEGPU_DEV_QUERY	 DRM_IOCTL_FAKEGPU(WR, DEV_QUERY, dev_query)
#define DRM_IOCTL_FAKEGPU_VM_CREATE	 DRM_IOCTL_FAKEGPU(WR, VM_CREATE, vm_create)
#define DRM_IOCTL_FAKEGPU_VM_DESTROY	 DRM_IOCTL_FAKEGPU(WR, VM_DESTROY, vm_destroy)
#define DRM_IOCTL_FAKEGPU_VM_QUERY	 DRM_IOCTL_FAKEGPU(WR, VM_QUERY, vm_query)
#define DRM_IOCTL_FAKEGPU_VM_GET_STATE	 DRM_IOCTL_FAKEGPU(WR, VM_GET_STATE, vm_get_state)
#define DRM_IOCTL_FAKEGPU_VM_GET_FAULTS	 DRM_IOCTL_FAKEGPU(WR, VM_GET_FAULTS, vm_get_faults)
#define DRM_IOCTL_FAKEGPU_QUEUE_CREATE	 DRM_IOCTL_FAKEGPU(WR, QUEUE_CREATE, queue_create)
#define DRM_IOCTL_FAKEGPU_QUEUE_DESTROY	 DRM_IOCTL_FAKEGPU(WR, QUEUE_DESTROY, queue_destroy)
#define DRM_IOCTL_FAKEGPU_QUEUE_GET_STATE DRM_IOCTL_FAKEGPU(WR, QUEUE_GET_STATE, queue_get_state)
#define DRM_IOCTL_FAKEGPU_SUBMIT	 DRM_IOCTL_FAKEGPU(WR, SUBMIT, submit)
#define DRM_IOCTL_FAKEGPU_WAIT		 DRM_IOCTL_FAKEGPU(WR, WAIT, wait)
#define DRM_IOCTL_FAKEGPU_PREFETCH	 DRM_IOCTL_FAKEGPU(WR, PREFETCH, prefetch)
#define DRM_IOCTL_FAKEGPU_VM_ADVISE	 DRM_IOCTL_FAKEGPU(WR, VM_ADVISE, vm_advise)
#define DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS DRM_IOCTL_FAKEGPU(WR, VM_QUERY_ATTRS, vm_query_attrs)
#define DRM_IOCTL_FAKEGPU_RANGE_REGISTER DRM_IOCTL_FAKEGPU(WR, RANGE_REGISTER, range_register)
#define DRM_IOCTL_FAKEGPU_RANGE_UNREGISTER \
	DRM_IOCTL_FAKEGPU(WR, RANGE_UNREGISTER, range_unregister)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_FAKEGPU_DRM_H_ */
