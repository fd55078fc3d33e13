/* The settings of a run that may change while it goes on, by key. */
#include "engine/preset/live_settings.h"

#include "engine/preset/keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct live_setting weight_of(const struct preset *preset, int reward)
{
    struct live_setting setting = {.row = preset_weight_key(), .reward = preset->rewards[reward].id};
    snprintf(setting.key, sizeof setting.key, "rewards.%s.weight", setting.reward);
    setting.offset = setting.row->live_offset + (size_t)reward * sizeof(double);
    return setting;
}

bool live_setting_at(const struct preset *preset, int index, struct live_setting *setting)
{
    if (index < preset->reward_count) {
        *setting = weight_of(preset, index);
        return true;
    }
    const struct preset_key *row = preset_live_key(index - preset->reward_count);
    if (!row) return false;
    *setting = (struct live_setting){.row = row, .offset = row->live_offset};
    snprintf(setting->key, sizeof setting->key, "%s", row->path);
    return true;
}

bool live_setting_find(const struct preset *preset, const char *key, struct live_setting *setting)
{
    for (int i = 0; live_setting_at(preset, i, setting); i++)
        if (strcmp(setting->key, key) == 0) return true;
    return false;
}

/* ---- values ---- */

/* Of a row's field in a struct: whole numbers are int, others double. */
static double number_at(const struct preset_key *row, const void *base, size_t offset)
{
    const void *field = (const char *)base + offset;
    return row->kind == KEY_INTEGER ? *(const int *)field : *(const double *)field;
}

double live_setting_get(const struct live_setting *setting, const struct live_settings *settings)
{
    return number_at(setting->row, settings, setting->offset);
}

void live_setting_set(const struct live_setting *setting, struct live_settings *settings, double value)
{
    void *field = (char *)settings + setting->offset;
    if (setting->row->kind == KEY_INTEGER)
        *(int *)field = (int)value;
    else
        *(double *)field = value;
}

static double beginning_of(const struct live_setting *setting, const struct preset *preset, int index)
{
    if (setting->reward) return preset->rewards[index].weight;
    /* What no preset has, a run does as fast as it may. */
    return setting->row->of_runs_only ? setting->row->high : number_at(setting->row, preset, setting->row->offset);
}

struct live_settings live_settings_of(const struct preset *preset)
{
    struct live_settings settings = {.weights = {0}};
    struct live_setting setting;
    for (int i = 0; live_setting_at(preset, i, &setting); i++)
        live_setting_set(&setting, &settings, beginning_of(&setting, preset, i));
    return settings;
}

bool live_settings_equal(const struct preset *preset, const struct live_settings *a, const struct live_settings *b)
{
    struct live_setting setting;
    for (int i = 0; live_setting_at(preset, i, &setting); i++)
        if (live_setting_get(&setting, a) != live_setting_get(&setting, b)) return false;
    return true;
}

/* ---- checks ---- */

/* "rewards.ID.weight, optimizer.lr, ... or preview.rate" */
static void list_keys(struct text *list)
{
    text_append(list, "%s", preset_weight_key()->path);
    for (int i = 0; preset_live_key(i); i++)
        text_append(list, "%s%s", preset_live_key(i + 1) ? ", " : " or ", preset_live_key(i)->path);
}

static status no_such_setting(const char *key)
{
    struct text list = {0};
    list_keys(&list);
    status result = status_error(STATUS_BAD_INPUT, "%s: no such setting; expected %s", key, list.data ? list.data : "");
    text_clear(&list);
    return result;
}

status live_settings_check(const struct preset *preset, const char *key, double value)
{
    struct live_setting setting;
    if (!live_setting_find(preset, key, &setting))
        return preset_key_find(key) ? status_error(STATUS_BAD_INPUT, "%s: is fixed while a run goes on", key)
                                    : no_such_setting(key);
    const struct preset_key *row = setting.row;
    bool whole = row->kind == KEY_INTEGER;
    if (value >= row->low && value <= row->high && (!whole || value == floor(value))) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: expected a %snumber from %g to %g, found %g", key, whole ? "whole " : "",
                        row->low, row->high, value);
}

/* ---- in a checkpoint ---- */

void live_settings_write(const struct preset *preset, const struct live_settings *settings, cJSON *group)
{
    cJSON *weights = cJSON_AddObjectToObject(group, "weights");
    struct live_setting setting;
    for (int i = 0; live_setting_at(preset, i, &setting); i++)
        cJSON_AddNumberToObject(setting.reward ? weights : group, setting.reward ? setting.reward : setting.key,
                                live_setting_get(&setting, settings));
}

static status read_value(const struct json_object *object, const char *key, const struct preset_key *row, double *value)
{
    if (row->kind != KEY_INTEGER) return json_number(object, key, row->low, row->high, value);
    int whole;
    TRY(json_int(object, key, (int)row->low, (int)row->high, &whole));
    *value = whole;
    return status_ok();
}

status live_settings_read(const struct preset *preset, const struct json_object *group, struct live_settings *settings)
{
    struct json_object weights;
    struct live_setting setting;
    TRY(json_child(group, "weights", &weights));
    *settings = live_settings_of(preset);
    for (int i = 0; live_setting_at(preset, i, &setting); i++) {
        double value;
        if (setting.row->added_later && !json_has(group, setting.key)) continue;
        TRY(read_value(setting.reward ? &weights : group, setting.reward ? setting.reward : setting.key, setting.row,
                       &value));
        live_setting_set(&setting, settings, value);
    }
    return status_ok();
}
