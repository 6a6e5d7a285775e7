/* SPDX-License-Identifier: GPL-2.0 */
#if !defined(_FAKEGPU_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _FAKEGPU_TRACE_H_

#include <linux/mmu_notifier.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include <drm/fakegpu_drm.h>

/*
 * What each event means is told in docs/tracing.rst. All name the VM and the
 * process that it belongs to, which isn't the one that the event happens in.
 * Ranges are half-open.
 */

struct fakegpu_fault;
struct fakegpu_interval;
struct fakegpu_intervals;

#undef TRACE_SYSTEM
#define TRACE_SYSTEM fakegpu

TRACE_DEFINE_ENUM(MMU_NOTIFY_UNMAP);
TRACE_DEFINE_ENUM(MMU_NOTIFY_CLEAR);
TRACE_DEFINE_ENUM(MMU_NOTIFY_PROTECTION_VMA);
TRACE_DEFINE_ENUM(MMU_NOTIFY_PROTECTION_PAGE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_SOFT_DIRTY);
TRACE_DEFINE_ENUM(MMU_NOTIFY_RELEASE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_MIGRATE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_EXCLUSIVE);

TRACE_DEFINE_ENUM(DRM_FAKEGPU_ACCESS_READ);
TRACE_DEFINE_ENUM(DRM_FAKEGPU_ACCESS_WRITE);
TRACE_DEFINE_ENUM(DRM_FAKEGPU_ACCESS_ATOMIC);

#define fakegpu_show_event(event)					\
	__print_symbolic(event,						\
			 { MMU_NOTIFY_UNMAP, "unmap" },			\
			 { MMU_NOTIFY_CLEAR, "clear" },			\
			 { MMU_NOTIFY_PROTECTION_VMA, "protection_vma" },	\
			 { MMU_NOTIFY_PROTECTION_PAGE, "protection_page" },	\
			 { MMU_NOTIFY_SOFT_DIRTY, "soft_dirty" },	\
			 { MMU_NOTIFY_RELEASE, "release" },		\
			 { MMU_NOTIFY_MIGRATE, "migrate" },		\
			 { MMU_NOTIFY_EXCLUSIVE, "exclusive" })

#define fakegpu_show_access(access)					\
	__print_symbolic(access,					\
			 { DRM_FAKEGPU_ACCESS_READ, "read" },		\
			 { DRM_FAKEGPU_ACCESS_WRITE, "write" },		\
			 { DRM_FAKEGPU_ACCESS_ATOMIC, "atomic" })

DECLARE_EVENT_CLASS(fakegpu_fault,
	TP_PROTO(const struct fakegpu_intervals *intervals, const struct fakegpu_fault *fault,
		 int error),
	TP_ARGS(intervals, fault, error),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, owner)
		__field(u32, queue)
		__field(u32, cmd)
		__field(u64, seqno)
		__field(u64, start)
		__field(u64, end)
		__field(u32, access)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->vm = *intervals->vm_id;
		__entry->owner = intervals->pid;
		__entry->queue = fault->queue_id;
		__entry->cmd = fault->cmd_index;
		__entry->seqno = fault->seqno;
		__entry->start = fault->addr;
		__entry->end = (u64)fault->last + 1;
		__entry->access = fault->access;
		__entry->error = error;
	),
	TP_printk("vm=%u owner=%d queue=%u seqno=%llu cmd=%u access=%s range=%016llx-%016llx error=%d",
		  __entry->vm, __entry->owner, __entry->queue, __entry->seqno, __entry->cmd,
		  fakegpu_show_access(__entry->access), __entry->start, __entry->end,
		  __entry->error)
);

DEFINE_EVENT(fakegpu_fault, fakegpu_fault_raise,
	TP_PROTO(const struct fakegpu_intervals *intervals, const struct fakegpu_fault *fault,
		 int error),
	TP_ARGS(intervals, fault, error)
);

DEFINE_EVENT(fakegpu_fault, fakegpu_fault_dequeue,
	TP_PROTO(const struct fakegpu_intervals *intervals, const struct fakegpu_fault *fault,
		 int error),
	TP_ARGS(intervals, fault, error)
);

DEFINE_EVENT(fakegpu_fault, fakegpu_fault_resume,
	TP_PROTO(const struct fakegpu_intervals *intervals, const struct fakegpu_fault *fault,
		 int error),
	TP_ARGS(intervals, fault, error)
);

DECLARE_EVENT_CLASS(fakegpu_interval,
	TP_PROTO(const struct fakegpu_interval *interval),
	TP_ARGS(interval),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, owner)
		__field(u64, start)
		__field(u64, end)
	),
	TP_fast_assign(
		__entry->vm = *interval->owner->vm_id;
		__entry->owner = interval->owner->pid;
		__entry->start = fakegpu_interval_start(interval);
		__entry->end = (u64)fakegpu_interval_last(interval) + 1;
	),
	TP_printk("vm=%u owner=%d range=%016llx-%016llx", __entry->vm, __entry->owner,
		  __entry->start, __entry->end)
);

DEFINE_EVENT(fakegpu_interval, fakegpu_interval_add,
	TP_PROTO(const struct fakegpu_interval *interval),
	TP_ARGS(interval)
);

DEFINE_EVENT(fakegpu_interval, fakegpu_interval_dead,
	TP_PROTO(const struct fakegpu_interval *interval),
	TP_ARGS(interval)
);

DEFINE_EVENT(fakegpu_interval, fakegpu_interval_remove,
	TP_PROTO(const struct fakegpu_interval *interval),
	TP_ARGS(interval)
);

TRACE_EVENT(fakegpu_service,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long addr, bool present),
	TP_ARGS(intervals, addr, present),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, owner)
		__field(u64, addr)
		__field(bool, present)
	),
	TP_fast_assign(
		__entry->vm = *intervals->vm_id;
		__entry->owner = intervals->pid;
		__entry->addr = addr;
		__entry->present = present;
	),
	TP_printk("vm=%u owner=%d addr=%016llx present=%d", __entry->vm, __entry->owner,
		  __entry->addr, __entry->present)
);

DECLARE_EVENT_CLASS(fakegpu_pass,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long start,
		 unsigned long last, unsigned long seq, int error),
	TP_ARGS(intervals, start, last, seq, error),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, owner)
		__field(u64, start)
		__field(u64, end)
		__field(unsigned long, seq)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->vm = *intervals->vm_id;
		__entry->owner = intervals->pid;
		__entry->start = start;
		__entry->end = (u64)last + 1;
		__entry->seq = seq;
		__entry->error = error;
	),
	TP_printk("vm=%u owner=%d range=%016llx-%016llx seq=%lu error=%d", __entry->vm,
		  __entry->owner, __entry->start, __entry->end, __entry->seq, __entry->error)
);

DEFINE_EVENT(fakegpu_pass, fakegpu_read_begin,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long start,
		 unsigned long last, unsigned long seq, int error),
	TP_ARGS(intervals, start, last, seq, error)
);

DEFINE_EVENT(fakegpu_pass, fakegpu_range_fault,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long start,
		 unsigned long last, unsigned long seq, int error),
	TP_ARGS(intervals, start, last, seq, error)
);

DEFINE_EVENT(fakegpu_pass, fakegpu_lock,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long start,
		 unsigned long last, unsigned long seq, int error),
	TP_ARGS(intervals, start, last, seq, error)
);

DEFINE_EVENT(fakegpu_pass, fakegpu_commit,
	TP_PROTO(const struct fakegpu_intervals *intervals, unsigned long start,
		 unsigned long last, unsigned long seq, int error),
	TP_ARGS(intervals, start, last, seq, error)
);

TRACE_EVENT(fakegpu_invalidate,
	TP_PROTO(const struct fakegpu_interval *interval, const struct mmu_notifier_range *range,
		 u64 pages),
	TP_ARGS(interval, range, pages),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, owner)
		__field(u32, event)
		__field(u64, start)
		__field(u64, end)
		__field(u64, interval_start)
		__field(u64, interval_end)
		__field(u64, pages)
		__field(bool, blockable)
	),
	TP_fast_assign(
		__entry->vm = *interval->owner->vm_id;
		__entry->owner = interval->owner->pid;
		__entry->event = range->event;
		__entry->start = range->start;
		__entry->end = range->end;
		__entry->interval_start = fakegpu_interval_start(interval);
		__entry->interval_end = (u64)fakegpu_interval_last(interval) + 1;
		__entry->pages = pages;
		__entry->blockable = mmu_notifier_range_blockable(range);
	),
	TP_printk("vm=%u owner=%d event=%s range=%016llx-%016llx interval=%016llx-%016llx pages=%llu blockable=%d",
		  __entry->vm, __entry->owner, fakegpu_show_event(__entry->event), __entry->start,
		  __entry->end, __entry->interval_start, __entry->interval_end, __entry->pages,
		  __entry->blockable)
);

#endif /* _FAKEGPU_TRACE_H_ */

/* This file is found in the directory that fakegpu_trace.c is compiled with -I for. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE fakegpu_trace
#include <trace/define_trace.h>
