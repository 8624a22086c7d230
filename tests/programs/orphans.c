/* Children that outlive their parents: those of a subreaper come back to it, the last one outlives everybody. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void turn(int ms) {
    struct epoll_event ready;
    int ep = epoll_create1(0);
    epoll_wait(ep, &ready, 1, ms);
    close(ep);
}

int main(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 5; i++)
        if (fork() == 0) {
            if (fork() == 0) {
                setsid();
                turn(100 + 20 * i);
                if (i == 4)
                    raise(SIGKILL);
                _exit(20 + i);
            }
            _exit(10);
        }
    int status, n = 0, codes = 0;
    while (wait(&status) > 0)
        n++, codes += WIFEXITED(status) ? WEXITSTATUS(status) : 100;
    printf("%d %d\n", n, codes);
    if (fork() == 0) {
        setsid();
        turn(500);
        _exit(33);
    }
    return 6;
}
