/*
 * A C program that marks its own handlers, with docs/loopscope.h:
 *
 *     cc -Idocs -o marks examples/marks.c
 *     loopscope record -o marks.lscope -- ./marks
 *     loopscope replay marks.lscope
 *
 * Two pipes are served by one epoll loop; "slow" takes 2 ms, so that "quick" waits behind it whenever both are ready.
 * Started by itself it does the same: the four lines with loopscope_ in them then do nothing.
 */
#include "loopscope.h"
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct source {
    const char *name;
    unsigned work_us;
    int ends[2];
};

int main(void) {
    struct source sources[] = {{"slow", 2000, {0, 0}}, {"quick", 10, {0, 0}}};
    struct epoll_event event = {0}, ready[8];
    int ep = epoll_create1(EPOLL_CLOEXEC), served = 0, round, i, n;

    for (i = 0; i < 2; i++) {
        struct source *source = &sources[i];
        if (pipe(source->ends) != 0) return 1;
        event.events = EPOLLIN;
        event.data.ptr = source; /* no descriptor: loopscope is told which one it is, below */
        epoll_ctl(ep, EPOLL_CTL_ADD, source->ends[0], &event);
        loopscope_name_fd(source->ends[0], source->name);
    }
    for (round = 0; round < 100; round++) {
        for (i = 0; i < 2; i++)
            if (write(sources[i].ends[1], "x", 1) != 1) return 1;
        n = epoll_wait(ep, ready, 8, -1);
        for (i = 0; i < n; i++) {
            struct source *source = ready[i].data.ptr;
            char byte;
            loopscope_handler_begin(source->ends[0], source->name);
            usleep(source->work_us);
            served += (int)read(source->ends[0], &byte, 1);
            loopscope_handler_end();
        }
        if (round % 10 == 9) loopscope_mark_long("rounds", "done", round + 1);
    }
    printf("%d served\n", served);
    return 0;
}
