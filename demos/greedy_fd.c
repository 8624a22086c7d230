/* greedy-fd in C: flood has sent a lot, ann one line a moment later. Who is served when?
   cc greedy_fd.c -o greedy-fd && loopscope run -- ./greedy-fd [fixed] */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A step of work: 100 microseconds. */
static void work(void)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 100000);
}

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pairs[2][2], epfd = epoll_create1(EPOLL_CLOEXEC), steps = 0, before_ann = -1, rounds = 0;
    struct epoll_event events[2];
    static char burst[102400], chunk[4096];

    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]) != 0)
            return 1;
        epoll_ctl(epfd, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    for (; rounds < 50; rounds++) {
        steps = 0, before_ann = -1;
        if (write(pairs[0][1], burst, sizeof burst) != sizeof burst || write(pairs[1][1], "line", 4) != 4)
            return 1;
        for (int n; (n = epoll_wait(epfd, events, 2, 10)) > 0;)
            for (int i = 0; i < n; i++) {
                int who = events[i].data.u32;
                /* The trap: until nothing is left. The budget is one chunk; level-triggered, the rest is told of again. */
                while (read(pairs[who][0], chunk, sizeof chunk) > 0) {
                    if (who == 1)
                        before_ann = steps; /* so many chunks of flood's came first */
                    else
                        steps++, work();
                    if (fixed)
                        break;
                }
            }
    }
    printf("%d of flood's %d chunks were read before ann's line\n", before_ann, steps);
    return fixed ? before_ann > 1 : before_ann != steps;
}
