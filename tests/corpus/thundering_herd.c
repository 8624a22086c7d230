// code: thundering-herd
// bug: Cloudflare, "The sad state of Linux socket balancing"; six workers, an epoll and the same listener each
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 6, ASKED = 300 };
static int server, fixed;
static atomic_int over;

static void *work(void *unused) {
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN | (fixed ? EPOLLEXCLUSIVE : 0)};
    epoll_ctl(ep, EPOLL_CTL_ADD, server, &e);
    while (!atomic_load(&over))
        if (epoll_wait(ep, &e, 1, 200) == 1) {
            int c = accept4(server, 0, 0, SOCK_NONBLOCK);
            if (c >= 0) close(c);
        }
    close(ep);
    return unused;
}

int main(int argc, char **argv) {
    fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(server, (void *)&at, sizeof at) || listen(server, 128)) return 1;
    getsockname(server, (void *)&at, &length);
    pthread_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) pthread_create(&workers[i], 0, work, 0);
    usleep(100000);
    for (int i = 0; i < ASKED; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c, (void *)&at, sizeof at)) return 1;
        usleep(5000);
        close(c);
    }
    atomic_store(&over, 1);
    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], 0);
    return 0;
}
