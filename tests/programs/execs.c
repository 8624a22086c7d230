/* Becomes another program by every call that takes its arguments one by one, with nothing left of the environment: see
   tests/preload_processes.rs. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Named here, the variable lies in the program and no longer in libc. */
extern char **environ;

static char self[4096];

static void become(int how) {
    static char *const none[] = {NULL}, *const some[] = {"A=1", NULL};
    clearenv();
    assert(environ == NULL);
    if (how != 4)
        setenv("PATH", "/nowhere", 1);
    setenv("FRUIT", "apple", 1);
    switch (how) {
    case 0: execl(self, "execs", "a", NULL);
    case 1: execl(self, "execs", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL);
    case 2: execle(self, "execs", "a", NULL, none);
    case 3: execle(self, "execs", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", NULL, some);
    case 4: execlp(self, "execs", "b", "c", NULL);
    case 5: execlp(strrchr(self, '/') + 1, "execs", NULL);
    }
    printf("%d: %s\n", how, strerror(errno));
    fflush(stdout);
    _exit(errno);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        for (int i = 0; i < argc; i++)
            printf("%s ", argv[i]);
        printf("%s %s\n", getenv("A") ? getenv("A") : "-", getenv("FRUIT") ? getenv("FRUIT") : "-");
        struct pollfd one = {eventfd(1, 0), POLLIN, 0};
        assert(poll(&one, 1, 1000) == 1);
        close(one.fd);
        return 7;
    }
    assert(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    for (int how = 0; how < 6; how++) {
        int status, child = fork();
        if (child == 0)
            become(how);
        assert(waitpid(child, &status, 0) == child);
        assert(WIFEXITED(status) && WEXITSTATUS(status) == (how == 5 ? ENOENT : 7));
    }
    assert(execl("/nowhere", "x", "1", "2", "3", "4", "5", "6", NULL) == -1 && errno == ENOENT);
    return 0;
}
