// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: executes commands through the mirror. The fake silicon; knows
 * nothing of hmm or mmu notifiers.
 */

/**
 * DOC: The engine
 *
 * A command is executed in chunks of at most a page, and of a command that spans
 * memory up to CHUNK_PAGES chunks are executed in one hold of the mirror lock for
 * read: an invalidation waits no longer than that. Its progress is saved after
 * each chunk. An access without a usable mirror entry ends the run; the queue
 * raises the device fault, and the command goes on with that chunk later. What
 * must happen once, an atomic operation, is noted as executed in the same step.
 */

#include <linux/atomic.h>
#include <linux/crc32c.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fakegpu_engine.h"
#include "fakegpu_mirror.h"

/*
 * Chunks until another queue gets the engine. To give it away costs a switch of
 * threads and back, also where nobody waits for it: as much as a dozen chunks.
 */
#define SLICE_CHUNKS	4096
/* Chunks under one hold of the mirror lock. */
#define CHUNK_PAGES	16

#define ATOMIC_OPS	(DRM_FAKEGPU_ATOMIC_ADD | DRM_FAKEGPU_ATOMIC_SWAP | DRM_FAKEGPU_ATOMIC_CAS)

enum step {
	STEP_MORE,	/* a chunk is done */
	STEP_EXECUTED,	/* the operation is done */
	STEP_STALLED,
	STEP_BLOCKED,
};

/* Where a command's two operands were accessed last. */
struct places {
	struct fakegpu_mirror_place first;
	struct fakegpu_mirror_place second;
};

/* What there is to know about one opcode. */
struct opcode {
	/* Does one step, and takes the mirror lock for it. */
	enum step (*run)(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd);
	/* Or: does one chunk, under the mirror lock. */
	enum step (*chunk)(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			   struct places *places);
	u32 flags;		/* that it takes */
	u8 result_size;		/* in bytes */
	u8 align;		/* of addr */
	bool span;		/* it accesses size bytes at addr */
	/* Which fields it uses; the others must be zero. */
	bool addr;
	bool addr2;
	bool size;
	bool operand;
	bool operand2;
};

static void *exec_map(struct fakegpu_exec *exec, unsigned long addr, size_t size, u32 access,
		      size_t *len, struct fakegpu_mirror_place *place)
{
	return fakegpu_access_map(exec->mirror, addr, size, access, len, place, &exec->stall);
}

static enum step step_span(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			   size_t len)
{
	exec->done += len;
	return exec->done == cmd->size ? STEP_EXECUTED : STEP_MORE;
}

static enum step run_nop(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	return STEP_EXECUTED;
}

/* A write that changes nothing, not even if the CPU writes at the same time. */
static void touch_write(void *p)
{
	atomic_or(0, (atomic_t *)PTR_ALIGN_DOWN(p, sizeof(atomic_t)));
}

static enum step touch_chunk(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			     struct places *places)
{
	bool write = cmd->flags & DRM_FAKEGPU_CMD_WRITE;
	u64 left = cmd->size - exec->done;
	size_t len, offset = 0;
	u8 *p;

	/* With a larger stride the pages in between aren't accessed. */
	if (cmd->operand > PAGE_SIZE)
		left = 1;

	p = exec_map(exec, cmd->addr + exec->done, left,
		     write ? DRM_FAKEGPU_ACCESS_WRITE : DRM_FAKEGPU_ACCESS_READ, &len,
		     &places->first);
	if (!p)
		return STEP_STALLED;
	do {
		if (write)
			touch_write(p + offset);
		else
			READ_ONCE(p[offset]);
		offset += min_t(u64, cmd->operand, PAGE_SIZE);
	} while (offset < len);
	fakegpu_access_unmap(p);

	if (cmd->operand > PAGE_SIZE)
		offset = min_t(u64, cmd->operand, cmd->size - exec->done);
	exec->done += offset;
	if (exec->done < cmd->size)
		return STEP_MORE;
	exec->done = cmd->size;
	return STEP_EXECUTED;
}

static void fill_pattern(u8 *p, size_t len, u64 pattern, u64 phase)
{
	size_t head = min_t(size_t, len, PTR_ALIGN(p, sizeof(u64)) - p);
	size_t i;

	for (i = 0; i < head; i++)
		p[i] = pattern >> (8 * ((phase + i) % 8));

	phase = (phase + head) % 8;
	memset64((u64 *)(p + head), phase ? ror64(pattern, 8 * phase) : pattern, (len - head) / 8);

	for (i = len - (len - head) % 8; i < len; i++)
		p[i] = pattern >> (8 * ((phase + i - head) % 8));
}

static enum step fill_chunk(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			    struct places *places)
{
	size_t len;
	void *p;

	p = exec_map(exec, cmd->addr + exec->done, cmd->size - exec->done,
		     DRM_FAKEGPU_ACCESS_WRITE, &len, &places->first);
	if (!p)
		return STEP_STALLED;
	fill_pattern(p, len, cmd->operand, exec->done);
	fakegpu_access_unmap(p);
	return step_span(exec, cmd, len);
}

static enum step copy_chunk(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			    struct places *places)
{
	u64 left = cmd->size - exec->done;
	size_t len, dst_len;
	void *src, *dst;

	src = exec_map(exec, cmd->addr2 + exec->done, left, DRM_FAKEGPU_ACCESS_READ, &len,
		       &places->second);
	if (!src)
		return STEP_STALLED;
	dst = exec_map(exec, cmd->addr + exec->done, left, DRM_FAKEGPU_ACCESS_WRITE, &dst_len,
		       &places->first);
	if (dst) {
		len = min(len, dst_len);
		if (len == PAGE_SIZE)
			copy_page(dst, src);
		else
			memcpy(dst, src, len);
		fakegpu_access_unmap(dst);
	}
	fakegpu_access_unmap(src);
	return dst ? step_span(exec, cmd, len) : STEP_STALLED;
}

static size_t first_difference(const u8 *a, const u8 *b, size_t len)
{
	size_t i;

	if (!memcmp(a, b, len))
		return len;
	for (i = 0; i < len; i++)
		if (READ_ONCE(a[i]) != READ_ONCE(b[i]))
			break;
	return i;
}

static enum step compare_chunk(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			       struct places *places)
{
	u64 left = cmd->size - exec->done;
	size_t len, b_len, same;
	void *a, *b;

	a = exec_map(exec, cmd->addr + exec->done, left, DRM_FAKEGPU_ACCESS_READ, &len,
		     &places->first);
	if (!a)
		return STEP_STALLED;
	b = exec_map(exec, cmd->addr2 + exec->done, left, DRM_FAKEGPU_ACCESS_READ, &b_len,
		     &places->second);
	if (b) {
		len = min(len, b_len);
		same = first_difference(a, b, len);
		fakegpu_access_unmap(b);
	}
	fakegpu_access_unmap(a);
	if (!b)
		return STEP_STALLED;

	exec->result[0] = exec->done + same;
	if (same == len)
		return step_span(exec, cmd, len);
	exec->done = cmd->size;
	return STEP_EXECUTED;
}

static enum step checksum_chunk(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
				struct places *places)
{
	enum step step;
	size_t len;
	void *p;

	if (!exec->done)
		exec->state = (u32)~0;

	p = exec_map(exec, cmd->addr + exec->done, cmd->size - exec->done,
		     DRM_FAKEGPU_ACCESS_READ, &len, &places->first);
	if (!p)
		return STEP_STALLED;
	exec->state = crc32c(exec->state, p, len);
	fakegpu_access_unmap(p);

	step = step_span(exec, cmd, len);
	exec->result[0] = (u32)~exec->state;
	return step;
}

/*
 * Several chunks of a command in one hold of the mirror lock. What was granted of
 * the scratch page is good for one of them.
 */
static enum step run_chunks(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd,
			    const struct opcode *op)
{
	unsigned int chunks = exec->stall.scratch.grants ? 1 : CHUNK_PAGES;
	struct places places = { FAKEGPU_NOWHERE, FAKEGPU_NOWHERE };
	enum step step;

	read_lock(&exec->mirror->lock);
	do {
		step = op->chunk(exec, cmd, &places);
		exec->slice--;
	} while (step == STEP_MORE && --chunks);
	read_unlock(&exec->mirror->lock);
	return step;
}

static bool exec_read64(struct fakegpu_exec *exec, unsigned long addr, u64 *value)
{
	return fakegpu_access_read(exec->mirror, addr, value, sizeof(*value), &exec->stall) ==
	       sizeof(*value);
}

/* One node: nothing is kept of it unless both of its words could be read. */
static enum step run_chase(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	u64 value, next;

	if (!exec->done)
		exec->state = cmd->addr;
	if (exec->state) {
		if (!exec_read64(exec, exec->state + cmd->operand2, &value) ||
		    !exec_read64(exec, exec->state + cmd->operand, &next))
			return STEP_STALLED;
		exec->result[1] += value;
		exec->state = next;
		exec->done++;
	}
	exec->result[0] = exec->done;
	return exec->state && exec->done < cmd->size ? STEP_MORE : STEP_EXECUTED;
}

static u64 atomic_op32(atomic_t *p, const struct drm_fakegpu_cmd *cmd)
{
	if (cmd->flags & DRM_FAKEGPU_ATOMIC_ADD)
		return (u32)atomic_fetch_add((u32)cmd->operand, p);
	if (cmd->flags & DRM_FAKEGPU_ATOMIC_SWAP)
		return (u32)atomic_xchg(p, (u32)cmd->operand);
	return (u32)atomic_cmpxchg(p, (u32)cmd->operand2, (u32)cmd->operand);
}

static u64 atomic_op64(atomic64_t *p, const struct drm_fakegpu_cmd *cmd)
{
	if (cmd->flags & DRM_FAKEGPU_ATOMIC_ADD)
		return atomic64_fetch_add(cmd->operand, p);
	if (cmd->flags & DRM_FAKEGPU_ATOMIC_SWAP)
		return atomic64_xchg(p, cmd->operand);
	return atomic64_cmpxchg(p, cmd->operand2, cmd->operand);
}

static enum step run_atomic(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;
	size_t len;
	void *p;

	read_lock(&exec->mirror->lock);
	p = exec_map(exec, cmd->addr, cmd->size, DRM_FAKEGPU_ACCESS_ATOMIC, &len, &place);
	if (p) {
		if (cmd->size == sizeof(u32))
			exec->result[0] = atomic_op32(p, cmd);
		else
			exec->result[0] = atomic_op64(p, cmd);
		fakegpu_access_unmap(p);
		exec->done = cmd->size;
	}
	read_unlock(&exec->mirror->lock);
	return p ? STEP_EXECUTED : STEP_STALLED;
}

static enum step run_sem_wait(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	u64 value;

	if (!exec_read64(exec, cmd->addr, &value))
		return STEP_STALLED;
	if (value == cmd->operand || ((cmd->flags & DRM_FAKEGPU_SEM_GE) && value > cmd->operand))
		return STEP_EXECUTED;
	return STEP_BLOCKED;
}

static enum step run_sem_signal(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;
	size_t len;
	void *p;

	read_lock(&exec->mirror->lock);
	p = exec_map(exec, cmd->addr, sizeof(u64),
		     cmd->flags & DRM_FAKEGPU_SEM_ADD ? DRM_FAKEGPU_ACCESS_ATOMIC :
							FAKEGPU_ACCESS_SIGNAL, &len, &place);
	if (p) {
		if (cmd->flags & DRM_FAKEGPU_SEM_ADD)
			atomic64_add_return_release(cmd->operand, (atomic64_t *)p);
		else
			atomic64_set_release((atomic64_t *)p, cmd->operand);
		fakegpu_access_unmap(p);
	}
	read_unlock(&exec->mirror->lock);
	return p ? STEP_EXECUTED : STEP_STALLED;
}

/* The time is taken once; writing it may stall like any result. */
static enum step run_timestamp(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	exec->result[0] = ktime_get_ns();
	return STEP_EXECUTED;
}

static const struct opcode opcodes[] = {
	[DRM_FAKEGPU_OP_NOP] = { .run = run_nop },
	[DRM_FAKEGPU_OP_TOUCH] = {
		.chunk = touch_chunk, .addr = true, .size = true, .span = true, .operand = true,
		.flags = DRM_FAKEGPU_CMD_WRITE | DRM_FAKEGPU_CMD_NOFAULT,
	},
	[DRM_FAKEGPU_OP_FILL] = {
		.chunk = fill_chunk, .addr = true, .size = true, .span = true, .operand = true,
	},
	[DRM_FAKEGPU_OP_COPY] = {
		.chunk = copy_chunk, .addr = true, .addr2 = true, .size = true, .span = true,
	},
	[DRM_FAKEGPU_OP_COMPARE] = {
		.chunk = compare_chunk, .addr = true, .addr2 = true, .size = true, .span = true,
		.result_size = 8,
	},
	[DRM_FAKEGPU_OP_CHECKSUM] = {
		.chunk = checksum_chunk, .addr = true, .size = true, .span = true, .result_size = 8,
	},
	[DRM_FAKEGPU_OP_CHASE] = {
		.run = run_chase, .addr = true, .size = true, .operand = true, .operand2 = true,
		.result_size = 16,
	},
	[DRM_FAKEGPU_OP_ATOMIC] = {
		.run = run_atomic, .addr = true, .size = true, .span = true, .operand = true,
		.operand2 = true, .flags = ATOMIC_OPS, .result_size = 8,
	},
	[DRM_FAKEGPU_OP_SEM_WAIT] = {
		.run = run_sem_wait, .addr = true, .operand = true, .align = 8,
		.flags = DRM_FAKEGPU_SEM_GE,
	},
	[DRM_FAKEGPU_OP_SEM_SIGNAL] = {
		.run = run_sem_signal, .addr = true, .operand = true, .align = 8,
		.flags = DRM_FAKEGPU_SEM_ADD,
	},
	[DRM_FAKEGPU_OP_TIMESTAMP] = { .run = run_timestamp, .addr = true },
};

static int check_range(u64 addr, u64 size, u64 va_end)
{
	u64 end;

	if (check_add_overflow(addr, size, &end))
		return -EOVERFLOW;
	return end > va_end ? -EINVAL : 0;
}

static int check_atomic(const struct drm_fakegpu_cmd *cmd)
{
	u32 op = cmd->flags & ATOMIC_OPS;

	if (!is_power_of_2(op) || (cmd->size != sizeof(u32) && cmd->size != sizeof(u64)) ||
	    !IS_ALIGNED(cmd->addr, cmd->size))
		return -EINVAL;
	if (op != DRM_FAKEGPU_ATOMIC_CAS && cmd->operand2)
		return -EINVAL;
	return 0;
}

static int check_copy(const struct drm_fakegpu_cmd *cmd)
{
	if (cmd->addr < cmd->addr2 + cmd->size && cmd->addr2 < cmd->addr + cmd->size)
		return -EINVAL;
	return 0;
}

/**
 * fakegpu_cmd_check - check a command before it is accepted
 * @cmd: the command
 * @va_end: end (exclusive) of the user's half
 *
 * Return: 0, -EOPNOTSUPP if the opcode isn't known, -EOVERFLOW if a range
 * wraps, or -EINVAL.
 */
int fakegpu_cmd_check(const struct drm_fakegpu_cmd *cmd, u64 va_end)
{
	const struct opcode *op;
	int ret;

	if (cmd->opcode >= ARRAY_SIZE(opcodes))
		return -EOPNOTSUPP;
	op = &opcodes[cmd->opcode];

	if ((cmd->flags & ~op->flags) || cmd->pad ||
	    (!op->addr && cmd->addr) || (!op->addr2 && cmd->addr2) ||
	    (!op->size && cmd->size) || (!op->operand && cmd->operand) ||
	    (!op->operand2 && cmd->operand2) || (!op->result_size && cmd->result))
		return -EINVAL;
	if (op->size && !cmd->size)
		return -EINVAL;
	if (op->align && !IS_ALIGNED(cmd->addr, op->align))
		return -EINVAL;

	if (op->addr) {
		ret = check_range(cmd->addr, op->span ? cmd->size : sizeof(u64), va_end);
		if (ret)
			return ret;
	}
	if (op->addr2) {
		ret = check_range(cmd->addr2, cmd->size, va_end);
		if (ret)
			return ret;
	}
	ret = check_range(cmd->result, op->result_size, va_end);
	if (ret)
		return ret;

	switch (cmd->opcode) {
	case DRM_FAKEGPU_OP_TOUCH:
		return cmd->operand ? 0 : -EINVAL;
	case DRM_FAKEGPU_OP_COPY:
		return check_copy(cmd);
	case DRM_FAKEGPU_OP_ATOMIC:
		return check_atomic(cmd);
	default:
		return 0;
	}
}

static void exec_reset(struct fakegpu_exec *exec)
{
	exec->done = 0;
	exec->state = 0;
	exec->result[0] = 0;
	exec->result[1] = 0;
	exec->result_done = 0;
	exec->executed = false;
}

/**
 * fakegpu_exec_start - begin with a list of commands
 * @exec: where to keep the progress; @mirror and @cancel are set
 * @cmds: the commands, checked by fakegpu_cmd_check()
 * @count: how many, not zero
 */
void fakegpu_exec_start(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmds,
			u32 count)
{
	exec->cmds = cmds;
	exec->count = count;
	exec->index = 0;
	exec_reset(exec);
}

/* Write what the command found out to where it is wanted. */
static enum step write_result(struct fakegpu_exec *exec, const struct drm_fakegpu_cmd *cmd)
{
	u32 size = opcodes[cmd->opcode].result_size;
	u64 addr = cmd->result;

	if (cmd->opcode == DRM_FAKEGPU_OP_TIMESTAMP) {
		addr = cmd->addr;
		size = sizeof(u64);
	} else if (!addr) {
		return STEP_EXECUTED;
	}

	exec->result_done += fakegpu_access_write(exec->mirror, addr + exec->result_done,
						  (void *)exec->result + exec->result_done,
						  size - exec->result_done, &exec->stall);
	return exec->result_done == size ? STEP_EXECUTED : STEP_STALLED;
}

static enum step exec_step(struct fakegpu_exec *exec)
{
	const struct drm_fakegpu_cmd *cmd = &exec->cmds[exec->index];
	enum step step;

	if (!exec->executed) {
		const struct opcode *op = &opcodes[cmd->opcode];

		if (op->chunk) {
			step = run_chunks(exec, cmd, op);
		} else {
			step = op->run(exec, cmd);
			exec->slice--;
		}
		if (step != STEP_EXECUTED)
			return step;
		exec->executed = true;
	}

	step = write_result(exec, cmd);
	if (step != STEP_EXECUTED)
		return step;
	/* The last command's progress stays readable. */
	if (++exec->index < exec->count)
		exec_reset(exec);
	return STEP_MORE;
}

/**
 * fakegpu_exec_run - execute commands
 * @exec: where to go on
 *
 * Runs until all is done, until an access stalls, or for a slice of time. Does
 * not sleep for long; holds no lock on entry and return.
 *
 * Return: why it returned.
 */
enum fakegpu_exec_status fakegpu_exec_run(struct fakegpu_exec *exec)
{
	exec->slice = SLICE_CHUNKS;
	while (exec->slice > 0) {
		enum step step;

		if (exec->index == exec->count)
			return FAKEGPU_EXEC_DONE;
		if (READ_ONCE(*exec->cancel))
			return FAKEGPU_EXEC_YIELD;

		step = exec_step(exec);
		if (step == STEP_STALLED)
			return FAKEGPU_EXEC_STALLED;
		/* What was granted was for this chunk. */
		exec->stall.scratch.grants = 0;
		if (step == STEP_BLOCKED)
			return FAKEGPU_EXEC_BLOCKED;
		cond_resched();
	}
	return exec->index == exec->count ? FAKEGPU_EXEC_DONE : FAKEGPU_EXEC_YIELD;
}

/**
 * fakegpu_exec_polls - does the stalled access belong to a poll of memory?
 * @exec: a stalled list of commands
 *
 * Return: true if the same access will be made again and again.
 */
bool fakegpu_exec_polls(const struct fakegpu_exec *exec)
{
	return exec->cmds[exec->index].opcode == DRM_FAKEGPU_OP_SEM_WAIT;
}

/**
 * fakegpu_exec_nofault - may the stalled access fail?
 * @exec: a stalled list of commands
 *
 * Return: true if fakegpu_exec_skip() can get over it.
 */
bool fakegpu_exec_nofault(const struct fakegpu_exec *exec)
{
	return exec->cmds[exec->index].flags & DRM_FAKEGPU_CMD_NOFAULT;
}

/**
 * fakegpu_exec_skip - leave out the page of the stalled access
 * @exec: a stalled list of commands, at a command that may fail
 */
void fakegpu_exec_skip(struct fakegpu_exec *exec)
{
	const struct drm_fakegpu_cmd *cmd = &exec->cmds[exec->index];
	u64 left = PAGE_SIZE - offset_in_page(cmd->addr + exec->done);
	u64 steps = (left - 1) / cmd->operand + 1;	/* a huge stride must not wrap */

	/* Only TOUCH has the flag, and TOUCH has no result. */
	if (steps > (cmd->size - exec->done - 1) / cmd->operand) {
		exec->done = cmd->size;
		exec->executed = true;
	} else {
		exec->done += steps * cmd->operand;
	}
}
