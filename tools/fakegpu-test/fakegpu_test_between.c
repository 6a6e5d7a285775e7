// SPDX-License-Identifier: GPL-2.0
/*
 * What happens between two tests of a program: nothing of a test may be left
 * when the next one starts.
 *
 * The harness forks for each test, so a handler of fork() in its own process
 * runs before each test, and one of exit() after the last. What they find is
 * printed in lines that start with "# between: " and belong to the test before;
 * the runner takes them for a failure of that test, up to "# between: done". A
 * mark in the kernel log tells which test a message belongs to.
 *
 * Only under the runner, which sets FAKEGPU_TEST_BETWEEN to 1.
 */

#define GPU_TEST_NO_HARNESS
#include "fakegpu_test.h"

#include <dirent.h>
#include <glob.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Workers remove things: what a test left has this long to go. */
#define SETTLE_NS	5000000000LL

static const char * const gauges[] = {
	"vms", "queues", "intervals", "nodes", "pages_small", "leaves_large", "faults_pending",
	"attrs",
};

static pid_t harness;
static unsigned int tests;

static size_t read_all(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd >= 0) {
		while (done < size - 1 && (n = read(fd, buf + done, size - 1 - done)) > 0)
			done += n;
		close(fd);
	}
	buf[done] = '\0';
	return done;
}

static pid_t parent_of(const char *pid)
{
	char path[300], stat[512];
	const char *p;
	int parent = -1;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	read_all(path, stat, sizeof(stat));
	/* The name in brackets may hold anything. */
	p = strrchr(stat, ')');
	if (!p || sscanf(p + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static void kill_children(void)
{
	struct dirent *entry;
	DIR *proc;

	proc = opendir("/proc");
	while (proc && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    parent_of(entry->d_name) == harness)
			kill(atoi(entry->d_name), SIGKILL);
	if (proc)
		closedir(proc);
}

/*
 * Orphans come to us, being their subreaper. One that is dead already counts like
 * one that isn't: the test didn't wait for it, so which of the two it is found as
 * would be a matter of luck.
 */
static void end_processes(void)
{
	unsigned int left = 0;
	int how = WNOHANG;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, how)) >= 0) {
		how = WNOHANG;
		if (pid) {
			left++;
			continue;
		}
		kill_children();
		how = 0;
	}
	if (left)
		printf("# between: left %u processes behind that it didn't wait for\n", left);
}

/* Prints what is not zero among the gauges of a device if @tell. */
static unsigned int gauges_left(const char *stats, bool tell)
{
	unsigned long long value;
	char buf[8192], name[64];
	unsigned int left = 0, i;
	const char *line;

	read_all(stats, buf, sizeof(buf));
	for (line = buf; line && *line; line = strchr(line, '\n'), line += !!line) {
		if (sscanf(line, "%63[^:]: %llu", name, &value) != 2 || !value)
			continue;
		for (i = 0; i < sizeof(gauges) / sizeof(*gauges); i++) {
			if (strcmp(name, gauges[i]))
				continue;
			left++;
			if (tell)
				printf("# between: left behind: %s: %llu\n", name, value);
		}
	}
	return left;
}

static void check_device(const char *stats)
{
	int64_t end = gpu_now() + SETTLE_NS;
	char path[256], buf[16384], *last;

	while (gauges_left(stats, false) && gpu_now() < end)
		usleep(10000);
	gauges_left(stats, true);

	snprintf(path, sizeof(path), "%.*s/verify", (int)(strrchr(stats, '/') - stats), stats);
	read_all(path, buf, sizeof(buf));
	last = strstr(buf, "verify: ");
	if (!last || strncmp(last, "verify: ok", 10))
		printf("# between: the mirror is not what the CPU's page table says: %s\n", buf);
}

static void mark_log(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char mark[64];
	int len;

	/* Not dprintf(), which gives up on a file that can't tell its position. */
	len = snprintf(mark, sizeof(mark), "<14>fakegpu-test: between %d %u\n", harness, tests);
	if (fd < 0 || write(fd, mark, len) != len)
		printf("# between: no mark in the kernel log: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void check_all(void)
{
	glob_t found;
	size_t i;

	end_processes();
	if (!glob("/sys/kernel/debug/dri/[0-9]*/stats", 0, NULL, &found)) {
		for (i = 0; i < found.gl_pathc; i++) {
			const char *minor = found.gl_pathv[i] + strlen("/sys/kernel/debug/dri/");
			char verify[128];

			/* The render node shows the same files. */
			snprintf(verify, sizeof(verify), "/sys/kernel/debug/dri/%d/verify",
				 atoi(minor));
			if (atoi(minor) < 128 && !access(verify, R_OK))
				check_device(found.gl_pathv[i]);
		}
		globfree(&found);
	}
}

static void between_tests(void)
{
	if (getpid() != harness)
		return;
	if (tests++) {
		check_all();
		mark_log();
	}
	puts("# between: done");
	fflush(stdout);
}

static __attribute__((constructor)) void install(void)
{
	const char *wanted = getenv("FAKEGPU_TEST_BETWEEN");

	if (!wanted || strcmp(wanted, "1"))
		return;
	/* Programs that a test executes are no harness. */
	unsetenv("FAKEGPU_TEST_BETWEEN");
	harness = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* NUMA balancing passes over who wants local memory; all that is forked inherits that. */
	syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0);
	pthread_atfork(between_tests, NULL, NULL);
	atexit(between_tests);
}
