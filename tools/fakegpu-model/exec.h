/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fakegpu-model: what the parts that execute operations share
 */
#ifndef FAKEGPU_MODEL_EXEC_H
#define FAKEGPU_MODEL_EXEC_H

#include "model.h"

void exec_result(struct model *m, const char *what, int ret, int expected);
int mmap_prot(uint8_t prot);
void vma_renew(struct model *m, uint32_t page, uint32_t count);
/* By CPU, for real and in the model; the caller made sure that it is possible. */
void write_both(struct model *m, uint64_t off, uint32_t len, uint64_t x);

/* A list of commands for the model and for the device. */
struct batch {
	struct drm_fakegpu_cmd cmds[MAX_CMDS];
	uint32_t ncmds;
	struct expect expect;
	struct range ranges[MAX_RANGES];
	uint32_t nranges;
};

#endif
