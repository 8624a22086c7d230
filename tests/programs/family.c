/* Processes made in every way, each of which does one thing that tells it apart: tests/preload_processes.rs. */
#define _GNU_SOURCE
#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void reap(pid_t pid) {
    int status;
    assert(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* n eventfds, made and closed: what the test counts. */
static void mark(int n) {
    while (n--)
        close(eventfd(0, 0));
}

static int cloned(void *argument) {
    mark(4);
    return argument != 0;
}

int main(int argc, char **argv) {
    if (argc == 2) { /* exec'd */
        mark(atoi(argv[1]));
        return 0;
    }
    char *self = argv[0], *nothing[] = {0};
    int keep = eventfd(0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        mark(1);
        _exit(0);
    }
    reap(pid);
    pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        mark(2);
        _exit(0);
    }
    reap(pid);
    char *stack = malloc(1 << 16);
    reap(clone(cloned, stack + (1 << 16), SIGCHLD, 0));
    for (int i = 0; i < 20; i++) { /* closes what its parent keeps */
        pid = vfork();
        if (pid == 0) {
            close(keep);
            execl(self, self, "5", (char *)0);
            _exit(1);
        }
        reap(pid);
    }
    char *six[] = {self, "6", 0}, *seven[] = {self, "7", 0};
    assert(posix_spawn(&pid, self, 0, 0, six, nothing) == 0);
    reap(pid);
    pid = fork();
    if (pid == 0) {
        execve(self, seven, nothing);
        _exit(1);
    }
    reap(pid);
    assert(system("true") == 0);
    assert(close(keep) == 0);
    mark(9);
    struct epoll_event event;
    int ep = epoll_create1(0); /* so that there is a loop to record */
    assert(epoll_wait(ep, &event, 1, 1) == 0);
    puts("done");
    return 0;
}
