/* Put in front of every file for clang-tidy (style.sh): what cmocka's header does not say. */
#ifndef ALIGNPROP_TESTS_ANALYSER_H
#define ALIGNPROP_TESTS_ANALYSER_H

/* fail_msg does not return. */
void _fail(const char *const file, const int line) __attribute__((noreturn));

#endif
