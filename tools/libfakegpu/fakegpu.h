/* SPDX-License-Identifier: MIT */
/*
 * libfakegpu - a thin layer over libdrm for programs that use fakegpu
 *
 * Every function that returns an int returns 0 (or what it says) on success
 * and a negative errno on failure; the errnos are those of fakegpu_drm.h. An
 * ioctl that a signal interrupts is called again. Nothing here keeps state, so
 * all functions can be called from any thread.
 */
#ifndef FAKEGPU_H
#define FAKEGPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <drm/fakegpu_drm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- devices */

/**
 * fakegpu_open - open the render node of a fakegpu device
 * @index: 0 for the first fakegpu device, 1 for the second ...
 *
 * Return: a file descriptor (close-on-exec), -ENODEV if there is no such
 * device, or what open() said.
 */
int fakegpu_open(unsigned int index);

/**
 * fakegpu_count - count the fakegpu devices
 *
 * Return: how many there are, or a negative errno.
 */
int fakegpu_count(void);

/**
 * fakegpu_node - path of a device's render node
 * @index: as for fakegpu_open()
 * @path: buffer for the path
 * @size: its size in bytes
 *
 * Return: 0, -ENODEV, or -ENOSPC if @path is too short.
 */
int fakegpu_node(unsigned int index, char *path, size_t size);

/** fakegpu_dev_info - ask what the device can do */
int fakegpu_dev_info(int fd, struct drm_fakegpu_dev_info *info);

/* -------------------------------------------------------------------- VMs */

/**
 * fakegpu_vm_create - create a VM for the calling process
 * @fd: device
 * @flags: DRM_FAKEGPU_VM_xxx
 * @scheme: DRM_FAKEGPU_SCHEME_xxx
 * @interval_order: log2 bytes; 0 takes the device's default
 * @window_order: log2 bytes; 0 takes the device's default
 * @vm_id: receives the id
 */
int fakegpu_vm_create(int fd, uint32_t flags, uint32_t scheme,
		      uint32_t interval_order, uint32_t window_order,
		      uint32_t *vm_id);
int fakegpu_vm_destroy(int fd, uint32_t vm_id);

/**
 * fakegpu_scheme_name - name of a scheme, as debugfs has it
 * @scheme: DRM_FAKEGPU_SCHEME_xxx
 * @vm_flags: of the VM, of which DRM_FAKEGPU_VM_DIRECT is a part of the name
 *
 * Return: the name, or NULL if there is no such scheme.
 */
const char *fakegpu_scheme_name(uint32_t scheme, uint32_t vm_flags);

/**
 * fakegpu_scheme_parse - the scheme of a name
 * @name: what fakegpu_scheme_name() returns
 * @scheme: receives DRM_FAKEGPU_SCHEME_xxx
 * @vm_flags: has DRM_FAKEGPU_VM_DIRECT set or cleared
 *
 * Return: 0, or -EINVAL if there is no such scheme.
 */
int fakegpu_scheme_parse(const char *name, uint32_t *scheme, uint32_t *vm_flags);

/**
 * fakegpu_range_register - let the device access a range (scheme fixed)
 * @fd: device
 * @vm_id: VM
 * @start: first address, page aligned; a number, as nothing need be mapped there
 * @size: bytes, a multiple of the page size
 * @range_id: receives the id
 */
int fakegpu_range_register(int fd, uint32_t vm_id, uint64_t start, uint64_t size,
			   uint32_t *range_id);

/**
 * fakegpu_range_unregister - take that back
 * @fd: device
 * @vm_id: VM
 * @range_id: from fakegpu_range_register()
 */
int fakegpu_range_unregister(int fd, uint32_t vm_id, uint32_t range_id);

/**
 * fakegpu_vm_query - list the mirror entries of a range
 * @fd: device
 * @vm_id: VM
 * @start: first address, page aligned
 * @size: bytes, a multiple of the page size
 * @runs: receives the runs
 * @count: in: room in @runs; out: runs written
 * @next: receives where to go on, @start + @size when all was told; may be NULL
 */
int fakegpu_vm_query(int fd, uint32_t vm_id, const volatile void *start,
		     size_t size, struct drm_fakegpu_vm_run *runs,
		     uint32_t *count, uint64_t *next);

/**
 * fakegpu_vm_mapped - count the mirrored bytes of a range
 *
 * Return: bytes in [@start, @start + @size) that have a mirror entry, or a
 * negative errno.
 */
int64_t fakegpu_vm_mapped(int fd, uint32_t vm_id, const volatile void *start,
			  size_t size);

int fakegpu_vm_state(int fd, uint32_t vm_id,
		     struct drm_fakegpu_vm_get_state *state);

/**
 * fakegpu_vm_faults - read the newest fatal faults, oldest first
 * @fd: device
 * @vm_id: VM
 * @faults: receives them; may be NULL if *@count is 0
 * @count: in: room in @faults; out: faults written
 * @total: receives the number of fatal faults so far; may be NULL
 */
int fakegpu_vm_faults(int fd, uint32_t vm_id,
		      struct drm_fakegpu_fault_info *faults, uint32_t *count,
		      uint64_t *total);

/**
 * fakegpu_vm_advise - set an attribute of a range
 * @fd: device
 * @vm_id: VM
 * @start: first address, page aligned
 * @size: bytes, a multiple of the page size
 * @attr: DRM_FAKEGPU_ATTR_xxx; the other attributes stay as they are
 * @value: what to set it to; 0 is the default of each
 *
 * On return no access by the device gets around the attribute.
 */
int fakegpu_vm_advise(int fd, uint32_t vm_id, const volatile void *start, size_t size,
		      uint32_t attr, uint64_t value);

/**
 * fakegpu_vm_attrs - list the ranges with attributes; what isn't listed has none
 * @fd: device
 * @vm_id: VM
 * @start: first address, page aligned
 * @size: bytes, a multiple of the page size
 * @ranges: receives the ranges
 * @count: in: room in @ranges; out: ranges written
 * @next: receives where to go on, @start + @size when all was told; may be NULL
 */
int fakegpu_vm_attrs(int fd, uint32_t vm_id, const volatile void *start, size_t size,
		     struct drm_fakegpu_vm_attr_range *ranges, uint32_t *count,
		     uint64_t *next);

/**
 * fakegpu_prefetch - make mirror entries present
 * @fd: device
 * @vm_id: VM
 * @flags: DRM_FAKEGPU_PREFETCH_xxx
 * @start: first address
 * @size: bytes
 * @done: receives the bytes handled, also on an error; may be NULL
 */
int fakegpu_prefetch(int fd, uint32_t vm_id, uint32_t flags,
		     const volatile void *start, size_t size, uint64_t *done);

/* ----------------------------------------------------------------- queues */

int fakegpu_queue_create(int fd, uint32_t vm_id, uint32_t *queue_id);
int fakegpu_queue_destroy(int fd, uint32_t queue_id);
int fakegpu_queue_state(int fd, uint32_t queue_id,
			struct drm_fakegpu_queue_get_state *state);

/**
 * fakegpu_submit - append commands to a queue
 * @fd: device
 * @queue_id: queue
 * @cmds: the commands; free to be reused on return
 * @count: how many
 * @seqno: receives the sequence number; may be NULL
 */
int fakegpu_submit(int fd, uint32_t queue_id, const struct drm_fakegpu_cmd *cmds,
		   uint32_t count, uint64_t *seqno);

/**
 * fakegpu_wait - wait for a submission
 * @fd: device
 * @queue_id: queue
 * @seqno: sequence number
 * @timeout_ns: how long, from now on; 0 polls, negative waits for ever
 */
int fakegpu_wait(int fd, uint32_t queue_id, uint64_t seqno, int64_t timeout_ns);

/**
 * fakegpu_run - submit commands and wait until they are done
 *
 * Return: 0, or the error of the submission, or -EIO if a command had a fatal
 * fault (ask fakegpu_queue_state() why).
 */
int fakegpu_run(int fd, uint32_t queue_id, const struct drm_fakegpu_cmd *cmds,
		uint32_t count);

/* --------------------------------------------------------------- commands */

static inline struct drm_fakegpu_cmd fakegpu_cmd(uint32_t opcode, uint32_t flags)
{
	struct drm_fakegpu_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.opcode = opcode;
	cmd.flags = flags;
	return cmd;
}

static inline uint64_t fakegpu_va(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static inline struct drm_fakegpu_cmd fakegpu_nop(void)
{
	return fakegpu_cmd(DRM_FAKEGPU_OP_NOP, 0);
}

/* @flags: 0 or DRM_FAKEGPU_CMD_WRITE, DRM_FAKEGPU_CMD_NOFAULT */
static inline struct drm_fakegpu_cmd
fakegpu_touch(const volatile void *addr, size_t size, size_t stride, uint32_t flags)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_TOUCH, flags);

	cmd.addr = fakegpu_va(addr);
	cmd.size = size;
	cmd.operand = stride;
	return cmd;
}

static inline struct drm_fakegpu_cmd
fakegpu_fill(volatile void *addr, size_t size, uint64_t pattern)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_FILL, 0);

	cmd.addr = fakegpu_va(addr);
	cmd.size = size;
	cmd.operand = pattern;
	return cmd;
}

static inline struct drm_fakegpu_cmd
fakegpu_copy(volatile void *dst, const volatile void *src, size_t size)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_COPY, 0);

	cmd.addr = fakegpu_va(dst);
	cmd.addr2 = fakegpu_va(src);
	cmd.size = size;
	return cmd;
}

static inline struct drm_fakegpu_cmd
fakegpu_compare(const volatile void *a, const volatile void *b, size_t size,
		volatile uint64_t *result)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_COMPARE, 0);

	cmd.addr = fakegpu_va(a);
	cmd.addr2 = fakegpu_va(b);
	cmd.size = size;
	cmd.result = fakegpu_va(result);
	return cmd;
}

static inline struct drm_fakegpu_cmd
fakegpu_checksum(const volatile void *addr, size_t size, volatile uint64_t *result)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_CHECKSUM, 0);

	cmd.addr = fakegpu_va(addr);
	cmd.size = size;
	cmd.result = fakegpu_va(result);
	return cmd;
}

/* @result: two words: nodes visited, sum */
static inline struct drm_fakegpu_cmd
fakegpu_chase(const volatile void *head, uint64_t max_nodes, size_t next_offset,
	      size_t value_offset, volatile uint64_t *result)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_CHASE, 0);

	cmd.addr = fakegpu_va(head);
	cmd.size = max_nodes;
	cmd.operand = next_offset;
	cmd.operand2 = value_offset;
	cmd.result = fakegpu_va(result);
	return cmd;
}

/* @op: DRM_FAKEGPU_ATOMIC_xxx; @size: 4 or 8; @result may be NULL */
static inline struct drm_fakegpu_cmd
fakegpu_atomic(volatile void *addr, size_t size, uint32_t op, uint64_t operand,
	       uint64_t compare, volatile uint64_t *result)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_ATOMIC, op);

	cmd.addr = fakegpu_va(addr);
	cmd.size = size;
	cmd.operand = operand;
	cmd.operand2 = compare;
	cmd.result = fakegpu_va(result);
	return cmd;
}

/* @flags: 0 or DRM_FAKEGPU_SEM_GE */
static inline struct drm_fakegpu_cmd
fakegpu_sem_wait(const volatile uint64_t *addr, uint64_t value, uint32_t flags)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_SEM_WAIT, flags);

	cmd.addr = fakegpu_va(addr);
	cmd.operand = value;
	return cmd;
}

/* @flags: 0 or DRM_FAKEGPU_SEM_ADD */
static inline struct drm_fakegpu_cmd
fakegpu_sem_signal(volatile uint64_t *addr, uint64_t value, uint32_t flags)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_SEM_SIGNAL, flags);

	cmd.addr = fakegpu_va(addr);
	cmd.operand = value;
	return cmd;
}

static inline struct drm_fakegpu_cmd fakegpu_timestamp(volatile void *addr)
{
	struct drm_fakegpu_cmd cmd = fakegpu_cmd(DRM_FAKEGPU_OP_TIMESTAMP, 0);

	cmd.addr = fakegpu_va(addr);
	return cmd;
}

/* ------------------------------------------------- debugfs (needs root) --- */

/**
 * fakegpu_debug_path - path of a debugfs file of the device
 * @fd: device
 * @name: e.g. "stats" or "vm3/mirror"
 * @path: buffer for the path
 * @size: its size in bytes
 */
int fakegpu_debug_path(int fd, const char *name, char *path, size_t size);

/**
 * fakegpu_stat - read one value of the device's debugfs file "stats"
 * @fd: device
 * @name: name of the value
 * @value: receives it
 *
 * Return: 0, -ENOENT if there is no such value, -EACCES without permission,
 * or what open() said.
 */
int fakegpu_stat(int fd, const char *name, uint64_t *value);

/**
 * fakegpu_verify - run the oracle: hold the mirrors against the CPU's page tables
 * @fd: device
 * @report: receives what the oracle printed; may be NULL
 * @size: its size in bytes
 *
 * Return: number of mismatches, or a negative errno.
 */
int fakegpu_verify(int fd, char *report, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* FAKEGPU_H */
