/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_RACE_H_
#define _FAKEGPU_RACE_H_

#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/kconfig.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct dentry;

/* What each one does is told in docs/inject.rst, under the name of its file. */
enum fakegpu_race_point {
	FAKEGPU_RACE_FAIL_ARRAYS,
	FAKEGPU_RACE_FAIL_INTERVAL,
	FAKEGPU_RACE_FAIL_INSERT,
	FAKEGPU_RACE_FAIL_NODE,
	FAKEGPU_RACE_FAIL_COMMIT,
	FAKEGPU_RACE_FAIL_RESERVE,
	FAKEGPU_RACE_RETRY,
	FAKEGPU_RACE_DELAY_COMMIT,
	FAKEGPU_RACE_DELAY_INVALIDATE,
	FAKEGPU_RACE_HOLD_COMMIT,
	FAKEGPU_RACE_HOLD_TRY,
	FAKEGPU_RACE_HOLD_INVALIDATE,
	FAKEGPU_RACE_HOLD_REMOVE,
	FAKEGPU_RACE_HOLD_VERIFY,
	FAKEGPU_RACE_COUNT
};

struct fakegpu_race;

/**
 * struct fakegpu_race_knob - one point at which a test can interfere
 *
 * Protected by &fakegpu_race.lock; those that wait look at @generation without.
 */
struct fakegpu_race_knob {
	/** @race: what it is a part of; immutable. */
	struct fakegpu_race *race;
	/** @nth: the first pass that is hit, from 1 on; 0: off. */
	u64 nth;
	/** @count: how many are hit; 0: all from @nth on. */
	u64 count;
	/** @usecs: of a delay: how long, in microseconds. */
	u64 usecs;
	/** @seen: passes since the knob was set. */
	u64 seen;
	/** @hits: those that were hit. */
	u64 hits;
	/** @held: how many are being held now. */
	unsigned int held;
	/** @expired: holds that ended because nobody let them go. */
	u64 expired;
	/** @generation: changes when the knob is set: who is held goes on. */
	unsigned int generation;
};

/**
 * struct fakegpu_race - failures and races that tests ask for, of a device
 */
struct fakegpu_race {
	/** @armed: is any knob set? All that is read as long as none is. */
	bool armed;
	/** @room: device faults that fit, if fewer than the device's; 0: off. */
	u32 room;
	/** @timeout_ms: time limit for the service of a window; 0: the VM's own. */
	u32 timeout_ms;
	/** @lock: protects the knobs and the range; innermost. */
	spinlock_t lock;
	/** @start: first address of what the knobs look at. */
	unsigned long start;
	/** @last: its last address (inclusive). */
	unsigned long last;
	/** @knobs: one per point. */
	struct fakegpu_race_knob knobs[FAKEGPU_RACE_COUNT];
	/** @wait: who is held. */
	wait_queue_head_t wait;
};

#if IS_ENABLED(CONFIG_DEBUG_FS)
void fakegpu_race_init(struct fakegpu_race *race);
void fakegpu_race_debugfs(struct fakegpu_race *race, struct dentry *parent);
#else
static inline void fakegpu_race_init(struct fakegpu_race *race)
{
}
#endif

bool __fakegpu_race_hit(struct fakegpu_race *race, enum fakegpu_race_point point,
			unsigned long start, unsigned long last);
void __fakegpu_race_sleep(struct fakegpu_race *race, enum fakegpu_race_point point,
			  unsigned long start, unsigned long last);
void __fakegpu_race_hold(struct fakegpu_race *race, enum fakegpu_race_point point,
			 unsigned long start, unsigned long last);
void __fakegpu_race_spin(struct fakegpu_race *race, enum fakegpu_race_point point,
			 unsigned long start, unsigned long last);

/* Without debugfs there is nothing that could set a knob. */
static inline bool fakegpu_race_armed(const struct fakegpu_race *race)
{
	return IS_ENABLED(CONFIG_DEBUG_FS) && unlikely(READ_ONCE(race->armed));
}

/**
 * fakegpu_race_worker_only - shall no engine serve device faults itself?
 * @race: the device's
 *
 * Return: true if a test interferes with services, which are the worker's then, unless
 * it wants to hold an engine's.
 */
static inline bool fakegpu_race_worker_only(const struct fakegpu_race *race)
{
	return (fakegpu_race_armed(race) &&
		!READ_ONCE(race->knobs[FAKEGPU_RACE_HOLD_TRY].nth)) || READ_ONCE(race->room);
}

/**
 * fakegpu_race_fail - shall this fail now?
 * @race: the device's
 * @point: where the caller is
 * @start: first address that it is about
 * @last: last address (inclusive)
 *
 * Return: true if a test has asked for it.
 */
static inline bool fakegpu_race_fail(struct fakegpu_race *race, enum fakegpu_race_point point,
				     unsigned long start, unsigned long last)
{
	return fakegpu_race_armed(race) && __fakegpu_race_hit(race, point, start, last);
}

/**
 * fakegpu_race_sleep - sleep for as long as a test has asked for
 * @race: the device's
 * @point: where the caller is; a DELAY
 * @start: first address that it is about
 * @last: last address (inclusive)
 */
static inline void fakegpu_race_sleep(struct fakegpu_race *race, enum fakegpu_race_point point,
				      unsigned long start, unsigned long last)
{
	if (fakegpu_race_armed(race))
		__fakegpu_race_sleep(race, point, start, last);
}

/**
 * fakegpu_race_hold - wait until a test lets go
 * @race: the device's
 * @point: where the caller is; a HOLD
 * @start: first address that it is about
 * @last: last address (inclusive)
 *
 * Sleeps, for a bounded time, and not even a kill wakes it: what is held can be
 * in the middle of anything.
 */
static inline void fakegpu_race_hold(struct fakegpu_race *race, enum fakegpu_race_point point,
				     unsigned long start, unsigned long last)
{
	if (fakegpu_race_armed(race))
		__fakegpu_race_hold(race, point, start, last);
}

/**
 * fakegpu_race_spin - spin for as long as a test has asked for
 * @race: the device's
 * @point: where the caller is; a DELAY
 * @start: first address that it is about
 * @last: last address (inclusive)
 *
 * For a caller that may not sleep.
 */
static inline void fakegpu_race_spin(struct fakegpu_race *race, enum fakegpu_race_point point,
				     unsigned long start, unsigned long last)
{
	if (fakegpu_race_armed(race))
		__fakegpu_race_spin(race, point, start, last);
}

/**
 * fakegpu_race_room - how many device faults fit?
 * @race: the device's
 * @size: what the device has
 *
 * Return: that, or less if a test has asked for it.
 */
static inline int fakegpu_race_room(const struct fakegpu_race *race, int size)
{
	u32 room = READ_ONCE(race->room);

	return unlikely(room) ? min_t(u32, room, size) : size;
}

/**
 * fakegpu_race_timeout - how long may the service of a window take?
 * @race: the device's
 * @timeout: what the VM says, in jiffies
 *
 * Return: that, or what a test has asked for.
 */
static inline unsigned long fakegpu_race_timeout(const struct fakegpu_race *race,
						 unsigned long timeout)
{
	u32 ms = READ_ONCE(race->timeout_ms);

	return unlikely(ms) ? msecs_to_jiffies(ms) : timeout;
}

#endif /* _FAKEGPU_RACE_H_ */
