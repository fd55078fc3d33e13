/* What reading a model's files noticed and went on from, a line each: keys that nothing here knows. */
#ifndef ALIGNPROP_MODEL_REMARKS_H
#define ALIGNPROP_MODEL_REMARKS_H

enum { REMARKS_LIMIT = 12, REMARK_SIZE = 400 };

struct remarks {
    int count; /* of all of them; the first REMARKS_LIMIT are kept */
    char lines[REMARKS_LIMIT][REMARK_SIZE];
};

/* Adds a line; `remarks` may be NULL. A line that is there already is not added again. */
void remarks_add(struct remarks *remarks, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds all lines of another. */
void remarks_add_all(struct remarks *remarks, const struct remarks *others);
/* Lines that are kept. */
int remarks_kept(const struct remarks *remarks);

#endif
