// code: exec-inherited-epoll
// bug: epoll_create(2), R41 of the house: without close-on-exec every started program holds the epoll and all that is on it
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, ends[2];
    int ep = epoll_create1(fixed ? EPOLL_CLOEXEC : 0);
    if (pipe(ends)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e);
    epoll_wait(ep, &e, 1, 10);
    pid_t child = fork();
    if (child == 0) {
        execlp("sleep", "sleep", "30", (char *)0);
        _exit(1);
    }
    for (int i = 0; i < 8; i++) epoll_wait(ep, &e, 1, 500);
    kill(child, SIGTERM);
    waitpid(child, 0, 0);
    return 0;
}
