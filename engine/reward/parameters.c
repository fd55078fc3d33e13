/* Checks a reward's parameters against its table and reads them. */
#include "engine/base/json_members.h"
#include "engine/base/text.h"
#include "engine/reward/implementation.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MAXIMUM_PARAMETERS = 16 };

static const struct reward_parameter *find_parameter(const struct reward_kind *kind, const char *name)
{
    for (int i = 0; i < kind->parameter_count; i++)
        if (strcmp(kind->parameters[i].name, name) == 0) return &kind->parameters[i];
    return NULL;
}

static bool is_color(const char *text)
{
    if (text[0] != '#' || strlen(text) != 7) return false;
    for (int i = 1; i < 7; i++)
        if (!isxdigit((unsigned char)text[i])) return false;
    return true;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

static status check_number(const struct reward_kind *kind, const struct reward_parameter *parameter, const cJSON *value)
{
    bool whole = parameter->kind == PARAMETER_INTEGER;
    const char *type = whole ? "a whole number" : "a number";
    if (!cJSON_IsNumber(value))
        return status_error(STATUS_BAD_INPUT, "reward %s: %s must be %s from %g to %g", kind->name, parameter->name,
                            type, parameter->low, parameter->high);
    double number = value->valuedouble;
    if (!(number >= parameter->low && number <= parameter->high) || (whole && number != floor(number)))
        return status_error(STATUS_BAD_INPUT, "reward %s: %s is %g but must be %s from %g to %g", kind->name,
                            parameter->name, number, type, parameter->low, parameter->high);
    return status_ok();
}

static status check_value(const struct reward_kind *kind, const struct reward_parameter *parameter, const cJSON *value)
{
    switch (parameter->kind) {
    case PARAMETER_NUMBER:
    case PARAMETER_INTEGER: return check_number(kind, parameter, value);
    case PARAMETER_TEXT:
        if (cJSON_IsString(value) && !is_blank(value->valuestring)) return status_ok();
        return status_error(STATUS_BAD_INPUT, "reward %s: %s must be a text that is not empty (%s)", kind->name,
                            parameter->name, parameter->meaning);
    case PARAMETER_MODEL:
        if (cJSON_IsString(value)) return status_ok();
        return status_error(STATUS_BAD_INPUT, "reward %s: %s must be a text (%s)", kind->name, parameter->name,
                            parameter->meaning);
    case PARAMETER_COLOR:
        if (cJSON_IsString(value) && is_color(value->valuestring)) return status_ok();
        return status_error(STATUS_BAD_INPUT, "reward %s: %s must be a colour such as \"#ff8000\"%s%s", kind->name,
                            parameter->name, cJSON_IsString(value) ? ", not " : "",
                            cJSON_IsString(value) ? value->valuestring : "");
    }
    return status_error(STATUS_FAILED, "reward %s: %s has an unknown kind", kind->name, parameter->name);
}

static status unknown_parameter(const struct reward_kind *kind, const char *name)
{
    const char *names[MAXIMUM_PARAMETERS];
    int count = 0;
    for (; count < kind->parameter_count && count < MAXIMUM_PARAMETERS; count++)
        names[count] = kind->parameters[count].name;
    if (count == 0)
        return status_error(STATUS_BAD_INPUT, "reward %s has no parameters, but \"%s\" is given", kind->name, name);
    const char *nearest = text_nearest(name, names, count);
    if (nearest != NULL)
        return status_error(STATUS_BAD_INPUT, "reward %s has no parameter \"%s\"; did you mean \"%s\"?", kind->name,
                            name, nearest);
    struct text known = {0};
    for (int i = 0; i < count; i++) text_append(&known, "%s%s", i > 0 ? ", " : "", names[i]);
    status result = status_error(STATUS_BAD_INPUT, "reward %s has no parameter \"%s\"; it has %s", kind->name, name,
                                 known.data != NULL ? known.data : "others");
    text_clear(&known);
    return result;
}

status reward_check_parameters(const struct reward_kind *kind, const struct reward_request *request)
{
    if (request->params != NULL && !cJSON_IsObject(request->params))
        return status_error(STATUS_BAD_INPUT, "reward %s: params must be an object", kind->name);
    const cJSON *value;
    cJSON_ArrayForEach(value, request->params)
    {
        const struct reward_parameter *parameter = find_parameter(kind, value->string);
        if (parameter == NULL) return unknown_parameter(kind, value->string);
        if (!cJSON_IsNull(value)) TRY(check_value(kind, parameter, value));
    }
    for (int i = 0; i < kind->parameter_count; i++) {
        const struct reward_parameter *parameter = &kind->parameters[i];
        bool number = parameter->kind == PARAMETER_NUMBER || parameter->kind == PARAMETER_INTEGER;
        if (!number && parameter->text_fallback == NULL && json_get(request->params, parameter->name) == NULL)
            return status_error(STATUS_BAD_INPUT, "reward %s needs the parameter %s: %s", kind->name, parameter->name,
                                parameter->meaning);
    }
    return status_ok();
}

double reward_number(const struct reward_kind *kind, const struct reward_request *request, const char *name)
{
    const cJSON *value = json_get(request->params, name);
    return value != NULL ? value->valuedouble : find_parameter(kind, name)->fallback;
}

const char *reward_text(const struct reward_kind *kind, const struct reward_request *request, const char *name)
{
    const cJSON *value = json_get(request->params, name);
    return value != NULL ? value->valuestring : find_parameter(kind, name)->text_fallback;
}

void reward_color(const struct reward_kind *kind, const struct reward_request *request, const char *name,
                  double color[3])
{
    unsigned long rgb = strtoul(reward_text(kind, request, name) + 1, NULL, 16);
    for (int i = 0; i < 3; i++) color[i] = (double)(rgb >> (16 - 8 * i) & 0xff) / 255.0;
}
