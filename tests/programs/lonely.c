/* The simplest server: says its port, and waits in accept for the first to come. See tests/preload_blind.rs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof at;
    if (bind(fd, (void *)&at, size) || listen(fd, 8) || getsockname(fd, (void *)&at, &size))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return accept(fd, 0, 0) < 0;
}
