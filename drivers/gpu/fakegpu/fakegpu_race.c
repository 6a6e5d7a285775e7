// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: failures on demand, and races that are certain.
 *
 * Knows nothing of the floors that ask it. Without a knob set it costs one read
 * of a flag at each point.
 */

/**
 * DOC: Failures and races on demand
 *
 * A *point* is a place in the driver where a test can interfere; its *knob* is a
 * file in debugfs (docs/inject.rst). Each time the driver passes a point whose
 * knob is set, for addresses in the range that the test looks at, it counts. The
 * n-th pass and those that follow, up to a count, are *hit*:
 *
 * - at a FAIL point what would be done fails, as for lack of memory;
 * - at the RETRY point a commit is given up, as after a collision;
 * - at a DELAY point time goes by;
 * - at a HOLD point the driver waits until the test sets the knob anew. In the
 *   meantime the test does what shall happen just there.
 *
 * A hold ends by itself after a while, so that a test that dies leaves nothing
 * hanging.
 */

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "fakegpu_race.h"

#define HOLD_MS			10000
#define SPIN_USECS_MAX		100000
#define SLEEP_USECS_MAX		1000000

/* File names, and how long a delay may be; 0 for what isn't one. */
static const struct {
	const char *name;
	u64 usecs_max;
} points[FAKEGPU_RACE_COUNT] = {
	[FAKEGPU_RACE_FAIL_ARRAYS] = { "fail_arrays" },
	[FAKEGPU_RACE_FAIL_INTERVAL] = { "fail_interval" },
	[FAKEGPU_RACE_FAIL_INSERT] = { "fail_insert" },
	[FAKEGPU_RACE_FAIL_NODE] = { "fail_node" },
	[FAKEGPU_RACE_FAIL_COMMIT] = { "fail_commit" },
	[FAKEGPU_RACE_FAIL_RESERVE] = { "fail_reserve" },
	[FAKEGPU_RACE_RETRY] = { "retry" },
	[FAKEGPU_RACE_DELAY_COMMIT] = { "delay_commit", SLEEP_USECS_MAX },
	[FAKEGPU_RACE_DELAY_INVALIDATE] = { "delay_invalidate", SPIN_USECS_MAX },
	[FAKEGPU_RACE_HOLD_COMMIT] = { "hold_commit" },
	[FAKEGPU_RACE_HOLD_TRY] = { "hold_try" },
	[FAKEGPU_RACE_HOLD_INVALIDATE] = { "hold_invalidate" },
	[FAKEGPU_RACE_HOLD_REMOVE] = { "hold_remove" },
	[FAKEGPU_RACE_HOLD_VERIFY] = { "hold_verify" },
};

/* ---------------------------------------------------- the driver's side --- */

static bool knob_hit(struct fakegpu_race_knob *knob, unsigned long start, unsigned long last)
{
	struct fakegpu_race *race = knob->race;
	bool hit;

	lockdep_assert_held(&race->lock);

	if (!knob->nth || start > race->last || last < race->start)
		return false;
	knob->seen++;
	hit = knob->seen >= knob->nth && (!knob->count || knob->seen - knob->nth < knob->count);
	knob->hits += hit;
	return hit;
}

/**
 * __fakegpu_race_hit - count a pass
 * @race: the device's
 * @point: the point
 * @start: first address that the pass is about
 * @last: last address (inclusive)
 *
 * Return: true if it is hit.
 */
bool __fakegpu_race_hit(struct fakegpu_race *race, enum fakegpu_race_point point,
			unsigned long start, unsigned long last)
{
	bool hit;

	spin_lock(&race->lock);
	hit = knob_hit(&race->knobs[point], start, last);
	spin_unlock(&race->lock);
	return hit;
}

/**
 * __fakegpu_race_sleep - count a pass, sleep if it is hit
 * @race: the device's
 * @point: the point
 * @start: first address that the pass is about
 * @last: last address (inclusive)
 */
void __fakegpu_race_sleep(struct fakegpu_race *race, enum fakegpu_race_point point,
			  unsigned long start, unsigned long last)
{
	u64 usecs;

	spin_lock(&race->lock);
	usecs = knob_hit(&race->knobs[point], start, last) ? race->knobs[point].usecs : 0;
	spin_unlock(&race->lock);

	if (usecs)
		fsleep(usecs);
}

/**
 * __fakegpu_race_spin - count a pass, spin if it is hit
 * @race: the device's
 * @point: the point
 * @start: first address that the pass is about
 * @last: last address (inclusive)
 */
void __fakegpu_race_spin(struct fakegpu_race *race, enum fakegpu_race_point point,
			 unsigned long start, unsigned long last)
{
	ktime_t begin = ktime_get();
	s64 usecs;

	spin_lock(&race->lock);
	usecs = knob_hit(&race->knobs[point], start, last) ? race->knobs[point].usecs : 0;
	spin_unlock(&race->lock);

	/* By the clock: an emulated CPU's loops are not what they were measured to be. */
	while (ktime_us_delta(ktime_get(), begin) < usecs)
		cpu_relax();
}

/**
 * __fakegpu_race_hold - count a pass, wait for the test if it is hit
 * @race: the device's
 * @point: the point
 * @start: first address that the pass is about
 * @last: last address (inclusive)
 */
void __fakegpu_race_hold(struct fakegpu_race *race, enum fakegpu_race_point point,
			 unsigned long start, unsigned long last)
{
	struct fakegpu_race_knob *knob = &race->knobs[point];
	unsigned int generation;
	bool let_go;

	spin_lock(&race->lock);
	if (!knob_hit(knob, start, last)) {
		spin_unlock(&race->lock);
		return;
	}
	generation = knob->generation;
	knob->held++;
	spin_unlock(&race->lock);

	let_go = wait_event_timeout(race->wait, READ_ONCE(knob->generation) != generation,
				    msecs_to_jiffies(HOLD_MS));

	spin_lock(&race->lock);
	knob->held--;
	/* Counts for the knob as it was set then. */
	if (!let_go && knob->generation == generation)
		knob->expired++;
	spin_unlock(&race->lock);
}

/* ------------------------------------------------------ the test's side --- */

static void knob_set(struct fakegpu_race_knob *knob, u64 nth, u64 count, u64 usecs)
{
	lockdep_assert_held(&knob->race->lock);

	knob->nth = nth;
	knob->count = count;
	knob->usecs = usecs;
	knob->seen = 0;
	knob->hits = 0;
	knob->expired = 0;
	WRITE_ONCE(knob->generation, knob->generation + 1);
}

static void update_armed(struct fakegpu_race *race)
{
	bool armed = false;
	unsigned int i;

	lockdep_assert_held(&race->lock);

	for (i = 0; i < FAKEGPU_RACE_COUNT; i++)
		armed |= race->knobs[i].nth;
	WRITE_ONCE(race->armed, armed);
}

static int knob_show(struct seq_file *m, void *unused)
{
	struct fakegpu_race_knob *knob = m->private;

	seq_puts(m, "# nth count usecs seen hits held expired\n");
	spin_lock(&knob->race->lock);
	seq_printf(m, "%llu %llu %llu %llu %llu %u %llu\n", knob->nth, knob->count, knob->usecs,
		   knob->seen, knob->hits, knob->held, knob->expired);
	spin_unlock(&knob->race->lock);
	return 0;
}

static int knob_open(struct inode *inode, struct file *file)
{
	return single_open(file, knob_show, inode->i_private);
}

/* A copy of what was written, as a string, to be freed. */
static char *written(const char __user *buf, size_t size)
{
	if (size > 128)
		return ERR_PTR(-EINVAL);
	return memdup_user_nul(buf, size);
}

static ssize_t knob_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct fakegpu_race_knob *knob = ((struct seq_file *)file->private_data)->private;
	struct fakegpu_race *race = knob->race;
	u64 nth = 0, count = 1, usecs = 0;
	char *text = written(buf, size);
	int fields;

	if (IS_ERR(text))
		return PTR_ERR(text);
	fields = sscanf(text, "%llu %llu %llu", &nth, &count, &usecs);
	kfree(text);
	if (fields < 1 || usecs > points[knob - race->knobs].usecs_max)
		return -EINVAL;

	spin_lock(&race->lock);
	knob_set(knob, nth, count, usecs);
	update_armed(race);
	spin_unlock(&race->lock);
	wake_up_all(&race->wait);
	return size;
}

static const struct file_operations knob_fops = {
	.owner = THIS_MODULE,
	.open = knob_open,
	.read = seq_read,
	.write = knob_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int range_show(struct seq_file *m, void *unused)
{
	struct fakegpu_race *race = m->private;

	spin_lock(&race->lock);
	seq_printf(m, "%016lx-%016lx\n", race->start, race->last + 1);
	spin_unlock(&race->lock);
	return 0;
}

static int range_open(struct inode *inode, struct file *file)
{
	return single_open(file, range_show, inode->i_private);
}

static ssize_t range_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct fakegpu_race *race = ((struct seq_file *)file->private_data)->private;
	char *text = written(buf, size);
	unsigned long start, end;
	int fields;

	if (IS_ERR(text))
		return PTR_ERR(text);
	fields = sscanf(text, "%lx-%lx", &start, &end);
	kfree(text);
	if (fields != 2 || (end && start >= end))
		return -EINVAL;

	spin_lock(&race->lock);
	race->start = start;
	race->last = end - 1;
	spin_unlock(&race->lock);
	return size;
}

static const struct file_operations range_fops = {
	.owner = THIS_MODULE,
	.open = range_open,
	.read = seq_read,
	.write = range_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int room_get(void *race, u64 *value)
{
	*value = READ_ONCE(((struct fakegpu_race *)race)->room);
	return 0;
}

static int room_set(void *race, u64 value)
{
	WRITE_ONCE(((struct fakegpu_race *)race)->room, min_t(u64, value, INT_MAX));
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(room_fops, room_get, room_set, "%llu\n");

static int timeout_get(void *race, u64 *value)
{
	*value = READ_ONCE(((struct fakegpu_race *)race)->timeout_ms);
	return 0;
}

static int timeout_set(void *race, u64 value)
{
	WRITE_ONCE(((struct fakegpu_race *)race)->timeout_ms, min_t(u64, value, INT_MAX));
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(timeout_fops, timeout_get, timeout_set, "%llu\n");

/* Whatever is written. */
static ssize_t reset_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct fakegpu_race *race = file->private_data;
	unsigned int i;

	spin_lock(&race->lock);
	for (i = 0; i < FAKEGPU_RACE_COUNT; i++)
		knob_set(&race->knobs[i], 0, 0, 0);
	update_armed(race);
	race->start = 0;
	race->last = ULONG_MAX;
	spin_unlock(&race->lock);
	WRITE_ONCE(race->room, 0);
	WRITE_ONCE(race->timeout_ms, 0);
	wake_up_all(&race->wait);
	return size;
}

static const struct file_operations reset_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = reset_write,
	.llseek = noop_llseek,
};

/**
 * fakegpu_race_init - set all knobs to off
 * @race: memory for it, zeroed
 */
void fakegpu_race_init(struct fakegpu_race *race)
{
	unsigned int i;

	spin_lock_init(&race->lock);
	init_waitqueue_head(&race->wait);
	race->last = ULONG_MAX;
	for (i = 0; i < FAKEGPU_RACE_COUNT; i++)
		race->knobs[i].race = race;
}

/**
 * fakegpu_race_debugfs - make the knobs' files
 * @race: the device's
 * @parent: the device's directory
 */
void fakegpu_race_debugfs(struct fakegpu_race *race, struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir("inject", parent);
	unsigned int i;

	for (i = 0; i < FAKEGPU_RACE_COUNT; i++)
		debugfs_create_file(points[i].name, 0600, dir, &race->knobs[i], &knob_fops);
	debugfs_create_file("range", 0600, dir, race, &range_fops);
	debugfs_create_file_unsafe("room", 0600, dir, race, &room_fops);
	debugfs_create_file_unsafe("timeout_ms", 0600, dir, race, &timeout_fops);
	debugfs_create_file("reset", 0200, dir, race, &reset_fops);
}
