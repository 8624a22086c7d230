/* An echo server on select(). Usage: select_echo PORT */
#include "listen.h"
#include <sys/select.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char buffer[65536];
    fd_set watched, ready;
    if (argc != 2)
        return 2;
    int listener = listen_on(argv[1]), highest = listener;
    FD_ZERO(&watched);
    FD_SET(listener, &watched);
    for (;;) {
        ready = watched;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0)
            return 1;
        for (int fd = highest; fd >= 0; fd--) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= FD_SETSIZE)
                    close(client);
                else if (client >= 0)
                    FD_SET(client, &watched);
                if (client > highest && client < FD_SETSIZE)
                    highest = client;
                continue;
            }
            ssize_t n = read(fd, buffer, sizeof buffer);
            if (n <= 0 || write_all(fd, buffer, n) < 0) {
                close(fd);
                FD_CLR(fd, &watched);
            }
        }
    }
}
