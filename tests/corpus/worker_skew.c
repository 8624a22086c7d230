// code: worker-skew
// severity: info
// bug: envoyproxy/envoy#4602: of idle workers with EPOLLEXCLUSIVE the same one is woken first
#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int listener(int share) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(s, SOL_SOCKET, share ? SO_REUSEPORT : SO_REUSEADDR, &one, sizeof one);
    return s;
}

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int shared[4];
    for (int i = 0; i < 4; i++) {
        if (i > 0 && !fixed) {
            shared[i] = shared[0];
            continue;
        }
        shared[i] = listener(fixed);
        if (bind(shared[i], (void *)&at, sizeof at) || listen(shared[i], 128)) return 1;
        getsockname(shared[i], (void *)&at, &size);
    }
    pid_t workers[4];
    for (int i = 0; i < 4; i++) {
        if ((workers[i] = fork())) continue;
        int ep = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = shared[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, shared[i], &e);
        for (;;) {
            struct epoll_event some[8];
            epoll_wait(ep, some, 8, -1);
            int c = accept4(shared[i], 0, 0, SOCK_NONBLOCK);
            if (c >= 0) close(c);
        }
    }
    usleep(300000);
    for (int i = 0; i < 200; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c, (void *)&at, sizeof at)) return 1;
        usleep(5000);
        close(c);
    }
    for (int i = 0; i < 4; i++) kill(workers[i], SIGTERM);
    return 0;
}
