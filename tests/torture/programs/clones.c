/* Processes and threads that libc knows nothing of: raw clone with the parent's memory, with its thread-local area, with
   its descriptors, and clone3. */
#include "probe.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int keep, answer;
static char *stacks[4];

static int body(void *argument) {
    long what = (long)argument;
    int fd = eventfd(what, 0);
    uint64_t value = 0;
    if (read(fd, &value, 8) == 8)
        __atomic_add_fetch(&answer, value, __ATOMIC_SEQ_CST);
    close(fd);
    if (what == 3)
        close(keep);
    return what;
}

/* As clone(2) does it, from nobody's library. */
static long raw(unsigned long flags, char *stack, int (*run)(void *), void *argument) {
    long result;
    void **top = (void **)stack;
    *--top = argument;
    *--top = run;
    register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "pop %%rax\n"
                     "pop %%rdi\n"
                     "call *%%rax\n"
                     "mov %%eax, %%edi\n"
                     "mov $60, %%eax\n"
                     "syscall\n"
                     "1:\n"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(flags), "S"(top), "d"(0L), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

/* Opened before the thread begins, so that its number is the same in every run: what unshare(CLONE_FILES) leaves of it in
   the main thread's table is shown at the end. */
static int pushed;

static void *pusher(void *stop) {
    int fd = pushed;
    uint64_t one = 1;
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        assert(write(fd, &one, 8) == 8);
        assert(read(fd, &one, 8) == 8 && one == 1);
    }
    close(fd);
    return 0;
}

int main(void) {
    int stop = 0;
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        stacks[i] = (char *)mmap(0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + (1 << 16);
    keep = eventfd(0, 0);
    pushed = eventfd(0, 0);
    pthread_create(&thread, 0, pusher, &stop);
    unsigned long flags[] = {SIGCHLD, SIGCHLD | CLONE_VM, SIGCHLD | CLONE_VM | CLONE_VFORK, SIGCHLD | CLONE_FILES,
                             SIGCHLD | CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND, SIGCHLD | CLONE_FS};
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 6; i++)
            for (int how = 0; how < 2; how++) {
                int wanted = i + 1 == 3 ? 7 : i + 1, status;
                pid_t pid = how ? raw(flags[i], stacks[how], body, (void *)(long)wanted)
                                : clone(body, stacks[how], flags[i], (void *)(long)wanted);
                assert(pid > 0);
                /* The parent goes on with its own, on the same thread-local area. */
                int fd = eventfd(1, 0);
                uint64_t value;
                assert(read(fd, &value, 8) == 8 && close(fd) == 0);
                assert(waitpid(pid, &status, __WALL) == pid);
                if (round == 0)
                    printf("%d %d: %x\n", i, how, status);
                assert(WIFEXITED(status) && WEXITSTATUS(status) == wanted);
            }
    printf("sum %d\n", answer);
    /* clone3 through syscall(2), as a fork and as a vfork would do it. */
    struct clone_args three = {.exit_signal = SIGCHLD};
    pid_t pid = syscall(SYS_clone3, &three, sizeof three);
    if (pid == 0)
        _exit(body((void *)5L));
    show_end("clone3", pid);
    pid = syscall(SYS_clone, SIGCHLD | CLONE_VFORK, 0, 0, 0, 0);
    if (pid == 0)
        _exit(body((void *)6L));
    show_end("clone vfork", pid);
    pid = syscall(SYS_fork);
    if (pid == 0)
        _exit(body((void *)4L));
    show_end("syscall fork", pid);
    printf("unshare %d\n", unshare(CLONE_FILES));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, 0);
    printf("keep %d\n", close(keep));
    show("end");
    return 0;
}
