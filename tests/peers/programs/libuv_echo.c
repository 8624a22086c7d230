/* An echo server on libuv. Usage: libuv_echo PORT */
#include <stdlib.h>
#include <uv.h>

static void closed(uv_handle_t *client)
{
    free(client);
}

static void on_room(uv_handle_t *client, size_t suggested, uv_buf_t *buffer)
{
    (void)client;
    *buffer = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void written(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
    free(write);
}

static void on_read(uv_stream_t *client, ssize_t n, const uv_buf_t *buffer)
{
    if (n > 0) {
        uv_write_t *write = malloc(sizeof *write);
        uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)n);
        write->data = buffer->base;
        uv_write(write, client, &reply, 1, written);
        return;
    }
    free(buffer->base);
    if (n < 0)
        uv_close((uv_handle_t *)client, closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = malloc(sizeof *client);
    uv_tcp_init(listener->loop, client);
    if (status == 0 && uv_accept(listener, (uv_stream_t *)client) == 0)
        uv_read_start((uv_stream_t *)client, on_room, on_read);
    else
        uv_close((uv_handle_t *)client, closed);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in at;
    if (argc != 2)
        return 2;
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &at);
    uv_tcp_init(loop, &listener);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&at, 0) || uv_listen((uv_stream_t *)&listener, 128, on_connection))
        return 1;
    return uv_run(loop, UV_RUN_DEFAULT);
}
