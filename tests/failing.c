/* Loaded before the C library: lets one of the file operations below a folder fail.

   fail_at(N, CODE, FOLDER) lets the N-th from now on fail with an errno (none if N is 0), and
   returns how many there have been since it was called last. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char below[PATH_MAX];
static int nth, code, count;

int fail_at(int now, int with, const char *folder) {
  pthread_mutex_lock(&mutex);
  int before = count;
  nth = now, code = with, count = 0;
  strncpy(below, folder, PATH_MAX - 1);
  pthread_mutex_unlock(&mutex);
  return before;
}

static int fails(const char *path) {
  int failing = 0;
  if (!below[0] || strncmp(path, below, strlen(below))) return 0;
  pthread_mutex_lock(&mutex);
  failing = ++count == nth;
  pthread_mutex_unlock(&mutex);
  if (failing) errno = code;
  return failing;
}

static int handle_fails(int handle) {
  char link[64], path[PATH_MAX] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  int kept = errno;
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = kept;
  return length > 0 && fails(path);
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define OPEN(name)                                          \
  int name(const char *path, int flags, ...) {              \
    va_list rest;                                           \
    va_start(rest, flags);                                  \
    mode_t mode = va_arg(rest, mode_t);                     \
    va_end(rest);                                           \
    return fails(path) ? -1 : NEXT(name)(path, flags, mode); \
  }
#define OF_PATH(type, name, declared, path, ...) \
  type name declared { return fails(path) ? -1 : NEXT(name)(__VA_ARGS__); }
#define OF_HANDLE(type, name, declared, ...) \
  type name declared { return handle_fails(handle) ? -1 : NEXT(name)(__VA_ARGS__); }

OPEN(open)
OPEN(open64)
OF_PATH(int, mkdir, (const char *path, mode_t mode), path, path, mode)
OF_PATH(int, unlink, (const char *path), path, path)
OF_PATH(int, link, (const char *from, const char *path), path, from, path)
OF_PATH(int, rename, (const char *from, const char *path), path, from, path)
OF_HANDLE(ssize_t, write, (int handle, const void *data, size_t size), handle, data, size)
OF_HANDLE(ssize_t, read, (int handle, void *data, size_t size), handle, data, size)
OF_HANDLE(int, fsync, (int handle), handle)
OF_HANDLE(int, flock, (int handle, int how), handle, how)
DIR *opendir(const char *path) { return fails(path) ? NULL : NEXT(opendir)(path); }

int close(int handle) {  /* which closes it all the same */
  int failing = handle_fails(handle), kept = errno, done = NEXT(close)(handle);
  if (failing) errno = kept;
  return failing ? -1 : done;
}
