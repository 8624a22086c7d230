/* A handler that a signal stops for 400 ms, ROUNDS times, in the midst of what it does: see tests/run_why.rs.

   stopped ROUNDS

   Prints how often the other handler, whom nobody stops, was served. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **words) {
    int rounds = count > 1 ? atoi(words[1]) : 3, served = 0;
    int asked[2], stops[2], other[2];
    if (pipe(asked) || pipe(stops) || pipe(other))
        return 1;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char c;
        while (read(asked[0], &c, 1) == 1) {
            kill(parent, SIGSTOP);
            usleep(400000);
            kill(parent, SIGCONT);
        }
        _exit(0);
    }
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = stops[0]}, told[2];
    epoll_ctl(epoll, EPOLL_CTL_ADD, stops[0], &event);
    event.data.fd = other[0];
    epoll_ctl(epoll, EPOLL_CTL_ADD, other[0], &event);
    for (int round = 0; round < rounds; round++) {
        if (write(stops[1], "x", 1) != 1 || write(other[1], "x", 1) != 1)
            return 1;
        int n = epoll_wait(epoll, told, 2, -1);
        for (int i = 0; i < n; i++) {
            char c;
            if (read(told[i].data.fd, &c, 1) != 1)
                return 1;
            served += told[i].data.fd == other[0];
            if (told[i].data.fd != stops[0])
                continue;
            double last = now();
            if (write(asked[1], "x", 1) != 1)
                return 1;
            /* The clock jumps when the stop is over. */
            for (double t; (t = now()) - last < 0.1; last = t)
                ;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("%d\n", served);
    return 0;
}
