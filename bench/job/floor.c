// The least that a job can cost with this engine: one process that has loaded the artifact once, and forks for each
// job. The child closes all but one descriptor, takes the filter of jobs, and calls the module through the engine's C
// interface; the parent passes on 1 KB, takes 1 KB, reads what the kernel counted, and reaps. Landlock is for the
// process and all its children, as it is for a worker. It is its own host: nothing here guards it from a job.
//
// floor ARTIFACT                   runs the module once, from standard input to standard output
// floor ARTIFACT FILTER COUNTERS   reads numbers of jobs; for each prints the nanoseconds of every job, a line each.
//                                  COUNTERS is the file in which the kernel counts what it ends for want of memory
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wasmtime.h>

#define RESULTS 3
#define SIZE 1024

static wasm_engine_t *engine;
static wasmtime_instance_pre_t *begin;
static char input[SIZE], output[SIZE];
static size_t taken;
static int results;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

// The memory behind the first part of a list of iovec; *length is cut to what is there.
static char *part(wasmtime_caller_t *caller, const wasmtime_val_raw_t *words, uint32_t *length, char **memory,
                  size_t *size) {
  wasmtime_extern_t item;
  if (!wasmtime_caller_export_get(caller, "memory", 6, &item) || item.kind != WASMTIME_EXTERN_MEMORY) return NULL;
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  *memory = (char *)wasmtime_memory_data(context, &item.of.memory);
  *size = wasmtime_memory_data_size(context, &item.of.memory);
  uint32_t list = words[1].i32, vector[2];
  if (words[2].i32 != 1 || (size_t)list + sizeof vector > *size) return NULL;
  memcpy(vector, *memory + list, sizeof vector);
  if ((size_t)vector[0] + vector[1] > *size) return NULL;
  *length = vector[1];
  return *memory + vector[0];
}

static wasm_trap_t *answer(wasmtime_val_raw_t *words, char *memory, size_t size, uint32_t done) {
  uint32_t to = words[3].i32;
  words[0].i32 = 0;
  if ((size_t)to + sizeof done > size) words[0].i32 = 21;
  else memcpy(memory + to, &done, sizeof done);
  return NULL;
}

static wasm_trap_t *fd_read(void *none, wasmtime_caller_t *caller, wasmtime_val_raw_t *words, size_t count) {
  (void)none, (void)count;
  char *memory;
  size_t size;
  uint32_t length;
  char *to = part(caller, words, &length, &memory, &size);
  if (!to) return words[0].i32 = 21, NULL;
  if (length > sizeof input - taken) length = sizeof input - taken;
  memcpy(to, input + taken, length);
  taken += length;
  return answer(words, memory, size, length);
}

static wasm_trap_t *fd_write(void *none, wasmtime_caller_t *caller, wasmtime_val_raw_t *words, size_t count) {
  (void)none, (void)count;
  char *memory;
  size_t size;
  uint32_t length;
  char *from = part(caller, words, &length, &memory, &size);
  if (!from || write(results, from, length) != (ssize_t)length) return words[0].i32 = 29, NULL;
  return answer(words, memory, size, length);
}

static void define(wasmtime_linker_t *linker, const char *name, wasmtime_func_unchecked_callback_t function) {
  wasm_valtype_t *all[4];
  for (int i = 0; i < 4; i++) all[i] = wasm_valtype_new_i32();
  wasm_valtype_t *one = wasm_valtype_new_i32();
  wasm_valtype_vec_t parameters, result;
  wasm_valtype_vec_new(&parameters, 4, all);
  wasm_valtype_vec_new(&result, 1, &one);
  static const char interface[] = "wasi_snapshot_preview1";
  if (wasmtime_linker_define_func_unchecked(linker, interface, strlen(interface), name, strlen(name),
                                            wasm_functype_new(&parameters, &result), function, NULL, NULL))
    fail(name);
}

// With the settings of the workers (crates/wasm/src/settings.rs): with others the artifact is not taken.
static void load(const char *artifact) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_memory_init_cow_set(config, false);
  wasmtime_config_wasm_relaxed_simd_deterministic_set(config, true);
  engine = wasm_engine_new_with_config(config);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  define(linker, "fd_read", fd_read);
  define(linker, "fd_write", fd_write);
  wasmtime_module_t *module;
  wasmtime_error_t *error = wasmtime_module_deserialize_file(engine, artifact, &module);
  if (!error) error = wasmtime_linker_instantiate_pre(linker, module, &begin);
  if (error) {
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    fprintf(stderr, "%s: %.*s\n", artifact, (int)message.size, message.data);
    exit(1);
  }
}

static int run(void) {
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_store_limiter(store, 256 << 20, 1 << 20, -1, -1, -1);
  wasmtime_instance_t instance;
  wasmtime_extern_t start;
  wasm_trap_t *trap = NULL;
  if (wasmtime_instance_pre_instantiate(begin, context, &instance, &trap) || trap) return 1;
  if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start)) return 1;
  return wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap) || trap;
}

static void restrict_files(void) {
  struct landlock_ruleset_attr attr = {.handled_access_fs = (1 << 16) - 1};
  int rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
  if (rules < 0 || syscall(SYS_landlock_restrict_self, rules, 0)) fail("Landlock");
  close(rules);
}

static long ended_for_memory(int counters) {
  char text[512];
  ssize_t length = pread(counters, text, sizeof text - 1, 0);
  if (length < 0) fail("counters");
  text[length] = 0;
  char *field = strstr(text, "oom_kill ");
  return field ? atol(field + strlen("oom_kill ")) : 0;
}

static void one(const struct sock_fprog *filter, int counters) {
  long before = ended_for_memory(counters);
  int ends[2], handle = -1, status;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) fail("socketpair");
  struct clone_args how = {.flags = CLONE_PIDFD, .pidfd = (unsigned long)&handle, .exit_signal = SIGCHLD};
  pid_t child = syscall(SYS_clone3, &how, sizeof how);
  if (child < 0) fail("clone3");
  if (child == 0) {
    dup3(ends[1], RESULTS, 0);
    close_range(0, RESULTS - 1, 0);
    close_range(RESULTS + 1, ~0U, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter)) _exit(2);
    results = RESULTS;
    _exit(run());
  }
  close(ends[1]);
  if (recv(ends[0], output, sizeof output, 0) != sizeof output || memcmp(output, input, sizeof output)) fail("recv");
  if (recv(ends[0], output, sizeof output, 0) != 0) fail("recv");
  struct rusage used;
  if (wait4(child, &status, 0, &used) != child || status) fail("a job");
  if (ended_for_memory(counters) != before || used.ru_utime.tv_sec > 10) fail("a limit");
  close(handle);
  close(ends[0]);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 4) return 2;
  load(argv[1]);
  if (argc == 2) {
    if (fread(input, 1, sizeof input, stdin) != sizeof input) fail("standard input");
    results = 1;
    return run();
  }
  static struct sock_filter rows[4096];
  FILE *file = fopen(argv[2], "rb");
  if (!file) fail(argv[2]);
  struct sock_fprog filter = {fread(rows, sizeof rows[0], 4096, file), rows};
  fclose(file);
  int counters = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (counters < 0) fail(argv[3]);
  memset(input, 7, sizeof input);
  // What a thread sets up when it enters a module first is there for all children.
  results = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (run()) fail("the first run");
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  restrict_files();
  for (long left; scanf("%ld", &left) == 1; fflush(stdout))
    for (; left > 0; left--) {
      taken = 0;
      long began = now();
      one(&filter, counters);
      printf("%ld\n", now() - began);
    }
  return 0;
}
