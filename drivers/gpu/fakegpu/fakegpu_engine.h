/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_ENGINE_H_
#define _FAKEGPU_ENGINE_H_

#include <linux/types.h>

#include <drm/fakegpu_drm.h>

#include "fakegpu_access.h"

#define FAKEGPU_MAX_CMDS	4096

/**
 * enum fakegpu_exec_status - why fakegpu_exec_run() returned
 */
enum fakegpu_exec_status {
	/** @FAKEGPU_EXEC_DONE: all commands are done. */
	FAKEGPU_EXEC_DONE,
	/** @FAKEGPU_EXEC_YIELD: the time slice is over. */
	FAKEGPU_EXEC_YIELD,
	/** @FAKEGPU_EXEC_BLOCKED: a SEM_WAIT isn't satisfied. */
	FAKEGPU_EXEC_BLOCKED,
	/** @FAKEGPU_EXEC_STALLED: an access needs a mirror entry; see &fakegpu_exec.stall. */
	FAKEGPU_EXEC_STALLED,
};

/**
 * struct fakegpu_exec - where an engine is in a list of commands
 *
 * A command is restartable: its progress is kept here, so that it can be left
 * at a device fault and taken up again by any engine.
 */
struct fakegpu_exec {
	/** @mirror: through which memory is accessed; immutable. */
	struct fakegpu_mirror *mirror;
	/** @cancel: set to leave in the middle; read without a lock; immutable. */
	const bool *cancel;
	/** @cmds: the commands. */
	const struct drm_fakegpu_cmd *cmds;
	/** @count: how many. */
	u32 count;
	/** @index: the one in execution. */
	u32 index;
	/** @done: bytes, or nodes, of it that are done. */
	u64 done;
	/** @state: CRC, next node, whatever the opcode carries from chunk to chunk. */
	u64 state;
	/** @result: its result. */
	u64 result[2];
	/** @result_done: bytes of the result that are written. */
	u32 result_done;
	/** @executed: the operation is done, its result remains to be written. */
	bool executed;
	/** @slice: chunks until another queue gets the engine. */
	int slice;
	/** @stall: the access that could not be made. */
	struct fakegpu_stall stall;
};

int fakegpu_cmd_check(const struct drm_fakegpu_cmd *cmd, u64 va_end);

void fakegpu_exec_start(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmds,
			u32 count);
enum fakegpu_exec_status fakegpu_exec_run(struct fakegpu_exec *exec);
bool fakegpu_exec_polls(const struct fakegpu_exec *exec);
bool fakegpu_exec_nofault(const struct fakegpu_exec *exec);
void fakegpu_exec_skip(struct fakegpu_exec *exec);

#endif /* _FAKEGPU_ENGINE_H_ */
