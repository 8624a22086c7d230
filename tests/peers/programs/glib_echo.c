/* An echo server on GLib's main loop, which waits in poll(). Usage: glib_echo PORT */
#include "listen.h"
#include <glib-unix.h>
#include <unistd.h>

static gboolean on_client(gint fd, GIOCondition condition, gpointer data)
{
    static char buffer[65536];
    ssize_t n = read(fd, buffer, sizeof buffer);
    (void)condition, (void)data;
    if (n > 0 && write_all(fd, buffer, n) == 0)
        return G_SOURCE_CONTINUE;
    close(fd);
    return G_SOURCE_REMOVE;
}

static gboolean on_listener(gint listener, GIOCondition condition, gpointer data)
{
    int fd = accept(listener, NULL, NULL);
    (void)condition, (void)data;
    if (fd >= 0)
        g_unix_fd_add(fd, G_IO_IN, on_client, NULL);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    g_unix_fd_add(listen_on(argv[1]), G_IO_IN, on_listener, NULL);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
