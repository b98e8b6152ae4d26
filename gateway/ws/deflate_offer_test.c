#include "gateway/ws/deflate_offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The offers of RFC 7692 section 7.1 and of browsers. */

#define NONE "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define LASTS "permessage-deflate; client_no_context_takeover"

static bool accepts(const char *offer, int takeover_bits, struct deflate_terms *terms_r)
{
    char text[200];
    snprintf(text, sizeof text, "%s", offer);
    return deflate_offer_accept(text, takeover_bits, terms_r);
}

static void answer_is(const char *offer, int takeover_bits, const char *want)
{
    struct deflate_terms terms;
    if (!accepts(offer, takeover_bits, &terms))
        fail_msg("declined with %d bits: %s", takeover_bits, offer);
    assert_true(terms.is_agreed);
    assert_int_equal(terms.is_takeover, strstr(want, "server_no_context_takeover") == NULL);
    struct buf out;
    buf_init(&out);
    deflate_offer_answer(&terms, &out);
    buf_add_char(&out, '\0');
    if (strcmp(out.bytes, want) != 0)
        fail_msg("%s with %d bits: %s", offer, takeover_bits, out.bytes);
    buf_release(&out);
}

static void accepted_offers(void **state)
{
    (void)state;
    answer_is("permessage-deflate", 0, NONE);
    answer_is("permessage-deflate; client_max_window_bits", 0, NONE);
    answer_is("permessage-deflate; client_max_window_bits=10", 0, NONE);
    answer_is("Permessage-Deflate;server_no_context_takeover ; client_no_context_takeover", 0, NONE);
    answer_is("permessage-deflate; server_max_window_bits=15", 0, NONE "; server_max_window_bits=13");
    answer_is("permessage-deflate; server_max_window_bits=\"13\"; client_max_window_bits=\"8\"", 0,
              NONE "; server_max_window_bits=13");
}

static void accepted_with_takeover(void **state)
{
    (void)state;
    answer_is("permessage-deflate", 11, LASTS);
    answer_is("permessage-deflate; client_max_window_bits", 15, LASTS);
    answer_is("permessage-deflate; client_no_context_takeover", 11, LASTS);
    answer_is("permessage-deflate; server_no_context_takeover", 11, NONE); /* the client has the last word */
    answer_is("permessage-deflate; server_max_window_bits=15", 11, LASTS "; server_max_window_bits=11");
    answer_is("permessage-deflate; server_max_window_bits=10", 11, LASTS "; server_max_window_bits=10");
    answer_is("permessage-deflate; server_max_window_bits=9", 15, LASTS "; server_max_window_bits=9");
}

static void whether_the_client_would(void **state)
{
    (void)state;
    struct deflate_terms terms;
    assert_true(accepts("permessage-deflate", 0, &terms) && terms.may_take_over && terms.window_bits == 13);
    assert_true(accepts("permessage-deflate; server_no_context_takeover", 11, &terms) && !terms.may_take_over);
    assert_int_equal(terms.window_bits, 13); /* the shared deflater's, whatever the others have */
    assert_true(accepts("permessage-deflate", 15, &terms) && terms.window_bits == 15);
}

static void declined_offers(void **state)
{
    (void)state;
    static const char *const offers[] = {
        "",
        ";",
        "x-webkit-deflate-frame",
        "permessage-deflate; ",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8", /* zlib has none that small */
        "permessage-deflate; server_max_window_bits=016",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"",
        "permessage-deflate; client_max_window_bits=15x",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12", /* the shared one's is larger */
    };
    struct deflate_terms terms;
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++)
        for (int bits = 0; bits <= 11; bits += 11)
            if (accepts(offers[i], bits, &terms) || terms.is_agreed)
                fail_msg("accepted with %d bits: %s", bits, offers[i]);
    assert_false(accepts("permessage-deflate; server_max_window_bits=12", 0, &terms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_offers),
        cmocka_unit_test(accepted_with_takeover),
        cmocka_unit_test(whether_the_client_would),
        cmocka_unit_test(declined_offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
