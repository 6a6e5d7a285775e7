/* SPDX-License-Identifier: MIT */
/*
 * The tables in debugfs: a '#' line names the columns, one line a row
 */
#ifndef FAKEGPU_TOOL_DEBUGFS_H
#define FAKEGPU_TOOL_DEBUGFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_COLS 16

struct table {
	char *text;
	size_t cols, rows;
	const char *name[TABLE_COLS];
	const char *(*cell)[TABLE_COLS];
};

/* Returns 0 or a negative errno; -EPROTO if it isn't a table with the @need columns. */
int table_read(int fd, const char *file, const char *const *need, struct table *t);
/* The tables of a VM: "mirror", "intervals", "faults", "events". */
int table_read_vm(int fd, uint32_t vm_id, const char *file, struct table *t);
void table_free(struct table *t);

const char *table_str(const struct table *t, size_t row, const char *col);
uint64_t table_num(const struct table *t, size_t row, const char *col);
/* False if the cell holds no "start-end" in hexadecimal. */
bool table_range(const struct table *t, size_t row, const char *col,
		 uint64_t *start, uint64_t *end);

#endif
