/* Sockets that live for an instant, by every call that says an address: see tests/preload_names.rs. Prints the ports. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in in;
static socklen_t length;

static int port(int fd) {
    length = sizeof in;
    assert(getsockname(fd, (void *)&in, &length) == 0);
    return ntohs(in.sin_port);
}

int main(int argc, char **argv) {
    int ep = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN}, ready[4];

    /* The kernel chooses the port, the program asks for it. */
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert(bind(listener, (void *)&in, sizeof in) == 0 && listen(listener, 8) == 0);
    printf("listener %d\n", port(listener));
    struct sockaddr_in there = in, peer;

    /* Registered, served and closed at once: with its address, through syscall(2), without, with too little room. */
    for (int i = 0; i < 4; i++) {
        int client = socket(AF_INET, SOCK_STREAM | (i ? 0 : SOCK_NONBLOCK), 0), fd = -1;
        int done = connect(client, (void *)&there, sizeof there);
        assert(done == 0 || errno == EINPROGRESS);
        printf("client %d\n", port(client));
        struct epoll_event muted = {0};
        assert(epoll_ctl(ep, EPOLL_CTL_ADD, client, &muted) == 0);
        length = i == 3 ? 4 : sizeof peer;
        if (i == 0)
            fd = accept(listener, (void *)&peer, &length);
        if (i == 1)
            fd = syscall(SYS_accept4, listener, &peer, &length, SOCK_CLOEXEC);
        if (i == 2)
            fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
        if (i == 3)
            fd = accept(listener, (void *)&peer, &length);
        assert(fd >= 0 && length == sizeof peer);
        event.data.fd = fd;
        assert(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && write(client, "x", 1) == 1);
        assert(epoll_wait(ep, ready, 4, -1) == 1);
        close(fd);
        close(client);
    }

    /* Refused: nobody was there. */
    close(listener);
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    assert(connect(refused, (void *)&there, sizeof there) == -1 && errno == ECONNREFUSED);
    close(refused);

    /* Datagrams: to one, and to another. */
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    there.sin_port = htons(1);
    assert(connect(udp, (void *)&there, sizeof there) == 0);
    there.sin_port = htons(2);
    assert(connect(udp, (void *)&there, sizeof there) == 0);
    close(udp);

    /* By path. */
    struct sockaddr_un path = {.sun_family = AF_UNIX}, none;
    strcpy(path.sun_path, argv[1]);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert(bind(listener, (void *)&path, sizeof path) == 0 && listen(listener, 8) == 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert(connect(client, (void *)&path, sizeof path) == 0);
    length = sizeof none;
    int fd = accept(listener, (void *)&none, &length);
    event.data.fd = fd;
    assert(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    errno = 0;
    assert(accept(-1, (void *)&none, &length) == -1 && errno == EBADF);
    return 0;
}
