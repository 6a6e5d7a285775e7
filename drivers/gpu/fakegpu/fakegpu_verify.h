/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_VERIFY_H_
#define _FAKEGPU_VERIFY_H_

#include <linux/types.h>

struct fakegpu_vm;
struct seq_file;

/**
 * struct fakegpu_verdict - what the oracle found
 * @entries: mirror entries held against the CPU's page table, in pages.
 * @mismatches: entries that are wrong.
 */
struct fakegpu_verdict {
	u64 entries;
	u64 mismatches;
};

int fakegpu_verify_vm(struct fakegpu_vm *vm, struct seq_file *m, struct fakegpu_verdict *verdict);

#endif /* _FAKEGPU_VERIFY_H_ */
