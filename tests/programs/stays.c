/* Waits in poll until a file is there, and says in another that it came so far: see tests/preload_processes.rs. */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int ends[2];
    pipe(ends);
    struct pollfd one = {ends[0], POLLIN, 0};
    while (access(argv[1], F_OK) != 0)
        poll(&one, 1, 20);
    return open(argv[2], O_CREAT | O_WRONLY, 0600) < 0;
}
