/* What a program can see of its own process: printed the same with and without the shim, or something of ours shows. */
#ifndef PROBE_H
#define PROBE_H
#define _GNU_SOURCE
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Open descriptors, with what they are; numbers of inodes differ from run to run. */
static inline void show_fds(void) {
    char path[64], to[256];
    DIR *all = opendir("/proc/self/fd");
    if (!all) {
        printf("fds: %s\n", strerror(errno));
        return;
    }
    printf("fds:");
    for (int fd = 0; fd < 4096; fd++) {
        if (fd == dirfd(all) || fcntl(fd, F_GETFD) == -1)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n > 0 ? n : 0] = 0;
        to[strcspn(to, "[")] = 0;
        if (fd < 3 || to[0] == '/')
            strcpy(to, "file");
        printf(" %d=%s%s", fd, to, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "!" : "");
    }
    closedir(all);
    printf("\n");
}

/* Threads that are meant to be there. */
__attribute__((unused)) static int meant = 1;

/* One that was joined, or has said that it is done, is counted a little longer; on a busy machine for seconds. Looks without a
   descriptor: a directory has two links and one for each in it. */
static inline void settle(void) {
    struct stat tasks;
    for (int i = 0; i < 60000 && stat("/proc/self/task", &tasks) == 0 && (int)tasks.st_nlink > 2 + meant; i++)
        usleep(1000);
}

/* Lines of /proc/self/status about threads and signals. */
static inline void show_status(void) {
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "Threads", 7) || !strncmp(line, "Sig", 3) || !strncmp(line, "Shd", 3) ||
            !strncmp(line, "Seccomp:", 8) || !strncmp(line, "NoNewPrivs", 10))
            if (strncmp(line, "SigQ", 4))
                fputs(line, stdout);
    if (file)
        fclose(file);
}

/* The environment but for the two variables that a recording needs, and what shells keep for themselves. */
static inline void show_environment(void) {
    for (char **at = environ; at && *at; at++)
        if (strncmp(*at, "LD_PRELOAD=", 11) && strncmp(*at, "LOOPSCOPE_SESSION=", 18) && strncmp(*at, "_=", 2))
            printf("env: %s\n", *at);
}

static inline void show(const char *where) {
    int before = errno;
    settle();
    struct epoll_event none;
    int ep = epoll_create1(0);
    epoll_wait(ep, &none, 1, 0); /* so that there is a loop to record */
    close(ep);
    printf("-- %s\n", where);
    show_fds();
    show_status();
    fflush(stdout);
    errno = before;
}

/* How a child ended. */
static inline void show_end(const char *what, pid_t child) {
    int status = -1;
    pid_t ended;
    while ((ended = waitpid(child, &status, 0)) == -1 && errno == EINTR)
        ;
    if (ended != child)
        printf("%s: no child: %s\n", what, strerror(errno));
    else if (WIFSIGNALED(status))
        printf("%s: signal %d\n", what, WTERMSIG(status));
    else
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    fflush(stdout);
}
#endif
