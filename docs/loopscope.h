/*
 * loopscope.h: a program tells loopscope which handler runs when, and what it wants to see on the timeline.
 *
 *     #include "loopscope.h"
 *
 *     n = epoll_wait(ep, events, 64, -1);
 *     for (i = 0; i < n; i++) {
 *         loopscope_handler_begin(events[i].data.fd, "echo");
 *         serve(events[i].data.fd);
 *         loopscope_handler_end();
 *     }
 *
 * Start the program with `loopscope run` or `loopscope record`: from its first handler on, the runs of that loop are
 * the ones it marks, exactly, no longer inferred from its calls. Started in any other way it runs as without this file:
 * each of these calls is then a load, a test and a branch.
 *
 * One header, C89 or later and C++, for gcc and clang on Linux; with another compiler, or with LOOPSCOPE_OFF defined, the
 * calls are empty. Nothing to link (before glibc 2.34: -ldl). Position-independent or not makes no difference. A
 * statically linked program (-static) has no room for the preload shim these calls go to: it runs, records nothing, and
 * `loopscope record` says so. Shared libraries and modules may use it too; each file finds the calls for itself when it
 * is loaded.
 *
 * What is passed: names are C strings, copied before the call returns, of which 256 bytes are kept; UTF-8 is best, other
 * bytes show as replacement characters, control characters are shown escaped. A program may use some 2,000 different names
 * for handlers and marks: what varies belongs into a field. All calls are safe in threads, signal handlers and forked
 * children, keep errno, and never fail, block or allocate.
 */
#ifndef LOOPSCOPE_H
#define LOOPSCOPE_H

#if (defined(__GNUC__) || defined(__clang__)) && defined(__linux__) && !defined(LOOPSCOPE_OFF)

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*loopscope_call_)(void);

/* dlsym(3), where there is one: weak, so that a static program links without it, and under a name of our own, so that it
 * is no matter whether <dlfcn.h> comes before, after or not at all. */
extern loopscope_call_ loopscope_dlsym_(void *library, const char *name) __asm__("dlsym") __attribute__((__weak__));

#ifdef __cplusplus
}
#endif

static struct {
    void (*handler_begin)(int, const char *);
    void (*handler_begin_on)(int, int, const char *);
    void (*handler_end)(void);
    void (*on_behalf_of)(int);
    void (*mark)(const char *);
    void (*mark_long)(const char *, const char *, long);
    void (*mark_double)(const char *, const char *, double);
    void (*mark_text)(const char *, const char *, const char *);
    void (*name_fd)(int, const char *);
    void (*name_loop)(int, const char *);
} loopscope_;

#ifdef __cplusplus
#define LOOPSCOPE_FIND_(name, type) \
    loopscope_.name = reinterpret_cast<type>(loopscope_dlsym_(everywhere, "loopscope_" #name))
#else
#define LOOPSCOPE_FIND_(name, type) loopscope_.name = (type)loopscope_dlsym_(everywhere, "loopscope_" #name)
#endif

/* Once, before main (or when the library with this file is loaded). */
static void __attribute__((__constructor__, __used__)) loopscope_find_(void) {
    char *everywhere = 0;
    if (!loopscope_dlsym_) return;
    LOOPSCOPE_FIND_(handler_begin, void (*)(int, const char *));
    LOOPSCOPE_FIND_(handler_begin_on, void (*)(int, int, const char *));
    LOOPSCOPE_FIND_(handler_end, void (*)(void));
    LOOPSCOPE_FIND_(on_behalf_of, void (*)(int));
    LOOPSCOPE_FIND_(mark, void (*)(const char *));
    LOOPSCOPE_FIND_(mark_long, void (*)(const char *, const char *, long));
    LOOPSCOPE_FIND_(mark_double, void (*)(const char *, const char *, double));
    LOOPSCOPE_FIND_(mark_text, void (*)(const char *, const char *, const char *));
    LOOPSCOPE_FIND_(name_fd, void (*)(int, const char *));
    LOOPSCOPE_FIND_(name_loop, void (*)(int, const char *));
}
#undef LOOPSCOPE_FIND_

/* Inlined also without optimisation, so that the line shown is the one that calls. */
#define LOOPSCOPE_INLINE_ static __inline__ void __attribute__((__always_inline__, __unused__))
#define LOOPSCOPE_CALL_(name, arguments) { if (__builtin_expect(loopscope_.name != 0, 0)) loopscope_.name arguments; }

/* The handler that serves `fd` starts, on the loop that this thread waited on last; one that is still open on that loop
 * ends. Call it when the descriptor's turn has come, before the first call on it. `name` says what serves it; NULL or ""
 * says nothing. `fd` -1: a handler that serves no descriptor. */
LOOPSCOPE_INLINE_ loopscope_handler_begin(int fd, const char *name)
    LOOPSCOPE_CALL_(handler_begin, (fd, name))

/* The same in a thread that does not wait itself: a worker that was handed an event of the loop `epfd`. */
LOOPSCOPE_INLINE_ loopscope_handler_begin_on(int epfd, int fd, const char *name)
    LOOPSCOPE_CALL_(handler_begin_on, (epfd, fd, name))

/* It ends. The last of a batch needs this, or what follows up to the next wait counts as part of it. */
LOOPSCOPE_INLINE_ loopscope_handler_end(void)
    LOOPSCOPE_CALL_(handler_end, ())

/* What the handler under way does from here on, it does on behalf of `fd`: of the client, in the handler of a connection that
 * was opened for it, or of a bell that another thread has rung. The first in a handler holds from its start, each up to the
 * next or to the handler's end; the handler's own descriptor ends it. Where handlers are not marked, call it after the first
 * call on the handler's own descriptor. */
LOOPSCOPE_INLINE_ loopscope_on_behalf_of(int fd)
    LOOPSCOPE_CALL_(on_behalf_of, (fd))

/* A point on the timeline: what the program says happened here. */
LOOPSCOPE_INLINE_ loopscope_mark(const char *name)
    LOOPSCOPE_CALL_(mark, (name))

/* The same with one field. */
LOOPSCOPE_INLINE_ loopscope_mark_long(const char *name, const char *key, long value)
    LOOPSCOPE_CALL_(mark_long, (name, key, value))
LOOPSCOPE_INLINE_ loopscope_mark_double(const char *name, const char *key, double value)
    LOOPSCOPE_CALL_(mark_double, (name, key, value))
LOOPSCOPE_INLINE_ loopscope_mark_text(const char *name, const char *key, const char *value)
    LOOPSCOPE_CALL_(mark_text, (name, key, value))

/* What `fd` is called on all screens, until it is closed. */
LOOPSCOPE_INLINE_ loopscope_name_fd(int fd, const char *name)
    LOOPSCOPE_CALL_(name_fd, (fd, name))

/* What the loop behind `epfd` is called. */
LOOPSCOPE_INLINE_ loopscope_name_loop(int epfd, const char *name)
    LOOPSCOPE_CALL_(name_loop, (epfd, name))

#undef LOOPSCOPE_CALL_
#undef LOOPSCOPE_INLINE_

#else

#define loopscope_handler_begin(fd, name) ((void)(fd), (void)(name))
#define loopscope_handler_begin_on(epfd, fd, name) ((void)(epfd), (void)(fd), (void)(name))
#define loopscope_handler_end() ((void)0)
#define loopscope_on_behalf_of(fd) ((void)(fd))
#define loopscope_mark(name) ((void)(name))
#define loopscope_mark_long(name, key, value) ((void)(name), (void)(key), (void)(value))
#define loopscope_mark_double(name, key, value) ((void)(name), (void)(key), (void)(value))
#define loopscope_mark_text(name, key, value) ((void)(name), (void)(key), (void)(value))
#define loopscope_name_fd(fd, name) ((void)(fd), (void)(name))
#define loopscope_name_loop(epfd, name) ((void)(epfd), (void)(name))

#endif
#endif
