/* SPDX-License-Identifier: MIT */
/*
 * Let the kernel finish what it has put off, before something is counted.
 */
#ifndef FAKEGPU_SETTLE_H
#define FAKEGPU_SETTLE_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SETTLE_RCU_FILE	"/sys/module/rcutree/parameters/do_rcu_barrier"

/*
 * settle_rcu - wait until all callbacks of RCU that are queued now have been called
 *
 * Each VMA and each process that ends leaves some, and they are called together later, by
 * ksoftirqd, say, while somebody waits for the device. membarrier() is no way to wait for
 * them: with one processor it does nothing. This takes some ticks, in which the processor
 * sleeps. Root only. Kernels that haven't got the file don't wait.
 *
 * Return: 0, or -1 with errno set.
 */
static inline int settle_rcu(void)
{
	int fd = open(SETTLE_RCU_FILE, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	written = write(fd, "1", 1);
	close(fd);
	return written == 1 ? 0 : -1;
}

#endif /* FAKEGPU_SETTLE_H */
