/* Becomes a daemon by two forks and by daemon(3), and says in a file how it went. Arguments: the file, how. */
#include "probe.h"
#include "calls.h"

int main(int argc, char **argv) {
    int by_hand = argc > 2;
    if (by_hand) {
        if (fork() != 0)
            _exit(0);
        setsid();
        if (fork() != 0)
            _exit(0);
        chdir("/");
        umask(0);
        for (int fd = 0; fd < 1024; fd++)
            close(fd);
        open("/dev/null", O_RDWR);
        dup(0);
        dup(0);
    } else
        assert(daemon(0, 0) == 0);
    char path[4096];
    snprintf(path, sizeof path, "%s.part", argv[1]);
    assert(freopen(path, "w", stdout));
    printf("daemon: %d\n", every_call());
    show("daemon");
    fclose(stdout);
    rename(path, argv[1]);
    return 0;
}
