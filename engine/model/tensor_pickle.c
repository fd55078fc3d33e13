/* A machine for the pickles of tensors: byte codes of protocol 2, called in the comments as pickletools calls them. Its
 * values are plain data; a call makes a value only where its function is one of three that are known. */
#include "engine/model/tensor_pickle.h"

#include "engine/base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_SIZE = 1024, MEMO_SIZE = 1024, ITEMS_SIZE = 4096, TEXT_SIZE = TENSOR_PICKLE_NAME_SIZE };

enum value_kind {
    VALUE_NONE, /* also what plays no part: flags, hooks */
    VALUE_MARK,
    VALUE_NUMBER,
    VALUE_TEXT,
    VALUE_TUPLE,
    VALUE_DICTIONARY,
    VALUE_FUNCTION,
    VALUE_STORAGE,
    VALUE_TENSOR,
};

enum function { MAKE_DICTIONARY, MAKE_TENSOR, MAKE_PARAMETER, FIRST_STORAGE };

static const struct {
    const char *name;
    enum function function;
    enum safetensors_type type; /* of a storage */
} functions[] = {
    {"collections.OrderedDict", MAKE_DICTIONARY, 0},         {"torch._utils._rebuild_tensor_v2", MAKE_TENSOR, 0},
    {"torch._utils._rebuild_parameter", MAKE_PARAMETER, 0},  {"torch.FloatStorage", FIRST_STORAGE, SAFETENSORS_F32},
    {"torch.HalfStorage", FIRST_STORAGE, SAFETENSORS_F16},   {"torch.BFloat16Storage", FIRST_STORAGE, SAFETENSORS_BF16},
    {"torch.DoubleStorage", FIRST_STORAGE, SAFETENSORS_F64},
};

struct value {
    enum value_kind kind;
    int64_t number;   /* a number; which function, tensor or dictionary */
    const char *text; /* a text, not terminated */
    int first, count; /* a tuple's values among the items; a text's length */
};

/* An entry of a dictionary. */
struct entry {
    int64_t dictionary;
    struct value key, value;
};

struct machine {
    const unsigned char *at, *end;
    const char *label;
    struct value stack[STACK_SIZE];
    int depth;
    struct value memo[MEMO_SIZE];
    struct value items[ITEMS_SIZE]; /* of tuples and storages */
    int item_count;
    struct entry entries[MEMO_SIZE];
    int entry_count;
    int64_t dictionaries;
    struct pickled_tensor tensors[TENSOR_PICKLE_MAXIMUM]; /* made so far, without names */
    int tensor_count;
};

static status wrong(const struct machine *machine, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "%.250s: data.pkl %s", machine->label, what);
}

static status not_that(const struct machine *machine)
{
    return wrong(machine, "is not what torch.save writes for a dictionary of tensors");
}

static status take(struct machine *machine, size_t size, const unsigned char **bytes)
{
    *bytes = NULL;
    if ((size_t)(machine->end - machine->at) < size) return wrong(machine, "ends too early");
    *bytes = machine->at;
    machine->at += size;
    return status_ok();
}

static status take_number(struct machine *machine, int size, int64_t *number)
{
    *number = 0;
    const unsigned char *bytes;
    TRY(take(machine, (size_t)size, &bytes));
    uint32_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint32_t)bytes[i] << (8 * i);
    *number = value;
    return status_ok();
}

static status push(struct machine *machine, struct value value)
{
    if (machine->depth == STACK_SIZE) return wrong(machine, "is nested too deeply");
    machine->stack[machine->depth++] = value;
    return status_ok();
}

static status push_kind(struct machine *machine, enum value_kind kind)
{
    return push(machine, (struct value){.kind = kind});
}

/* Never takes a mark. */
static status pop(struct machine *machine, struct value *value)
{
    *value = (struct value){0};
    if (machine->depth == 0 || machine->stack[machine->depth - 1].kind == VALUE_MARK) return not_that(machine);
    *value = machine->stack[--machine->depth];
    return status_ok();
}

/* The values above the topmost mark, which goes with them. */
static status pop_to_mark(struct machine *machine, const struct value **values, int *count)
{
    int at = machine->depth;
    *values = NULL;
    *count = 0;
    while (at > 0 && machine->stack[at - 1].kind != VALUE_MARK) at--;
    if (at == 0) return not_that(machine);
    *values = &machine->stack[at];
    *count = machine->depth - at;
    machine->depth = at - 1;
    return status_ok();
}

static status push_dictionary(struct machine *machine)
{
    return push(machine, (struct value){.kind = VALUE_DICTIONARY, .number = machine->dictionaries++});
}

static status push_tuple(struct machine *machine, const struct value *values, int count)
{
    if (count > ITEMS_SIZE - machine->item_count) return wrong(machine, "has too many values");
    struct value tuple = {.kind = VALUE_TUPLE, .first = machine->item_count, .count = count};
    memmove(machine->items + machine->item_count, values, (size_t)count * sizeof *values);
    machine->item_count += count;
    return push(machine, tuple);
}

static status push_short_tuple(struct machine *machine, int count)
{
    struct value values[3];
    for (int i = count - 1; i >= 0; i--) TRY(pop(machine, &values[i]));
    return push_tuple(machine, values, count);
}

/* GLOBAL: two lines, module and name. */
static status push_function(struct machine *machine)
{
    char name[2 * TEXT_SIZE] = "";
    size_t used = 0;
    for (int line = 0; line < 2; line++) {
        const unsigned char *end = memchr(machine->at, '\n', (size_t)(machine->end - machine->at)), *bytes;
        size_t length = end ? (size_t)(end - machine->at) : TEXT_SIZE;
        if (length >= TEXT_SIZE - 1) return wrong(machine, "names a function with too long a name");
        TRY(take(machine, length + 1, &bytes));
        used += (size_t)snprintf(name + used, sizeof name - used, "%s%.*s", line ? "." : "", (int)length,
                                 (const char *)bytes);
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i].name, name) == 0)
            return push(machine, (struct value){.kind = VALUE_FUNCTION, .number = (int64_t)i});
    return status_error(STATUS_BAD_INPUT,
                        "%.250s: data.pkl holds a %s; only a dictionary of tensors of fp32, fp16, bf16 or fp64 is read",
                        machine->label, name);
}

static status push_text(struct machine *machine)
{
    int64_t length;
    const unsigned char *bytes;
    TRY(take_number(machine, 4, &length));
    TRY(take(machine, (size_t)length, &bytes));
    if (length >= TEXT_SIZE) return wrong(machine, "holds a name of more than 63 bytes");
    if (memchr(bytes, '\0', (size_t)length)) return wrong(machine, "holds a name with a NUL byte");
    return push(machine, (struct value){.kind = VALUE_TEXT, .text = (const char *)bytes, .count = (int)length});
}

static status push_number(struct machine *machine, int size)
{
    int64_t number;
    TRY(take_number(machine, size, &number));
    return push(machine, (struct value){.kind = VALUE_NUMBER, .number = size == 4 ? (int32_t)number : number});
}

/* LONG1: little-endian, as many bytes as are needed. */
static status push_long(struct machine *machine)
{
    int64_t size, number = 0;
    const unsigned char *bytes;
    TRY(take_number(machine, 1, &size));
    TRY(take(machine, (size_t)size, &bytes));
    if (size > 5) return wrong(machine, "holds too large a number");
    for (int i = 0; i < size; i++) number |= (int64_t)bytes[i] << (8 * i);
    return push(machine, (struct value){.kind = VALUE_NUMBER, .number = number});
}

static status put_memo(struct machine *machine, int size)
{
    int64_t index;
    TRY(take_number(machine, size, &index));
    if (index >= MEMO_SIZE) return wrong(machine, "is too large for a dictionary of up to 64 tensors");
    if (machine->depth == 0) return not_that(machine);
    machine->memo[index] = machine->stack[machine->depth - 1];
    return status_ok();
}

static status get_memo(struct machine *machine, int size)
{
    int64_t index;
    TRY(take_number(machine, size, &index));
    if (index >= MEMO_SIZE) return not_that(machine);
    return push(machine, machine->memo[index]);
}

static bool is_text(const struct value *value, const char *text)
{
    return value->kind == VALUE_TEXT && (size_t)value->count == strlen(text) &&
           memcmp(value->text, text, strlen(text)) == 0;
}

static void copy_text(const struct value *value, char text[TEXT_SIZE])
{
    snprintf(text, TEXT_SIZE, "%.*s", value->count, value->text);
}

/* BINPERSID of ("storage", type, key, device, elements). */
static status push_storage(struct machine *machine)
{
    struct value tuple;
    TRY(pop(machine, &tuple));
    const struct value *item = &machine->items[tuple.first];
    if (tuple.kind != VALUE_TUPLE || tuple.count != 5 || !is_text(&item[0], "storage") ||
        item[1].kind != VALUE_FUNCTION || functions[item[1].number].function != FIRST_STORAGE ||
        item[2].kind != VALUE_TEXT || item[3].kind != VALUE_TEXT || item[4].kind != VALUE_NUMBER || item[4].number < 0)
        return not_that(machine);
    return push(machine, (struct value){.kind = VALUE_STORAGE, .first = tuple.first});
}

/* Sizes and strides of a tensor that lies row-major. */
static status read_shape(const struct machine *machine, const struct value *sizes, const struct value *strides,
                         struct pickled_tensor *tensor)
{
    if (sizes->kind != VALUE_TUPLE || strides->kind != VALUE_TUPLE || sizes->count != strides->count)
        return not_that(machine);
    if (sizes->count > TENSOR_PICKLE_MAXIMUM_RANK) return wrong(machine, "holds a tensor of more than 4 dimensions");
    tensor->rank = sizes->count;
    tensor->elements = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        const struct value *size = &machine->items[sizes->first + i], *stride = &machine->items[strides->first + i];
        if (size->kind != VALUE_NUMBER || stride->kind != VALUE_NUMBER) return not_that(machine);
        if (size->number < 1 || size->number > 1 << 24 || (size->number > 1 && stride->number != tensor->elements))
            return wrong(machine, "holds a tensor that is empty, too large or not row-major");
        tensor->dimension[i] = size->number;
        tensor->elements *= size->number;
        if (tensor->elements > 1 << 28) return wrong(machine, "holds too large a tensor");
    }
    return status_ok();
}

/* _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks). */
static status make_tensor(struct machine *machine, const struct value *argument, int count)
{
    if (count < 6 || argument[0].kind != VALUE_STORAGE || argument[1].kind != VALUE_NUMBER || argument[1].number < 0)
        return not_that(machine);
    if (machine->tensor_count == TENSOR_PICKLE_MAXIMUM) return wrong(machine, "holds more than 64 tensors");
    struct pickled_tensor *tensor = &machine->tensors[machine->tensor_count];
    const struct value *storage = &machine->items[argument[0].first];
    *tensor = (struct pickled_tensor){
        .type = functions[storage[1].number].type, .storage_elements = storage[4].number, .offset = argument[1].number};
    copy_text(&storage[2], tensor->storage);
    TRY(read_shape(machine, &argument[2], &argument[3], tensor));
    if (tensor->offset > tensor->storage_elements || tensor->elements > tensor->storage_elements - tensor->offset)
        return wrong(machine, "holds a tensor that reaches beyond its storage");
    return push(machine, (struct value){.kind = VALUE_TENSOR, .number = machine->tensor_count++});
}

/* REDUCE: the call of a function. */
static status call(struct machine *machine)
{
    struct value arguments, function;
    TRY(pop(machine, &arguments));
    TRY(pop(machine, &function));
    if (function.kind != VALUE_FUNCTION || arguments.kind != VALUE_TUPLE) return not_that(machine);
    const struct value *argument = &machine->items[arguments.first];
    switch (functions[function.number].function) {
    case MAKE_DICTIONARY: return arguments.count == 0 ? push_dictionary(machine) : not_that(machine);
    case MAKE_TENSOR: return make_tensor(machine, argument, arguments.count);
    case MAKE_PARAMETER:
        return arguments.count == 3 && argument[0].kind == VALUE_TENSOR ? push(machine, argument[0])
                                                                        : not_that(machine);
    case FIRST_STORAGE: break;
    }
    return not_that(machine);
}

static status set_item(struct machine *machine, const struct value *key, const struct value *value)
{
    const struct value *top = machine->depth > 0 ? &machine->stack[machine->depth - 1] : NULL;
    if (!top || top->kind != VALUE_DICTIONARY || key->kind != VALUE_TEXT) return not_that(machine);
    if (machine->entry_count == MEMO_SIZE) return wrong(machine, "has too many entries");
    machine->entries[machine->entry_count++] = (struct entry){top->number, *key, *value};
    return status_ok();
}

static status set_one_item(struct machine *machine)
{
    struct value value, key;
    TRY(pop(machine, &value));
    TRY(pop(machine, &key));
    return set_item(machine, &key, &value);
}

static status set_items(struct machine *machine)
{
    const struct value *values;
    int count;
    TRY(pop_to_mark(machine, &values, &count));
    if (count % 2) return not_that(machine);
    for (int i = 0; i < count; i += 2) TRY(set_item(machine, &values[i], &values[i + 1]));
    return status_ok();
}

static status make_tuple(struct machine *machine)
{
    const struct value *values;
    int count;
    TRY(pop_to_mark(machine, &values, &count));
    return push_tuple(machine, values, count);
}

/* BUILD gives an object attributes; those of a dictionary of tensors are versions of modules. */
static status drop_attributes(struct machine *machine)
{
    struct value attributes;
    TRY(pop(machine, &attributes));
    return attributes.kind == VALUE_DICTIONARY ? status_ok() : not_that(machine);
}

static status check_protocol(struct machine *machine)
{
    int64_t protocol;
    TRY(take_number(machine, 1, &protocol));
    return protocol == 2 ? status_ok() : wrong(machine, "is of another protocol than 2, which torch.save writes");
}

static status run_code(struct machine *machine, unsigned char code)
{
    switch (code) {
    case 0x80: return check_protocol(machine);               /* PROTO */
    case '(': return push_kind(machine, VALUE_MARK);         /* MARK */
    case ')': return push_tuple(machine, machine->items, 0); /* EMPTY_TUPLE */
    case '}': return push_dictionary(machine);               /* EMPTY_DICT */
    case 't': return make_tuple(machine);                    /* TUPLE */
    case 0x85: return push_short_tuple(machine, 1);          /* TUPLE1 */
    case 0x86: return push_short_tuple(machine, 2);          /* TUPLE2 */
    case 0x87: return push_short_tuple(machine, 3);          /* TUPLE3 */
    case 'N':                                                /* NONE */
    case 0x88:                                               /* NEWTRUE */
    case 0x89: return push_kind(machine, VALUE_NONE);        /* NEWFALSE */
    case 'K': return push_number(machine, 1);                /* BININT1 */
    case 'M': return push_number(machine, 2);                /* BININT2 */
    case 'J': return push_number(machine, 4);                /* BININT */
    case 0x8a: return push_long(machine);                    /* LONG1 */
    case 'X': return push_text(machine);                     /* BINUNICODE */
    case 'q': return put_memo(machine, 1);                   /* BINPUT */
    case 'r': return put_memo(machine, 4);                   /* LONG_BINPUT */
    case 'h': return get_memo(machine, 1);                   /* BINGET */
    case 'j': return get_memo(machine, 4);                   /* LONG_BINGET */
    case 'c': return push_function(machine);                 /* GLOBAL */
    case 'Q': return push_storage(machine);                  /* BINPERSID */
    case 'R': return call(machine);                          /* REDUCE */
    case 's': return set_one_item(machine);                  /* SETITEM */
    case 'u': return set_items(machine);                     /* SETITEMS */
    case 'b': return drop_attributes(machine);               /* BUILD */
    default:
        return status_error(STATUS_BAD_INPUT,
                            "%.250s: data.pkl has the byte code 0x%02x, which no flat dictionary of tensors has; save "
                            "the weights as safetensors instead",
                            machine->label, code);
    }
}

/* The entries of the dictionary that the whole pickle is. */
static status collect(const struct machine *machine, const struct value *whole, struct tensor_pickle *pickle)
{
    for (int i = 0; i < machine->entry_count; i++) {
        const struct entry *entry = &machine->entries[i];
        char name[TEXT_SIZE];
        if (entry->dictionary != whole->number) continue;
        copy_text(&entry->key, name);
        if (entry->value.kind != VALUE_TENSOR)
            return status_error(STATUS_BAD_INPUT,
                                "%.250s: data.pkl: %s is no tensor; expected a flat dictionary of them", machine->label,
                                name);
        for (int j = 0; j < pickle->count; j++)
            if (strcmp(pickle->tensors[j].name, name) == 0)
                return status_error(STATUS_BAD_INPUT, "%.250s: data.pkl: tensor %s is there twice", machine->label,
                                    name);
        if (pickle->count == TENSOR_PICKLE_MAXIMUM) return wrong(machine, "holds more than 64 tensors");
        pickle->tensors[pickle->count] = machine->tensors[entry->value.number];
        memcpy(pickle->tensors[pickle->count++].name, name, sizeof name);
    }
    return pickle->count > 0 ? status_ok() : wrong(machine, "holds no tensors");
}

static status run(struct machine *machine, struct tensor_pickle *pickle)
{
    for (;;) {
        const unsigned char *code;
        TRY(take(machine, 1, &code));
        if (*code == '.') break; /* STOP */
        TRY(run_code(machine, *code));
    }
    struct value whole;
    if (machine->at != machine->end) return wrong(machine, "goes on after its end");
    TRY(pop(machine, &whole));
    if (machine->depth != 0 || whole.kind != VALUE_DICTIONARY) return not_that(machine);
    return collect(machine, &whole, pickle);
}

status tensor_pickle_parse(const void *bytes, size_t size, const char *label, struct tensor_pickle *pickle)
{
    pickle->count = 0;
    struct machine *machine = memory_take(1, sizeof *machine);
    machine->at = bytes;
    machine->end = machine->at + size;
    machine->label = label;
    status result = run(machine, pickle);
    free(machine);
    return result;
}
