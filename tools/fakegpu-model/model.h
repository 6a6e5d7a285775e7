/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fakegpu-model: the shadow model of one thread's part of the arena
 *
 * For each page it knows what is mapped there, what may be done with it, and
 * each byte. It is told of every operation; what it says is held against what
 * CPU and device see.
 */
#ifndef FAKEGPU_MODEL_MODEL_H
#define FAKEGPU_MODEL_MODEL_H

#include <fakegpu.h>

#include "op.h"

#define ARENA_BASE	0x200000000000ULL
#define MAX_THREADS	16
#define QUEUES		3
#define NAMED_OBJS	6	/* memfds and files; the others are shared anonymous memory */
#define MAX_OBJS	64
#define OBJ_PAGES	600	/* of a named one, at most */
#define MAX_RANGES	(3 * MAX_CMDS)

/* How a run went, as the exit status of its process. */
enum { RUN_OK = 0, RUN_MISMATCH = 1, RUN_BROKEN = 2 };

#define PG_OWN		0x01	/* private: has a copy of its own of the object's page */
#define PG_LAZY		0x02	/* MADV_FREE: as it was, or zero, until it is written */
#define PG_AMBIGUOUS	0x04	/* written when lazy: @data or @alt, to be found out */
#define PG_DONTFORK	0x08
#define PG_WIPEONFORK	0x10
#define PG_HUGEPAGE	0x20	/* these only matter as attributes of a VMA */
#define PG_NOHUGEPAGE	0x40
#define PG_MERGEABLE	0x80

#define PG_VMA_FLAGS	(PG_DONTFORK | PG_WIPEONFORK | PG_HUGEPAGE | PG_NOHUGEPAGE | PG_MERGEABLE)

struct page {
	bool mapped;
	bool shared;
	uint8_t prot;
	uint8_t flags;
	uint8_t obj;		/* 0: none, else index + 1 */
	uint32_t objpage;
	uint32_t vma;		/* neighbours with the same one are in one VMA for sure */
	uint8_t *data;		/* private content; NULL: zeros, or the object's */
	uint8_t *alt;		/* see PG_AMBIGUOUS */
};

struct object {
	bool used;
	int fd;			/* -1: shared anonymous */
	uint32_t pages;		/* its size */
	uint32_t maps;		/* pages of the arena that map it */
	uint8_t **data;		/* NULL: zeros */
	uint32_t room;		/* elements of data */
};

struct range {
	uint32_t page;
	uint32_t count;
	bool write;
};

/* What a submission shall lead to. */
struct expect {
	int error;		/* 0 or a negative errno: fatal */
	uint64_t fault_addr;
	uint32_t access;
	uint32_t cmd;
	uint64_t done;		/* of that command */
	bool has_done;
	bool resolve;		/* pages may have got a private copy without a write */
	bool has_result[MAX_CMDS];
	uint64_t result[MAX_CMDS][2];
};

struct queue {
	uint32_t id;
	bool pending;
	uint64_t seqno;
	struct expect expect;
	struct range ranges[MAX_RANGES];
	uint32_t nranges;
	uint64_t objs;		/* mask of objects that it touches */
	volatile uint64_t *results;
};

struct run;

struct model {
	struct run *run;
	unsigned int thread;
	uint32_t npages;
	uint32_t granule;	/* pages that are contiguous */
	struct page *pages;
	struct object objs[MAX_OBJS];
	uint32_t next_vma;
	uint8_t *free_bufs;
	struct queue queues[QUEUES];
	/* For the generator: where something happened lately. */
	uint64_t rng;
	uint32_t hot[16];
	uint32_t nhot;
	/* Where it is. */
	const struct op *op;
	uint32_t op_index;
	uint64_t executed;
	uint64_t skipped;
	uint64_t faulted;
	bool child;
	int pagemap;
};

/* What the threads of one run share. */
struct run {
	int fd;
	uint32_t vm;
	uint64_t va_end;
	uint32_t scheme;
	uint32_t vm_flags;
	uint32_t interval_order;
	uint32_t window_order;
	unsigned int threads;
	uint32_t arena_pages;	/* of each thread */
	uint32_t granule;	/* pages of a thread that are neighbours */
	const char *dir;
	const char *node;
	unsigned int nodes;	/* NUMA */
	struct shared *shared;
};

/* Between the process that runs and the one that watches it. */
struct shared {
	volatile uint32_t failed;
	uint32_t fail_thread;
	uint32_t fail_op;
	char message[4096];
	volatile uint64_t executed;
	volatile uint64_t skipped;
	volatile uint64_t faulted;
	uint64_t kind_ns[OP_KINDS];
	uint64_t kind_count[OP_KINDS];
	/* Operations of each thread, one after the other. */
	uint32_t room;
	volatile uint32_t count[MAX_THREADS];
	struct op ops[];
};

/* ----------------------------------------------------------------- model.c */

extern const uint8_t zero_page[PAGE_SIZE];

/* Says what is wrong and ends the process. */
void __attribute__((noreturn, format(printf, 2, 3)))
mismatch(struct model *m, const char *format, ...);
/* As well, where the machine and not the driver is to blame. */
void __attribute__((noreturn, format(printf, 1, 2))) broken(const char *format, ...);

bool model_init(struct model *m, struct run *run, unsigned int thread);
void model_fini(struct model *m);

uint8_t *page_addr(const struct model *m, uint32_t page);
uint8_t *byte_addr(const struct model *m, uint64_t off);
/* Is it an address in this thread's part? */
bool addr_to_off(const struct model *m, uint64_t addr, uint64_t *off);
/* Do the pages lie in one granule? */
bool in_granule(const struct model *m, uint64_t page, uint64_t count);

uint8_t *buf_get(struct model *m, const uint8_t *from);
void buf_put(struct model *m, uint8_t *buf);

struct object *page_object(struct model *m, const struct page *p);
const uint8_t *page_content(struct model *m, const struct page *p);
/* Lies it in its object? */
bool page_backed(struct model *m, const struct page *p);
bool cpu_readable(struct model *m, const struct page *p);
bool cpu_writable(struct model *m, const struct page *p);
/* 0, -EFAULT or -EPERM. */
int device_error(struct model *m, const struct page *p, bool write);

void page_unmap(struct model *m, struct page *p);
/* A write fault: the page is its mapping's own from now on. */
void page_own(struct model *m, struct page *p);
void page_zap(struct model *m, struct page *p);
void page_write(struct model *m, uint32_t page, uint32_t offset, const void *from, uint32_t len);
void object_zero(struct model *m, struct object *obj, uint32_t first, uint32_t end);
void object_write(struct model *m, struct object *obj, uint64_t off, const uint8_t *from,
		  uint32_t len);
struct object *object_new(struct model *m, uint32_t pages);

/* Repeat the 8 bytes of @x, beginning with byte @phase. */
void pattern(uint8_t *to, size_t len, uint64_t x, uint64_t phase);
uint64_t rng_next(uint64_t *state);
static inline uint32_t rng_below(uint64_t *state, uint32_t n)
{
	return n ? (rng_next(state) >> 32) % n : 0;
}

/* ----------------------------------------------------------------- check.c */

/* Compare by CPU; finds out about lazy and ambiguous pages. */
void check_page(struct model *m, uint32_t page, uint32_t from, uint32_t to, const char *what);
void check_pages(struct model *m, uint32_t page, uint32_t count, const char *what);
void check_query(struct model *m, uint32_t page, uint32_t count);
void check_all(struct model *m);
void check_verify(struct model *m);
/* Make a lazy page either what it was or zero; false if that can't be done. */
bool settle_lazy(struct model *m, uint32_t page, uint32_t count);
/* Ask the kernel which pages got private copies. */
void resolve_own(struct model *m, uint32_t page, uint32_t count);

/* ------------------------------------------------------------ exec_*.c --- */

/* Each returns false if the operation makes no sense and was left out. */
bool exec_op(struct model *m, const struct op *op);
bool exec_device(struct model *m, const struct op *op);
bool exec_prefetch(struct model *m, const struct op *op);
bool exec_fork(struct model *m, const struct op *op);
bool exec_remap(struct model *m, const struct op *op);
bool exec_advise(struct model *m, const struct op *op);

void queue_open(struct model *m, struct queue *queue);
void queue_close(struct model *m, struct queue *queue);
/* Wait for a submission and hold what it did against what was expected. */
void queue_finish(struct model *m, struct queue *queue);
void finish_all(struct model *m);
/* Finish submissions that touch these pages; _access: or an object mapped there. */
void finish_pages(struct model *m, uint32_t page, uint32_t count);
void finish_access(struct model *m, uint32_t page, uint32_t count);
void finish_object(struct model *m, const struct object *obj);
void vm_open(struct run *run);

/* ------------------------------------------------------------------- gen.c */

void gen_op(struct model *m, struct op *op);

#endif
