// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the unit tests, and stands in for the kernel (see shim/shim.h).
 */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

/* A test without progress for so many seconds hangs. */
#define TEST_TIMEOUT	120
#define PROGRESS_EVERY	10

u64 unit_seed;
unsigned long unit_ops;
char unit_context[128];

static struct {
	const char *name;
	unsigned int number;
	unsigned int passed, failed, skipped;
	jmp_buf failure;
	time_t progress;

	unsigned long allocs;
	unsigned long alloc_fail;
	unsigned int locks;
	bool warn_expected;
	unsigned int warns;
} unit;

void unit_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("%s%s\n", unit_context[0] ? ", at " : "", unit_context);
	longjmp(unit.failure, 1);
}

void unit_note(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void unit_progress(void)
{
	time_t now = time(NULL);

	alarm(TEST_TIMEOUT);
	if (now < unit.progress + PROGRESS_EVERY)
		return;
	unit_note("%s: %s", unit.name, unit_context);
	unit.progress = now;
}

void unit_warn_begin(void)
{
	unit.warn_expected = true;
	unit.warns = 0;
}

unsigned int unit_warn_end(void)
{
	unit.warn_expected = false;
	return unit.warns;
}

bool shim_warn(bool cond, const char *file, int line, const char *text)
{
	if (!cond)
		return false;
	unit.warns++;
	if (!unit.warn_expected)
		unit_fail(file, line, "unexpected warning: %s", text);
	return true;
}

void rwlock_init(rwlock_t *lock)
{
	memset(lock, 0, sizeof(*lock));
}

void read_lock(rwlock_t *lock)
{
	if (lock->writers)
		unit_fail(__FILE__, __LINE__, "taken for read, but held for write");
	lock->readers++;
	unit.locks++;
}

void read_unlock(rwlock_t *lock)
{
	if (!lock->readers)
		unit_fail(__FILE__, __LINE__, "released, but not held for read");
	lock->readers--;
	unit.locks--;
}

void write_lock(rwlock_t *lock)
{
	if (lock->writers || lock->readers)
		unit_fail(__FILE__, __LINE__, "taken for write, but held");
	lock->writers++;
	unit.locks++;
}

void write_unlock(rwlock_t *lock)
{
	if (!lock->writers)
		unit_fail(__FILE__, __LINE__, "released, but not held for write");
	lock->writers--;
	unit.locks--;
}

/* Whether an allocation may go on; @gfp says whether it may sleep. */
static bool alloc_allowed(gfp_t gfp)
{
	shim_warn(gfp != GFP_KERNEL, __FILE__, __LINE__, "unknown allocation flags");
	shim_warn(unit.locks, __FILE__, __LINE__, "allocation under a lock");
	if (unit.alloc_fail && !--unit.alloc_fail)
		return false;
	unit.allocs++;
	return true;
}

static void *check_alloc(void *p)
{
	if (!p)
		unit_fail(__FILE__, __LINE__, "the host has no memory left");
	return p;
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return alloc_allowed(gfp) ? check_alloc(calloc(1, size)) : NULL;
}

void kfree(const void *p)
{
	if (p)
		unit.allocs--;
	free((void *)p);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	void *page;

	if (!alloc_allowed(gfp))
		return 0;
	page = check_alloc(aligned_alloc(PAGE_SIZE, PAGE_SIZE));
	memset(page, 0, PAGE_SIZE);
	return (unsigned long)page;
}

void free_page(unsigned long addr)
{
	if (addr)
		unit.allocs--;
	free((void *)addr);
}

unsigned long unit_allocs(void)
{
	return unit.allocs;
}

void unit_alloc_fail(unsigned long nth)
{
	unit.alloc_fail = nth;
}

/* splitmix64: one addition and a mix, good for any seed. */
u64 unit_random(struct unit_random *random)
{
	u64 z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

unsigned long unit_random_below(struct unit_random *random, unsigned long bound)
{
	return unit_random(random) % bound;
}

bool unit_random_chance(struct unit_random *random, unsigned int percent)
{
	return unit_random_below(random, 100) < percent;
}

static void report(bool passed)
{
	if (passed)
		unit.passed++;
	else
		unit.failed++;
	printf("%sok %u %s\n", passed ? "" : "not ", unit.number, unit.name);
}

static void summary(void)
{
	printf("%u passed, %u failed, %u skipped\n", unit.passed, unit.failed, unit.skipped);
	fflush(stdout);
}

static void give_up(void)
{
	if (unit.name)
		report(false);
	summary();
}

static void on_alarm(int sig)
{
	(void)sig;
	printf("# no end after %d seconds%s%s\n", TEST_TIMEOUT,
	       unit_context[0] ? ", at " : "", unit_context);
	give_up();
	_exit(1);
}

#ifdef __SANITIZE_ADDRESS__
/* So that an error found by a sanitizer shows in the output as well. */
void __sanitizer_set_death_callback(void (*callback)(void));
#else
static void __sanitizer_set_death_callback(void (*callback)(void))
{
	(void)callback;
}
#endif

static void run_test(const struct unit_test *test)
{
	unit.name = test->name;
	unit.allocs = 0;
	unit.alloc_fail = 0;
	unit.locks = 0;
	unit.warn_expected = false;
	unit.progress = time(NULL);
	unit_context[0] = '\0';

	alarm(TEST_TIMEOUT);
	if (setjmp(unit.failure)) {
		alarm(0);
		report(false);
		return;
	}
	test->run();
	unit_context[0] = '\0';
	CHECK_EQ(unit.locks, 0);
	CHECK_EQ(unit.allocs, 0);
	alarm(0);
	report(true);
}

static bool selected(const char *name, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (strstr(name, *words))
			return true;
	return false;
}

static void run_list(const struct unit_test *test, char **words)
{
	for (; test->name; test++) {
		unit.number++;
		if (!selected(test->name, words)) {
			unit.skipped++;
			printf("ok %u %s # SKIP not selected\n", unit.number, test->name);
			continue;
		}
		run_test(test);
	}
	unit.name = NULL;
}

static unsigned int list_length(const struct unit_test *test)
{
	unsigned int count = 0;

	while (test[count].name)
		count++;
	return count;
}

static void usage(FILE *out, const char *name)
{
	fprintf(out,
		"Usage: %s [--seed N] [--ops N] [WORD...]\n"
		"Tests the mirror on the host. Runs all tests, or those with a WORD in their name.\n"
		"\n"
		"  --seed N  seed of the random tests (default: a fixed one for each)\n"
		"  --ops N   operations of each random test\n"
		"  --help    show this text\n", name);
}

static u64 parse_number(const char *option, const char *text)
{
	char *end;
	u64 value;

	errno = 0;
	value = text ? strtoull(text, &end, 0) : 0;
	if (!text || errno || *end || end == text || !value) {
		fprintf(stderr, "%s needs a number greater than 0\n", option);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--help")) {
			usage(stdout, argv[0]);
			return 0;
		} else if (!strcmp(argv[i], "--seed")) {
			unit_seed = parse_number(argv[i], argv[i + 1]);
			i++;
		} else if (!strcmp(argv[i], "--ops")) {
			unit_ops = parse_number(argv[i], argv[i + 1]);
			i++;
		} else {
			usage(stderr, argv[0]);
			return 2;
		}
	}

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, on_alarm);
	__sanitizer_set_death_callback(give_up);

	printf("KTAP version 1\n1..%u\n", list_length(small_tests) + list_length(large_tests) +
	       list_length(random_tests));
	run_list(small_tests, argv + i);
	run_list(large_tests, argv + i);
	run_list(random_tests, argv + i);
	__sanitizer_set_death_callback(NULL);
	summary();

	/* A failed test leaves its memory behind: no second report of that. */
	fflush(stdout);
	if (unit.failed)
		_exit(1);
	return 0;
}
