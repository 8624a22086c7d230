/* A program that marks its own handlers, in C89 and C++ alike: see tests/preload_marks.rs. Prints what it did. */
#include "loopscope.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 20

static int in[4], out[4];

static void pair(int i) {
    int ends[2];
    if (pipe(ends) != 0) _exit(9);
    in[i] = ends[0];
    out[i] = ends[1];
}

static void add(int ep, int fd, unsigned word) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.u32 = word;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) != 0) _exit(8);
}

static int take(int fd) {
    char byte;
    return (int)read(fd, &byte, 1);
}

/* A loop that marks nothing, beside. */
static void *unmarked(void *argument) {
    int ep = epoll_create1(0), i;
    struct epoll_event event;
    add(ep, in[3], 1234);
    for (i = 0; i < ROUNDS; i++) {
        if (write(out[3], "x", 1) != 1 || epoll_wait(ep, &event, 1, -1) != 1 || take(in[3]) != 1) _exit(7);
    }
    epoll_wait(ep, &event, 1, 0);
    return argument;
}

int main(void) {
    static char longest[5000];
    int ep, round, n, i, served = 0, kept = 1;
    struct epoll_event ready[8];
    pthread_t thread;

    for (i = 0; i < 4; i++) pair(i);
    pthread_create(&thread, 0, unmarked, 0);
    pthread_join(thread, 0);

    ep = epoll_create1(0);
    /* The data word leads to no descriptor. */
    for (i = 0; i < 3; i++) add(ep, in[i], 70 + (unsigned)i);
    loopscope_name_loop(ep, "main loop");
    loopscope_name_fd(in[0], "ann");
    loopscope_name_fd(in[1], "evil\033[31m\n");
    memset(longest, 'y', sizeof longest - 1);
    loopscope_name_fd(in[2], longest);
    loopscope_mark("start");
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < 3; i++)
            if (write(out[i], "x", 1) != 1) return 6;
        n = epoll_wait(ep, ready, 8, -1);
        /* The last first. */
        while (n-- > 0) {
            int which = (int)ready[n].data.u32 - 70;
            errno = 77;
            loopscope_handler_begin(in[which], which == 0 ? "parse" : which == 1 ? "reply\033[2J" : 0);
            if (which == 1) loopscope_mark_long("request", "n", round);
            if (which == 2) loopscope_on_behalf_of(in[0]);
            if (which == 2) loopscope_mark_text("who", "name", "ann\007");
            kept = kept && errno == 77;
            served += take(in[which]);
            /* A call on another descriptor belongs to this handler all the same. */
            if (which == 0 && write(out[3], "y", 1) != 1) return 5;
            if (which == 0) take(in[3]);
            loopscope_handler_end();
        }
        loopscope_handler_begin(-1, "idle");
        loopscope_mark_double("load", "part", 0.5);
        loopscope_handler_end();
    }
    loopscope_mark(0);
    loopscope_mark("");
    epoll_wait(ep, ready, 8, 0);
    if (fork() == 0) {
        loopscope_mark("in the child");
        _exit(0);
    }
    wait(0);
    printf("served %d, errno %s\n", served, kept ? "kept" : "lost");
    return 0;
}
