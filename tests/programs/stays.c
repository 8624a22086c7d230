/* Waits in poll until a file is there, and says in another that it came so far. With a third name it makes that file when
   it waits. With a fourth argument it does not die of TERM, HUP and QUIT: "deaf" ignores them, "works" ends what it has in hand
   and tells by its code which one it got. See tests/preload_processes.rs and tests/session_signals.rs. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t got;

static void note(int signal) {
    got = signal;
}

int main(int argc, char **argv) {
    int ends[2];
    pipe(ends);
    struct pollfd one = {ends[0], POLLIN, 0};
    for (int i = 0; argc > 4 && i < 3; i++)
        signal((int[]){SIGTERM, SIGHUP, SIGQUIT}[i], strcmp(argv[4], "deaf") ? note : SIG_IGN);
    poll(&one, 1, 1);
    if (argc > 3)
        close(open(argv[3], O_CREAT | O_WRONLY, 0600));
    while (access(argv[1], F_OK) != 0 && !got)
        poll(&one, 1, 20);
    if (got) {
        for (int i = 0; i < 20; i++)
            poll(&one, 1, 20);
        return 40 + got;
    }
    return open(argv[2], O_CREAT | O_WRONLY, 0600) < 0;
}
