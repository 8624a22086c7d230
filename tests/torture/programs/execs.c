/* The environment between fork and exec, by every call that takes one: what the next program finds is what it would find
   without us. */
#include "probe.h"
#include <spawn.h>
#include <sys/syscall.h>

static char self[4096];
static char *const arguments[] = {"execs", "see", NULL};

static void become(int how) {
    int fd;
    switch (how) {
    case 0: execl(self, "execs", "see", NULL); break;
    case 1: execlp(self, "execs", "see", NULL); break;
    case 2: execle(self, "execs", "see", NULL, environ); break;
    case 3: execv(self, arguments); break;
    case 4: execvp(self, arguments); break;
    case 5: execvpe(self, arguments, environ); break;
    case 6: execve(self, arguments, environ); break;
    case 7:
        fd = open(self, O_RDONLY | O_CLOEXEC);
        fexecve(fd, arguments, environ);
        break;
    case 8: syscall(SYS_execve, self, arguments, environ); break;
    case 9:
        fd = open(self, O_RDONLY | O_CLOEXEC);
        syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
        break;
    case 10:
    case 11: {
        pid_t pid;
        int status;
        int error = (how == 10 ? posix_spawn : posix_spawnp)(&pid, self, 0, 0, arguments, environ);
        if (error)
            _exit(error);
        waitpid(pid, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    case 12: {
        fflush(stdout);
        char command[4200];
        snprintf(command, sizeof command, "%s see", self);
        _exit(WEXITSTATUS(system(command)));
    }
    case 13: {
        char command[4200], line[4096];
        snprintf(command, sizeof command, "exec %s see", self);
        FILE *out = popen(command, "r");
        while (fgets(line, sizeof line, out))
            fputs(line, stdout);
        int status = pclose(out);
        fflush(stdout);
        _exit(WEXITSTATUS(status));
    }
    }
    _exit(99);
}

#define WAYS 14

static char many[6000][16], *list[6002];

static void environment(int which) {
    static char *few[] = {"ONE=1", "TWO=2", NULL}, *none[] = {NULL}, *odd[] = {"NOEQUALS", "=EMPTY", "", "A=", NULL};
    static char fruit[] = "FRUIT=apple";
    switch (which) {
    case 0: break;
    case 1: setenv("FRUIT", "apple", 1); break;
    case 2: putenv(fruit); break;
    case 3:
        unsetenv("HOME");
        setenv("PATH", "/usr/bin:/bin", 1);
        setenv("FRUIT", "pear", 1);
        setenv("FRUIT", "apple", 1);
        break;
    case 4: clearenv(); break;
    case 5:
        clearenv();
        setenv("FRUIT", "apple", 1);
        break;
    case 6: environ = few; break;
    case 7: environ = none; break;
    case 8: environ = NULL; break;
    case 9: environ = odd; break;
    case 10: setenv("LD_PRELOAD", "", 1); break;
    case 11: unsetenv("LD_PRELOAD"); break;
    case 12: unsetenv("LOOPSCOPE_SESSION"); break;
    case 13:
    case 14: /* more than a small list holds, and more than a large one */
        for (int i = 0; i < (which == 13 ? 1000 : 6000); i++) {
            snprintf(many[i], sizeof many[i], "V%d=%d", i, i);
            list[i] = many[i];
        }
        environ = list;
        break;
    }
}

#define ENVIRONMENTS 15

int main(int argc, char **argv) {
    if (argc > 1) {
        unsigned sum = 0, count = 0;
        for (char **at = environ; at && *at; at++)
            if (strncmp(*at, "LD_PRELOAD=", 11) && strncmp(*at, "LOOPSCOPE_SESSION=", 18) && strncmp(*at, "_=", 2) &&
                strncmp(*at, "PWD=", 4) && strncmp(*at, "SHLVL=", 6) && strncmp(*at, "OLDPWD=", 7)) {
                count++;
                for (char *c = *at; *c; c++)
                    sum = sum * 31 + *c;
                if (count <= 5)
                    printf(" [%s]", strncmp(*at, "FRUIT", 5) && strlen(*at) > 20 ? "…" : *at);
            }
        char *fruit = getenv("FRUIT");
        printf(" %u %u %s\n", count, sum, fruit ? fruit : "-");
        return 7;
    }
    assert(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    for (int which = 0; which < ENVIRONMENTS; which++)
        for (int how = 0; how < WAYS; how++) {
            printf("%d %d:", which, how);
            fflush(stdout);
            pid_t child = fork();
            if (child == 0) {
                environment(which);
                become(how);
            }
            show_end("", child);
        }
    /* The same between vfork and exec. */
    for (int how = 0; how < 10; how++) {
        printf("vfork %d:", how);
        fflush(stdout);
        char **before = environ;
        static char *few[] = {"FRUIT=plum", NULL};
        pid_t child = vfork();
        if (child == 0) {
            environ = few;
            become(how);
        }
        environ = before;
        show_end("", child);
    }
    show("end");
    return 0;
}
