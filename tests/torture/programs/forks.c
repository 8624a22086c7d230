/* A storm of processes made in every way, while other threads go on calling. Argument: how many. */
#include "probe.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static int stop, keep;

static void *push(void *unused) {
    int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, ready;
    uint64_t one = 1;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        if (i % 16 == 0)
            usleep(100);
        assert(write(fd, &one, 8) == 8);
        assert(epoll_wait(ep, &ready, 1, -1) == 1);
        assert(read(fd, &one, 8) == 8);
    }
    close(ep);
    close(fd);
    return unused;
}

static int child(void *answer) {
    /* What a child that may not allocate does. */
    int fd = eventfd(1, 0), ok = fd >= 0;
    uint64_t value;
    ok &= read(fd, &value, 8) == 8 && value == 1;
    ok &= close(fd) == 0 && close(keep) == 0;
    return ok ? (int)(long)answer : 99;
}

int main(int argc, char **argv) {
    if (argc == 3)
        return child((void *)13L);
    int count = argc > 1 ? atoi(argv[1]) : 100, ends[16] = {0};
    pthread_t threads[8];
    keep = eventfd(0, 0);
    for (int i = 0; i < 8; i++)
        assert(pthread_create(&threads[i], 0, push, 0) == 0);
    char *stack = malloc(1 << 16), number[16];
    snprintf(number, sizeof number, "%d", keep);
    char *again[] = {argv[0], number, "x", NULL};
    for (int i = 0; i < count; i++) {
        pid_t pid = -1;
        switch (i % 10) {
        case 0: case 1:
            if ((pid = fork()) == 0)
                _exit(child((void *)10L));
            break;
        case 2: case 3: case 4: case 5: case 6:
            if ((pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0)
                _exit(child((void *)11L));
            break;
        case 7:
            if ((pid = _Fork()) == 0)
                _exit(child((void *)14L));
            break;
        case 8:
            pid = clone(child, stack + (1 << 16), SIGCHLD, (void *)12L);
            break;
        case 9:
            if (i % 3 == 0) {
                if ((pid = vfork()) == 0) {
                    close(keep);
                    dup2(1, keep);
                    execv(argv[0], again);
                    _exit(98);
                }
            } else if (i % 3 == 1)
                assert(posix_spawn(&pid, argv[0], 0, 0, again, environ) == 0);
            else
                pid = clone(child, stack + (1 << 16), SIGCHLD | CLONE_VM | CLONE_VFORK, (void *)12L);
            break;
        }
        int status;
        assert(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        assert(WEXITSTATUS(status) >= 10 && WEXITSTATUS(status) < 16);
        ends[WEXITSTATUS(status)]++;
    }
    stop = 1;
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], 0);
    for (int i = 10; i < 16; i++)
        printf("%d: %d\n", i, ends[i]);
    assert(close(keep) == 0);
    show("end");
    return 0;
}
