/* An echo server on libev. Usage: libev_echo PORT */
#include "listen.h"
#include <ev.h>
#include <unistd.h>

static char buffer[65536];

static void on_client(EV_P_ ev_io *client, int revents)
{
    ssize_t n = read(client->fd, buffer, sizeof buffer);
    (void)revents;
    if (n <= 0 || write_all(client->fd, buffer, n) < 0) {
        ev_io_stop(EV_A_ client);
        close(client->fd);
        free(client);
    }
}

static void on_listener(EV_P_ ev_io *listener, int revents)
{
    int fd = accept(listener->fd, NULL, NULL);
    ev_io *client = fd < 0 ? NULL : malloc(sizeof *client);
    (void)revents;
    if (!client)
        return;
    ev_io_init(client, on_client, fd, EV_READ);
    ev_io_start(EV_A_ client);
}

static void on_second(EV_P_ ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents; /* a timer, as every real program has one */
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    ev_io listener;
    ev_timer timer;
    if (argc != 2 || !loop)
        return 2;
    ev_io_init(&listener, on_listener, listen_on(argv[1]), EV_READ);
    ev_io_start(loop, &listener);
    ev_timer_init(&timer, on_second, 0.1, 0.1);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
}
