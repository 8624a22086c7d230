/* Becomes another program by every call that takes its arguments one by one, with nothing left of the environment, and by
   others with an environment that says nothing, nothing twice, or very much: see
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

static char self[4096], preload[4096] = "LD_PRELOAD=";

static char **many(int n) {
    char **all = calloc(n + 1, sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = "B=3";
    return all;
}

static void become(int how) {
    if (getenv("LD_PRELOAD"))
        strncat(preload, getenv("LD_PRELOAD"), 4000);
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
    case 6: execve(self, (char *[]){"execs", "null", NULL}, NULL);
    case 7: execve(self, (char *[]){"execs", "empty", NULL}, (char *[]){"LD_PRELOAD=", "A=2", NULL});
    case 8: execve(self, (char *[]){"execs", "twice", NULL}, (char *[]){"LD_PRELOAD=", preload, "LD_PRELOAD=", NULL});
    case 9: execve(self, (char *[]){"execs", "many", NULL}, many(300));
    case 10: execve(self, (char *[]){"execs", "very many", NULL}, many(1500));
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
    for (int how = 0; how < 11; how++) {
        int status, child = fork();
        if (child == 0)
            become(how);
        assert(waitpid(child, &status, 0) == child);
        assert(WIFEXITED(status) && WEXITSTATUS(status) == (how == 5 ? ENOENT : 7));
    }
    assert(execl("/nowhere", "x", "1", "2", "3", "4", "5", "6", NULL) == -1 && errno == ENOENT);
    return 0;
}
