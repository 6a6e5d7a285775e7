/* SPDX-License-Identifier: MIT */
/*
 * What fakegpu-floor.ko counts for a program: the bare work of the kernel, which no
 * driver can do without
 */
#ifndef FAKEGPU_FLOOR_H
#define FAKEGPU_FLOOR_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define FAKEGPU_FLOOR_DEVICE	"fakegpu-floor"

/* Have the CPU fault in what isn't there, for reading or for writing. */
#define FAKEGPU_FLOOR_FAULT	0x1
#define FAKEGPU_FLOOR_WRITE	0x2

/**
 * struct fakegpu_floor_range - hmm_range_fault() over a range, into an array
 *
 * @addr: first address, page aligned.
 * @size: bytes, a multiple of the page size.
 * @window: bytes for a call of hmm_range_fault(), a power of two from the page size up
 *	to 2 MiB; windows are aligned.
 * @flags: FAKEGPU_FLOOR_xxx.
 * @pad: must be 0.
 * @ticks: returns what it took in ticks of the TSC, from the first mmap_read_lock() to
 *	the last unlock. The notifier is registered before that.
 *
 * Errors: EINVAL; EFAULT where nothing is mapped; EBUSY if it collided with an
 * invalidation; ENOMEM; EINTR.
 */
struct fakegpu_floor_range {
	__u64 addr;
	__u64 size;
	__u64 window;
	__u32 flags;
	__u32 pad;
	__u64 ticks;
};

/**
 * struct fakegpu_floor_copy - memcpy() of the kernel
 *
 * @size: bytes, a multiple of 1 MiB: as many are copied, from one buffer of 1 MiB to
 *	another, a page at a time.
 * @ticks: returns what it took, in ticks of the TSC.
 *
 * Errors: EINVAL, ENOMEM.
 */
struct fakegpu_floor_copy {
	__u64 size;
	__u64 ticks;
};

/**
 * struct fakegpu_floor_watch - keep an interval registered while the file is open
 *
 * @addr: first address, page aligned.
 * @size: bytes, a multiple of the page size.
 *
 * Errors: EINVAL; EBUSY if there is one already; ENOMEM.
 */
struct fakegpu_floor_watch {
	__u64 addr;
	__u64 size;
};

#define FAKEGPU_FLOOR_IOC_RANGE	_IOWR('F', 0x00, struct fakegpu_floor_range)
#define FAKEGPU_FLOOR_IOC_COPY	_IOWR('F', 0x01, struct fakegpu_floor_copy)
#define FAKEGPU_FLOOR_IOC_WATCH	_IOW('F', 0x02, struct fakegpu_floor_watch)

#endif /* FAKEGPU_FLOOR_H */
