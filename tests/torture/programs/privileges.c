/* Gives up root, its root directory and its limits; goes on, forks and becomes another program. Arguments: how, and a
   directory with a copy of itself and what it needs. */
#include "probe.h"
#include "calls.h"
#include <grp.h>
#include <pthread.h>
#include <sys/resource.h>

static void *thread(void *unused) {
    return (void *)(long)every_call();
}

static void limit(int what, unsigned long to) {
    struct rlimit l = {to, to};
    assert(setrlimit(what, &l) == 0);
}

static void go_on(const char *where) {
    void *result;
    pthread_t other;
    printf("%s: %d", where, every_call());
    if (pthread_create(&other, 0, thread, 0) == 0) {
        pthread_join(other, &result);
        printf(" %ld", (long)result);
    }
    printf("\n");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        printf("child %d\n", every_call());
        fflush(stdout);
        _exit(14);
    }
    if (child > 0)
        show_end("child", child);
    else
        printf("no child: %s\n", strerror(errno));
}

int main(int argc, char **argv) {
    if (argc < 3) {
        /* exec'd */
        if (argc == 2) { /* with few numbers */
            int first = dup(0), second = dup(0);
            printf("%d %d %s\n", first, second, strerror(errno));
            close(first);
            struct epoll_event ready;
            int ep = epoll_create1(0);
            printf("%d %d\n", ep, epoll_wait(ep, &ready, 1, 0));
            return 15;
        }
        printf("exec'd as %d: %d\n", geteuid(), every_call());
        show("exec'd");
        return 15;
    }
    if (!strcmp(argv[1], "user")) {
        assert(setgroups(0, 0) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    } else if (!strcmp(argv[1], "root")) {
        assert(chroot(argv[2]) == 0 && chdir("/") == 0);
        printf("chrooted\n");
        fflush(stdout);
        execv("/program", (char *[]){"program", "few", NULL});
        printf("%s\n", strerror(errno));
        return 16;
    } else if (!strcmp(argv[1], "memory")) {
        limit(RLIMIT_AS, 64 << 20);
    } else if (!strcmp(argv[1], "file")) {
        signal(SIGXFSZ, SIG_DFL);
        limit(RLIMIT_FSIZE, 0);
    } else if (!strcmp(argv[1], "data")) {
        limit(RLIMIT_DATA, 16 << 20);
    } else if (!strcmp(argv[1], "locked")) {
        limit(RLIMIT_MEMLOCK, 0);
    } else if (!strcmp(argv[1], "stack")) {
        limit(RLIMIT_STACK, 256 << 10);
    } else if (!strcmp(argv[1], "numbers")) {
        limit(RLIMIT_NOFILE, 4);
        execv(argv[0], (char *[]){argv[0], "few", NULL});
        return 16;
    }
    if (strcmp(argv[1], "file"))
        go_on(argv[1]);
    execv(argv[2][0] == '/' ? argv[2] : argv[0], (char *[]){"program", NULL});
    printf("%s\n", strerror(errno));
    return 16;
}
