/* scan-cost in C: one busy descriptor among 10 and among 1,000 idle ones.
   cc scan_cost.c -o scan-cost && loopscope run -- ./scan-cost [fixed] */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 900 /* and a few: below the 1,024 that ulimit -n often is */

static int by_number(const void *a, const void *b)
{
    return (*(const long *)a > *(const long *)b) - (*(const long *)a < *(const long *)b);
}

/* The median of 50 waits among so many idle descriptors, in nanoseconds. */
static long cost(int idle, int with_epoll)
{
    int busy[2], quiet[2], epfd = epoll_create1(EPOLL_CLOEXEC);
    static struct pollfd list[MOST + 1];
    struct epoll_event event = {.events = EPOLLIN};
    long took[50];
    char byte;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, busy) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, quiet) != 0)
        exit(1);
    for (int i = 0; i <= idle; i++) {
        list[i].fd = i < idle ? dup(quiet[0]) : busy[0];
        list[i].events = POLLIN;
        if (with_epoll)
            epoll_ctl(epfd, EPOLL_CTL_ADD, list[i].fd, &event); /* said once */
    }
    for (int i = 0; i < 50; i++) {
        struct timespec a, b;
        if (write(busy[1], "x", 1) != 1)
            exit(1);
        clock_gettime(CLOCK_MONOTONIC, &a);
        /* poll takes the whole list every time and looks at each; epoll_wait takes what is ready. */
        if ((with_epoll ? epoll_wait(epfd, &event, 1, -1) : poll(list, idle + 1, -1)) != 1)
            exit(1);
        clock_gettime(CLOCK_MONOTONIC, &b);
        took[i] = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
        if (read(busy[0], &byte, 1) != 1)
            exit(1);
    }
    for (int i = 0; i <= idle; i++)
        close(list[i].fd);
    close(busy[1]), close(quiet[0]), close(quiet[1]), close(epfd);
    qsort(took, 50, sizeof *took, by_number);
    return took[25];
}

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    long few = cost(10, fixed), many = cost(MOST, fixed);
    printf("%s: %ld ns among 10, %ld ns among %d\n", fixed ? "epoll" : "poll", few, many, MOST);
    return (fixed ? many < 4 * few : many > 2 * few) ? 0 : 1;
}
