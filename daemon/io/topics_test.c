/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "daemon/io/topics.h"

enum { N_PREFIXES = 300, N_STEPS = 20000 };

/* Short words over two letters: many are prefixes of each other, and some are empty. */
static size_t random_word(char word[8], unsigned *seed)
{
        size_t len = (size_t)rand_r(seed) % 8;

        for (size_t i = 0; i < len; i++)
                word[i] = "ab"[rand_r(seed) % 2];
        return len;
}

/* Against the plain definition, over a random history of subscriptions: matched iff some subscribed prefix begins the topic. */
static void matches_like_the_definition(void **state)
{
        static char words[N_PREFIXES][8];
        static size_t lens[N_PREFIXES];
        unsigned seed = 1;
        size_t n = 0;
        BgTopics topics = { 0 };

        (void)state;
        for (int step = 0; step < N_STEPS; step++) {
                char word[8];
                size_t len = random_word(word, &seed), known = n;
                bool expected = false;

                for (size_t i = 0; i < n; i++) {
                        if (lens[i] == len && !memcmp(words[i], word, len))
                                known = i;
                        if (lens[i] <= len && !memcmp(words[i], word, lens[i]))
                                expected = true;
                }
                assert_int_equal(bg_topics_match(&topics, (BgStr){ word, len }), expected);
                assert_int_equal(bg_topics_find(&topics, (BgStr){ word, len }) != NULL, known < n);
                if (known < n) {
                        bg_topics_remove(&topics, (BgStr){ word, len });
                        n--;
                        memcpy(words[known], words[n], 8);
                        lens[known] = lens[n];
                } else if (n < 12) { /* few, so that most topics match nothing */
                        BgTopic *topic = bg_topics_add(&topics, (BgStr){ word, len });

                        assert_non_null(topic);
                        assert_ptr_equal(topic, bg_topics_add(&topics, (BgStr){ word, len }));
                        memcpy(words[n], word, 8);
                        lens[n++] = len;
                }
                assert_int_equal(topics.n, n);
        }
        bg_topics_deinit(&topics);
        bg_topics_deinit(&topics);
}

/* More prefixes than are kept: everything is sent rather than something withheld, until they are gone again. */
static void too_many_means_everything(void **state)
{
        BgTopics topics = { 0 };
        char text[32];

        (void)state;
        for (int i = 0; i < BG_TOPICS_MAX + 1; i++) { /* falling order would move the whole array each time */
                int len = snprintf(text, sizeof(text), "%08d", i);

                assert_int_equal(bg_topics_add(&topics, (BgStr){ text, (size_t)len }) != NULL, i < BG_TOPICS_MAX);
        }
        assert_true(bg_topics_match(&topics, BG_STR("something else")));
        bg_topics_remove(&topics, bg_str(text));
        assert_false(bg_topics_match(&topics, BG_STR("something else")));
        assert_true(bg_topics_match(&topics, BG_STR("00000000/")));
        bg_topics_deinit(&topics);
}

static void what_is_longer_than_any_topic_is_not_kept(void **state)
{
        static char text[BG_TOPICS_LENGTH_MAX + 1];
        BgTopics topics = { 0 };

        (void)state;
        memset(text, 'x', sizeof(text));
        assert_null(bg_topics_add(&topics, (BgStr){ text, sizeof(text) }));
        assert_false(bg_topics_match(&topics, (BgStr){ text, sizeof(text) }));
        bg_topics_remove(&topics, (BgStr){ text, sizeof(text) });
        assert_non_null(bg_topics_add(&topics, (BgStr){ text, sizeof(text) - 1 }));
        assert_true(bg_topics_match(&topics, (BgStr){ text, sizeof(text) }));
        bg_topics_deinit(&topics);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches_like_the_definition),
                cmocka_unit_test(too_many_means_everything),
                cmocka_unit_test(what_is_longer_than_any_topic_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
