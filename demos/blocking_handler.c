/* blocking-handler in C: one handler sleeps, everybody waits.
   cc -pthread blocking_handler.c -o blocking-handler && loopscope run -- ./blocking-handler [fixed] */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int answers; /* an eventfd: the worker has finished something */

static void *worker(void *arg)
{
    usleep(50000);
    eventfd_write(answers, 1); /* wakes the loop */
    return arg;
}

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pairs[2][2], epfd = epoll_create1(EPOLL_CLOEXEC), quick = 0, before = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 2};
    char line[64];
    eventfd_t count;

    answers = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    epoll_ctl(epfd, EPOLL_CTL_ADD, answers, &event);
    for (int i = 0; i < 2; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]) != 0)
            return 1;
        event.data.u32 = i;
        epoll_ctl(epfd, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    for (int round = 0; round < 10; round++) {
        /* sleepy asks first, then ann: both are there when the loop looks. */
        if (write(pairs[0][1], "s", 1) != 1 || write(pairs[1][1], "a", 1) != 1)
            return 1;
        pthread_t helper;
        for (int slow = 0, served = 0; !slow || !served;) {
            if (epoll_wait(epfd, &event, 1, -1) != 1)
                return 1;
            if (event.data.u32 == 2) {
                eventfd_read(answers, &count);
                pthread_join(helper, NULL);
                slow = 1;
            } else if (read(pairs[event.data.u32][0], line, sizeof line) != 1) {
                return 1;
            } else if (event.data.u32 == 1) {
                served = 1, quick++, before += slow; /* ann: was the slow work done before her? */
            } else if (fixed) {
                pthread_create(&helper, NULL, worker, NULL);
            } else {
                usleep(50000); /* the trap: the loop is not in its wait, so it serves nobody */
                slow = 1;
            }
        }
    }
    printf("ann waited for the slow handler %d times of %d\n", before, quick);
    return before == (fixed ? 0 : 10) ? 0 : 1;
}
