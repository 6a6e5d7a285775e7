/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small test runner with KTAP output.
 */
#ifndef _UNIT_H_
#define _UNIT_H_

#include "shim/shim.h"

/**
 * struct unit_test - one test
 * @name: what it is called in the output.
 * @run: returns if it passed; a failed check does not return.
 */
struct unit_test {
	const char *name;
	void (*run)(void);
};

/* Lists of tests, ended by an entry without a name. */
extern const struct unit_test small_tests[];
extern const struct unit_test large_tests[];
extern const struct unit_test random_tests[];

/* From the command line; 0 if not given. */
extern u64 unit_seed;
extern unsigned long unit_ops;

/* Shown with a failed check: where a long test is. */
extern char unit_context[128];

void unit_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((__noreturn__, __format__(printf, 3, 4)));

/* Prints one line of diagnosis. */
void unit_note(const char *fmt, ...) __attribute__((__format__(printf, 1, 2)));

/* A long test calls this now and then: it is alive, and shows where it is. */
void unit_progress(void);

#define CHECK(cond) do {						\
	if (!(cond))							\
		unit_fail(__FILE__, __LINE__, "%s", #cond);		\
} while (0)

#define CHECK_EQ(a, b) do {						\
	u64 __a = (a), __b = (b);					\
	if (__a != __b)							\
		unit_fail(__FILE__, __LINE__,				\
			  "%s is %#llx, but %s is %#llx", #a, __a, #b, __b); \
} while (0)

/* Runs @stmt, which has to warn @count times. */
#define EXPECT_WARN(count, stmt) do {					\
	unit_warn_begin();						\
	stmt;								\
	CHECK_EQ(unit_warn_end(), count);				\
} while (0)

void unit_warn_begin(void);
unsigned int unit_warn_end(void);

/* Memory that the code under test holds: nodes take two allocations each. */
unsigned long unit_allocs(void);
/* Let the @nth allocation from now fail, counted from 1; 0: none. */
void unit_alloc_fail(unsigned long nth);

/* A random number generator; the same everywhere for the same seed. */
struct unit_random {
	u64 state;
};

u64 unit_random(struct unit_random *random);
/* From 0 to @bound - 1. */
unsigned long unit_random_below(struct unit_random *random, unsigned long bound);
/* True @percent times in a hundred. */
bool unit_random_chance(struct unit_random *random, unsigned int percent);

#endif /* _UNIT_H_ */
