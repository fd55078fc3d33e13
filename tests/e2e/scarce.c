/* Preloaded into a program: small allocations that the program itself asks for (not the libraries that it uses, and not
 * before `main`, where CUDA's runtime, linked into the program, registers its kernels) fail, from a number of them on
 * ($SCARCE_FROM) or from the signal SIGUSR2 on. How many there were is written to the file $SCARCE_COUNT at the end. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t bytes);
void *malloc(size_t bytes);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t bytes);
void *reallocarray(void *memory, size_t count, size_t size);

enum { SMALL = 64 << 10 };

static uintptr_t program_begin, program_end;
static atomic_long asked, from = -1; /* -1: none fails */

static int find_program(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size, (void)context;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
        if (program_begin == 0 || begin < program_begin) program_begin = begin;
        if (end > program_end) program_end = end;
    }
    return 1; /* the first object is the program */
}

static void begin_to_fail(int number)
{
    (void)number;
    atomic_store(&from, 0);
}

__attribute__((constructor)) static void set_up(void)
{
    const char *number = getenv("SCARCE_FROM");
    dl_iterate_phdr(find_program, NULL);
    if (number) atomic_store(&from, atol(number));
    signal(SIGUSR2, begin_to_fail);
}

__attribute__((destructor)) static void write_count(void)
{
    const char *path = getenv("SCARCE_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&asked));
    fclose(file);
}

typedef int main_function(int count, char **arguments, char **environment);
typedef int start_function(main_function *main, int count, char **arguments, void (*set_up)(void), void (*end)(void),
                           void (*unload)(void), void *stack_end);
start_function __libc_start_main;

static main_function *program_main;
static atomic_bool begun;

static int begin(int count, char **arguments, char **environment)
{
    atomic_store(&begun, true);
    return program_main(count, arguments, environment);
}

int __libc_start_main(main_function *main, int count, char **arguments, void (*init)(void), void (*end)(void),
                      void (*unload)(void), void *stack_end)
{
    start_function *start = (start_function *)(uintptr_t)dlsym(RTLD_NEXT, "__libc_start_main");
    if (!start) abort();
    program_main = main;
    return start(begin, count, arguments, init, end, unload, stack_end);
}

static bool refused(size_t bytes, const void *caller)
{
    uintptr_t place = (uintptr_t)caller;
    if (!atomic_load(&begun) || bytes > SMALL || place < program_begin || place >= program_end) return false;
    long number = atomic_fetch_add(&asked, 1), first = atomic_load(&from);
    if (first < 0 || number < first) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    return refused(bytes, __builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || refused(bytes, __builtin_return_address(0))) return NULL;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t bytes)
{
    return refused(bytes, __builtin_return_address(0)) ? NULL : __libc_realloc(memory, bytes);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || refused(bytes, __builtin_return_address(0))) return NULL;
    return __libc_realloc(memory, bytes);
}
