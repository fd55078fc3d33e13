/* `runs`, and the words to a live engine: `stop`, `pause`, `continue`. */
#include "engine/base/json.h"
#include "engine/base/json_members.h"
#include "engine/cli/command.h"
#include "engine/protocol/client.h"
#include "engine/run/run_folder.h"
#include "engine/server/run_rows.h"

#include <stdio.h>
#include <stdlib.h>

static void print_number(const cJSON *row, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(row, key);
    if (cJSON_IsNumber(member)) {
        printf("\t%.6g", member->valuedouble);
    } else {
        printf("\t~");
    }
}

static void print_rows(const struct invocation *invocation, const cJSON *rows)
{
    if (!rows->child) say(invocation, "no runs yet; begin one with `alignprop tune emoji-two-cats`");
    if (rows->child) say(invocation, "name\tstate\tstep\tof\theld-out best\tpreset\tfolder");
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        print_cell(json_get_text(row, "name", ""));
        printf("\t%s", json_get_text(row, "state", ""));
        print_number(row, "step");
        print_number(row, "steps");
        print_number(row, "eval_best");
        putchar('\t');
        print_cell(json_get_text(row, "preset", ""));
        putchar('\t');
        print_cell(json_get_text(row, "path", ""));
        putchar('\n');
    }
}

status command_runs(const struct invocation *invocation)
{
    cJSON *rows;
    TRY(list_runs(&rows));
    if (invocation->json) {
        print_json(rows);
    } else {
        print_rows(invocation, rows);
    }
    cJSON_Delete(rows);
    return status_ok();
}

/* ---- words to an engine ---- */

enum { REPLY_SECONDS = 600 }; /* a step of a large model takes minutes */

static status call_engine(const struct run_folder *folder, const char *type, cJSON **reply)
{
    if (!run_folder_is_alive(folder)) {
        return status_error(STATUS_FAILED, "%s: no engine is running it; continue it with `alignprop resume`",
                            folder->path);
    }
    struct engine_facts facts;
    TRY(run_folder_engine(folder, &facts));
    struct client_options options = {.name = "command"};
    struct client *engine;
    TRY(client_connect(facts.socket_path, &options, &engine));
    status result = client_call(engine, type, NULL, REPLY_SECONDS, reply);
    client_close(engine);
    return result;
}

static status tell_engine(const struct invocation *invocation, const char *type)
{
    struct run_folder folder;
    TRY(run_folder_open(invocation->arguments[0], &folder));
    cJSON *reply = NULL;
    TRY(call_engine(&folder, type, &reply));
    if (invocation->json) print_json(reply);
    cJSON_Delete(reply);
    say(invocation, "%s: %s", folder.id, type);
    return status_ok();
}

status command_stop(const struct invocation *invocation)
{
    return tell_engine(invocation, "stop");
}

status command_pause(const struct invocation *invocation)
{
    return tell_engine(invocation, "pause");
}

status command_continue(const struct invocation *invocation)
{
    return tell_engine(invocation, "continue");
}
