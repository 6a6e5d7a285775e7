/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as the mirror uses, for the host.
 *
 * Where the kernel only trusts, the shim checks: locks know who holds them, an
 * allocation under a lock warns (I4), and a warning fails the test unless the
 * test expects it. Single-threaded: a lock that would have to wait is an error.
 */
#ifndef _UNIT_SHIM_H_
#define _UNIT_SHIM_H_

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned int gfp_t;

#define GFP_KERNEL	1U

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define BITS_PER_LONG	64

#define BIT(nr)		(1UL << (nr))
#define BIT_ULL(nr)	(1ULL << (nr))

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val)	(*(volatile __typeof__(x) *)&(x) = (val))

/* As strict as the older kernels: both sides have the same type. */
#define __shim_cmp(x, y, op) ({			\
	__typeof__(x) __x = (x);		\
	__typeof__(y) __y = (y);		\
	(void)(&__x == &__y);			\
	__x op __y ? __x : __y; })
#define min(x, y)		__shim_cmp(x, y, <)
#define max(x, y)		__shim_cmp(x, y, >)
#define min_t(type, x, y)	min((type)(x), (type)(y))
#define max_t(type, x, y)	max((type)(x), (type)(y))

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Reports a warning; returns @cond. Warns each time, also for the _ONCE kind. */
bool shim_warn(bool cond, const char *file, int line, const char *text);

#define WARN_ON(cond)		shim_warn(!!(cond), __FILE__, __LINE__, #cond)
#define WARN_ON_ONCE(cond)	WARN_ON(cond)

typedef struct {
	unsigned int readers;
	unsigned int writers;
} rwlock_t;

void rwlock_init(rwlock_t *lock);
void read_lock(rwlock_t *lock);
void read_unlock(rwlock_t *lock);
void write_lock(rwlock_t *lock);
void write_unlock(rwlock_t *lock);

#define lockdep_assert_held(lock) \
	shim_warn(!(lock)->readers && !(lock)->writers, __FILE__, __LINE__, "lock not held")
#define lockdep_assert_held_write(lock) \
	shim_warn(!(lock)->writers, __FILE__, __LINE__, "lock not held for write")

void *kzalloc(size_t size, gfp_t gfp);
void kfree(const void *p);
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);

#endif /* _UNIT_SHIM_H_ */
