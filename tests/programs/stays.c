/* Waits in poll until a file is there, and says in another that it came so far. With a third name it makes that file when
   it waits, with a fourth argument it is deaf to TERM: see tests/preload_processes.rs. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int ends[2];
    pipe(ends);
    struct pollfd one = {ends[0], POLLIN, 0};
    if (argc > 4)
        signal(SIGTERM, SIG_IGN);
    poll(&one, 1, 1);
    if (argc > 3)
        close(open(argv[3], O_CREAT | O_WRONLY, 0600));
    while (access(argv[1], F_OK) != 0)
        poll(&one, 1, 20);
    return open(argv[2], O_CREAT | O_WRONLY, 0600) < 0;
}
