/* What the studio has asked, and lists that come in pages. */
#include "engine/protocol/message.h"
#include "tui/pages.h"
#include "tui/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Requests are only compared by their client's address. */
static char engine, other;
#define CLIENT(of) ((const struct client *)(const void *)&(of))

static void however_many_requests_wait_each_gets_its_own_answer(void **state)
{
    (void)state;
    enum { WAITING = 100 };
    struct pending_requests pending = {0};
    for (int id = 1; id <= WAITING; id++) {
        struct request request = {.id = id, .client = CLIENT(engine), .purpose = REQUEST_STEER};
        snprintf(request.action, sizeof request.action, "request %d", id);
        assert_true(pending_requests_add(&pending, &request));
    }
    assert_int_equal(pending_requests_take(&pending, CLIENT(other), 7).purpose, REQUEST_NONE);
    for (int id = WAITING; id >= 1; id--) {
        char action[40];
        snprintf(action, sizeof action, "request %d", id);
        assert_string_equal(pending_requests_take(&pending, CLIENT(engine), id).action, action);
        assert_int_equal(pending_requests_take(&pending, CLIENT(engine), id).purpose, REQUEST_NONE);
    }
    pending_requests_free(&pending);
}

/* A new connection may get the address and the numbers of one that is gone. */
static void a_closed_connections_requests_are_forgotten(void **state)
{
    (void)state;
    struct pending_requests pending = {0};
    const struct request requests[] = {{.id = 1, .client = CLIENT(engine), .purpose = REQUEST_PLAN},
                                       {.id = 1, .client = CLIENT(other), .purpose = REQUEST_RUNS},
                                       {.id = 2, .client = CLIENT(engine), .purpose = REQUEST_STEER}};
    for (int i = 0; i < 3; i++) assert_true(pending_requests_add(&pending, &requests[i]));
    pending_requests_forget(&pending, CLIENT(engine));
    assert_int_equal(pending_requests_take(&pending, CLIENT(engine), 1).purpose, REQUEST_NONE);
    assert_int_equal(pending_requests_take(&pending, CLIENT(engine), 2).purpose, REQUEST_NONE);
    assert_int_equal(pending_requests_take(&pending, CLIENT(other), 1).purpose, REQUEST_RUNS);
    pending_requests_free(&pending);
}

static int take(struct pages *pages, const char *key, const char *answer)
{
    cJSON *message = cJSON_Parse(answer);
    assert_non_null(message);
    int next = pages_take(pages, json_get(message, key), message);
    cJSON_Delete(message);
    return next;
}

static void assert_gathered(const struct pages *pages, const char *expected)
{
    char *text = cJSON_PrintUnformatted(pages->gathered);
    assert_string_equal(text, expected);
    cJSON_free(text);
}

static void pages_make_one_list(void **state)
{
    (void)state;
    struct pages pages = {0};
    assert_int_equal(take(&pages, "runs", "{\"runs\":[1,2],\"from\":0,\"next\":2}"), 2);
    assert_int_equal(take(&pages, "runs", "{\"runs\":[3],\"from\":2,\"next\":3}"), 3);
    assert_int_equal(take(&pages, "runs", "{\"runs\":[4],\"from\":3,\"next\":null}"), 0);
    assert_gathered(&pages, "[1,2,3,4]");
    assert_int_equal(take(&pages, "runs", "{\"runs\":[5]}"), 0); /* an engine that knows no pages */
    assert_gathered(&pages, "[5]");
    pages_free(&pages);
    assert_int_equal(
        take(&pages, "catalogue", "{\"catalogue\":{\"fields\":[9],\"presets\":[1]},\"from\":0,\"next\":1}"), 1);
    assert_int_equal(take(&pages, "catalogue", "{\"catalogue\":{\"presets\":[2]},\"from\":1,\"next\":null}"), 0);
    assert_gathered(&pages, "{\"fields\":[9],\"presets\":[1,2]}");
    pages_free(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_many_requests_wait_each_gets_its_own_answer),
        cmocka_unit_test(a_closed_connections_requests_are_forgotten),
        cmocka_unit_test(pages_make_one_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
