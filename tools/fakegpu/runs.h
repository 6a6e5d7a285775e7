/* SPDX-License-Identifier: MIT */
/*
 * Runs of mirror entries: read, print, compare
 */
#ifndef FAKEGPU_TOOL_RUNS_H
#define FAKEGPU_TOOL_RUNS_H

#include "tool.h"

struct runs {
	struct drm_fakegpu_vm_run *run;
	uint32_t count;
};

/* What the caller knows an address as; "" for nothing. */
typedef const char *(*label_fn)(void *data, uint64_t addr);

/* Returns 0 or a negative errno. */
int runs_read(int fd, uint32_t vm, uint64_t start, uint64_t size, struct runs *runs);
void runs_free(struct runs *runs);
void runs_print(const struct runs *runs, label_fn label, void *data);
/* '-' gone, '=' kept, '+' new */
void runs_print_diff(const struct runs *old, const struct runs *new, label_fn label, void *data);

#endif
