/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_PASS_H_
#define _FAKEGPU_PASS_H_

#include <linux/hmm.h>
#include <linux/types.h>

#include "fakegpu_attr.h"
#include "fakegpu_service.h"

/* What can be requested of a page. */
#define FAKEGPU_WANT_READ	HMM_PFN_REQ_FAULT
#define FAKEGPU_WANT_WRITE	(HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE)

struct fakegpu_interval;
struct vm_area_struct;

/**
 * struct fakegpu_pass - one pass of the service over one window
 *
 * Shared by the service loop and what reads the CPU's page table for it; on the
 * stack of who serves.
 */
struct fakegpu_pass {
	/** @service: whose arrays are used. */
	struct fakegpu_service *service;
	/** @requests: what has to become present; not with @present_only. */
	const struct fakegpu_requests *requests;
	/** @first: the first of them; all zero if there is none. */
	struct fakegpu_request first;
	/** @interval: covers the window; in use. */
	struct fakegpu_interval *interval;
	/** @vma: the one of @addr; under mmap_lock. */
	struct vm_area_struct *vma;
	/** @attr: attributes of all of the window. */
	struct fakegpu_attr_run attr;
	/** @attr_changes: changes of attributes before the pass. */
	u64 attr_changes;
	/** @events: invalidations before the pass. */
	u64 events;
	/** @seq: from mmu_interval_read_begin(). */
	unsigned long seq;
	/** @addr: must be in the window. */
	unsigned long addr;
	/** @start: first address of the window. */
	unsigned long start;
	/** @last: last address of the window (inclusive). */
	unsigned long last;
	/** @base: address of the first element of the arrays. */
	unsigned long base;
	/** @want: what is requested of each page of the window, unless @mixed. */
	unsigned long want;
	/** @mixed: it isn't the same of all: see &fakegpu_service.want. */
	bool mixed;
	/** @present_only: request nothing. */
	bool present_only;
	/** @narrow: only the requested pages. */
	bool narrow;
	/** @limit: so many pages from @addr on at most; 0: all. */
	unsigned long limit;
	/** @single: only the page at @addr. */
	bool single;
	/** @alone: keep others from the address space until the commit. */
	bool alone;
	/** @only: there is no other pass: the commit lets go of @interval. */
	bool only;
};

static inline unsigned long fakegpu_pass_index(const struct fakegpu_pass *pass, unsigned long addr)
{
	return (addr - pass->base) >> PAGE_SHIFT;
}

/* Does the CPU map the whole slot of a large leaf by what it said of one page? */
static inline bool fakegpu_proves_large(unsigned long pfn)
{
	return (pfn & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfn) >= FAKEGPU_LEAF_SHIFT - PAGE_SHIFT;
}

static inline bool fakegpu_pass_allows(const struct fakegpu_pass *pass,
				       const struct fakegpu_request *request)
{
	return fakegpu_attr_allows(&pass->attr.value, request->write, request->atomic);
}

int fakegpu_check_vma(struct vm_area_struct *vma, bool write);
int fakegpu_pass_window(struct fakegpu_pass *pass, struct vm_area_struct *vma);
int fakegpu_pass_read(struct fakegpu_pass *pass);
bool fakegpu_pass_read_present(struct fakegpu_pass *pass, struct vm_area_struct *vma,
			       const struct fakegpu_request *request);

#endif /* _FAKEGPU_PASS_H_ */
