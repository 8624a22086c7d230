/* An echo server on poll(). Usage: poll_echo PORT */
#include "listen.h"
#include <poll.h>
#include <unistd.h>

enum { MOST = 256 };

int main(int argc, char **argv)
{
    static char buffer[65536];
    struct pollfd fds[MOST];
    nfds_t count = 1;
    if (argc != 2)
        return 2;
    fds[0] = (struct pollfd){.fd = listen_on(argv[1]), .events = POLLIN};
    for (;;) {
        if (poll(fds, count, -1) < 0)
            return 1;
        /* From the end, so that the last one can take the place of one that left. */
        for (nfds_t at = count - 1; at > 0; at--) {
            if (!fds[at].revents)
                continue;
            ssize_t n = read(fds[at].fd, buffer, sizeof buffer);
            if (n <= 0 || write_all(fds[at].fd, buffer, n) < 0) {
                close(fds[at].fd);
                fds[at] = fds[--count];
            }
        }
        if (fds[0].revents && count < MOST) {
            int fd = accept(fds[0].fd, NULL, NULL);
            if (fd >= 0)
                fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
}
