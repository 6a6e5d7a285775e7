/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of a test: fork them, hand tokens back and forth, collect them.
 *
 * The assertions of kselftest_harness.h belong to the process that runs the
 * test. A child uses CHILD_CHECK() and tells its verdict by its exit status.
 */
#ifndef FAKEGPU_TEST_PROC_H
#define FAKEGPU_TEST_PROC_H

#include "fakegpu_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct proc {
	pid_t pid;
	int sock;
};

/* In a child: end it as failed, with a line that says where. */
#define CHILD_CHECK(cond) do { \
	if (!(cond)) { \
		fprintf(stderr, "# %s:%d: child: %s: is false (errno %d; %s)\n", \
			__FILE__, __LINE__, #cond, errno, gpu_why()); \
		_exit(1); \
	} \
} while (0)

/* Return: true in the child. A child never outlives the test. */
static inline bool proc_fork(struct proc *proc)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		gpu_die("socketpair: %s", strerror(errno));
	fflush(stdout);
	proc->pid = fork();
	if (proc->pid < 0)
		gpu_die("fork: %s", strerror(errno));
	proc->sock = pair[proc->pid == 0];
	close(pair[proc->pid != 0]);
	if (proc->pid)
		return false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return true;
}

static inline void proc_send(struct proc *proc, const void *data, size_t size)
{
	if (send(proc->sock, data, size, MSG_NOSIGNAL) != (ssize_t)size)
		gpu_die("send to process %d: %s", proc->pid, strerror(errno));
}

/* Return: 0, or -EPIPE if the other side is gone, or -ETIME. */
static inline int proc_recv(struct proc *proc, void *data, size_t size)
{
	struct pollfd poll_fd = { .fd = proc->sock, .events = POLLIN };
	int ret;

	do {
		ret = poll(&poll_fd, 1, GPU_WAIT_NS / 1000000);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return -ETIME;
	return recv(proc->sock, data, size, MSG_WAITALL) == (ssize_t)size ? 0 : -EPIPE;
}

/* Tokens: one side says them, the other waits until it hears this one. */
static inline void proc_say(struct proc *proc, char token)
{
	proc_send(proc, &token, 1);
}

static inline bool proc_hears(struct proc *proc, char token)
{
	char got = 0;

	return !proc_recv(proc, &got, 1) && got == token;
}

/* Return: the exit status, 128 + n after signal n, or -ETIME (and kills it). */
static inline int proc_wait(struct proc *proc)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;
	bool late = false;
	int status = 0;
	pid_t got;

	while (!(got = waitpid(proc->pid, &status, WNOHANG))) {
		if (gpu_now() > end && !late) {
			kill(proc->pid, SIGKILL);
			late = true;
			end += GPU_WAIT_NS;
		} else if (gpu_now() > end) {
			break;
		}
		usleep(1000);
	}
	close(proc->sock);
	if (late)
		return -ETIME;
	if (got < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * From here on, who loses its parent among the descendants of the calling process
 * becomes a child of it, which it can wait for. Without that, an orphan that is
 * still on its way out when the test ends has been left behind.
 */
static inline void proc_adopt_orphans(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		gpu_die("PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
}

/* In a child of a child: tell who it is, as the last word. */
static inline void proc_introduce(struct proc *up)
{
	pid_t pid = getpid();

	proc_send(up, &pid, sizeof(pid));
}

/* Return: true with an @orphan to wait for, false if the word doesn't come. */
static inline bool proc_meets(struct proc *proc, struct proc *orphan)
{
	orphan->sock = -1;
	return !proc_recv(proc, &orphan->pid, sizeof(orphan->pid));
}

/*
 * A VM of the calling process on a file of its own, for use in a child. Closing
 * the file is enough; unlike gpu_close() nothing is said about the gauges.
 */
static inline void child_gpu(struct gpu *gpu, const struct gpu_conf *conf)
{
	int ret = gpu_open_cold(gpu, conf, 0);

	if (ret) {
		fprintf(stderr, "# child: %s\n", gpu_why());
		_exit(1);
	}
	gpu->res = gpu_map_anon(GPU_PAGE);
}

/* A job that does not end by itself: a pointer chase along a ring. */
struct ring {
	struct ring *next;
	uint64_t value;
};

static inline struct drm_fakegpu_cmd endless(struct ring *ring)
{
	ring->next = ring;
	ring->value = 1;
	return fakegpu_chase(ring, 1ULL << 60, offsetof(struct ring, next),
			     offsetof(struct ring, value), NULL);
}

/* Has the queue begun to work on something that it hasn't finished? */
static inline bool queue_busy(struct gpu *gpu, uint32_t queue)
{
	struct drm_fakegpu_queue_get_state state = { 0 };

	return !fakegpu_queue_state(gpu->fd, queue, &state) &&
	       state.completed < state.submitted && state.cmd_done;
}

#endif /* FAKEGPU_TEST_PROC_H */
