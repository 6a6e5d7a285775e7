// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle: holds each mirror entry against the CPU's page table.
 *
 * It reads the CPU's page table by hmm_range_fault() without faulting anything
 * in, under the same retry protocol as the service loop, so a difference that
 * it sees isn't one that an invalidation is about to repair. The mirror is read
 * first: what is mapped, or may be written, later than that is in the CPU's page
 * table before it is in the mirror, and no invalidation tells of it. And munmap()
 * takes a VMA away before it invalidates, and then holds mmap_lock for read only:
 * whoever reads too sees that nothing is mapped. So where there is a difference,
 * it looks again with mmap_lock held for write.
 */

#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "fakegpu_race.h"
#include "fakegpu_verify.h"
#include "fakegpu_vm.h"

/* Mismatches told of one by one; all are counted. */
#define TELL_MAX	32

struct oracle {
	struct fakegpu_vm *vm;
	struct seq_file *m;
	struct fakegpu_verdict *verdict;
	bool alone;	/* Look with mmap_lock held for write. */
	u64 entries[FAKEGPU_LEAF_PAGES];
	unsigned long pfns[FAKEGPU_LEAF_PAGES];
};

static void tell(struct oracle *oracle, unsigned long addr, u64 entry, const char *what)
{
	if (oracle->verdict->mismatches++ < TELL_MAX)
		seq_printf(oracle->m, "vm %u: %016lx entry %016llx: %s\n", oracle->vm->id, addr,
			   entry, what);
}

/* How an entry differs from what the CPU has there, or NULL. */
static const char *difference(u64 entry, unsigned long cpu)
{
	if ((cpu & (HMM_PFN_VALID | HMM_PFN_ERROR)) != HMM_PFN_VALID)
		return "the CPU maps nothing";
	if (page_to_pfn(hmm_pfn_to_page(cpu)) != fakegpu_entry_pfn(entry))
		return "the CPU maps another page";
	if ((entry & FAKEGPU_ENTRY_WRITE) && !(cpu & HMM_PFN_WRITE))
		return "the CPU's page table does not allow writes";
	return NULL;
}

static void check_page_attr(struct oracle *oracle, unsigned long addr, u64 entry)
{
	struct fakegpu_attr_run run;

	fakegpu_attrs_find(&oracle->vm->attrs, addr, &run);
	if (oracle->vm->attrs.unsettled)
		return;
	if (!fakegpu_attr_allows(&run.value, entry & FAKEGPU_ENTRY_WRITE, false) ||
	    (!(entry & FAKEGPU_ENTRY_NOATOMIC) &&
	     !fakegpu_attr_allows(&run.value, false, true)))
		tell(oracle, addr, entry, "an attribute forbids what it allows");
}

/* Would an unmap of what has attributes be heard of? */
static void check_attrs(struct oracle *oracle)
{
	struct fakegpu_attrs *attrs = &oracle->vm->attrs;
	struct fakegpu_attr_run run;
	unsigned long addr = 0;

	while (fakegpu_attrs_next(attrs, addr, ULONG_MAX, &run)) {
		read_lock(&oracle->vm->mirror.lock);
		fakegpu_attrs_find(attrs, run.start, &run);
		if (!fakegpu_attr_equal(&run.value, &(struct fakegpu_attr_value){}) &&
		    !fakegpu_attrs_covered(attrs, run.start, run.last))
			tell(oracle, run.start, 0, "no notifier covers its attributes");
		read_unlock(&oracle->vm->mirror.lock);
		addr = run.last + 1;
		if (!addr)
			break;
	}
}

/* Call @each for each page of [start, last] that has an entry, under the mirror lock. */
static void walk_entries(struct oracle *oracle, unsigned long start, unsigned long last,
			 void (*each)(struct oracle *oracle, unsigned long addr, u64 entry))
{
	struct fakegpu_mirror_leaf leaf;
	unsigned long addr = start;

	while (addr <= last && fakegpu_mirror_next(&oracle->vm->mirror, addr, last, &leaf)) {
		unsigned long stop = min(leaf.start + ((1UL << leaf.shift) - 1), last);

		for (addr = max(addr, leaf.start); addr <= stop; addr += PAGE_SIZE) {
			u64 offset = (addr - leaf.start) >> PAGE_SHIFT;

			each(oracle, addr, leaf.entry + (offset << FAKEGPU_ENTRY_PFN_SHIFT));
		}
	}
}

static unsigned long place(unsigned long addr)
{
	return (addr & (FAKEGPU_LEAF_SIZE - 1)) >> PAGE_SHIFT;
}

static void note_entry(struct oracle *oracle, unsigned long addr, u64 entry)
{
	oracle->entries[place(addr)] = entry;
}

/*
 * Under the mirror lock, after the retry check: what was in the mirror then is in
 * the CPU's page table. Attributes are held against what is in the mirror now.
 * Returns 0, or -EBUSY if it has to be looked at alone.
 */
static int check_slot(struct oracle *oracle, unsigned long start, unsigned long last)
{
	const unsigned long first = place(start), stop = place(last) + 1;
	unsigned long i, entries = 0;

	for (i = first; i < stop; i++) {
		const char *what;

		if (!oracle->entries[i])
			continue;
		entries++;
		what = difference(oracle->entries[i], oracle->pfns[i]);
		if (what && !oracle->alone) {
			oracle->alone = true;
			return -EBUSY;
		}
		if (what)
			tell(oracle, start + ((i - first) << PAGE_SHIFT), oracle->entries[i], what);
	}
	oracle->verdict->entries += entries;
	walk_entries(oracle, start, last, check_page_attr);
	return 0;
}

static int oracle_lock(struct oracle *oracle)
{
	struct mm_struct *mm = oracle->vm->mm;

	return oracle->alone ? mmap_write_lock_killable(mm) : mmap_read_lock_killable(mm);
}

static void oracle_unlock(struct oracle *oracle)
{
	if (oracle->alone)
		mmap_write_unlock(oracle->vm->mm);
	else
		mmap_read_unlock(oracle->vm->mm);
}

/*
 * Look at [start, *lastp], which lies in one slot of a large leaf, or what of it
 * the interval at @start covers, and say in *lastp how far that is. There is an
 * entry at @start. Returns 0, or -EBUSY to try again.
 */
static int verify_pass(struct oracle *oracle, unsigned long start, unsigned long *lastp)
{
	struct fakegpu_vm *vm = oracle->vm;
	struct hmm_range range = {
		.start = start,
		.hmm_pfns = oracle->pfns + place(start),
	};
	struct fakegpu_interval *interval;
	struct fakegpu_mirror_leaf leaf;
	int ret;

	interval = fakegpu_interval_get(&vm->intervals, start);
	if (!interval) {
		/* I1, unless the entries have gone with their interval. */
		read_lock(&vm->mirror.lock);
		ret = fakegpu_intervals_cover(&vm->intervals, start, start) ? -EBUSY : 0;
		if (!ret && fakegpu_mirror_next(&vm->mirror, start, *lastp, &leaf)) {
			tell(oracle, leaf.start, leaf.entry, "no interval covers it");
			*lastp = min(*lastp, leaf.start + (1UL << leaf.shift) - 1);
		}
		read_unlock(&vm->mirror.lock);
		return ret;
	}

	*lastp = min(*lastp, fakegpu_interval_last(interval));
	range.end = *lastp + 1;
	range.notifier = &interval->notifier;
	range.notifier_seq = mmu_interval_read_begin(&interval->notifier);
	memset(oracle->entries, 0, sizeof(oracle->entries));
	memset(oracle->pfns, 0, sizeof(oracle->pfns));
	read_lock(&vm->mirror.lock);
	walk_entries(oracle, start, *lastp, note_entry);
	read_unlock(&vm->mirror.lock);
	ret = oracle_lock(oracle);
	if (!ret) {
		ret = hmm_range_fault(&range);
		oracle_unlock(oracle);
	}
	fakegpu_race_hold(vm->intervals.race, FAKEGPU_RACE_HOLD_VERIFY, start, *lastp);

	if (!ret) {
		write_lock(&vm->mirror.lock);
		if (!fakegpu_interval_valid(interval, start, *lastp, range.notifier_seq))
			ret = -EBUSY;
		else
			ret = check_slot(oracle, start, *lastp);
		write_unlock(&vm->mirror.lock);
	}
	fakegpu_interval_put(interval);
	return ret;
}

static int verify_piece(struct oracle *oracle, unsigned long start, unsigned long *lastp)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(oracle->vm->timeout_ms);
	int ret;

	oracle->alone = false;
	do {
		*lastp = start | (FAKEGPU_LEAF_SIZE - 1);
		ret = verify_pass(oracle, start, lastp);
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (ret == -EBUSY && time_before(jiffies, deadline));
	return ret;
}

/* Where in or after @addr is there an entry? */
static bool next_entry(struct fakegpu_vm *vm, unsigned long addr, unsigned long *start)
{
	struct fakegpu_mirror_leaf leaf;
	bool found;

	read_lock(&vm->mirror.lock);
	found = fakegpu_mirror_next(&vm->mirror, addr, vm->mirror.last, &leaf);
	read_unlock(&vm->mirror.lock);
	if (found)
		*start = max(leaf.start, addr);
	return found;
}

/**
 * fakegpu_verify_vm - run the oracle over a VM
 * @vm: the VM, in use
 * @m: where to tell of mismatches
 * @verdict: what was found is added to it
 *
 * Return: 0 if all entries were looked at, however they are; -EBUSY if the
 * collisions with invalidations didn't end; -EINTR; -ENOMEM. A VM whose mm is
 * gone is passed over: there is nothing to hold its mirror against.
 */
int fakegpu_verify_vm(struct fakegpu_vm *vm, struct seq_file *m, struct fakegpu_verdict *verdict)
{
	unsigned long start, last, addr = 0;
	struct oracle *oracle;
	int ret = 0;

	oracle = kvzalloc(sizeof(*oracle), GFP_KERNEL);
	if (!oracle)
		return -ENOMEM;
	oracle->vm = vm;
	oracle->m = m;
	oracle->verdict = verdict;
	check_attrs(oracle);

	if (!mmget_not_zero(vm->mm)) {
		kvfree(oracle);
		return 0;
	}
	while (!ret && next_entry(vm, addr, &start)) {
		ret = verify_piece(oracle, start, &last);
		addr = last + 1;
	}
	mmput_async(vm->mm);
	kvfree(oracle);
	return ret;
}
