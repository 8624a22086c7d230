/* What the programs here share: their checks, and at each of them what the kernel itself says, for tests/semantics to hold
   against the model. The kernel is asked by system calls that no shim sees, and a mark in the recording says when. */
#ifndef SEM_H
#define SEM_H
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <linux/kcmp.h>
#include "loopscope.h"
static int sem_fails, sem_checks, sem_truths;
/* A system call that nobody but the kernel hears of. */
static inline long raw(long n, long a, long b, long c, long d, long e) {
 long r; register long r10 __asm__("r10") = d; register long r8 __asm__("r8") = e;
 __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory"); return r; }
/* For each epoll descriptor and each of its items: number, mask, data word, whether the number still is that file
   (KCMP_EPOLL_TFD), and what poll(2) says of the number. */
static inline void truth(void) {
 static char text[16384], info[16384], path[64], link[64]; const char *to = getenv("LOOPSCOPE_TRUTH"); if (!to) return;
 /* Room for what is opened here, also in a program that has used up its numbers. */
 struct sem_limit { unsigned long cur, max; } was, room; raw(SYS_prlimit64, 0, 7, 0, (long)&was, 0); room = was; room.cur = was.max; raw(SYS_prlimit64, 0, 7, (long)&room, 0, 0);
 int at = 0, pid = raw(SYS_getpid, 0, 0, 0, 0, 0); sem_truths++;
 at += snprintf(text + at, sizeof text - at, "check %d %d\n", pid, sem_truths);
 for (int ep = 0; ep < 128; ep++) {
  snprintf(path, sizeof path, "/proc/self/fd/%d", ep); long n = raw(SYS_readlink, (long)path, (long)link, sizeof link - 1, 0, 0);
  if (n <= 0) continue; link[n] = 0; if (strcmp(link, "anon_inode:[eventpoll]")) continue;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", ep); int fd = raw(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
  if (fd < 0) continue; long size = raw(SYS_read, fd, (long)info, sizeof info - 1, 0, 0); raw(SYS_close, fd, 0, 0, 0, 0); info[size > 0 ? size : 0] = 0;
  at += snprintf(text + at, sizeof text - at, "ep %d\n", ep);
  for (char *line = strstr(info, "tfd:"); line; line = strstr(line + 1, "tfd:")) {
   int tfd; unsigned events; unsigned long long data; if (sscanf(line, "tfd: %d events: %x data: %llx", &tfd, &events, &data) != 3) continue;
   /* Which of the items with that number it is, kcmp(2) counts by an offset. */
   unsigned offset = 0; for (char *p = strstr(info, "tfd:"); p && p < line; p = strstr(p + 1, "tfd:")) { int same; if (sscanf(p, "tfd: %d", &same) == 1 && same == tfd) offset++; }
   struct { unsigned efd, tfd, toff; } slot = {ep, tfd, offset}; long live = raw(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, tfd, (long)&slot);
   struct pollfd p = {tfd, events & 0xffff, 0}; if (live == 0) raw(SYS_poll, (long)&p, 1, 0, 0, 0);
   at += snprintf(text + at, sizeof text - at, "item %d %x %llx %s %x\n", tfd, events, data, live == 0 ? "live" : "ghost", p.revents); } }
 int out = raw(SYS_open, (long)to, O_WRONLY | O_APPEND | O_CLOEXEC, 0, 0, 0); raw(SYS_prlimit64, 0, 7, (long)&was, 0, 0); if (out < 0) { sem_truths--; return; }
 raw(SYS_write, out, (long)text, at, 0, 0); raw(SYS_close, out, 0, 0, 0, 0); int e = errno; loopscope_mark("truth"); errno = e; }
static inline const char *evstr(uint32_t e){ static char b[4][160]; static int k; char *s=b[k++&3]; s[0]=0;
#define F(x,n) if(e&(x)){ if(*s)strcat(s,"|"); strcat(s,n); e&=~(x);} 
 F(EPOLLIN,"IN")F(EPOLLOUT,"OUT")F(EPOLLPRI,"PRI")F(EPOLLERR,"ERR")F(EPOLLHUP,"HUP")F(EPOLLRDHUP,"RDHUP")F(EPOLLRDNORM,"RDNORM")F(EPOLLWRNORM,"WRNORM")F(EPOLLRDBAND,"RDBAND")F(EPOLLWRBAND,"WRBAND")F(EPOLLMSG,"MSG")F(EPOLLET,"ET")F(EPOLLONESHOT,"ONESHOT")F(EPOLLEXCLUSIVE,"EXCL")F(EPOLLWAKEUP,"WAKEUP")
 if(e){char t[16];snprintf(t,16,"%s0x%x",*s?"|":"",e);strcat(s,t);} if(!*s)strcpy(s,"0"); return s;}
static inline const char *errname(int e){ return e?strerrorname_np(e):"0"; }
#define OK(c,...) do{ sem_checks++; int _c=!!(c); if(!_c)sem_fails++; printf("%s ",_c?"ok  ":"FAIL"); printf(__VA_ARGS__); putchar('\n'); fflush(stdout); truth();}while(0)
#define NOTE(...) do{ printf("note "); printf(__VA_ARGS__); putchar('\n'); fflush(stdout);}while(0)
static inline int ctl(int ep,int op,int fd,uint32_t ev,uint64_t data){ struct epoll_event e={.events=ev,.data.u64=data}; return epoll_ctl(ep,op,fd,&e)?errno:0; }
#define ADD(ep,fd,ev,d) ctl(ep,EPOLL_CTL_ADD,fd,ev,d)
#define MOD(ep,fd,ev,d) ctl(ep,EPOLL_CTL_MOD,fd,ev,d)
#define DEL(ep,fd) ctl(ep,EPOLL_CTL_DEL,fd,0,0)
static inline void ctl_expect(const char*what,int got,int want){ OK(got==want,"%-52s = %s%s%s",what,errname(got),got==want?"":" WANTED ",got==want?"":errname(want)); }
#define CTL(expr,want) ctl_expect(#expr,(expr),want)
/* one batch as text: "A:IN B:IN|OUT"; "" = timeout; "EINTR" etc = error */
static inline const char *batch(int ep,int max,int to){ static char s[4096]; static struct epoll_event ev[1024]; int n=epoll_wait(ep,ev,max,to); s[0]=0; if(n<0){strcpy(s,errname(errno));return s;}
 for(int i=0;i<n;i++){ char t[200]; uint64_t d=ev[i].data.u64; if(d>=33&&d<127)snprintf(t,200,"%s%c:%s",i?" ":"",(char)d,evstr(ev[i].events)); else snprintf(t,200,"%s%lld:%s",i?" ":"",(long long)d,evstr(ev[i].events)); strcat(s,t);} return s;}
static inline void bexp(int line,int ep,int max,int to,const char*want){ const char*g=batch(ep,max,to); int c=!strcmp(g,want); OK(c,"wait(max=%d,to=%d) -> [%s]%s%s%s",max,to,g,c?"":"  WANTED [",c?"":want,c?"":"]"); (void)line;}
#define BATCH(ep,max,to,want) bexp(__LINE__,ep,max,to,want)
static inline uint64_t now_ns(void){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return t.tv_sec*1000000000ull+t.tv_nsec; }
static inline void msleep(int ms){ struct timespec t={ms/1000,(ms%1000)*1000000L}; while(nanosleep(&t,&t)&&errno==EINTR); }
static inline void nb(int fd){ fcntl(fd,F_SETFL,fcntl(fd,F_GETFL)|O_NONBLOCK); }
static inline int tcp_listen(int*port){ int l=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0),o=1; setsockopt(l,SOL_SOCKET,SO_REUSEADDR,&o,4); struct sockaddr_in a={.sin_family=AF_INET,.sin_addr.s_addr=htonl(INADDR_LOOPBACK)}; socklen_t n=sizeof a; if(bind(l,(void*)&a,n)||listen(l,128)){perror("listen");exit(9);} getsockname(l,(void*)&a,&n); *port=ntohs(a.sin_port); return l;}
static inline int tcp_connect(int port){ int c=socket(AF_INET,SOCK_STREAM,0); struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port),.sin_addr.s_addr=htonl(INADDR_LOOPBACK)}; if(connect(c,(void*)&a,sizeof a)){perror("connect");exit(9);} return c;}
static inline void tcp_pair(int sv[2]){ int p,l=tcp_listen(&p); sv[0]=tcp_connect(p); for(;;){ sv[1]=accept4(l,0,0,SOCK_NONBLOCK); if(sv[1]>=0)break; msleep(1);} nb(sv[0]); close(l);}
static inline void fdinfo(int fd){ char p[64],l[256]; snprintf(p,64,"/proc/self/fdinfo/%d",fd); FILE*f=fopen(p,"r"); while(f&&fgets(l,256,f)) if(strstr(l,"tfd")){ printf("note fdinfo: %s",l);} if(f)fclose(f);}
static inline int fdinfo_items(int fd){ char p[64],l[256]; int n=0; snprintf(p,64,"/proc/self/fdinfo/%d",fd); FILE*f=fopen(p,"r"); while(f&&fgets(l,256,f)) if(strstr(l,"tfd"))n++; if(f)fclose(f); return n;}
#define DONE() do{ printf("== %s: %d checks, %d failed\n",__FILE__,sem_checks,sem_fails); return sem_fails!=0; }while(0)
#endif
