/*
 * Records what a process does to files below one folder, for the power-cut tests (findings F20): loaded before libc, it appends one
 * record to a log for each call that changes a file or makes a change certain. The log's order is the order the calls took effect in.
 *
 *   HYPERLOOM_RECORD_LOG   the log, made by the test
 *   HYPERLOOM_RECORD_ROOT  the folder; other paths are not recorded
 *   HYPERLOOM_RECORD_SAYS  if set: what this process writes to its standard output is recorded, too
 *
 * Several processes may write to one log: a record is one call that appends, and a descriptor carries its process.
 * A record: kind (1 byte), descriptor (i32), number (i64: offset or length), two byte strings, each after its length (u32).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static int says;
static char root[PATH_MAX];
static size_t root_length;
/* 1: a descriptor of a file below the root. */
static unsigned char ours[FDS];

#define REAL(type, name, ...)                                  \
  static type (*real)(__VA_ARGS__);                            \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("HYPERLOOM_RECORD_LOG");
  const char *folder = getenv("HYPERLOOM_RECORD_ROOT");
  if (!path || !folder) return;
  int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
  int fd = real_open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return;
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, FDS - 8);
  if (log_fd < 0) log_fd = fd;
  snprintf(root, sizeof root, "%s", folder);
  root_length = strlen(root);
  says = getenv("HYPERLOOM_RECORD_SAYS") != 0;
}

static int below(const char *path) {
  return log_fd >= 0 && path && strncmp(path, root, root_length) == 0 &&
         (path[root_length] == '/' || path[root_length] == 0);
}

static int mine(int fd) { return log_fd >= 0 && fd >= 0 && fd < FDS && ours[fd]; }

/* Called with the lock held, right after the call it speaks of. */
static void record(char kind, int fd, int64_t number, const void *a, uint32_t a_length, const void *b, uint32_t b_length) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) real = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  struct { int32_t fd; } small = {fd < 0 ? fd : (getpid() % (INT32_MAX / FDS)) * FDS + fd};
  struct iovec parts[7] = {{&kind, 1}, {&small.fd, 4}, {&number, 8}, {&a_length, 4}, {(void *)a, a_length}, {&b_length, 4}, {(void *)b, b_length}};
  if (real(log_fd, parts, 7) < 0) abort();
}

static void record_path(char kind, int fd, int64_t number, const char *a, const char *b) {
  record(kind, fd, number, a, a ? strlen(a) : 0, b, b ? strlen(b) : 0);
}

#define LOCK pthread_mutex_lock(&lock)
#define UNLOCK                        \
  do {                                \
    int saved = errno;                \
    pthread_mutex_unlock(&lock);      \
    errno = saved;                    \
  } while (0)

static int opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= FDS) return fd;
  ours[fd] = 0;
  if (!below(path)) return fd;
  ours[fd] = 1;
  /* 1: made if missing, 2: emptied. */
  record_path('O', fd, ((flags & O_CREAT) ? 1 : 0) | ((flags & O_TRUNC) ? 2 : 0), path, 0);
  return fd;
}

#define OPEN(name)                                                  \
  int name(const char *path, int flags, ...) {                      \
    REAL(int, #name, const char *, int, ...);                       \
    mode_t mode = 0;                                                \
    if (flags & (O_CREAT | O_TMPFILE)) {                            \
      va_list list;                                                 \
      va_start(list, flags);                                        \
      mode = va_arg(list, mode_t);                                  \
      va_end(list);                                                 \
    }                                                               \
    LOCK;                                                           \
    int fd = opened(real(path, flags, mode), path, flags);          \
    UNLOCK;                                                         \
    return fd;                                                      \
  }
OPEN(open)
OPEN(open64)

/* LevelDB writes through streams, whose own writes nothing can see: without a buffer each is one call here. */
#define FOPEN(name)                                                 \
  FILE *name(const char *path, const char *mode) {                  \
    REAL(FILE *, #name, const char *, const char *);                \
    LOCK;                                                           \
    FILE *file = real(path, mode);                                  \
    if (file && mode[0] != 'r') {                                   \
      int flags = O_CREAT | (mode[0] == 'w' ? O_TRUNC : 0);         \
      opened(fileno(file), path, flags);                            \
      if (mine(fileno(file))) setvbuf(file, 0, _IONBF, 0);          \
    } else if (file) opened(fileno(file), path, 0);                 \
    UNLOCK;                                                         \
    return file;                                                    \
  }
FOPEN(fopen)
FOPEN(fopen64)

#undef fwrite_unlocked
#define FWRITE(name)                                                            \
  size_t name(const void *bytes, size_t size, size_t count, FILE *file) {       \
    REAL(size_t, #name, const void *, size_t, size_t, FILE *);                  \
    int fd = fileno(file);                                                      \
    if (!mine(fd)) return real(bytes, size, count, file);                       \
    LOCK;                                                                       \
    off64_t at = lseek64(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR); \
    size_t done = real(bytes, size, count, file);                               \
    if (done > 0) record('W', fd, at, bytes, done * size, 0, 0);                \
    UNLOCK;                                                                     \
    return done;                                                                \
  }
FWRITE(fwrite)
FWRITE(fwrite_unlocked)

int close(int fd) {
  REAL(int, "close", int);
  LOCK;
  if (fd >= 0 && fd < FDS) ours[fd] = 0;
  int result = fd == log_fd ? 0 : real(fd);
  UNLOCK;
  return result;
}

/* libc closes a stream's descriptor by itself, and a pipe may be the next to have it. */
int fclose(FILE *file) {
  REAL(int, "fclose", FILE *);
  LOCK;
  int fd = fileno(file);
  if (fd >= 0 && fd < FDS) ours[fd] = 0;
  int result = real(file);
  UNLOCK;
  return result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(ssize_t, "write", int, const void *, size_t);
  if (fd == 1 && log_fd >= 0 && says) {
    /* What the process says: what was acknowledged when. */
    LOCK;
    record('A', fd, 0, bytes, count, 0, 0);
    ssize_t said = real(fd, bytes, count);
    UNLOCK;
    return said;
  }
  if (!mine(fd)) return real(fd, bytes, count);
  LOCK;
  off64_t at = lseek64(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR);
  ssize_t done = real(fd, bytes, count);
  if (done > 0) record('W', fd, at, bytes, done, 0, 0);
  UNLOCK;
  return done;
}

#define PWRITE(name, offset_type)                                             \
  ssize_t name(int fd, const void *bytes, size_t count, offset_type at) {     \
    REAL(ssize_t, #name, int, const void *, size_t, offset_type);             \
    if (!mine(fd)) return real(fd, bytes, count, at);                         \
    LOCK;                                                                     \
    ssize_t done = real(fd, bytes, count, at);                                \
    if (done > 0) record('W', fd, at, bytes, done, 0, 0);                     \
    UNLOCK;                                                                   \
    return done;                                                              \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                            \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type at) { \
    REAL(ssize_t, #name, int, const struct iovec *, int, offset_type);        \
    if (!mine(fd)) return real(fd, parts, count, at);                         \
    LOCK;                                                                     \
    ssize_t done = real(fd, parts, count, at), left = done;                   \
    for (int i = 0; i < count && left > 0; i++) {                             \
      size_t size = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left; \
      record('W', fd, at, parts[i].iov_base, size, 0, 0);                     \
      at += size;                                                             \
      left -= size;                                                           \
    }                                                                         \
    UNLOCK;                                                                   \
    return done;                                                              \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define TRUNCATE(name, offset_type)                                           \
  int name(int fd, offset_type length) {                                      \
    REAL(int, #name, int, offset_type);                                       \
    LOCK;                                                                     \
    int result = real(fd, length);                                            \
    if (result == 0 && mine(fd)) record('T', fd, length, 0, 0, 0, 0);         \
    UNLOCK;                                                                   \
    return result;                                                            \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                            \
  int name(int fd) {                                                          \
    REAL(int, #name, int);                                                    \
    LOCK;                                                                     \
    int result = real(fd);                                                    \
    if (result == 0 && mine(fd)) record('S', fd, 0, 0, 0, 0, 0);              \
    UNLOCK;                                                                   \
    return result;                                                            \
  }
SYNC(fsync)
SYNC(fdatasync)

#define NAMED(name, kind, ...)                                                \
  int name(const char *path) {                                                \
    REAL(int, #name, const char *);                                           \
    LOCK;                                                                     \
    int result = real(path);                                                  \
    if (result == 0 && below(path)) record_path(kind, -1, 0, path, 0);        \
    UNLOCK;                                                                   \
    return result;                                                            \
  }
NAMED(unlink, 'U')
NAMED(rmdir, 'D')

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  LOCK;
  int result = real(path, mode);
  if (result == 0 && below(path)) record_path('M', -1, 0, path, 0);
  UNLOCK;
  return result;
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  LOCK;
  int result = real(from, to);
  if (result == 0 && (below(from) || below(to))) record_path('R', -1, 0, from, to);
  UNLOCK;
  return result;
}

/* Copies within the kernel show no bytes: their callers fall back to reading and writing. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t count, unsigned flags) {
  REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
  if (!mine(out)) return real(in, in_at, out, out_at, count, flags);
  errno = EXDEV;
  return -1;
}

#define SENDFILE(name, offset_type)                                           \
  ssize_t name(int out, int in, offset_type *at, size_t count) {              \
    REAL(ssize_t, #name, int, int, offset_type *, size_t);                    \
    if (!mine(out)) return real(out, in, at, count);                          \
    errno = EINVAL;                                                           \
    return -1;                                                                \
  }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)
